"""Cohere's chat API (version 2) as an upstream. The base URL is ``https://api.cohere.com``.

Each event of a stream has an ``event:`` line that repeats its ``type``; ``data: [DONE]`` may follow the last one
(https://docs.cohere.com/v2/docs/streaming and the official SDK, cohere 7.3, checked 2026-11).

Vectors come from ``/v2/embed`` (https://docs.cohere.com/reference/embed, checked 2026-11).
"""

from typing import Any

from orcestator.dialects.canonical import UpstreamDialect, always
from orcestator.dialects.cohere.reply import CALLS, ChatReader, error_detail, reply
from orcestator.dialects.cohere.request import PATH, wire_call
from orcestator.dialects.embeddings import Embedder
from orcestator.json_text import Json

INPUT_TYPE = "search_document"
"""The API demands to be told what the vectors are for, which OpenAI's callers never say; this is what is stored and found."""


def _embed(texts: list[str], model: str, size: int | None) -> Json:
    body: Json = {"model": model, "texts": texts, "input_type": INPUT_TYPE, "embedding_types": ["float"]}
    return body | ({"output_dimension": size} if size else {})


def _embedded(wire: Json) -> tuple[Any, Any]:
    held, meta = wire.get("embeddings"), wire.get("meta")
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    tokens = billed.get("input_tokens") if isinstance(billed, dict) else None
    return held.get("float") if isinstance(held, dict) else None, tokens


EMBEDDER = Embedder(lambda _model: "/v2/embed", _embed, _embedded)


UPSTREAM = UpstreamDialect(
    name="cohere",
    request=wire_call,
    reply=reply,
    reader=ChatReader,
    error=error_detail,
    embedder=EMBEDDER,
    relay_path=always(PATH),
    calls=CALLS,
    names_events=True,
)
