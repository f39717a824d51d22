"""One request on a caller's connection: its body as it comes, and its answer as it goes.

It is what an ASGI application gets as ``receive`` and ``send``, and, for our own applications, the same as plain methods without a
coroutine in between: ``start``, ``write``, ``finish`` and ``send_whole`` write at once, and who writes much asks ``is_writable`` first.
A head is written together with the first piece of the body.
"""

import asyncio
import logging
import re
from collections.abc import MutableMapping
from http import HTTPStatus
from itertools import chain
from operator import itemgetter
from typing import Any, ClassVar, Protocol

from uvicorn.server import ServerState

BODY_HIGH_WATER_BYTES = 64 * 1024
"""How much of a body may lie here unread before the caller is asked to wait; TCP does the asking."""
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
STATUS_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b"")) for status in range(100, 1000)}
"""Of every status there can be: proxies and people choose some that have no name."""
_BODILESS = (204, 304)
_LINE = b"%b: %b\r\n"
_VALUE = itemgetter(1)
_NAME_WITHOUT = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
_VALUE_WITHOUT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may have (RFC 9110 §5.1 and §5.5)."""
_JOINED_UP_TO_BYTES = 16 * 1024
"""Of a larger piece no copy is made; it lies there as long as its caller does not read."""
_FAILED_INSIDE = (
    (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close"),
)  # fmt: skip
logger = logging.getLogger(__name__)
Pairs = list[tuple[bytes, bytes]]


class CallerConnection(Protocol):
    """What a request needs of the connection that it came over."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    server_state: ServerState
    write_paused: bool
    """Whether the caller has not taken enough of what was written to be given more."""

    def resume_reading(self) -> None:
        """Whoever reads the body has taken what was there."""

    async def drain(self) -> None:
        """Wait until the caller has taken most of what was written, or is gone."""

    def on_response_complete(self) -> None:
        """The answer is written to its end."""


