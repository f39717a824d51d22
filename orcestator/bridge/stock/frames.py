"""A stock worker's answers to OpenAI ones and back, as pure translations. Must never do I/O.

A stock worker answers with ``{"text", "error_code", "usage", "finish_reason"}``; in a stream each such frame ends in
a NUL byte and repeats the whole text so far. Wire: fschat 0.2.36 ``serve/base_model_worker.py``, ``constants.py`` and
``serve/openai_api_server.py``, checked 2026-11. Prompts are in ``stock_prompt``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from orcestator.dialects.openai.finish import finish_reason as known_finish_reason
from orcestator.dialects.openai.usage import read_usage
from orcestator.errors import (
    ClientError,
    ModelNotFound,
    OrcestatorError,
    Overloaded,
    QuotaExceeded,
    Unauthorized,
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.json_text import Json, loads

LONGEST_FRAME_BYTES = 16 << 20
"""A frame repeats the whole text so far, so it grows with the answer."""


class _Failure(NamedTuple):
    error: type[UpstreamError]
    cause: str
    status: int


FAILURES: Mapping[int, _Failure] = {
    40001: _Failure(UpstreamRejected, "validation", 400),
    40101: _Failure(UpstreamKeyRefused, "key_refused", 401),
    40102: _Failure(UpstreamKeyRefused, "key_refused", 401),
    40103: _Failure(UpstreamKeyRefused, "no_permission", 403),
    40301: _Failure(UpstreamModelMissing, "model_missing", 404),
    40302: _Failure(UpstreamRejected, "param_out_of_range", 400),
    40303: _Failure(UpstreamRejected, "context_overflow", 400),
    42901: _Failure(UpstreamRateLimited, "rate_limit", 429),
    42902: _Failure(UpstreamKeyRefused, "quota_exceeded", 429),
    42903: _Failure(UpstreamUnavailable, "engine_overloaded", 503),
    50001: _Failure(UpstreamUnavailable, "internal_error", 500),
    50002: _Failure(UpstreamUnavailable, "out_of_memory", 500),
    50003: _Failure(UpstreamUnavailable, "internal_error", 500),
    50004: _Failure(UpstreamUnavailable, "internal_error", 500),
    50005: _Failure(UpstreamUnavailable, "no_worker", 503),
    50006: _Failure(UpstreamTimeout, "worker_timeout", 504),
}
"""``fastchat.constants.ErrorCode``, number by number; a test holds the table to the enum."""

_CODES: tuple[tuple[type[OrcestatorError], int], ...] = (
    (UpstreamRateLimited, 42901),
    (QuotaExceeded, 42902),
    (Overloaded, 42903),
    (UpstreamModelMissing, 40301),
    (ModelNotFound, 40301),
    (Unauthorized, 40101),
    (UpstreamRejected, 40302),
    (ClientError, 40302),
    (UpstreamTimeout, 50006),
)


class StockStream:
    """Decodes a worker's NUL-delimited frames, each with the whole text so far, into OpenAI chunks.

    ``usage`` is the last that was reported, or None. ``chat`` false makes chunks of a legacy text completion.
    """

    def __init__(self, model: str, answer_id: str, created: int, *, chat: bool = True) -> None:
        self.usage: Json | None = None
        self._head: Json = {
            "id": answer_id,
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": created,
            "model": model,
        }
        self._chat = chat
        self._tail = bytearray()
        self._sent = 0
        self._frames = 0
        self._opened = False
        self._finished = False

    def feed(self, piece: bytes) -> list[Json]:
        """The chunks of every frame completed by ``piece``. Raises UpstreamError on an error frame or a foreign one."""
        searched = len(self._tail)
        self._tail += piece
        if self._tail.find(b"\0", searched) < 0:
            self._refuse_too_long()
            return []
        *frames, self._tail = self._tail.split(b"\0")
        self._refuse_too_long()
        return [chunk for frame in frames if frame for chunk in self._read(bytes(frame))]

    def end(self) -> list[Json]:
        """What is left to say once the worker has closed its answer properly (not by a reset: that is a failure).

        Some stock workers never give a finish reason, so an answer that was closed in order after a frame is taken
        as stopped. Raises UpstreamBroken when it was cut inside a frame or had none.
        """
        if self._tail.strip() or not self._frames:
            raise UpstreamBroken("The worker's stream was cut.", cause="truncated")
        chunks = [] if self._finished else [self._chunk("", "stop")]
        if self.usage is not None:
            chunks.append({**self._head, "choices": [], "usage": self.usage})
        return chunks

    def _read(self, frame: bytes) -> list[Json]:
        answer = checked_answer(_parsed(frame))
        self._frames += 1
        self.usage = _usage(answer.get("usage")) or self.usage
        finished = answer.get("finish_reason")
        text = _whole_characters(answer["text"], last=finished is not None)
        if self._finished:
            return []
        fresh, self._sent = text[self._sent :], max(self._sent, len(text))
        chunks = [self._chunk(fresh, None)] if fresh else []
        if finished is not None:
            self._finished = True
            chunks.append(self._chunk("", _finish_reason(finished)))
        return chunks

    def _chunk(self, text: str, finished: str | None) -> Json:
        if self._chat:
            choice = {"index": 0, "delta": self._delta(text), "finish_reason": finished}
        else:
            choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finished}
        return {**self._head, "choices": [choice]}

    def _delta(self, text: str) -> Json:
        opening = {} if self._opened else {"role": "assistant"}
        self._opened = True
        return {**opening, "content": text} if text else opening

    def _refuse_too_long(self) -> None:
        if len(self._tail) > LONGEST_FRAME_BYTES:
            raise UpstreamBroken("The worker sent a frame of over 16 MiB.", cause="event_too_large")


def stock_reply(answer: Any, model: str, answer_id: str, created: int, *, chat: bool = True) -> Json:
    """A whole answer of ``/worker_generate`` as an OpenAI reply. Raises UpstreamError as the stream decoder does."""
    answer = checked_answer(answer)
    finished = _finish_reason(answer.get("finish_reason") or "stop")
    choice: Json = {"index": 0, "finish_reason": finished, "logprobs": None}
    if chat:
        choice["message"] = {"role": "assistant", "content": answer["text"]}
    else:
        choice |= {"text": answer["text"], "logprobs": answer.get("logprobs")}
    reply = {
        "id": answer_id,
        "object": "chat.completion" if chat else "text_completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
    usage = _usage(answer.get("usage"))
    return {**reply, "usage": usage} if usage else reply


def checked_answer(answer: Any) -> Json:
    """A frame or whole answer that is no error. Raises the UpstreamError that its ``error_code`` stands for."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise UpstreamBroken("The worker's answer has no text.", cause="not_an_answer")
    code = answer.get("error_code")
    if code not in (0, None):
        raise stock_error(code, answer["text"])
    return answer


