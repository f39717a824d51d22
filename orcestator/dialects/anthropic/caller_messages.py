"""A caller's ``system`` and ``messages`` to canonical messages.

Clients, as captured in 2026-11: Claude Code sends messages with the role ``system`` among the others for models that it
does not know; VS Code, opencode and the Copilot CLI send results of tools and further text in one user turn.
"""

from typing import Any

from orcestator.dialects.anthropic.caller_fields import listing, mapping, missing, text, wrong
from orcestator.dialects.anthropic.caller_parts import blocks_in, content_of, parts_of_block
from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.thinking_blocks import encrypted_detail, is_ours, text_detail
from orcestator.json_text import Json, dumps

ATTRIBUTION = "x-anthropic-billing-header:"


def canonical_messages(body: Json, dropped: Dropped) -> list[Json]:
    """The conversation. Raises InvalidRequest with the place of what cannot be read."""
    if body.get("messages") is None:
        raise missing("messages", "Give the list of the conversation's messages.")
    given = listing(body["messages"], "messages")
    if not given:
        raise wrong("messages", "at least one message is required", "Give a message of the role user.")
    messages = _system(body.get("system"), "system", dropped)
    for index, message in enumerate(given):
        messages += _messages_of(mapping(message, f"messages[{index}]"), f"messages[{index}]", dropped)
    return messages


def _messages_of(message: Json, param: str, dropped: Dropped) -> list[Json]:
    content, place = message.get("content"), f"{param}.content"
    match message.get("role"):
        case "user":
            return _user(blocks_in(content, place), place, dropped)
        case "assistant":
            return [_assistant(blocks_in(content, place), place, dropped)]
        case "system":
            return _system(content, place, dropped)
    raise wrong(f"{param}.role", "Input should be 'user', 'assistant' or 'system'", "Give one of these roles.")


def _system(content: Any, param: str, dropped: Dropped) -> list[Json]:
    if content is None:
        return []
    parts = _parts(blocks_in(content, param), param, dropped)
    parts = [_without_attribution(part) for part in parts]
    parts = [part for part in parts if part["type"] != "text" or part["text"]]
    return [{"role": "system", "content": content_of(parts)}] if parts else []


def _without_attribution(part: Json) -> Json:
    """Without the line by which Claude Code tells Anthropic which version of it asks: to any other model it is noise, and
    it changes where prompt caches match (https://code.claude.com/docs/en/llm-gateway-protocol, checked 2026-11)."""
    text = part.get("text")
    if not isinstance(text, str) or not text.startswith(ATTRIBUTION):
        return part
    return {**part, "text": text.partition("\n")[2]}


def _user(blocks: list[Json], param: str, dropped: Dropped) -> list[Json]:
    """Results of tools come first: they have to follow the calls at once."""
    results, rest = [], []
    for index, block in enumerate(blocks):
        place = f"{param}[{index}]"
        if block["type"] == "tool_result":
            results.append(_tool(block, place, dropped))
        else:
            rest += parts_of_block(block, place, dropped)
    return [*results, {"role": "user", "content": content_of(rest)}] if rest or not results else results


def _tool(block: Json, param: str, dropped: Dropped) -> Json:
    call_id = text(block.get("tool_use_id"), f"{param}.tool_use_id")
    content = block.get("content")
    parts = [] if content is None else _parts(blocks_in(content, f"{param}.content"), f"{param}.content", dropped)
    mark = block.get("cache_control")
    if parts and isinstance(mark, dict):
        parts[-1] = {**parts[-1], "cache_control": mark}
    message: Json = {"role": "tool", "tool_call_id": call_id, "content": content_of(parts)}
    return {**message, "is_error": True} if block.get("is_error") is True else message


def _parts(blocks: list[Json], param: str, dropped: Dropped) -> list[Json]:
    return [part for index, block in enumerate(blocks) for part in parts_of_block(block, f"{param}[{index}]", dropped)]


def _assistant(blocks: list[Json], param: str, dropped: Dropped) -> Json:
    turn = _Turn()
    for index, block in enumerate(blocks):
        turn.add(block, f"{param}[{index}]", dropped)
    return turn.message()


class _Turn:
    """What an assistant said in one message."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._details: list[Json] = []
        self._calls: list[Json] = []

    def add(self, block: Json, param: str, dropped: Dropped) -> None:
        match block["type"]:
            case "text":
                self._texts.append(text(block.get("text"), f"{param}.text"))
            case "thinking":
                self._add_thinking(block, param)
            case "redacted_thinking":
                data = text(block.get("data"), f"{param}.data")
                self._details.append(encrypted_detail(data, len(self._details)))
            case "tool_use":
                self._calls.append(_call(block, param))
            case kind:
                dropped.add(f"messages.{kind}")

    def _add_thinking(self, block: Json, param: str) -> None:
        thought = text(block.get("thinking"), f"{param}.thinking")
        if thought:
            self._thoughts.append(thought)
        signature = block.get("signature")
        if isinstance(signature, str) and signature and not is_ours(block):
            self._details.append(text_detail(thought, signature, len(self._details)))

    def message(self) -> Json:
        """The canonical message."""
        said = "".join(self._texts)
        message: Json = {"role": "assistant", "content": said or (None if self._calls else "")}
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        if self._details:
            message["reasoning_details"] = self._details
        if self._calls:
            message["tool_calls"] = self._calls
        return message


def _call(block: Json, param: str) -> Json:
    given = block.get("input")
    arguments = dumps({} if given is None else mapping(given, f"{param}.input")).decode()
    name = text(block.get("name"), f"{param}.name")
    call_id = text(block.get("id"), f"{param}.id")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