class RequestCycle:
    """Header names are in lower case, as ASGI has them."""

    __slots__ = (
        "_content_left", "_edge", "_has_news", "_head", "_is_chunked", "_pieces", "_unread_bytes", "_waiter", "disconnected", "expects_continue",
        "has_whole_body", "keep_alive", "more_headers", "response_complete", "response_started", "scope", "task", "writes",
    )  # fmt: skip
    _usual: ClassVar[tuple[Pairs, bytes]] = ([], b"")
    """The headers of every answer (a list that the server makes anew each second) and their bytes."""

    def __init__(
        self, edge: CallerConnection, scope: dict[str, Any], *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.task: asyncio.Task[Any] | None = None
        """The application, while it runs."""
        self.more_headers: Pairs = []
        """What every answer says, whoever gives it."""
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.disconnected = False
        self.has_whole_body = False
        self.response_started = False
        self.response_complete = False
        self._edge = edge
        self._head = b""  # written, but for its body
        self._pieces: list[bytes] = []
        self._unread_bytes = 0
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None
        self._is_chunked: bool | None = None
        self._content_left = 0
        self.writes = 0
        """How many pieces of the body were written."""

    # The request

    def feed(self, piece: bytes) -> int:
        """More of the body came; how many bytes lie here now."""
        self._pieces.append(piece)
        self._unread_bytes += len(piece)
        self._has_news = True
        if self._waiter is not None:
            self.wake()
        return self._unread_bytes

    def end_of_body(self) -> None:
        """The body is whole."""
        self.has_whole_body = self._has_news = True
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """There is something for ``receive``: a piece, the end, or that the caller is gone."""
        self._has_news = True
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def whole_body(self) -> bytes | None:
        """The body where all of it is here already and nobody has read any of it; None otherwise: ``receive`` gives it."""
        if not self.has_whole_body or self.disconnected or self.response_complete or not self._has_news:
            return None
        self._has_news = False
        if self._unread_bytes > BODY_HIGH_WATER_BYTES:
            # The caller was asked to wait until somebody takes this; as long as it is, nobody sees it leave.
            self._edge.resume_reading()
        pieces = self._pieces
        return pieces.pop() if len(pieces) == 1 else self._taken()

    async def receive(self) -> MutableMapping[str, Any]:
        """ASGI's: the next piece of the body, or that the caller is gone."""
        if self.expects_continue and not self._edge.transport.is_closing():
            self._edge.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects_continue = False
        if not self.disconnected and not self.response_complete:
            self._edge.resume_reading()
            if not self._has_news:
                self._waiter = self._edge.loop.create_future()
                await self._waiter
            self._has_news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._taken(), "more_body": not self.has_whole_body}

    def _taken(self) -> bytes:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._unread_bytes = 0
        return body

    # The answer

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's: write what the application sends. Raises RuntimeError for what ASGI does not allow."""
        if self._edge.write_paused and not self.disconnected:
            await self._edge.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if self.response_complete:
            raise RuntimeError(f"{kind!r} came after the end of the answer")
        if kind != ("http.response.body" if self.response_started else "http.response.start"):
            raise RuntimeError(f"{kind!r} came out of its turn")
        if not self.response_started:
            self.start(message["status"], message.get("headers", []))
        elif message.get("more_body", False):
            self.write(message.get("body", b""))
            if self._edge.write_paused:  # nothing more is asked of the upstream until the caller has taken this
                await self._edge.drain()
        else:
            self.finish(message.get("body", b""))

    @property
    def is_writable(self) -> bool:
        """Whether the caller has taken most of what was written; ``drain`` waits for that."""
        return not self._edge.write_paused

    async def drain(self) -> None:
        """Wait until the caller has taken most of what was written, or is gone."""
        await self._edge.drain()

    def send_whole(self, status: int, headers: Pairs, body: bytes) -> None:
        """A whole answer in one piece; ``headers`` is taken over."""
        headers.append((b"content-length", b"%d" % len(body)))
        self.start(status, headers)
        self.finish(body)

    def start(self, status: int, headers: Pairs) -> None:
        """The head. It is written with the body's first piece, which whoever starts has at hand."""
        if self.disconnected:
            return
        self.response_started = True
        self.expects_continue = False
        if not self.has_whole_body:  # an answer before the end of the body: what is left of it is not read
            self.keep_alive = False
        if self.more_headers:
            headers = [*headers, *self.more_headers]
        fields = dict(headers)
        if _NAME_WITHOUT.search(b"".join(fields)) or _VALUE_WITHOUT.search(b"".join(map(_VALUE, headers))):
            raise RuntimeError("a header has characters that no header may have")
        # One format for all of them: a loop over so few costs more than what it does.
        lines = _LINE * len(headers) % tuple(chain.from_iterable(headers))
        length = fields.get(b"content-length")
        if length is not None and b"transfer-encoding" not in fields:
            self._content_left = int(length)
            self._is_chunked = False
        else:
            lines += self._framing(status, fields)
        if b"connection" in fields and b"close" in fields[b"connection"].lower().replace(b" ", b"").split(b","):
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: close\r\n"
        usual, usual_lines = RequestCycle._usual
        if usual is not self._edge.server_state.default_headers:
            usual_lines = self._new_usual_lines()
        self._head = b"%b%b%b\r\n" % (STATUS_LINES[status], usual_lines, lines)

    def _framing(self, status: int, fields: dict[bytes, bytes]) -> bytes:
        """Decide how the end of the body is told where the application has not said so by its length; the line that says it."""
        length, has_body = fields.get(b"content-length"), self.scope["method"] != "HEAD"
        if has_body and fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            self._is_chunked = True
        elif length is not None:
            self._content_left = int(length)
            self._is_chunked = False
        elif has_body and status not in _BODILESS:
            self._is_chunked = True
            return b"transfer-encoding: chunked\r\n"
        return b""

    def _new_usual_lines(self) -> bytes:
        usual = self._edge.server_state.default_headers
        lines = _LINE * len(usual) % tuple(chain.from_iterable(usual))
        RequestCycle._usual = usual, lines
        return lines

    def write(self, body: bytes) -> bool:
        """A piece of the body; more will come. Whether that may be written before the caller has taken what lies here."""
        edge = self._edge
        self.writes += 1
        if not body or self.disconnected:
            return not edge.write_paused
        transport = edge.transport
        if not self._is_chunked:
            if body := self._counted(body):
                transport.write(body)
        elif self._head or len(body) > _JOINED_UP_TO_BYTES:
            transport.writelines((b"%b%x\r\n" % (self._head, len(body)), body, b"\r\n"))
            self._head = b""
        else:
            transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return not edge.write_paused

    def finish(self, body: bytes = b"") -> None:
        """The last piece, which may be empty."""
        if self.disconnected:
            return
        if self._content_left == len(body) and not self._is_chunked and self.scope["method"] != "HEAD":
            body, self._content_left = self._head + body, 0
        elif not self._is_chunked:
            body = self._counted(body)
        elif body:
            body = b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._head, len(body), body)
        else:
            body = self._head + b"0\r\n\r\n"
        self._head = b""
        if body:
            self._edge.transport.write(body)
        if self._content_left:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = self._has_news = True
        if self._waiter is not None:
            self.wake()
        edge = self._edge
        if not self.keep_alive and self.has_whole_body:
            edge.transport.close()
        edge.on_response_complete()

    def _counted(self, body: bytes) -> bytes:
        """What is written of the body of an answer with a Content-Length, or with no body at all: its head before it."""
        if self.scope["method"] == "HEAD":
            self._content_left = 0
            body = b""
        else:
            self._content_left -= len(body)
            if self._content_left < 0:
                raise RuntimeError("the body is longer than its Content-Length")
        if self._head:
            body, self._head = self._head + body, b""
        return body

    @property
    def unsent_bytes(self) -> int:
        """How much of the answer the caller has not taken yet."""
        return self._edge.transport.get_write_buffer_size()

    # The application's end

    def ended(self, task: "asyncio.Task[Any]") -> None:
        """The application is over. An answer that it did not give, or not to its end, is nobody's any more."""
        self.task = None
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("a bug in an application", exc_info=problem)
        elif self.response_complete or self.disconnected:
            return
        else:
            logger.error("an application ended without a whole answer")
        if self.disconnected or self.response_complete:
            return
        if self.response_started:
            self._edge.transport.close()
            return
        self.start(500, list(_FAILED_INSIDE))
        self.finish(b"Internal Server Error")


def cycle_of(send: Any) -> RequestCycle | None:
    """The cycle that an application was given as ``send``; None behind somebody else's server or wrapper."""
    owner = getattr(send, "__self__", None)
    return owner if isinstance(owner, RequestCycle) else None


def cycle_behind(send: Any) -> RequestCycle:
    """The same, for what is only served by our own server. Raises RuntimeError elsewhere."""
    owner = getattr(send, "__self__", None)
    if not isinstance(owner, RequestCycle):
        raise RuntimeError("this has to come over a connection of our own server")
    return owner