def stock_error(code: Any, message: str) -> UpstreamError:
    """The error behind one of FastChat's five-digit numbers."""
    failure = FAILURES.get(code if isinstance(code, int) else 0, _Failure(UpstreamBroken, "unknown_error_code", 0))
    return failure.error(
        f"The FastChat worker failed ({code}): {message[:500]}",
        cause=failure.cause,
        upstream_status=failure.status or None,
    )


class StockFrames:
    """Encodes OpenAI chunks as the frames a stock API server reads: each has the whole text so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._usage: Json | None = None
        self._finished: str | None = None

    def feed(self, chunk: Json) -> bytes:
        """The frame for one chunk, empty when it says nothing a stock server can show."""
        self._usage = _usage(chunk.get("usage")) or self._usage
        fresh = ""
        for choice in chunk.get("choices") or ():
            fresh += (choice.get("delta") or {}).get("content") or choice.get("text") or ""
            self._finished = choice.get("finish_reason") or self._finished
        if not fresh:
            return b""
        self._text.append(fresh)
        return stock_frame("".join(self._text))

    def end(self) -> bytes:
        """The last frame: the whole text, the finish reason and the usage."""
        return stock_frame("".join(self._text), usage=self._usage, finish_reason=self._finished or "stop")


def stock_answer(text: str, error_code: int = 0, usage: Json | None = None, finish_reason: str | None = None) -> Json:
    """One answer object. A stock server knows two finish reasons and fails on any other; ``text`` is the whole one."""
    answer: Json = {"text": text, "error_code": error_code, "finish_reason": _stock_finish(finish_reason)}
    counted = _usage(usage)
    return {**answer, "usage": counted} if counted else answer


def stock_frame(text: str, error_code: int = 0, usage: Json | None = None, finish_reason: str | None = None) -> bytes:
    """One answer as a frame of ``/worker_generate_stream``."""
    return orjson.dumps(stock_answer(text, error_code, usage, finish_reason)) + b"\0"


def stock_answer_of(reply: Json) -> Json:
    """A whole OpenAI reply as the answer of ``/worker_generate``; tool calls and reasoning have no place in it."""
    choice = (reply.get("choices") or [{}])[0]
    text = (choice.get("message") or {}).get("content") or choice.get("text") or ""
    return stock_answer(text, usage=reply.get("usage"), finish_reason=choice.get("finish_reason") or "stop")


def stock_failure(error: OrcestatorError) -> Json:
    """An error as an answer: FastChat's number for it, and its message."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), 50001)
    return {"text": error.message, "error_code": code}


def failure_frame(error: OrcestatorError) -> bytes:
    """An error as a frame."""
    return orjson.dumps(stock_failure(error)) + b"\0"


def no_worker_frame() -> bytes:
    """What a stock controller streams when nobody serves the model."""
    return stock_frame("No worker serves this model.", 50005)


def worker_timeout_frame() -> bytes:
    """What a stock controller streams when the worker cannot be reached."""
    return stock_frame("The worker cannot be reached.", 50006)


def _parsed(frame: bytes) -> Any:
    try:
        return loads(frame)
    except ValueError:
        raise UpstreamBroken("The worker sent a frame that is not JSON.", cause="not_json") from None


def _whole_characters(text: str, *, last: bool) -> str:
    """Without the replacement characters at the end, which are bytes of a character still to come."""
    return text if last else text.rstrip("\ufffd")


def _finish_reason(wire: Any) -> str:
    """The OpenAI word. Workers on vLLM send a list for several outputs, and ``abort`` for an answer cut short."""
    reason = wire[0] if isinstance(wire, list) and wire else wire
    if reason == "abort":
        raise UpstreamBroken("The worker aborted its answer.", cause="aborted")
    return known_finish_reason(reason)


def _usage(wire: Any) -> Json | None:
    usage = read_usage(wire)
    if usage is None:
        return None
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }


def _stock_finish(reason: str | None) -> str | None:
    return reason if reason in (None, "length") else "stop"
