"""Gemini's ``:batchEmbedContents`` (https://ai.google.dev/api/embeddings, checked 2026-11)."""

from typing import Any

from orcestator.dialects.embeddings import Embedder
from orcestator.dialects.gemini.upstream_request import embed_path
from orcestator.json_text import Json


def _request(texts: list[str], model: str, size: int | None) -> Json:
    named = {"model": f"models/{model.removeprefix('models/')}"} | ({"outputDimensionality": size} if size else {})
    return {"requests": [{**named, "content": {"parts": [{"text": text}]}} for text in texts]}


def _reply(wire: Json) -> tuple[Any, Any]:
    found, usage = wire.get("embeddings"), wire.get("usageMetadata")
    vectors = [one.get("values") for one in found if isinstance(one, dict)] if isinstance(found, list) else None
    return vectors, usage.get("promptTokenCount") if isinstance(usage, dict) else None


EMBEDDER = Embedder(embed_path, _request, _reply)
