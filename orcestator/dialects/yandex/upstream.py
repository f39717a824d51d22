"""Yandex's native text generation as an upstream.

The base URL is ``https://llm.api.cloud.yandex.net/foundationModels/v1``. A stream is one JSON object a line, not
server-sent events (https://yandex.cloud/ru/features/4236 asks for these; checked 2026-11).
"""

from orcestator.dialects.canonical import UpstreamDialect, always
from orcestator.dialects.yandex.reply import CALLS, CompletionReader, error_detail, reply
from orcestator.dialects.yandex.request import PATH, wire_call

UPSTREAM = UpstreamDialect(
    name="yandex",
    request=wire_call,
    reply=reply,
    reader=CompletionReader,
    error=error_detail,
    relay_path=always(PATH),
    calls=CALLS,
    is_lines=True,
)
