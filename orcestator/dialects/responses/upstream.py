"""The Responses API spoken to: OpenAI's own, and those of servers like it."""

from orcestator.dialects.canonical import ReadTerms, UpstreamDialect, always
from orcestator.dialects.failures import openai_detail
from orcestator.dialects.fitting import lowered_at
from orcestator.dialects.responses.answer import reply
from orcestator.dialects.responses.cleaning import clean
from orcestator.dialects.responses.reader import ResponsesReader
from orcestator.dialects.responses.request import PATH, request
from orcestator.json_text import Json


def _reader(terms: ReadTerms) -> ResponsesReader:
    return ResponsesReader(terms)


def _limited(body: Json, most: int) -> tuple[Json, list[str]]:
    return lowered_at(body, (("max_output_tokens",),), most)


UPSTREAM = UpstreamDialect(
    name="responses",
    request=request,
    reply=reply,
    reader=_reader,
    error=openai_detail,
    limited=_limited,
    relay_path=always(PATH),
    clean=clean,
    names_events=True,
    takes_custom_tools=True,
)
