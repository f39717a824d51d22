"""Signs that a model goes on in events that no canonical chunk can hold: tools that the provider runs itself, citations, signatures."""

from typing import Any

_PLAIN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking"})
_ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})


def is_progress(event: Any) -> bool:
    """Whether an event of Anthropic's or the Responses API, by its ``type``, tells of anything new.

    Pings, empty deltas and the starts of blocks and of responses do not: they may be sent for ever while nothing happens
    (platform.claude.com/docs/en/build-with-claude/streaming, platform.openai.com/docs/api-reference/responses-streaming,
    checked 2026-11).
    """
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(kind, str):
        return False
    if kind.endswith("delta"):
        delta = event.get("delta")
        return any(value for name, value in delta.items() if name != "type") if isinstance(delta, dict) else bool(delta)
    if kind == "content_block_start":
        block = event.get("content_block")
        return isinstance(block, dict) and block.get("type") not in _PLAIN_BLOCKS
    return kind in _ITEMS or (kind.startswith("response.") and "_call." in kind)
