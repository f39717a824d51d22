"""Cohere's chat API (version 2) as an upstream. The base URL is ``https://api.cohere.com``.

Each event of a stream has an ``event:`` line that repeats its ``type``; ``data: [DONE]`` may follow the last one
(https://docs.cohere.com/v2/docs/streaming and the official SDK, cohere 7.3, checked 2026-11).
"""

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.cohere.embedding import EMBEDDER
from orcestator.dialects.cohere.reply import CALLS, ChatReader, error_detail, reply
from orcestator.dialects.cohere.request import PATH, wire_call


def _relay_path(model: str, streamed: bool) -> str:
    """One path for every model; whether it streams is said in the body."""
    return PATH


UPSTREAM = UpstreamDialect(
    name="cohere",
    request=wire_call,
    reply=reply,
    reader=ChatReader,
    error=error_detail,
    embedder=EMBEDDER,
    relay_path=_relay_path,
    calls=CALLS,
    names_events=True,
)
