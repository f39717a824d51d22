"""Anthropic's stream to canonical chunks (platform.claude.com/docs/en/build-with-claude/streaming, checked 2026-11).

``message_start``, then blocks one after another (``content_block_start``, ``…_delta``, ``…_stop``), ``message_delta``
with the stop reason and cumulative usage, ``message_stop``; ``ping`` and ``error`` anywhere. Unknown events are to be
ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orcestator.dialects.anthropic.answer_facts import WireUsage, finish_reason
from orcestator.dialects.anthropic.errors import error_in_200
from orcestator.dialects.anthropic.thinking_blocks import encrypted_detail, text_detail
from orcestator.dialects.anthropic.upstream_reply import is_reply_tool, refusal_text
from orcestator.dialects.canonical import ReadTerms
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, dumps, loads_event

CALLS = b'"tool_use"'
"""What every answer with a tool call holds, whose arguments are an object here."""
Meaning = str | list[Json] | None
MOST_BLOCKS = 4096


@dataclass(slots=True)
class _Block:
    """An open content block. ``place`` is a call's index in ours; ``whole_input`` came with the start of the block."""

    kind: str
    place: int = 0
    thinking: list[str] = field(default_factory=list)
    signature: str = ""
    has_arguments: bool = False
    whole_input: Any = None


