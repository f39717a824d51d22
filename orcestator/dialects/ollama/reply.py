"""What Ollama's own chat API answers, as a canonical reply or chunks.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/errors and ``api/types.go`` of github.com/ollama/ollama at
v0.33.0-rc2 (checked 2026-11): a stream is one object a line, the last with ``done``; ``done_reason`` is ``stop``,
``length``, or ``load`` and ``unload`` for a model that was only loaded or unloaded; a count of zero is left out; an
error inside a 200 is a line ``{"error": "text"}``.
"""

from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.tool_arguments import as_text
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json, loads_event

_FINISH = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
CALLS = b'"tool_calls"'
"""What every answer with a tool call holds, whose arguments are an object here."""
_ONLY_LOADED = ("load", "unload")


def reply(wire: Json, terms: ReadTerms) -> Json:
    """The canonical reply. Raises UpstreamError for an error or for what has no message."""
    if isinstance(wire, dict) and wire.get("error"):
        raise error_in_answer(terms.provider, _failure(wire))
    message = wire.get("message") if isinstance(wire, dict) else None
    if not isinstance(message, dict):
        raise UpstreamBroken(f"{terms.provider} answered without a message.", cause="empty")
    if wire.get("done") is False:
        raise UpstreamBroken(f"{terms.provider} gave a part of an answer for all of it.", cause="unfinished")
    text, thinking = message.get("content") or "", _string(message.get("thinking"))
    calls = _tool_calls(message, terms)
    made: Json = {"role": "assistant", "content": None if calls and not text else text}
    made |= {"reasoning_content": thinking} if thinking else {}
    made |= {"tool_calls": calls} if calls else {}
    choice = {"index": 0, "message": made, "finish_reason": _finish(wire, bool(calls), terms), **_logprobs(wire)}
    return {
        "id": terms.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": terms.created,
        "choices": [choice],
        **_usage(wire),
    }


class ChatReader:
    """A stream of lines."""

    def __init__(self, terms: ReadTerms) -> None:
        self._terms = terms
        self._calls = 0

    def read(self, data: bytes) -> str | list[Json] | None:
        """What one line means."""
        line = loads_event(data, exactly=CALLS in data)
        if not isinstance(line, dict):
            raise ValueError("a line that is not an object")
        if line.get("error"):
            raise error_in_answer(self._terms.provider, _failure(line))
        message = line.get("message")
        if not isinstance(message, dict):
            if "done" not in line:
                return [line]
            if message is not None or not line["done"]:
                raise ValueError("a line without a message")
            message = {}
        text, extras = message.get("content") or "", _logprobs(line)
        if isinstance(text, str) and not (
            line.get("done") or extras or message.get("thinking") or message.get("tool_calls")
        ):
            return text or []
        chunks = self._said(text, message, extras)
        if line.get("done"):
            finish = _finish(line, self._calls > 0, self._terms)
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **_usage(line)})
        return chunks

    def _said(self, text: Any, message: Json, extras: Json) -> list[Json]:
        deltas: list[Json] = []
        thinking = _string(message.get("thinking"))
        if thinking:
            deltas.append({"reasoning_content": thinking})
        if text or extras:
            deltas.append({"content": text})
        for call in _tool_calls(message, self._terms):
            deltas.append({"tool_calls": [{"index": self._calls, **call}]})
            self._calls += 1
        return [
            {"choices": [{"index": 0, "delta": delta, **(extras if "content" in delta else {})}]} for delta in deltas
        ]


def error_detail(parsed: Any) -> Json:
    """The message of an error body, ``{"error": "text"}``; {} when it is none."""
    detail = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(detail, str):
        return {"message": detail}
    return detail if isinstance(detail, dict) else {}


def _failure(wire: Json) -> Json:
    """An error inside an answer, with the status that some versions put beside it."""
    return {"code": wire.get("status"), **error_detail(wire)}


def _tool_calls(message: Json, terms: ReadTerms) -> list[Json]:
    """The calls; those of older versions have no ids."""
    wires = message.get("tool_calls")
    if wires and not isinstance(wires, list):
        raise UpstreamBroken(f"{terms.provider} answered with tool calls that cannot be read.", cause="garbage")
    made = []
    for wire in wires if isinstance(wires, list) else []:
        function = wire.get("function") if isinstance(wire, dict) else None
        name = _string(function.get("name")) if isinstance(function, dict) else ""
        if not isinstance(function, dict) or not name:
            raise UpstreamBroken(f"{terms.provider} called a tool without naming it.", cause="nameless_tool_call")
        part = {"name": name, "arguments": as_text(function.get("arguments"))}
        made.append({"id": _string(wire.get("id")) or terms.new_id("call_"), "type": "function", "function": part})
    return made


def _finish(wire: Json, calls: bool, terms: ReadTerms) -> str:
    reason = _string(wire.get("done_reason"))
    if reason in _ONLY_LOADED:
        raise UpstreamBroken(f"{terms.provider} only loaded the model.", cause="empty")
    finish = _FINISH.get(reason, reason or "stop")
    return "tool_calls" if calls and finish == "stop" else finish


def _logprobs(wire: Json) -> Json:
    """Log probabilities, which have the same entries as OpenAI's."""
    entries = wire.get("logprobs")
    return {"logprobs": {"content": entries}} if isinstance(entries, list) and entries else {}


def _usage(wire: Json) -> Json:
    """The canonical usage under its key; {} when the prompt was not counted, as for a cached one in older versions."""
    prompt, completion = _count(wire.get("prompt_eval_count")), _count(wire.get("eval_count", 0))
    if prompt is None or completion is None:
        return {}
    return {
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
