"""One HTTP/1.1 connection to an upstream: writes a request, parses the answer, keeps its time.

One exchange at a time; the pool decides which. Everything is a synchronous callback: the only thing to wait for is
the future of ``expect``. It must never follow redirects, retry, or interpret a body.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import cast

import httptools

from orcestator.errors import TOTAL_TIMEOUT, UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from orcestator.upstream.http.headers import Headers

MAX_HEAD_BYTES = 64 * 1024
PAUSE_AT_BYTES = 64 * 1024
"""How much may lie unread before the upstream is asked to wait; TCP does the asking. One read of the event loop (uvloop: 250 KiB at
most) may come on top: together with what a caller has not taken yet it is all that a reader who does not read costs."""

_JOIN_UP_TO_BYTES = 64 * 1024
"""Up to this size one copy of the body is cheaper than a second write to the socket."""


Step = Callable[[bytes], int]
"""Takes a piece of a body, and says what was in it, or that it wants no more."""
SILENCE, LIFE, CONTENT = 0, 1, 2
"""A sign of life is no content, and yet counts for the time-outs."""
ENOUGH = 4
"""Or-ed to what was in a piece: the next one is not wanted."""


class Connection(asyncio.Protocol):
    """A connection that is either idle in its pool or busy with one exchange.

    The fields are read by ``Response`` and the pool, in the order: ``pieces`` (what came), then ``failure`` (why
    nothing more will come), then ``is_complete`` (the message is over).
    """

    __slots__ = (
        "_buffered",
        "_deadline",
        "_has_content",
        "_idle_seconds",
        "_is_paused",
        "_keeps_alive",
        "_loop",
        "_most_pushed",
        "_on_lost",
        "_parser",
        "_patience",
        "_step",
        "_timer",
        "_timer_at",
        "_total_at",
        "_transport",
        "_waiter",
        "failure",
        "has_head",
        "head",
        "heard",
        "is_busy",
        "is_complete",
        "is_open",
        "name",
        "on_body",
        "pieces",
        "pushed_bytes",
        "status",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        on_lost: Callable[["Connection"], None],
    ) -> None:
        """``name`` is what error messages call the upstream; ``on_lost`` is called once when an open connection is gone."""
        self.name = name
        self._loop = loop
        self._on_lost = on_lost
        self.is_open = False
        self.is_busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._deadline = inf
        self._total_at = inf
        self._patience = inf
        self.status = 0
        self.pieces: list[bytes] = []
        # The parser calls list.append itself: no Python frame per piece of body. Without an ``on_header`` it skips
        # the headers, which are looked up in the raw head when somebody asks.
        self.on_body = self.pieces.append
        self._reset()
        self._parser = httptools.HttpResponseParser(self)

    def _reset(self) -> None:
        self.failure: UpstreamError | None = None
        self.head = b""
        self.heard = False
        self.has_head = False
        self.is_complete = False
        self._keeps_alive = False
        self._has_content = False
        self._buffered = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._step: Step | None = None
        self.pushed_bytes = 0

    # The exchange, as the client and the response drive it.

    def begin(self, head: bytes, body: bytes, first_byte_seconds: float, total_at: float) -> "asyncio.Future[None]":
        """Write a request; the first content of its answer is due ``first_byte_seconds`` from now, its end at ``total_at`` (loop time).

        What to await: it is done when the head is here, or the failure that came in its place.
        """
        self._reset()
        self._waiter = waiter = self._loop.create_future()
        self.is_busy = True
        self._total_at = total_at
        self._patience = first_byte_seconds
        if not self.is_open:  # a peer that accepts and hangs up at once is gone before anything could be sent
            self.failure = self._cut(None)
            self.failure.sent = False
            self._wake()
            return waiter
        self._deadline = deadline = min(self._loop.time() + first_byte_seconds, total_at)
        if deadline < self._timer_at:
            self._arm(deadline)
        if len(body) <= _JOIN_UP_TO_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        return waiter

    def expect(self) -> "asyncio.Future[None]":
        """What to await for news: a head, a piece of body, the end or a failure."""
        if self._is_paused:
            self._resume()
        if self._deadline < self._timer_at:
            self._arm(self._deadline)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def listen(self, step: Step, idle_seconds: float, most_bytes: int) -> "asyncio.Future[None]":
        """As ``expect``, but whatever comes is for ``step``, in the very callback in which it came: nobody is woken for it.

        What ``step`` says of a piece moves the deadline as ``allow`` and ``prolong`` do, by ``idle_seconds``. The future is done when the
        body ended, when it failed, when ``step`` wants no more, and before the piece with which more than ``most_bytes`` would have
        been pushed. It gets what ``step`` raises.
        """
        waiter = self.expect()
        self._buffered = 0
        self._step, self._idle_seconds, self._most_pushed = step, idle_seconds, self.pushed_bytes + most_bytes
        return waiter

    def _resume(self) -> None:
        """Read on. What was taken has found its way by now: whoever asks for more has no more in hand."""
        self._is_paused = False
        # The silence until now was ours, not the upstream's.
        self._deadline = max(self._deadline, min(self._loop.time() + self._patience, self._total_at))
        if self.is_open:
            self._transport.resume_reading()

    def take(self) -> bytes:
        """All body bytes that lie here, joined; there must be some. A paused upstream is asked for more by ``expect``."""
        pieces = self.pieces
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        return taken

    def answer_head(self) -> bytes:
        """The answer's complete head, from the status line to the CRLF of its last field."""
        head = self.head.lstrip(b"\r\n")
        return head[: head.index(b"\r\n\r\n") + 2]

    def allow(self, idle_seconds: float) -> None:
        """Content came: the next is due this long from now; it is enforced only while somebody waits for it."""
        self._has_content = True
        self._patience = idle_seconds
        self._deadline = min(self._loop.time() + idle_seconds, self._total_at)

    def prolong(self, idle_seconds: float) -> None:
        """A sign of life came: content is due this long from now, the first never sooner than it was."""
        at = min(self._loop.time() + idle_seconds, self._total_at)
        if self._has_content or at > self._deadline:
            self._deadline = at

    def rest(self, keep_alive: float) -> bool:
        """End the exchange; True when the connection is good for another one, which may come within ``keep_alive``."""
        self.is_busy = False
        self._step = None
        self.pieces.clear()
        is_reusable = self._is_reusable()
        if not is_reusable:
            self.abort()
            return False
        self._deadline = deadline = self._loop.time() + keep_alive
        if deadline < self._timer_at:
            self._arm(deadline)
        return True

    def fail(self, failure: UpstreamError) -> None:
        """End the exchange from outside or inside: nothing more will come, for this reason."""
        if self.failure is None:
            self.failure = failure
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close at once; what is unsent is dropped."""
        self.is_open = False
        self._transport.abort()

    def discard(self) -> None:
        """Close a connection whose making was broken off, if it had come so far as to be open."""
        if self.is_open:
            self.abort()

    def _is_reusable(self) -> bool:
        is_over = self.is_complete and self._keeps_alive and self.failure is None and self.is_open
        # An answer may come before the request is fully written; the rest of the request is then in the way.
        return is_over and not self._is_paused and self._transport.get_write_buffer_size() == 0

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once by the event loop."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Called by the event loop for whatever came."""
        if not self.is_busy:  # nobody asked: an error page of a closing peer, or somebody else's answer
            self.abort()
            return
        if not self.has_head:
            self.heard = True
            self.head = self.head + data if self.head else data
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            if self.is_complete:
                # The answer itself is whole; what comes after it is nobody's, and the connection is not used again.
                self._keeps_alive = False
                self._wake()
                return
            self.fail(UpstreamBroken(f"{self.name} answered with invalid HTTP: {problem}", cause="garbage"))
            return
        if self._step is not None and not self.is_complete and (not self.pieces or self._push(self._step)):
            return
        self._buffered += len(data)
        # A piece that was handed on to one who has no room for more lies there: the next may be as large.
        if self._buffered > PAUSE_AT_BYTES and self.has_head and self.is_open and not self.is_complete:
            self._is_paused = True
            self._transport.pause_reading()
        if self.has_head:
            self._wake()
        elif len(self.head) > MAX_HEAD_BYTES:
            self.fail(self.too_large_head())

    def _push(self, step: Step) -> bool:
        """Hand on what came. False where somebody has to be woken for it."""
        pieces = self.pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pushed_bytes += len(piece)
        if self.pushed_bytes > self._most_pushed:
            self.pushed_bytes -= len(piece)
            return False
        pieces.clear()
        try:
            said = step(piece)
        except Exception as bug:  # noqa: BLE001 (it is the reader's, and is told to whoever waits for it)
            self._step = None
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(bug)
            return True
        if said & (LIFE | CONTENT):
            at = min(self._loop.time() + self._idle_seconds, self._total_at)
            if said & CONTENT:
                self._has_content, self._patience, self._deadline = True, self._idle_seconds, at
            elif self._has_content or at > self._deadline:
                self._deadline = at
            if self._deadline < self._timer_at:
                self._arm(self._deadline)
        return not said & ENOUGH

    def eof_received(self) -> None:
        """Called by the event loop when the peer has closed its side; the transport closes ours."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called once by the event loop, whoever closed."""
        self._end(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._parser, self.on_body  # they hold this connection, which holds them
        self._on_lost(self)

    def _end(self, problem: Exception | None) -> None:
        self.is_open = False
        if not self.is_busy or self.is_complete or self.failure is not None:
            return
        if self.has_head and problem is None and self._ends_with_connection():
            self.is_complete = True
        else:
            self.failure = self._cut(problem)
        self._wake()

    def _ends_with_connection(self) -> bool:
        """RFC 9112 §6.3: without a length and without chunks, the body ends where the connection does."""
        headers = Headers(self.answer_head())
        return b"content-length" not in headers and b"transfer-encoding" not in headers

    def _cut(self, problem: Exception | None) -> UpstreamError:
        cause = "closed" if problem is None else "reset"
        if self.heard:
            return UpstreamBroken(f"{self.name} closed the connection in the middle of its answer", cause=cause)
        return UpstreamUnavailable(f"{self.name} closed the connection without an answer", cause=cause)

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """Bytes after the end of the answer would be taken for the next one's."""
        if self.is_complete:
            raise ValueError("bytes after the end of the answer")

    def on_headers_complete(self) -> None:
        """A head is complete: an interim one (100, 103) is dropped, the other is the answer's."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            if self.status == 101:
                raise ValueError("nobody asked to switch protocols")
            self.head = self.head.lstrip(b"\r\n").partition(b"\r\n\r\n")[2]
            return
        self.has_head = True
        self._keeps_alive = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """The message is over; after an interim head the answer is still to come."""
        self.is_complete = self.has_head

    def _wake(self) -> None:
        self._step = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # Time: one timer, re-armed only when it fires or when a deadline lies before it.

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._loop.time()
        if now < self._deadline:
            self._arm(self._deadline)
        elif not self.is_busy:
            self.abort()
        elif self.is_complete:
            return  # all is here and waits for its reader; resting sets the next deadline
        elif now >= self._total_at:
            self.fail(self._late("the whole answer", TOTAL_TIMEOUT))
        elif not self.has_head:
            self.fail(self._late("the response head", "first_byte_timeout"))
        elif self._waiter is not None and not self._waiter.done():
            if self._has_content:
                self.fail(self._late("the next part of the answer", "idle_timeout"))
            else:
                self.fail(self._late("the beginning of the answer", "first_content_timeout"))
        else:  # the reader is busy, not the upstream silent: the next ``expect`` judges
            self._arm(self._total_at)

    def too_large_head(self) -> UpstreamBroken:
        """The failure of an answer whose head goes on and on."""
        return UpstreamBroken(f"the response head of {self.name} is too large", cause="too_large")

    def _late(self, what: str, cause: str) -> UpstreamTimeout:
        return UpstreamTimeout(f"{self.name} did not send {what} in time", cause=cause)
