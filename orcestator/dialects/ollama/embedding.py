"""Ollama's ``/api/embed`` (https://docs.ollama.com/api/embed, checked 2026-11)."""

from typing import Any

from orcestator.dialects.embeddings import Embedder
from orcestator.json_text import Json


def _request(texts: list[str], model: str, size: int | None) -> Json:
    return {"model": model, "input": texts} | ({"dimensions": size} if size else {})


def _reply(wire: Json) -> tuple[Any, Any]:
    return wire.get("embeddings"), wire.get("prompt_eval_count")


EMBEDDER = Embedder(lambda _model: "/api/embed", _request, _reply)
