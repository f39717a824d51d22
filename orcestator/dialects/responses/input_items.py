"""Canonical messages as the Responses API's input items.

https://platform.openai.com/docs/api-reference/responses/create and openai-python 3.51 ``types/responses`` (checked
2026-11). System and developer messages stay where they are, as input messages: ``instructions`` would move them to the
front. Reasoning goes back encrypted and without its id, as Codex sends it: with ``store: false`` the id alone is "not
found", and one that is not its own makes the content unverifiable. A ``call_id`` has at most 64 characters
(https://github.com/decolua/9router/issues/393).
"""

from hashlib import blake2b
from typing import Any

from orcestator.dialects.canonical import RESPONSES_FORMAT, parts_of
from orcestator.dialects.canonical_call import ToolCall, tool_calls_in
from orcestator.dialects.shapes import count_in, dropped_name, object_in, objects_in, text_in
from orcestator.json_text import Json

LONGEST_CALL_ID = 64
_IMAGE_DETAILS = ("auto", "low", "high", "original")
_FILE_FIELDS = ("file_data", "file_id", "filename")


def items_of(messages: Any, dropped: list[str]) -> list[Json]:
    """The input items of a conversation; what they cannot hold is named in ``dropped``."""
    items: list[Json] = []
    custom_ids: set[str] = set()
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            dropped.append("messages")
            continue
        role = text_in(message, "role")
        if message.get("name") and role != "tool":
            dropped.append("messages.name")
        if role == "assistant":
            made = _assistant_items(message, dropped)
            custom_ids |= {item["call_id"] for item in made if item["type"] == "custom_tool_call"}
            items += made
        elif role == "tool":
            items.append(_output_item(message, custom_ids, dropped))
        elif role in ("user", "system", "developer"):
            items += _message_items(role, message.get("content"), dropped)
        else:
            dropped.append(dropped_name("messages", role))
    return items


def wire_call_id(call_id: str) -> str:
    """The id itself, or one that stands for it where it is too long for this API."""
    if len(call_id) <= LONGEST_CALL_ID:
        return call_id
    return "call_" + blake2b(call_id.encode("utf-8", "replace"), digest_size=24).hexdigest()


def _message_items(role: str, content: Any, dropped: list[str]) -> list[Json]:
    made = _input_content(content, dropped)
    return [{"type": "message", "role": role, "content": made}] if made else []


def _input_content(content: Any, dropped: list[str]) -> str | list[Json]:
    if isinstance(content, str):
        return content
    return [made for part in parts_of(content) if (made := _input_part(part, dropped)) is not None]


def _input_part(part: Json, dropped: list[str]) -> Json | None:
    if "cache_control" in part:
        dropped.append("cache_control")
    kind = text_in(part, "type")
    if kind == "text":
        return {"type": "input_text", "text": text_in(part, "text")}
    made = _image(part) if kind == "image_url" else _file(part) if kind == "file" else None
    if made is None:
        dropped.append(dropped_name("messages", kind))
    return made


def _image(part: Json) -> Json | None:
    image = part.get("image_url")
    holder = image if isinstance(image, dict) else {"url": image}
    url, detail = text_in(holder, "url"), text_in(holder, "detail")
    if not url:
        return None
    # The schema demands a detail.
    return {"type": "input_image", "image_url": url, "detail": detail if detail in _IMAGE_DETAILS else "auto"}


def _file(part: Json) -> Json | None:
    file = object_in(part, "file")
    known = {name: text_in(file, name) for name in _FILE_FIELDS if text_in(file, name)}
    return {"type": "input_file", **known} if "file_data" in known or "file_id" in known else None


def _assistant_items(message: Json, dropped: list[str]) -> list[Json]:
    items = _spoken_items(message, dropped)
    for call in tool_calls_in(message):
        items += _call_items(call, dropped)
    dropped += [f"messages.{name}" for name in ("function_call", "audio") if message.get(name)]
    return _with_reasoning(items, message, dropped)


def _spoken_items(message: Json, dropped: list[str]) -> list[Json]:
    content: list[Json] = []
    for part in parts_of(message.get("content")):
        kind = text_in(part, "type")
        if kind == "text":
            content.append({"type": "output_text", "text": text_in(part, "text")})
        elif kind == "refusal":
            content.append({"type": "refusal", "refusal": text_in(part, "refusal")})
        else:
            dropped.append(dropped_name("messages", kind))
    if text_in(message, "refusal"):
        content.append({"type": "refusal", "refusal": message["refusal"]})
    return [{"type": "message", "role": "assistant", "content": content}] if content else []


def _call_items(call: ToolCall, dropped: list[str]) -> list[Json]:
    call_id = wire_call_id(call.id if isinstance(call.id, str) else "")
    if not (call_id and call.name):
        dropped.append("messages.tool_calls")
        return []
    head = {"call_id": call_id, "name": call.name}
    if call.is_custom:
        return [{"type": "custom_tool_call", **head, "input": text_in(call.arguments, "input")}]
    arguments = call.arguments if isinstance(call.arguments, str) else ""
    return [{"type": "function_call", **head, "arguments": arguments}]


def _with_reasoning(items: list[Json], message: Json, dropped: list[str]) -> list[Json]:
    """Each reasoning item where it stood, and never last: it is refused without the item that it led to."""
    if not items:
        return items
    placed = sorted(_reasoning_items(message, dropped), key=lambda pair: pair[0])
    for place, item in placed:
        items.insert(min(place, len(items) - 1), item)
    return items


def _reasoning_items(message: Json, dropped: list[str]) -> list[tuple[int, Json]]:
    """The encrypted reasoning of this API with its places among the answer's items."""
    placed: list[tuple[int, Json]] = []
    summary: list[Json] = []
    for detail in objects_in(message, "reasoning_details"):
        if detail.get("format") != RESPONSES_FORMAT:
            dropped.append("messages.reasoning_details")
        elif detail.get("type") == "reasoning.summary":
            summary.append({"type": "summary_text", "text": text_in(detail, "summary")})
        elif detail.get("type") == "reasoning.encrypted" and text_in(detail, "data"):
            place = count_in(detail, "index")
            item = {"type": "reasoning", "summary": summary, "encrypted_content": detail["data"]}
            placed.append((len(placed) if place is None else place, item))
            summary = []
    return placed


def _output_item(message: Json, custom_ids: set[str], dropped: list[str]) -> Json:
    if message.get("is_error"):
        dropped.append("messages.is_error")
    output = _input_content(message.get("content"), dropped)
    if isinstance(output, list) and all(part["type"] == "input_text" for part in output):
        output = "".join(part["text"] for part in output)
    call_id = wire_call_id(text_in(message, "tool_call_id"))
    kind = "custom_tool_call_output" if call_id in custom_ids else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": output}
