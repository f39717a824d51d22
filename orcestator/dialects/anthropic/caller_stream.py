"""Canonical chunks to Anthropic's stream (platform.claude.com/docs/en/build-with-claude/streaming, checked 2026-11).

``message_start``, blocks of which one is open at a time, ``message_delta`` with stop reason and usage,
``message_stop``; a broken answer ends in ``error`` instead. Official SDKs tell events apart by their ``event:`` line.
"""

from orcestator.dialects.anthropic.answer_facts import wire_usage
from orcestator.dialects.anthropic.caller_reply import (
    message_id,
    own_details,
    redacted_block,
    signature_of,
    stop_fields,
)
from orcestator.dialects.anthropic.errors import error_body
from orcestator.dialects.anthropic.thinking_blocks import UNSIGNED
from orcestator.dialects.canonical import WriteTerms, reasoning_of
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_TEXT, _THINKING, _CALL, _NONE = "text", "thinking", "tool_use", ""
_TEXT_END = b"}}\n\n"


class MessageWriter:
    """One answer's writer."""

    def __init__(self, terms: WriteTerms) -> None:
        self._terms = terms
        self._started = False
        self._index = -1
        self._open = _NONE
        self._text_begin = b""
        self._reason: object = None
        self._refusal: list[str] = []

    def text(self, content: str) -> bytes:
        """More text."""
        if self._open != _TEXT:
            return self._begin(None) + self._text(content)
        return self._text_begin + dumps(content) + _TEXT_END

    def chunk(self, chunk: Json) -> bytes:
        """One chunk of choice 0; a message of Anthropic's has no other."""
        choices = chunk.get("choices")
        choice = choices[0] if choices else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return b""
        delta = choice.get("delta") or {}
        frames = self._begin(chunk.get("id")) + self._thinking(delta)
        if isinstance(delta.get("content"), str) and delta["content"]:
            frames += self._text(delta["content"])
        if isinstance(delta.get("refusal"), str):
            self._refusal.append(delta["refusal"])
        frames += b"".join(self._call(call) for call in delta.get("tool_calls") or ())
        if choice.get("finish_reason") is not None:
            self._reason = choice["finish_reason"]
            frames += self._close()
        return frames

    def end(self, usage: Json) -> bytes:
        """The stop reason, the usage, the end."""
        frames = self._begin(None) + self._close()
        delta = stop_fields(self._reason, "".join(self._refusal))
        frames += _event("message_delta", {"delta": delta, "usage": wire_usage(usage)})
        return frames + _event("message_stop", {})

    def failure(self, error: OrcestatorError) -> bytes:
        """An ``error`` event, after which nothing comes."""
        return b"event: error\ndata: " + dumps(error_body(error, self._terms.request_id)) + b"\n\n"

    def _begin(self, given_id: object) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: Json = {
            "id": message_id(given_id, self._terms),
            "type": "message",
            "role": "assistant",
            "model": self._terms.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": wire_usage({"prompt_tokens": self._terms.prompt_tokens}),
        }
        return _event("message_start", {"message": message})

    def _thinking(self, delta: Json) -> bytes:
        frames = b""
        thought = reasoning_of(delta)
        if thought:
            frames += self._think(thought)
        for detail in own_details(delta):
            frames += self._detail(detail)
        return frames

    def _think(self, thought: str) -> bytes:
        frames = b"" if self._open == _THINKING else self._start(_THINKING, {"thinking": "", "signature": ""})
        return frames + self._delta({"type": "thinking_delta", "thinking": thought})

    def _detail(self, detail: Json) -> bytes:
        """The end of a block of Anthropic's own: its signature, or the whole of a redacted one."""
        redacted = redacted_block(detail)
        if redacted is not None:
            return self._start("redacted_thinking", {"data": redacted["data"]}) + self._close()
        signature = signature_of(detail)
        if not signature:
            return b""
        frames = b""
        if self._open != _THINKING:
            frames += self._start(_THINKING, {"thinking": "", "signature": ""})
            if isinstance(detail.get("text"), str) and detail["text"]:
                frames += self._delta({"type": "thinking_delta", "thinking": detail["text"]})
        return frames + self._signed(signature)

    def _text(self, content: str) -> bytes:
        frames = b""
        if self._open != _TEXT:
            frames = self._start(_TEXT, {"text": ""})
            head = {"type": "content_block_delta", "index": self._index}
            self._text_begin = (
                b"event: content_block_delta\ndata: " + dumps(head)[:-1] + b',"delta":{"type":"text_delta","text":'
            )
        return frames + self._text_begin + dumps(content) + _TEXT_END

    def _call(self, call: Json) -> bytes:
        function = call.get("function")
        if not isinstance(function, dict):
            return b""
        frames = b""
        if call.get("id"):
            frames = self._start(_CALL, {"id": call["id"], "name": function.get("name"), "input": {}})
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments and self._open == _CALL:
            frames += self._delta({"type": "input_json_delta", "partial_json": arguments})
        return frames

    def _start(self, kind: str, fields: Json) -> bytes:
        frames = self._close()
        self._index += 1
        self._open = kind
        body = {"index": self._index, "content_block": {"type": kind, **fields}}
        return frames + _event("content_block_start", body)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open == _THINKING:
            return self._signed(UNSIGNED)
        return self._stop() if self._open else b""

    def _signed(self, signature: str) -> bytes:
        return self._delta({"type": "signature_delta", "signature": signature}) + self._stop()

    def _stop(self) -> bytes:
        self._open = _NONE
        return _event("content_block_stop", {"index": self._index})


def _event(kind: str, body: Json) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + dumps({"type": kind, **body}) + b"\n\n"
