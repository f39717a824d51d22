"""Cohere's ``/v2/embed`` (https://docs.cohere.com/reference/embed, checked 2026-11)."""

from typing import Any

from orcestator.dialects.embeddings import Embedder
from orcestator.json_text import Json

INPUT_TYPE = "search_document"
"""The API demands to be told what the vectors are for, which OpenAI's callers never say; this is what is stored and found."""


def _request(texts: list[str], model: str, size: int | None) -> Json:
    body: Json = {"model": model, "texts": texts, "input_type": INPUT_TYPE, "embedding_types": ["float"]}
    return body | ({"output_dimension": size} if size else {})


def _reply(wire: Json) -> tuple[Any, Any]:
    held, meta = wire.get("embeddings"), wire.get("meta")
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    tokens = billed.get("input_tokens") if isinstance(billed, dict) else None
    return held.get("float") if isinstance(held, dict) else None, tokens


EMBEDDER = Embedder(lambda _model: "/v2/embed", _request, _reply)
