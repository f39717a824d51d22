"""An answer as a script: what goes onto the wire, when, and how it ends. Pure data; ``connection`` performs it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Literal

import orjson

Headers = tuple[tuple[str, str], ...]
NextRequest = Literal["served", "fin", "rst", "idle", "silent"]

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream; charset=utf-8"
STALL_SECONDS = 3600.0
"""How long a stall waits for the peer to leave; after that the sandbox hangs up itself."""


class Event(bytes):
    """One server-sent event: written by itself and counted in ``Record.sent_events``."""


class Content(Event):
    """An event that carries some of the answer: faults break a stream before or after so many of them."""


class Raw(bytes):
    """Bytes that no framing is put around."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing until the peer leaves, at most ``seconds``; then the sandbox hangs up."""

    seconds: float = STALL_SECONDS


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close with FIN, whatever the framing promised."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Close with RST."""


Step = bytes | Pause | Stall | HangUp | Reset

DONE = Event(b"data: [DONE]\n\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    ``status`` None: the steps hold every byte, the status line included. ``chunked``: each bytes step becomes one chunk.
    ``closes``: the connection ends with the answer. ``next_request`` says what happens to the connection's next
    request (U7). ``delay_seconds`` passes before the first byte.
    """

    status: int | None = 200
    headers: Headers = ()
    steps: Iterable[Step] = ()
    chunked: bool = False
    closes: bool = False
    version: str = "1.1"
    delay_seconds: float = 0.0
    next_request: NextRequest = "served"
    chunk_extension: bytes = b""
    trailers: bytes = b""

    def wire_steps(self, *, keeps_alive: bool) -> Iterator[Step]:
        """The steps with the head and the framing applied; the head rides with the first bytes."""
        unsent = self.head(keeps_alive=keeps_alive)
        for step in self.steps:
            if isinstance(step, bytes):
                yield type(step)(unsent + self._framed(step))
                unsent = b""
                continue
            if unsent:
                yield unsent
                unsent = b""
            yield step
        ending = unsent + (b"0\r\n" + self.trailers + b"\r\n" if self.chunked else b"")
        if ending:
            yield ending

    def head(self, *, keeps_alive: bool) -> bytes:
        """The status line and the headers; empty when the steps hold them."""
        if self.status is None:
            return b""
        lines = [f"HTTP/{self.version} {self.status} {_reason(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.chunked:
            lines.append("transfer-encoding: chunked")
        if self.closes or not keeps_alive:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _framed(self, data: bytes) -> bytes:
        if not self.chunked or isinstance(data, Raw):
            return data
        return b"%x%s\r\n%s\r\n" % (len(data), self.chunk_extension, data)


def whole(body: bytes, *, status: int = 200, content_type: str = JSON_TYPE, headers: Headers = ()) -> Answer:
    """A body with its true length."""
    framed = (("content-type", content_type), ("content-length", str(len(body))), *headers)
    return Answer(status, framed, (body,))


def json_answer(value: Any, *, status: int = 200, headers: Headers = (), delay_seconds: float = 0.0) -> Answer:
    """A JSON body with its true length."""
    return replace(whole(orjson.dumps(value), status=status, headers=headers), delay_seconds=delay_seconds)


def event(value: Any) -> Event:
    """One ``data:`` event."""
    return Event(b"data: " + orjson.dumps(value) + b"\n\n")


def named_event(name: str, value: Any) -> Event:
    """One event with its name in a line of its own."""
    return Event(b"event: " + name.encode() + b"\n" + event(value))


def line(value: Any) -> Event:
    """One JSON value on a line, for dialects that stream those."""
    return Event(orjson.dumps(value) + b"\n")


def streamed(steps: Iterable[Step], pace: float, headers: Headers = (), *, content_type: str = STREAM_TYPE) -> Answer:
    """The steps as a stream at ``pace`` tokens a second; 0 means as fast as possible."""
    framed = (("content-type", content_type), ("cache-control", "no-cache"), *headers)
    return Answer(headers=framed, steps=paced(steps, pace), chunked=True)


def paced(steps: Iterable[Step], tokens_per_second: float) -> Iterator[Step]:
    """The steps with a pause between two events; 0 means none."""
    started = False
    for step in steps:
        if tokens_per_second and started and isinstance(step, Event):
            yield Pause(1 / tokens_per_second)
        started = started or isinstance(step, Event)
        yield step


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
