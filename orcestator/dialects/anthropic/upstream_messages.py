"""Canonical messages to Anthropic's ``system`` and alternating turns.

platform.claude.com/docs/en/build-with-claude/working-with-messages and …/docs/en/agents-and-tools/tool-use (checked
2026-11): every ``tool_use`` is answered in the very next user turn, results first; the first turn is the user's;
empty texts and thinking blocks of another issuer are refused.
"""

from typing import Any, NamedTuple

from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.thinking_blocks import OUR_SIGNATURE
from orcestator.dialects.anthropic.tool_ids import ToolIds
from orcestator.dialects.anthropic.upstream_parts import blocks_of, is_cache_mark, text_block, text_blocks_of
from orcestator.dialects.canonical import ANTHROPIC_FORMAT, text_of
from orcestator.dialects.canonical_call import ToolCall, tool_calls_in
from orcestator.dialects.tool_results import NO_RESULT
from orcestator.json_text import Json, dumps, loads_exactly

OPENING = "(The conversation begins.)"
"""The user's turn that the API demands first, where a conversation has none."""
CONTINUE = "Continue your last message exactly where it ends, without repeating any of it."
"""What stands for a prefill where the model refuses one."""
UNREADABLE = "unreadable_arguments"
"""Where arguments are kept that are no JSON object: ``input`` has to be one."""
_SYSTEM_ROLES = ("system", "developer")


class Conversation(NamedTuple):
    """The system's blocks and the turns."""

    system: list[Json]
    turns: list[Json]


def conversation_of(messages: list[Any], dropped: Dropped, *, keeps_thinking: bool) -> Conversation:
    """The conversation as the API takes it, but for its last turn, which may be the assistant's."""
    builder = _Builder(dropped, keeps_thinking)
    for message in messages:
        if isinstance(message, dict):
            builder.add(message)
    turns = _with_opening(_answered(builder.turns))
    return Conversation(builder.system, turns)


def without_prefill(turns: list[Json]) -> list[Json]:
    """The turns with the user's last, for a model that does not continue its own."""
    if turns[-1]["role"] != "assistant":
        return turns
    return [*turns, {"role": "user", "content": [{"type": "text", "text": CONTINUE}]}]


def with_trimmed_prefill(turns: list[Json]) -> list[Json]:
    """The turns without white space at the end of a prefill: the API refuses it."""
    last = turns[-1]
    if last["role"] != "assistant" or last["content"][-1]["type"] != "text":
        return turns
    block = last["content"][-1]
    trimmed = {**block, "text": block["text"].rstrip()}
    return [*turns[:-1], {**last, "content": [*last["content"][:-1], trimmed]}]


def lacks_thinking_in_open_loop(turns: list[Json]) -> bool:
    """Whether the model is amid tool calls that it began without a thinking block.

    Manual thinking is refused then: "a final ``assistant`` message must start with a thinking block".
    """
    if len(turns) < 2 or not any(block["type"] == "tool_result" for block in turns[-1]["content"]):
        return False
    return turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")


