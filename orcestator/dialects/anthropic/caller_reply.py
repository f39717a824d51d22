"""A canonical reply to Anthropic's message (platform.claude.com/docs/en/api/messages, checked 2026-11)."""

from orcestator.dialects.anthropic.answer_facts import stop_reason, wire_usage
from orcestator.dialects.anthropic.thinking_blocks import UNSIGNED
from orcestator.dialects.anthropic.upstream_messages import UNREADABLE
from orcestator.dialects.canonical import ANTHROPIC_FORMAT, WriteTerms, reasoning_of, text_of
from orcestator.json_text import Json, loads_exactly


def wire_reply(reply: Json, terms: WriteTerms) -> Json:
    """The message: thinking, then text, then calls."""
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    usage = reply.get("usage")
    made = {
        "id": message_id(reply.get("id"), terms),
        "type": "message",
        "role": "assistant",
        "model": terms.model,
        "content": [*_thinking_blocks(message), *_text_blocks(message), *_call_blocks(message)],
        **stop_fields(choice.get("finish_reason"), message.get("refusal")),
        "usage": wire_usage(usage if isinstance(usage, dict) else {}),
    }
    return made


def message_id(given: object, terms: WriteTerms) -> str:
    """An id of Anthropic's kind."""
    return given if isinstance(given, str) and given.startswith("msg_") else terms.new_id("msg_")


def stop_fields(reason: object, refusal: object) -> Json:
    """Why the answer ended; a refusal is told as Anthropic tells it."""
    if not isinstance(refusal, str) or not refusal:
        return {"stop_reason": stop_reason(reason), "stop_sequence": None}
    details = {"type": "refusal", "category": None, "explanation": refusal}
    return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}


def own_details(message: Json) -> list[Json]:
    """The details that Anthropic issued and will take back."""
    details = message.get("reasoning_details")
    if not isinstance(details, list):
        return []
    return [detail for detail in details if isinstance(detail, dict) and detail.get("format") == ANTHROPIC_FORMAT]


def redacted_block(detail: Json) -> Json | None:
    """The redacted block of a detail, or None for another kind of detail."""
    data = detail.get("data")
    if detail.get("type") != "reasoning.encrypted" or not isinstance(data, str) or not data:
        return None
    return {"type": "redacted_thinking", "data": data}


def signature_of(detail: Json) -> str:
    """The signature of a detail, "" when it has none."""
    signature = detail.get("signature")
    return signature if isinstance(signature, str) else ""


def _thinking_blocks(message: Json) -> list[Json]:
    """Anthropic's own blocks as they were; else the reasoning of another model in a block of ours."""
    blocks = [_own_block(detail) for detail in own_details(message)]
    own = [block for block in blocks if block]
    text = reasoning_of(message)
    if text and not any(block["type"] == "thinking" and block["thinking"] for block in own):
        return [{"type": "thinking", "thinking": text, "signature": UNSIGNED}, *own]
    return own


def _own_block(detail: Json) -> Json | None:
    signature, text = signature_of(detail), detail.get("text")
    if signature:
        return {"type": "thinking", "thinking": text if isinstance(text, str) else "", "signature": signature}
    return redacted_block(detail)


def _text_blocks(message: Json) -> list[Json]:
    text = text_of(message.get("content"))
    return [{"type": "text", "text": text}] if text else []


def _call_blocks(message: Json) -> list[Json]:
    calls = message.get("tool_calls")
    blocks = [_call_block(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [block for block in blocks if block]


def _call_block(call: Json) -> Json | None:
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str):
        return None
    return {"type": "tool_use", "id": call.get("id"), "name": name, "input": parsed_input(function.get("arguments"))}


def parsed_input(arguments: object) -> Json:
    """Arguments as the object that ``input`` has to be; what is none is kept under one name."""
    if not isinstance(arguments, str) or not arguments.strip():
        return {}
    try:
        value = loads_exactly(arguments.encode("utf-8", "replace"))
    except ValueError:
        return {UNREADABLE: arguments}
    return value if isinstance(value, dict) else {UNREADABLE: arguments}