class MessageReader:
    """One answer's reader."""

    def __init__(self, terms: ReadTerms) -> None:
        self._terms = terms
        self._usage = WireUsage()
        self._blocks: dict[object, _Block] = {}
        self._calls = 0
        self._details = 0
        self._has_reason = self._has_stopped = False

    def read(self, data: bytes) -> Meaning:
        """What one event means, as ``Reader`` promises. Raises UpstreamError, and ValueError for what is not JSON."""
        event = loads_event(data, exactly=CALLS in data)
        try:
            delta = event["delta"]
            if delta["type"] == "text_delta":
                text = delta["text"]
                if type(text) is str and text:
                    return text
        except (KeyError, TypeError, IndexError):
            pass
        return self._read_other(event)

    def _read_other(self, event: Any) -> Meaning:
        if not isinstance(event, dict):
            raise ValueError("an event is a JSON object")
        kind = event.get("type")
        if kind == "message_stop":
            if not self._has_reason:
                raise UpstreamBroken(
                    f"{self._terms.provider} ended its message without saying why.", cause="unfinished"
                )
            self._has_stopped = True
            return None
        if kind == "error":
            raise error_in_200(self._terms.provider, event)
        if not isinstance(kind, str):
            return [event]
        read = _READERS.get(kind)
        if read is None:
            return [event] if "error" in kind else []
        return read(self, event)

    def _message_start(self, event: Json) -> Meaning:
        message = event.get("message")
        if not isinstance(message, dict):
            return []
        self._usage.take(message.get("usage"))
        head = {name: message[name] for name in ("id", "model") if isinstance(message.get(name), str)}
        return [{**head, "choices": [], **self._counted()}]

    def _message_delta(self, event: Json) -> Meaning:
        self._usage.take(event.get("usage"))
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        explanation, reason = refusal_text(delta), finish_reason(delta.get("stop_reason"))
        chunks = [_chunk({"refusal": explanation})] if explanation else []
        if reason is None:
            return [*chunks, {"choices": [], **counted}] if (counted := self._counted()) else chunks
        self._has_reason = True
        if reason == "tool_calls" and not self._calls:
            reason = "stop"
        return [*chunks, {**_chunk({}, reason), **self._counted()}]

    def _start(self, event: Json) -> Meaning:
        wire = event.get("content_block")
        wire = wire if isinstance(wire, dict) else {}
        kind = wire.get("type")
        if len(self._blocks) >= MOST_BLOCKS:
            raise UpstreamBroken(f"{self._terms.provider} has {MOST_BLOCKS} blocks open at once.", cause="too_large")
        block = self._blocks[_place(event)] = _Block(kind if isinstance(kind, str) else "")
        match kind:
            case "text":
                return _text(wire.get("text"))
            case "thinking":
                return self._thought(block, wire)
            case "redacted_thinking":
                return self._redacted(wire.get("data"))
            case "tool_use":
                return self._call(block, wire)
        return []

    def _call(self, block: _Block, wire: Json) -> Meaning:
        block.whole_input = wire.get("input")
        if is_reply_tool(wire):
            block.kind = "reply"
            return []
        name, wire_id = wire.get("name"), wire.get("id")
        if not isinstance(name, str) or not name:
            raise UpstreamBroken(f"{self._terms.provider} called a tool without naming it.", cause="nameless_tool_call")
        block.place = self._calls
        self._calls += 1
        call_id = wire_id if isinstance(wire_id, str) and wire_id else self._terms.new_id("toolu_")
        function = {"name": name, "arguments": ""}
        return [_call_chunk({"index": block.place, "id": call_id, "type": "function", "function": function})]

    def _delta(self, event: Json) -> Meaning:
        wire, block = event.get("delta"), self._blocks.get(_place(event))
        kind = wire.get("type") if isinstance(wire, dict) else None
        if not isinstance(wire, dict) or not isinstance(kind, str) or (block is None and kind == "input_json_delta"):
            raise ValueError("a piece of nothing that is open")
        if block is None:
            return []
        match kind:
            case "input_json_delta":
                return self._arguments(block, wire.get("partial_json"))
            case "text_delta" if wire.get("text"):
                return [_chunk({"content": wire["text"]})]
            case "thinking_delta" | "signature_delta":
                return self._thought(block, wire)
        return []

    def _arguments(self, block: _Block, text: Any) -> Meaning:
        if text is None or text == "":
            return []
        told: str = text if isinstance(text, str) else dumps(text).decode()
        block.has_arguments = True
        if block.kind == "reply":
            return told
        if block.kind != "tool_use":
            return []
        return [_call_chunk({"index": block.place, "function": {"arguments": told}})]

    def _thought(self, block: _Block, wire: Json) -> Meaning:
        text, signature = wire.get("thinking"), wire.get("signature")
        if isinstance(signature, str):
            block.signature += signature
        if block.kind != "thinking" or not isinstance(text, str) or not text:
            return []
        block.thinking.append(text)
        return [_chunk({"reasoning_content": text})]

    def _redacted(self, data: Any) -> Meaning:
        if not isinstance(data, str) or not data:
            return []
        self._details += 1
        return [_chunk({"reasoning_details": [encrypted_detail(data, self._details - 1)]})]

    def _stop(self, event: Json) -> Meaning:
        block = self._blocks.pop(_place(event), None)
        if block is None:
            return []
        if block.kind == "thinking" and block.signature:
            self._details += 1
            detail = text_detail("".join(block.thinking), block.signature, self._details - 1)
            return [_chunk({"reasoning_details": [detail]})]
        if block.kind in ("tool_use", "reply") and not block.has_arguments:
            # Anthropic sends no arguments for none; some gateways send all of them with the start of the block.
            return self._arguments(block, dumps({} if block.whole_input is None else block.whole_input).decode())
        return []

    def left_out(self, *, is_over: bool) -> bytes:
        """The events that should have come by now, once there is a stop reason: ends of blocks, and of the message when all
        ``is_over``. Clients of this dialect wait for each of them.
        """
        open_blocks = [place for place in self._blocks if isinstance(place, int)]
        self._blocks.clear()
        ends = [{"type": "content_block_stop", "index": place} for place in open_blocks]
        if is_over and not self._has_stopped:
            ends.append({"type": "message_stop"})
        return b"".join(b"event: %b\ndata: %b\n\n" % (str(end["type"]).encode(), dumps(end)) for end in ends)

    def _counted(self) -> Json:
        usage = self._usage.canonical()
        return {"usage": usage} if usage else {}


_READERS: dict[str, Callable[[MessageReader, Json], Meaning]] = {
    "content_block_delta": MessageReader._delta,
    "content_block_start": MessageReader._start,
    "content_block_stop": MessageReader._stop,
    "message_start": MessageReader._message_start,
    "message_delta": MessageReader._message_delta,
}


def _place(event: Json) -> object:
    index = event.get("index")
    return index if isinstance(index, int | str) else None


def _text(text: Any) -> Meaning:
    if isinstance(text, str):
        return text or []
    return [_chunk({"content": text})] if text else []


def _chunk(delta: Json, reason: str | None = None) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _call_chunk(call: Json) -> Json:
    return _chunk({"tool_calls": [call]})
