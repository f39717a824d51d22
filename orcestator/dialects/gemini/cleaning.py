"""A caller's body made fit for Gemini itself after another model took a turn of the conversation.

Gemini 3 refuses a step of the current turn whose first call lacks its signature (see ``signatures``), and a call that
another model made has none. Such a call is known by its id: Gemini 3 signs whatever it gives an id, and its
predecessors gave none (https://ai.google.dev/gemini-api/docs/thought-signatures, checked 2026-11).
"""

from typing import Any

from orcestator.dialects.gemini.signatures import SKIP_VALIDATION
from orcestator.json_text import Json


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
