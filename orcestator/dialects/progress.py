"""Signs that a model goes on in events that no canonical chunk can hold: tools that the provider runs itself, citations, signatures."""

from typing import Any

_PLAIN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking"})
_PLAIN_ITEMS = frozenset({"message", "reasoning"})


def is_progress(event: Any) -> bool:
    """Whether an event of Anthropic's or the Responses API, by its ``type``, tells of anything new.

    Pings, empty deltas and the starts of texts, of thoughts and of responses do not: they may be sent for ever while nothing happens
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
    if kind == "response.output_item.added":
        item = event.get("item")
        return isinstance(item, dict) and item.get("type") not in _PLAIN_ITEMS
    return kind == "response.output_item.done" or (kind.startswith("response.") and "_call." in kind)
