"""Ollama's own chat API as an upstream. The base URL is the server's root, ``http://localhost:11434``."""

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.fitting import lowered_at
from orcestator.dialects.ollama.embedding import EMBEDDER
from orcestator.dialects.ollama.reply import CALLS, ChatReader, error_detail, reply
from orcestator.dialects.ollama.request import PATH, wire_call
from orcestator.json_text import Json


def _relay_path(model: str, streamed: bool) -> str:
    """One path for every model; whether it streams is said in the body."""
    return PATH


def _limited(body: Json, most: int) -> tuple[Json, list[str]]:
    return lowered_at(body, (("options", "num_predict"),), most)


UPSTREAM = UpstreamDialect(
    name="ollama",
    request=wire_call,
    reply=reply,
    reader=ChatReader,
    error=error_detail,
    embedder=EMBEDDER,
    relay_path=_relay_path,
    limited=_limited,
    calls=CALLS,
    is_lines=True,
)
