"""A canonical call that came from another dialect, for an upstream that speaks plain OpenAI.

Callers of the OpenAI dialect itself never pass here: what they write goes through.
"""

from collections.abc import Collection, Mapping
from typing import Any

from orcestator.dialects.canonical import effort_of, parts_of
from orcestator.dialects.fitting import digested, fitted
from orcestator.dialects.losses import lost_marks
from orcestator.json_text import Json

REASONING_BACK = "reasoning_back"
DETAILS_BACK = "details_back"
USUAL_OUTPUT_LIMIT = 16_384
"""Taken for a model whose output limit is not known, only to turn a reasoning budget into an effort."""
MOST_STOPS = 4
LONGEST_CALL_ID = 40
"""Characters that OpenAI takes as the id of a tool call ("string too long. Expected a string with maximum length 40",
https://github.com/vercel/ai/issues/7049, checked 2026-11); those of other providers are longer."""


def to_openai(call: Json, quirks: Collection[str], facts: Mapping[str, Any]) -> tuple[Json, tuple[str, ...]]:
    """The call without extension keys, and the names of what was lost with them."""
    call, dropped = fitted(call, facts)
    dropped += lost_marks(call)
    known = frozenset(facts.get("supported_parameters") or ())
    made = dict(call)
    made["messages"] = _messages(call, quirks, dropped)
    if isinstance(call.get("tools"), list):
        made["tools"] = [_without(tool, "cache_control") for tool in call["tools"]]
    if "max_completion_tokens" in made:
        # The name that every upstream knows; those that want the newer one have a quirk for it.
        made["max_tokens"] = made.pop("max_completion_tokens")
    if "reasoning" in made:
        _tell_effort(made, facts, known)
    if "top_k" in made and "top_k" not in known:
        del made["top_k"]
        dropped.append("top_k")
    stops = made.get("stop")
    if isinstance(stops, list) and len(stops) > MOST_STOPS:
        made["stop"] = stops[:MOST_STOPS]
        dropped.append("stop")
    return made, tuple(dict.fromkeys(dropped))


def _tell_effort(made: Json, facts: Mapping[str, Any], known: frozenset[str]) -> None:
    """A budget becomes an effort; a model that is known not to reason is told neither."""
    reasoning = made["reasoning"] if isinstance(made["reasoning"], dict) else {}
    if "reasoning" not in known:
        del made["reasoning"]
    if known and not known & {"reasoning", "reasoning_effort"}:
        made.pop("reasoning_effort", None)
    elif "reasoning_effort" not in made and "reasoning" not in known:
        budget = reasoning.get("max_tokens")
        if reasoning.get("enabled") is False:
            return
        if isinstance(budget, int):
            made["reasoning_effort"] = effort_of(budget, facts.get("max_output_tokens") or USUAL_OUTPUT_LIMIT)


def _messages(call: Json, quirks: Collection[str], dropped: list[str]) -> list[Json]:
    made: list[Json] = []
    images: list[Json] = []
    for message in call["messages"]:
        if message.get("role") != "tool" and images:
            made.append({"role": "user", "content": images})
            images = []
        made.append(_message(message, quirks, images))
        if message.get("is_error"):
            dropped.append("messages.is_error")
    return [*made, {"role": "user", "content": images}] if images else made


def _message(message: Json, quirks: Collection[str], images: list[Json]) -> Json:
    made = {name: value for name, value in message.items() if name not in ("is_error", "cache_control")}
    if REASONING_BACK not in quirks:
        made.pop("reasoning_content", None)
    if DETAILS_BACK not in quirks:
        made.pop("reasoning_details", None)
    if isinstance(made.get("tool_calls"), list):
        made["tool_calls"] = [_call(tool_call) for tool_call in made["tool_calls"]]
    if isinstance(made.get("tool_call_id"), str):
        made["tool_call_id"] = _call_id(made["tool_call_id"])
    if isinstance(made.get("content"), list):
        made["content"] = _content(made, images)
    return made


def _call(wire: Any) -> Any:
    made = _without(wire, "extra_content")
    if not isinstance(made, dict) or not isinstance(made.get("id"), str):
        return made
    return {**made, "id": _call_id(made["id"])}


def _call_id(given: str) -> str:
    return given if len(given) <= LONGEST_CALL_ID else f"call_{digested(given)}"


def _content(message: Json, images: list[Json]) -> Any:
    parts = [_without(part, "cache_control") for part in parts_of(message["content"])]
    if message.get("role") != "tool":
        return _joined(parts)
    # A tool message holds text only; what it shows follows as the user's.
    images += [part for part in parts if part.get("type") != "text"]
    texts = [part for part in parts if part.get("type") == "text"]
    return _joined(texts) or "(the result follows as an image)"


def _joined(parts: list[Json]) -> Any:
    """Plain text where nothing else is there: many upstreams take parts from users only."""
    if all(part.get("type") == "text" for part in parts):
        return "\n".join(str(part.get("text", "")) for part in parts)
    return parts


def _without(entry: Any, name: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        return entry
    return {key: value for key, value in entry.items() if key != name}
