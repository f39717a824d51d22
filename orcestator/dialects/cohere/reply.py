"""What Cohere's chat API (version 2) answers, as a canonical reply or chunks.

https://docs.cohere.com/v2/docs/streaming, https://docs.cohere.com/docs/tool-use-streaming and the types of the official
SDK, cohere 7.3 (checked 2026-11). ``usage.tokens`` are those of the model; ``usage.billed_units`` leave out what Cohere
adds to a prompt, and count only where there is nothing better.
"""

from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.failures import error_in_answer
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, dumps, loads_event

CALLS = b'"arguments"'
"""What every event and answer with tool calls holds."""
_FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
_FAILURES: dict[str, Json] = {
    "ERROR": {"message": "the generation failed"},
    "TIMEOUT": {"message": "the generation took too long", "code": 504},
}
_DONE = b"[DONE]"


def reply(wire: Json, terms: ReadTerms) -> Json:
    """The canonical reply. Raises UpstreamError for a generation that failed or for what has no message."""
    message = wire.get("message") if isinstance(wire, dict) else None
    if not isinstance(message, dict):
        raise UpstreamBroken(f"{terms.provider} answered without a message.", cause="empty")
    made, finish = _message(message, terms), _finish(wire, terms)
    if made.get("tool_calls") and finish == "stop":
        finish = "tool_calls"
    return {
        "id": _string(wire.get("id")) or terms.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": terms.created,
        "choices": [{"index": 0, "message": made, "finish_reason": finish}],
        **_usage(wire),
    }


class ChatReader:
    """A stream of events that are told apart by their ``type``."""

    def __init__(self, terms: ReadTerms) -> None:
        self._terms = terms
        self._calls = 0

    def read(self, data: bytes) -> str | list[Json] | None:
        """What one event means; what is not named here says nothing to an OpenAI client (citations, ends of parts)."""
        if data.strip() == _DONE:
            return None
        event = loads_event(data, exactly=CALLS in data)
        if not isinstance(event, dict):
            raise ValueError("an event that is not an object")
        kind, delta = event.get("type"), event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        message = delta.get("message")
        message = message if isinstance(message, dict) else {}
        if kind in ("content-start", "content-delta"):
            return _content(message.get("content"))
        if kind == "tool-plan-delta":
            return _string(message.get("tool_plan")) or []
        if kind == "tool-call-start":
            return self._call_start(message.get("tool_calls"))
        if kind == "tool-call-delta":
            return self._call_delta(message.get("tool_calls"))
        return self._end(delta) if kind == "message-end" else _unnamed(kind, event)

    def _call_start(self, wire: Any) -> list[Json]:
        call = _tool_call(wire, self._terms, empty="")
        self._calls += 1
        return [_chunk({"tool_calls": [{"index": self._calls - 1, **call}]})]

    def _call_delta(self, wire: Any) -> list[Json]:
        function = wire.get("function") if isinstance(wire, dict) else None
        text = function.get("arguments") if isinstance(function, dict) else ""
        if not text:
            return []
        if not self._calls:
            raise ValueError("arguments of no call")
        return [_chunk({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": text}}]})]

    def _end(self, delta: Json) -> list[Json]:
        finish = _finish(delta, self._terms)
        finish = "tool_calls" if self._calls and finish == "stop" else finish
        return [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **_usage(delta)}]


def error_detail(parsed: Any) -> Json:
    """The message of an error body, ``{"message": "..."}``; {} when it is none."""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return {"message": message} if isinstance(message, str) else {}


def _message(wire: Json, terms: ReadTerms) -> Json:
    content = wire.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    text = _string(content) or "".join(_string(part.get("text")) for part in parts)
    thinking = "".join(_string(part.get("thinking")) for part in parts)
    wires = wire.get("tool_calls")
    calls = [_tool_call(call, terms, empty="{}") for call in wires] if isinstance(wires, list) else []
    said = text or _string(wire.get("tool_plan"))
    made: Json = {"role": "assistant", "content": None if calls and not said else said}
    if thinking:
        made["reasoning_content"] = thinking
    if calls:
        made["tool_calls"] = calls
    return made


def _tool_call(wire: Any, terms: ReadTerms, *, empty: str) -> Json:
    function = wire.get("function") if isinstance(wire, dict) else None
    name = _string(function.get("name")) if isinstance(function, dict) else ""
    if not isinstance(function, dict) or not name:
        raise UpstreamBroken(f"{terms.provider} called a tool without naming it.", cause="nameless_tool_call")
    arguments = function.get("arguments")
    text = dumps(arguments).decode() if isinstance(arguments, dict) else _string(arguments)
    call_id = _string(wire.get("id")) or terms.new_id("call_")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text or empty}}


def _finish(wire: Json, terms: ReadTerms) -> str:
    reason = _string(wire.get("finish_reason"))
    if wire.get("error") or reason in _FAILURES:
        message = _string(wire.get("error"))
        detail = {**_FAILURES.get(reason, {}), **({"message": message} if message else {})}
        raise error_in_answer(terms.provider, detail)
    return _FINISH.get(reason, reason or "stop")


def _unnamed(kind: object, event: Json) -> list[Json]:
    """What has no type, or one of a failure, is handed on for the stream to judge."""
    return [] if isinstance(kind, str) and "error" not in kind else [event]


def _content(wire: Any) -> str | list[Json]:
    if not isinstance(wire, dict):
        return []
    thinking = _string(wire.get("thinking"))
    if thinking:
        return [_chunk({"reasoning_content": thinking})]
    text = wire.get("text")
    if isinstance(text, str):
        return text or []
    return [_chunk({"content": text})] if text else []


def _chunk(delta: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta}]}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _usage(wire: Json) -> Json:
    """The canonical usage under its key; {} when the numbers are missing."""
    usage = wire.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    for name in ("tokens", "billed_units"):
        counts = usage.get(name)
        prompt = _count(counts.get("input_tokens")) if isinstance(counts, dict) else None
        completion = _count(counts.get("output_tokens")) if isinstance(counts, dict) else None
        if prompt is not None and completion is not None:
            made: Json = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
            cached = _count(usage.get("cached_tokens"))
            return {"usage": made | ({"prompt_tokens_details": {"cached_tokens": cached}} if cached else {})}
    return {}


def _count(value: Any) -> int | None:
    """Counts travel as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return int(value)
