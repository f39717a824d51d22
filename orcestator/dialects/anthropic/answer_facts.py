"""What stands beside the content of an answer, in Anthropic's words and in the canonical ones: why it ended, and tokens.

platform.claude.com/docs/en/api/messages, ``stop_reason``, and …/build-with-claude/prompt-caching (checked 2026-11): all input is
``input_tokens`` + ``cache_read_input_tokens`` + ``cache_creation_input_tokens``, where ours is one number; ``output_tokens`` includes thinking.
"""

from collections.abc import Mapping
from typing import Any

from orcestator.json_text import Json

_FROM_WIRE = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TO_WIRE = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def finish_reason(stop_reason: object) -> str | None:
    """The canonical reason; None while there is none. One that nobody knows goes on as it is."""
    if not isinstance(stop_reason, str) or not stop_reason:
        return None
    return _FROM_WIRE.get(stop_reason, stop_reason)


def stop_reason(reason: object) -> str:
    """Anthropic's word for a canonical reason."""
    return _TO_WIRE.get(reason, "end_turn") if isinstance(reason, str) else "end_turn"


_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_INNER_COUNTS = (
    ("thinking_tokens", "output_tokens_details", "thinking_tokens"),
    ("cache_write_1h_tokens", "cache_creation", "ephemeral_1h_input_tokens"),
    ("searches", "server_tool_use", "web_search_requests"),
)


class WireUsage:
    """The counts of one answer. Each report is cumulative and replaces the one before, where it says anything."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, wire: object) -> None:
        """Note what a ``usage`` object says; a 0 after a number is taken for silence, as some gateways send it."""
        if not isinstance(wire, dict):
            return
        for name in _COUNTS:
            self._note(name, wire.get(name))
        for name, outer, inner in _INNER_COUNTS:
            if isinstance(wire.get(outer), dict):
                self._note(name, wire[outer].get(inner))

    def _note(self, name: str, value: object) -> None:
        if type(value) is int and value >= 0 and (value or name not in self._counts):
            self._counts[name] = value

    def canonical(self) -> Json | None:
        """The canonical usage; None as long as the input is unknown."""
        counts = self._counts
        if "input_tokens" not in counts:
            return None
        read, written = counts.get("cache_read_input_tokens", 0), counts.get("cache_creation_input_tokens", 0)
        prompt = counts["input_tokens"] + read + written
        completion = counts.get("output_tokens", 0)
        details = {"cached_tokens": read, "cache_write_tokens": written}
        if counts.get("cache_write_1h_tokens"):
            details["cache_write_1h_tokens"] = counts["cache_write_1h_tokens"]
        usage: Json = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": details,
        }
        if "thinking_tokens" in counts:
            usage["completion_tokens_details"] = {"reasoning_tokens": counts["thinking_tokens"]}
        if counts.get("searches"):
            usage["server_tool_use"] = {"web_search_requests": counts["searches"]}
        return usage


def canonical_usage(wire: object) -> Json | None:
    """The canonical usage of a whole answer; None when it has none."""
    usage = WireUsage()
    usage.take(wire)
    return usage.canonical()


def wire_usage(usage: Mapping[str, Any]) -> Json:
    """Anthropic's usage object of a canonical one."""
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    read, written = _count(details.get("cached_tokens")), _count(details.get("cache_write_tokens"))
    return {
        "input_tokens": max(0, _count(usage.get("prompt_tokens")) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage.get("completion_tokens")),
    }


def _count(value: object) -> int:
    if type(value) is int:
        return max(0, value)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else 0
