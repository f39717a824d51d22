"""Thinking blocks: those of Anthropic as ``reasoning_details``, which it wants back unchanged, and those that we make.

Ours are reasoning of another model, shown to a caller whose format demands a signature. Anthropic would refuse them ("thinking blocks …
cannot be modified"), so they are recognised and taken out on the way back.
"""

from typing import Any

from orcestator.dialects.canonical import ANTHROPIC_FORMAT
from orcestator.json_text import Json


def text_detail(text: str, signature: str, index: int) -> Json:
    """A thinking block. ``index`` counts the details of one answer."""
    return {
        "type": "reasoning.text",
        "text": text,
        "signature": signature,
        "format": ANTHROPIC_FORMAT,
        "index": index,
    }


def encrypted_detail(data: str, index: int) -> Json:
    """A redacted thinking block."""
    return {"type": "reasoning.encrypted", "data": data, "format": ANTHROPIC_FORMAT, "index": index}


OUR_SIGNATURE = "orcestator-"
"""What the signatures that we make begin with."""
UNSIGNED = OUR_SIGNATURE + "unsigned"


def is_ours(block: object) -> bool:
    """Whether a content block is a thinking block that we made."""
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return isinstance(signature, str) and signature.startswith(OUR_SIGNATURE)


def without_our_thinking(body: Json) -> Json | None:
    """The body without our thinking blocks, for an upstream of this dialect; None when it can go as it is.

    A message that held nothing else goes with them: an empty one is refused. So does manual thinking over an open tool
    loop that begins without a thinking block, be it because it was ours or because another model, which took that turn,
    did not think: that is refused, too.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    kept = [_stripped(message) if _has_ours(message) else message for message in messages]
    cleaned = {**body, "messages": [message for message in kept if message is not None]}
    if _thinks_manually(body) and _lacks_thinking_in_open_loop(cleaned["messages"]):
        del cleaned["thinking"]
    elif all(new is old for new, old in zip(kept, messages, strict=True)):
        return None
    return cleaned


def _thinks_manually(body: Json) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _lacks_thinking_in_open_loop(messages: list[Any]) -> bool:
    if len(messages) < 2 or "tool_result" not in _kinds(messages[-1]):
        return False
    return not {"thinking", "redacted_thinking"} & set(_kinds(messages[-2]))


def _kinds(message: object) -> list[str]:
    content = message.get("content") if isinstance(message, dict) else None
    blocks = content if isinstance(content, list) else []
    return [str(block.get("type")) for block in blocks if isinstance(block, dict)]


def _has_ours(message: object) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(is_ours(block) for block in content)


def _stripped(message: Json) -> Json | None:
    content = [block for block in message["content"] if not is_ours(block)]
    return {**message, "content": content} if content else None
