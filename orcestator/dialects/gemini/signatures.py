"""Thought signatures: what Gemini wants back unchanged, and where canonical messages keep it.

https://ai.google.dev/gemini-api/docs/thought-signatures (checked 2026-11): Gemini 3 refuses a history whose current
turn (from the last user content that is no function response) has a step, a model content, whose first functionCall
lacks its signature; the others of a parallel set have none. Signatures on text are recommended, not checked. History
that no Gemini model wrote is marked with ``SKIP_VALIDATION``. Gemini CLI 0.61.0 does the same (geminiChat,
ensureActiveLoop…). In a caller's own body a call that another model made is known by its id: Gemini 3 signs whatever it gives
an id, and its predecessors gave none.
"""

from typing import Any

from orcestator.dialects.canonical import GEMINI_FORMAT
from orcestator.json_text import Json

SKIP_VALIDATION = "skip_thought_signature_validator"


def call_extra(signature: Any) -> Json:
    """The part of a canonical tool call (or image) that keeps its signature; {} when there is none."""
    if not isinstance(signature, str) or not signature:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}


def call_signature(call: Any) -> str:
    """The signature of a canonical tool call (or image), "" when it has none."""
    for key in ("extra_content", "google"):
        call = call.get(key) if isinstance(call, dict) else None
    signature = call.get("thought_signature") if isinstance(call, dict) else None
    return signature if isinstance(signature, str) else ""


def detail_of(signature: Any) -> list[Json]:
    """``reasoning_details`` for a signature that came on a text or a thought; empty when there is none."""
    if not isinstance(signature, str) or not signature:
        return []
    return [{"type": "reasoning.encrypted", "data": signature, "format": GEMINI_FORMAT}]


def own_details(details: Any) -> list[Json]:
    """The reasoning details that a Gemini model issued."""
    if not isinstance(details, list):
        return []
    return [detail for detail in details if isinstance(detail, dict) and detail.get("format") == GEMINI_FORMAT]


def detail_signature(detail: Json) -> str:
    """The signature in one of Gemini's reasoning details, "" when it has none."""
    value = detail.get("data") if detail.get("type") == "reasoning.encrypted" else detail.get("signature")
    return value if isinstance(value, str) else ""


def with_stand_ins(body: Json) -> Json | None:
    """The body with Google's stand-in for each signature that no Gemini model gave; None when it lacks none."""
    contents = body.get("contents")
    if not isinstance(contents, list):
        return None
    made = [_with_stand_in(content) for content in contents]
    if all(new is old for new, old in zip(made, contents, strict=True)):
        return None
    return {**body, "contents": made}


def _with_stand_in(content: Any) -> Any:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return content
    place = next((place for place, part in enumerate(parts) if _call_in(part)), None)
    if place is None or not _is_foreign(parts[place]):
        return content
    return {
        **content,
        "parts": [*parts[:place], {**parts[place], "thoughtSignature": SKIP_VALIDATION}, *parts[place + 1 :]],
    }


def _call_in(part: Any) -> Json:
    call = part.get("functionCall", part.get("function_call")) if isinstance(part, dict) else None
    return call if isinstance(call, dict) else {}


def _is_foreign(part: Json) -> bool:
    return bool(_call_in(part).get("id")) and not (part.get("thoughtSignature") or part.get("thought_signature"))
