"""A canonical stream to partial GenerateContentResponses, as server-sent events or as one JSON array.

What SDKs make of it (google-genai for Python 3.4.0, for Node 1.30.0 and 2.32.0, checked 2026-11): a tool call must be
whole in one part; finish reason and usage come last. An error inside the events is recognised by Node's 1.30 only
where it is not written as an event at all, as Google itself breaks off; by everyone else in an event. So a failure is
said in both ways: no reader gets past it. Nothing follows the second one, not even a line end: 1.52 takes what is left
unended for a broken answer, and would pass over it otherwise, as both come in one read.
"""

from orcestator.dialects.canonical import WriteTerms
from orcestator.dialects.gemini.answer_facts import wire_finish, wire_logprobs, wire_usage
from orcestator.dialects.gemini.caller_config import shows_thoughts
from orcestator.dialects.gemini.caller_parts import call_part, said_parts
from orcestator.dialects.gemini.caller_reply import response_id
from orcestator.dialects.gemini.errors import error_body
from orcestator.errors import OrcestatorError
from orcestator.json_text import Json, dumps

_LINE_ENDS = tuple((mark.encode(), f"\\u{ord(mark):04x}".encode()) for mark in "\x85\u2028\u2029")
"""What some readers take for the end of a line, inside a JSON text: Node's 1.30 loses the whole event."""


class GeminiWriter:
    """A stream of events; the contract is ``canonical.Writer``."""

    def __init__(self, terms: WriteTerms) -> None:
        self._terms = terms
        self._shows_thoughts = shows_thoughts(terms.call)
        self._tail: Json = {"modelVersion": terms.model, "responseId": response_id(terms)}
        self._open: dict[int, Json] = {}
        self._finished: dict[int, str] = {}
        before, after = dumps(self._body(0, [{"text": "\0"}])).split(dumps("\0"))
        self._before_text, self._after_text = before, after

    def text(self, content: str) -> bytes:
        """More text of choice 0."""
        event = self._event(self._before_text + dumps(content) + self._after_text)
        return self._close_call(0) + event if self._open else event

    def chunk(self, chunk: Json) -> bytes:
        """One chunk. Tool calls are kept back until they are whole, the finish reason until the end."""
        choice = chunk["choices"][0]
        index, delta = choice.get("index", 0), choice.get("delta") or {}
        parts = said_parts(delta, shows_thoughts=self._shows_thoughts)
        written = b""
        if parts:
            logprobs = wire_logprobs(choice.get("logprobs"))
            written = self._close_call(index) + self._event(dumps(self._body(index, parts, logprobs)))
        for call in delta.get("tool_calls") or []:
            written += self._take_call(index, call)
        if choice.get("finish_reason") is not None:
            written += self._close_call(index)
            self._finished[index] = wire_finish(choice["finish_reason"])
        return written

    def end(self, usage: Json) -> bytes:
        """The last event: why each candidate ended, and the usage."""
        candidates = [
            {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": reason, "index": index}
            for index, reason in sorted(self._finished.items())
        ]
        body = {"candidates": candidates, "usageMetadata": wire_usage(usage), **self._tail}
        return self._event(dumps(body)) + self._last()

    def failure(self, error: OrcestatorError) -> bytes:
        """The error as an event, and once more as it stands when Google breaks off."""
        body = dumps(error_body(error, self._terms.request_id))
        return self._event(body) + body

    def _event(self, body: bytes) -> bytes:
        if not body.isascii():
            for character, escape in _LINE_ENDS:
                body = body.replace(character, escape)
        return b"data: " + body + b"\n\n"

    def _last(self) -> bytes:
        return b""

    def _body(self, index: int, parts: list[Json], logprobs: Json | None = None) -> Json:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": index, **(logprobs or {})}
        return {"candidates": [candidate], **self._tail}

    def _take_call(self, index: int, delta: Json) -> bytes:
        """Begin or continue a call; what is written is the one before it."""
        call = self._open.get(index)
        kind = "custom" if "custom" in delta else "function"
        if call is not None and not delta.get("id"):
            held = call.setdefault(kind, {})
            for name, more in (delta.get(kind) or {}).items():
                held[name] = (held.get(name) or "") + (more or "")
            call.update({key: value for key, value in delta.items() if key not in ("index", "id", "type", kind)})
            return b""
        written = self._close_call(index)
        self._open[index] = {**delta, kind: dict(delta.get(kind) or {})}
        return written

    def _close_call(self, index: int) -> bytes:
        call = self._open.pop(index, None)
        part = call_part(call) if call is not None else None
        return self._event(dumps(self._body(index, [part]))) if part else b""


class GeminiArrayWriter(GeminiWriter):
    """A stream without ``alt=sse``: one JSON array that grows by an element an event."""

    _has_begun = False

    def failure(self, error: OrcestatorError) -> bytes:
        """The error as the last element."""
        return self._event(dumps(error_body(error, self._terms.request_id))) + self._last()

    def _event(self, body: bytes) -> bytes:
        opener = b",\n" if self._has_begun else b"["
        self._has_begun = True
        return opener + body

    def _last(self) -> bytes:
        return b"]\n"
