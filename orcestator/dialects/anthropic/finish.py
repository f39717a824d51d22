"""Why an answer ended, in both vocabularies.

platform.claude.com/docs/en/api/messages, ``stop_reason`` (checked 2026-11).
"""

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
