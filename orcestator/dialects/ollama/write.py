"""Answers for callers of Ollama's dialect: whole ones, and streams of one JSON object a line.

https://docs.ollama.com/api/chat, https://docs.ollama.com/api/generate and ``api/types.go`` of
github.com/ollama/ollama at v0.33.0-rc2 (checked 2026-11): only the last object is ``done``; a tool call comes whole,
its arguments an object. The durations of the last object are not measured here; Ollama itself leaves out those of zero,
and its Python, JavaScript and Go clients do without. The Python client breaks lines where Unicode does (ollama 0.6 over
httpx), inside texts too, so that Unicode's other line ends are written as escapes.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orcestator.dialects.canonical import WriteTerms, reasoning_of
from orcestator.dialects.tool_arguments import as_object
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps, is_cut

_DONE = {"stop": "stop", "tool_calls": "stop", "function_call": "stop", "length": "length"}
"""Finish reasons in Ollama's words; what it has no word for, a content filter, keeps OpenAI's."""

_LINE_ENDS = ((b"\xc2\x85", rb"\u0085"), (b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))
"""Those that JSON does not escape by itself: NEL, and the line and paragraph separators."""

Said = Callable[[str, str, list[Json]], Json]
"""Makes the speaking fields of an object of text, thinking and tool calls."""


def said_in_chat(text: str, thinking: str, calls: list[Json]) -> Json:
    """As ``/api/chat`` has it."""
    message: Json = {"role": "assistant", "content": text}
    message |= {"thinking": thinking} if thinking else {}
    return {"message": message | ({"tool_calls": calls} if calls else {})}


def said_in_text(text: str, thinking: str, calls: list[Json]) -> Json:
    """As ``/api/generate`` has it."""
    said: Json = {"response": text}
    said |= {"thinking": thinking} if thinking else {}
    return said | ({"tool_calls": calls} if calls else {})


def whole(reply: Json, terms: WriteTerms, said: Said) -> Json:
    """The one object of an answer that does not stream."""
    choice = reply["choices"][0]
    message = choice["message"]
    wires = [call for call in message.get("tool_calls") or [] if not _was_cut(call)]
    calls = [_tool_call(index, call) for index, call in enumerate(wires)]
    text = message.get("content") or message.get("refusal") or ""
    return {
        **_head(terms),
        **said(text, reasoning_of(message), calls),
        **_end(choice.get("finish_reason")),
        **_counts(reply.get("usage") or {}),
        **_logprobs(choice),
    }


def loaded(reason: str, terms: WriteTerms, said: Said) -> Json:
    """The one object that answers a request to load or unload a model."""
    return {**_head(terms), **said("", "", []), "done": True, "done_reason": reason}


def error_body(error: OrcestatorError, request_id: str) -> Json:
    """An error, which on this wire is only a text."""
    return {"error": error.message}


class LineWriter:
    """A stream. Tool calls wait until they are whole."""

    def __init__(self, terms: WriteTerms, said: Said) -> None:
        self._head = _head(terms)
        self._said = said
        probe = _in_one_line({**self._head, **said("\0", "", []), "done": False})
        self._before, _, self._after = (probe + b"\n").rpartition(dumps("\0"))
        self._call: Json | None = None
        self._calls = 0
        self._finish: Any = None

    def text(self, content: str) -> bytes:
        """More text."""
        return self._before + _in_one_line(content) + self._after

    def chunk(self, chunk: Json) -> bytes:
        """One chunk; nothing for other choices than the first: this wire has one."""
        choice = chunk["choices"][0]
        if choice.get("index"):
            return b""
        delta = choice.get("delta") or {}
        text = delta.get("content") or delta.get("refusal") or ""
        thinking, extras = reasoning_of(delta), _logprobs(choice)
        written = self._line(self._said(text, thinking, []), extras) if text or thinking or extras else b""
        for call in delta.get("tool_calls") or []:
            written += self._take_call(call)
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
            written += self._whole_call()
        return written

    def end(self, usage: Json) -> bytes:
        """The last line."""
        return self._line(self._said("", "", []), {**_end(self._finish), **_counts(usage)})

    def failure(self, error: OrcestatorError) -> bytes:
        """A line that every client raises; the JavaScript one also takes a missing last line for an error."""
        return _in_one_line(error_body(error, "")) + b"\n"

    def _take_call(self, delta: Json) -> bytes:
        written = self._whole_call() if "id" in delta else b""
        part = delta.get("function") or {}
        if self._call is None:
            self._call = {"id": delta.get("id"), "function": {"name": part.get("name"), "arguments": ""}}
        self._call["function"]["arguments"] += part.get("arguments") or ""
        return written

    def _whole_call(self) -> bytes:
        whole, self._call = self._call, None
        if whole is None or _was_cut(whole):
            return b""
        call = _tool_call(self._calls, whole)
        self._calls += 1
        return self._line(self._said("", "", [call]), {})

    def _line(self, said: Json, more: Json) -> bytes:
        return _in_one_line({**self._head, **said, "done": False, **more}) + b"\n"


def _in_one_line(value: Any) -> bytes:
    data = dumps(value)
    for end, escape in _LINE_ENDS:
        data = data.replace(end, escape)
    return data


def _head(terms: WriteTerms) -> Json:
    moment = datetime.fromtimestamp(terms.created, UTC)
    return {"model": terms.model, "created_at": f"{moment:%Y-%m-%dT%H:%M:%S}.000000000Z"}


def _end(finish: Any) -> Json:
    return {"done": True, "done_reason": _DONE.get(finish, finish) if finish else "stop"}


def _counts(usage: Json) -> Json:
    named = {"prompt_eval_count": usage.get("prompt_tokens"), "eval_count": usage.get("completion_tokens")}
    return {name: count for name, count in named.items() if count is not None}


def _logprobs(choice: Json) -> Json:
    logprobs = choice.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    return {"logprobs": entries} if entries else {}


def _was_cut(call: Json) -> bool:
    """Whether the answer ended inside the call, as its reason says then: a client would run half of it."""
    arguments = (call.get("function") or {}).get("arguments")
    return isinstance(arguments, str) and is_cut(arguments)


def _tool_call(index: int, call: Json) -> Json:
    part = call.get("function") or {}
    function = {"index": index, "name": part.get("name"), "arguments": as_object(part.get("arguments"))}
    return {"id": call.get("id"), "function": function}
