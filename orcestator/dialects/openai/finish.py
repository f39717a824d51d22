"""Finish reasons: clients accept five words and treat any other as "no choices" (VS Code, checked 2026-11)."""

KNOWN = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_RENAMED = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "content_filter",
}
FAILED = "error"
"""OpenRouter's word for a model that broke while answering."""


def has_finished(wire: object) -> bool:
    """Whether this is a reason at all: some upstreams send ``""`` or ``"null"`` until the last chunk."""
    return bool(wire) and wire != "null"


def finish_reason(wire: object) -> str:
    """The nearest of the five words; an unknown one means that the model stopped."""
    if isinstance(wire, str):
        if wire in KNOWN:
            return wire
        return _RENAMED.get(wire.lower(), wire.lower() if wire.lower() in KNOWN else "stop")
    return "stop"