class _Builder:
    """Turns as they grow; neighbours of one role are one turn."""

    def __init__(self, dropped: Dropped, keeps_thinking: bool) -> None:
        self.system: list[Json] = []
        self.turns: list[Json] = []
        self._dropped = dropped
        self._keeps_thinking = keeps_thinking
        self._ids = ToolIds()

    def add(self, message: Json) -> None:
        role = message.get("role")
        if role in _SYSTEM_ROLES:
            self._add_system(message)
        elif role == "assistant":
            self._add_turn("assistant", self._assistant_blocks(message))
        elif role in ("tool", "function"):
            self._add_turn("user", self._result_blocks(message))
        else:
            self._add_turn("user", blocks_of(message.get("content"), self._dropped))
        if role in ("user", "assistant") and message.get("name"):
            self._dropped.add("messages.name")

    def _add_system(self, message: Json) -> None:
        blocks = text_blocks_of(message.get("content"), self._dropped)
        if self.turns:
            self._add_turn("user", [{**block, "text": _tagged(block["text"])} for block in blocks])
        else:
            self.system += blocks

    def _add_turn(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _assistant_blocks(self, message: Json) -> list[Json]:
        if not self.turns or self.turns[-1]["role"] != "assistant":
            self._ids.forget_waiting()
        for name in ("audio", "function_call"):
            if message.get(name):
                self._dropped.add(f"messages.{name}")
        said = self._said_blocks(message) + self._tool_uses(message)
        # A turn of nothing but thinking is refused: its last block must be another.
        return self._thinking_blocks(message) + said if said else []

    def _said_blocks(self, message: Json) -> list[Json]:
        blocks = text_blocks_of(message.get("content"), self._dropped)
        refusal = message.get("refusal")
        refused = text_block(refusal) if isinstance(refusal, str) else None
        return [*blocks, refused] if refused else blocks

    def _tool_uses(self, message: Json) -> list[Json]:
        made = [self._tool_use(call) for call in tool_calls_in(message)]
        return [block for block in made if block]

    def _thinking_blocks(self, message: Json) -> list[Json]:
        details = message.get("reasoning_details")
        if not isinstance(details, list) or not details:
            return []
        blocks = [_thinking_block(detail) for detail in details] if self._keeps_thinking else [None]
        if None in blocks:
            self._dropped.add("messages.reasoning_details")
        return [block for block in blocks if block]

    def _tool_use(self, call: ToolCall) -> Json | None:
        if not call.name:
            self._dropped.add("messages.tool_calls")
            return None
        value, was_read = _input_of(call.arguments)
        if not was_read:
            self._dropped.add("messages.tool_calls.arguments")
        return {"type": "tool_use", "id": self._ids.of_call(call.id), "name": call.name, "input": value}

    def _result_blocks(self, message: Json) -> list[Json]:
        blocks = blocks_of(message.get("content"), self._dropped)
        wire_id = self._ids.of_result(message.get("tool_call_id"))
        if wire_id is None:
            return _orphan_blocks(message, blocks)
        result: Json = {"type": "tool_result", "tool_use_id": wire_id}
        mark = blocks[-1].get("cache_control") if blocks else None
        if mark is not None:
            blocks[-1] = {name: value for name, value in blocks[-1].items() if name != "cache_control"}
        if blocks:
            result["content"] = blocks[0]["text"] if _is_plain_text(blocks) else blocks
        if message.get("is_error") is True:
            result["is_error"] = True
        return [{**result, "cache_control": mark} if is_cache_mark(mark) else result]


def _thinking_block(detail: Any) -> Json | None:
    """The block that Anthropic issued, unmodified; None for what anybody else did."""
    if not isinstance(detail, dict) or detail.get("format") != ANTHROPIC_FORMAT:
        return None
    signature, data = detail.get("signature"), detail.get("data")
    if detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
        return {"type": "redacted_thinking", "data": data}
    if not isinstance(signature, str) or not signature or signature.startswith(OUR_SIGNATURE):
        return None
    text = detail.get("text")
    return {"type": "thinking", "thinking": text if isinstance(text, str) else "", "signature": signature}


def _input_of(given: Any) -> tuple[Json, bool]:
    """Arguments as an object, and whether they were one."""
    if isinstance(given, dict):
        return given, True
    if not isinstance(given, str) or not given.strip():
        return {}, given is None or isinstance(given, str)
    try:
        value = loads_exactly(given.encode("utf-8", "replace"))
    except ValueError:
        return {UNREADABLE: given}, False
    return (value, True) if isinstance(value, dict) else ({UNREADABLE: given}, False)


def _is_plain_text(blocks: list[Json]) -> bool:
    return len(blocks) == 1 and blocks[0].keys() == {"type", "text"}


def _orphan_blocks(message: Json, blocks: list[Json]) -> list[Json]:
    """A result that answers no call, told as text: a ``tool_result`` without its call is refused."""
    name = message.get("name") or message.get("tool_call_id")
    head = f"<tool_result tool={dumps(name).decode()}>" if isinstance(name, str) and name else "<tool_result>"
    others = [block for block in blocks if block["type"] != "text"]
    return [{"type": "text", "text": f"{head}\n{text_of(blocks)}\n</tool_result>"}, *others]


def _tagged(text: str) -> str:
    return f"<system_message>\n{text}\n</system_message>"


def _answered(turns: list[Json]) -> list[Json]:
    """The turns with a result for every call, in the order of the calls, before all else that the user says."""
    answered: list[Json] = []
    for turn in turns:
        waiting = _calls_of(answered[-1]) if answered else []
        if turn["role"] == "assistant":
            answered.append(_calls_last(turn))
        else:
            answered.append({**turn, "content": _results_first(turn["content"], waiting)} if waiting else turn)
    waiting = _calls_of(answered[-1]) if answered else []
    return [*answered, {"role": "user", "content": _results_first([], waiting)}] if waiting else answered


def _calls_of(turn: Json) -> list[str]:
    return [block["id"] for block in turn["content"] if block["type"] == "tool_use"]


def _calls_last(turn: Json) -> Json:
    calls = [block for block in turn["content"] if block["type"] == "tool_use"]
    return {**turn, "content": [block for block in turn["content"] if block["type"] != "tool_use"] + calls}


def _results_first(blocks: list[Json], waiting: list[str]) -> list[Json]:
    results = {block["tool_use_id"]: block for block in blocks if block["type"] == "tool_result"}
    rest = [block for block in blocks if block["type"] != "tool_result"]
    return [results.get(wire_id) or _no_result(wire_id) for wire_id in waiting] + rest


def _no_result(wire_id: str) -> Json:
    return {"type": "tool_result", "tool_use_id": wire_id, "content": NO_RESULT, "is_error": True}


def _with_opening(turns: list[Json]) -> list[Json]:
    if turns and turns[0]["role"] == "user":
        return turns
    return [{"role": "user", "content": [{"type": "text", "text": OPENING}]}, *turns]
