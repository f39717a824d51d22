"""A whole message of Anthropic's to a canonical reply (platform.claude.com/docs/en/api/messages, checked 2026-11)."""

from typing import Any

from orcestator.dialects.anthropic.answer_facts import canonical_usage, finish_reason
from orcestator.dialects.anthropic.errors import error_in_200
from orcestator.dialects.anthropic.thinking_blocks import encrypted_detail, text_detail
from orcestator.dialects.anthropic.upstream_tools import REPLY_TOOL
from orcestator.dialects.canonical import ReadTerms
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, dumps


def canonical_reply(wire: Any, terms: ReadTerms) -> Json:
    """The canonical reply. Raises UpstreamError when the message says that it failed, or is none."""
    if not isinstance(wire, dict):
        raise UpstreamBroken(f"{terms.provider} answered with something that is no message.", cause="not_json_object")
    if wire.get("type") == "error" or ("error" in wire and "content" not in wire):
        raise error_in_200(terms.provider, wire)
    content, reason = wire.get("content"), finish_reason(wire.get("stop_reason"))
    if not isinstance(content, list | None):
        raise UpstreamBroken(f"{terms.provider} answered with a content that cannot be read.", cause="garbage")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    message = _message(blocks, terms)
    explanation = refusal_text(wire)
    if explanation:
        message["refusal"] = explanation
    if reason is None and len(message) == 2 and not message["content"]:
        raise UpstreamBroken(f"{terms.provider} answered with nothing.", cause="empty")
    choice = {"index": 0, "message": message, "finish_reason": _reason(reason, message)}
    head = _head(wire, terms)
    usage = canonical_usage(wire.get("usage"))
    return {**head, "choices": [choice], **({"usage": usage} if usage else {})}


def refusal_text(wire: Json) -> str:
    """Why the model refused, in words; "" when it did not, or does not say."""
    details = wire.get("stop_details")
    text = details.get("explanation") if isinstance(details, dict) else None
    return text if isinstance(text, str) else ""


def _head(wire: Json, terms: ReadTerms) -> Json:
    wire_id, model = wire.get("id"), wire.get("model")
    return {
        "id": wire_id if isinstance(wire_id, str) and wire_id else terms.new_id("msg_"),
        "object": "chat.completion",
        "created": terms.created,
        "model": model if isinstance(model, str) else "",
    }


def _message(blocks: list[Json], terms: ReadTerms) -> Json:
    """The assistant's message; the input of the tool that stands for a JSON answer is text."""
    if len(blocks) == 1 and blocks[0].get("type") == "text":
        return {"role": "assistant", "content": blocks[0]["text"] if _has_text(blocks[0], "text") else ""}
    texts = [_text_of_block(block) for block in blocks]
    thoughts = [block["thinking"] for block in blocks if _kind(block) == "thinking" and _has_text(block, "thinking")]
    details = _details(blocks)
    calls = [_tool_call(block, terms) for block in blocks if _kind(block) == "tool_use" and not is_reply_tool(block)]
    message: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return message


def _text_of_block(block: Json) -> str:
    if _kind(block) == "text" and _has_text(block, "text"):
        return str(block["text"])
    return dumps(block.get("input")).decode() if _kind(block) == "tool_use" and is_reply_tool(block) else ""


def is_reply_tool(block: Json) -> bool:
    """Whether this call is the answer itself, in the shape of a schema."""
    return block.get("name") == REPLY_TOOL


def _details(blocks: list[Json]) -> list[Json]:
    details: list[Json] = []
    for block in blocks:
        if _kind(block) == "thinking" and _has_text(block, "signature"):
            text = block["thinking"] if _has_text(block, "thinking") else ""
            details.append(text_detail(text, block["signature"], len(details)))
        elif _kind(block) == "redacted_thinking" and _has_text(block, "data"):
            details.append(encrypted_detail(block["data"], len(details)))
    return details


def _tool_call(block: Json, terms: ReadTerms) -> Json:
    name, wire_id, value = block.get("name"), block.get("id"), block.get("input")
    if not isinstance(name, str) or not name:
        raise UpstreamBroken(f"{terms.provider} called a tool without naming it.", cause="nameless_tool_call")
    return {
        "id": wire_id if isinstance(wire_id, str) and wire_id else terms.new_id("toolu_"),
        "type": "function",
        "function": {"name": name, "arguments": dumps({} if value is None else value).decode()},
    }


def _reason(reason: str | None, message: Json) -> str:
    if reason is None or (reason == "tool_calls" and "tool_calls" not in message):
        return "tool_calls" if "tool_calls" in message else "stop"
    return reason


def _kind(block: Json) -> object:
    return block.get("type")


def _has_text(block: Json, name: str) -> bool:
    return isinstance(block.get(name), str) and block[name] != ""
