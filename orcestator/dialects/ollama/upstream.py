"""Ollama's own chat API as an upstream. The base URL is the server's root, ``http://localhost:11434``.

Vectors come from ``/api/embed`` (https://docs.ollama.com/api/embed, checked 2026-11).
"""

from typing import Any

from orcestator.dialects.canonical import UpstreamDialect, always
from orcestator.dialects.embeddings import Embedder
from orcestator.dialects.fitting import lowered_at
from orcestator.dialects.ollama.reply import CALLS, ChatReader, error_detail, reply
from orcestator.dialects.ollama.request import PATH, wire_call
from orcestator.json_text import Json


def _embed(texts: list[str], model: str, size: int | None) -> Json:
    return {"model": model, "input": texts} | ({"dimensions": size} if size else {})


def _embedded(wire: Json) -> tuple[Any, Any]:
    return wire.get("embeddings"), wire.get("prompt_eval_count")


EMBEDDER = Embedder(lambda _model: "/api/embed", _embed, _embedded)


def _limited(body: Json, most: int) -> tuple[Json, list[str]]:
    return lowered_at(body, (("options", "num_predict"),), most)


UPSTREAM = UpstreamDialect(
    name="ollama",
    request=wire_call,
    reply=reply,
    reader=ChatReader,
    error=error_detail,
    embedder=EMBEDDER,
    relay_path=always(PATH),
    limited=_limited,
    calls=CALLS,
    is_lines=True,
)
