"""Gemini's own API as an upstream: generateContent on generativelanguage.googleapis.com, and on Vertex.

Vectors come from ``:batchEmbedContents`` (https://ai.google.dev/api/embeddings, checked 2026-11).
"""

import re
from itertools import product
from typing import Any

from orcestator.dialects.canonical import UpstreamDialect
from orcestator.dialects.embeddings import Embedder
from orcestator.dialects.fitting import lowered_at
from orcestator.dialects.gemini.errors import error_detail
from orcestator.dialects.gemini.signatures import with_stand_ins
from orcestator.dialects.gemini.upstream_reply import canonical_reply
from orcestator.dialects.gemini.upstream_request import count_path, embed_path, path_to, wire_call
from orcestator.dialects.gemini.upstream_stream import CALLS, GeminiReader
from orcestator.dialects.tool_names import NameRule
from orcestator.json_text import Json


def _embed(texts: list[str], model: str, size: int | None) -> Json:
    named = {"model": f"models/{model.removeprefix('models/')}"} | ({"outputDimensionality": size} if size else {})
    return {"requests": [{**named, "content": {"parts": [{"text": text}]}} for text in texts]}


def _embedded(wire: Json) -> tuple[Any, Any]:
    found, usage = wire.get("embeddings"), wire.get("usageMetadata")
    vectors = [one.get("values") for one in found if isinstance(one, dict)] if isinstance(found, list) else None
    return vectors, usage.get("promptTokenCount") if isinstance(usage, dict) else None


EMBEDDER = Embedder(embed_path, _embed, _embedded)


_LIMITS = tuple(product(("generationConfig", "generation_config"), ("maxOutputTokens", "max_output_tokens")))
TOOL_NAMES = NameRule(re.compile(r"[^A-Za-z0-9_.:-]"), 128, re.compile(r"[A-Za-z_]"))
"""A letter or underscore, then letters, digits and ``_ . : -`` (python-genai 3.4.0, FunctionDeclaration.name, checked
2026-11)."""


def _limited(body: Json, most: int) -> tuple[Json, list[str]]:
    return lowered_at(body, _LIMITS, most)


UPSTREAM = UpstreamDialect(
    name="gemini",
    request=wire_call,
    reply=canonical_reply,
    reader=GeminiReader,
    error=error_detail,
    embedder=EMBEDDER,
    relay_path=path_to,
    tool_names=TOOL_NAMES,
    limited=_limited,
    calls=CALLS,
    clean=with_stand_ins,
    count_path=count_path,
    names_model=False,
)
