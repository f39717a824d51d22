"""The hardened edge: what a connection must look like before a request reaches the application.

uvicorn's httptools protocol buffers headers without end, waits for ever for a half-sent request and lets a request
with no Host or two through (measured on uvicorn 0.54, 2026-11). This one takes its place, closes these gaps and answers what it
refuses in the shape of an OpenAI error. It must stay cheap (an ordinary request pays one call for each
thing that the parser finds, and no timer) and must never know a route, a key or a model: that is the application's.

One contract with the application, in the ASGI scope: a callable put at ``scope["orcestator.on_disconnect"]`` is called
once, from the event loop and without arguments, when the caller is gone before its response is complete. It must not
block and must not raise. An application that puts it there before its first ``await`` and then reads the body misses
nothing: the body ends in ``http.disconnect`` when the caller left earlier.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast
from urllib.parse import unquote
from uuid import uuid4

import httptools
import uvicorn
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from orcestator.errors import InvalidRequest, OrcestatorError, Overloaded, RequestTooSlow
from orcestator.server.connection_limits import ConnectionLimits, peer
from orcestator.server.request_cycle import BODY_HIGH_WATER_BYTES, RequestCycle
from orcestator.server.request_head import (
    METHODS,
    ORDINARY_FIELDS,
    WATCHED_FIELDS,
    check_host,
    check_old_version,
    check_repeats,
    check_unusual,
    explain,
    head_too_large,
    refuse_target,
    refuse_websocket,
    response,
    status,
    too_large,
)

ON_DISCONNECT = "orcestator.on_disconnect"

OnRejected = Callable[[int, str, str], None]
"""Told the status, the error code and the request id of every request (or connection) that the edge refused."""
PageMarks = Callable[[bytes], list[tuple[bytes, bytes]]]
"""Gives the headers by which a page of this origin may read a refusal, as it may read what the application answers."""


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What one connection may cost. Sizes are in bytes, times in seconds; a count of 0 means no limit."""

    max_header_bytes: int = 32 * 1024  # request line and header fields together
    max_header_fields: int = 100
    max_url_bytes: int = 16 * 1024
    max_body_bytes: int = 32 * 1024 * 1024
    header_timeout: float = 10.0  # from the first byte of a request, for the first one from the connection's opening
    body_timeout: float = 10.0  # between two body bytes; of the whole body this, and a second for each least_body_rate
    least_body_rate: int = 16 * 1024  # bytes a second: one that drips may not hold its place for ever
    write_stall_seconds: float = 60.0  # a caller that does not read what we write
    linger_seconds: float = 2.0  # how long a refused caller may take to read why
    keep_alive_seconds: int = 75  # an idle connection between two requests
    max_connections: int = 4096
    max_connections_per_peer: int = 200  # raise it behind a reverse proxy: all its callers are one peer
    max_pipelined: int = 128  # requests of one connection that wait for an earlier one


_LINGERING_AT_ONCE = 256
"""Connections over the limit that are told so at one time; beyond it they are closed without a word."""


def _too_slow(in_body: bool, seconds: float, *, is_dripping: bool = False) -> RequestTooSlow:
    if is_dripping:
        return RequestTooSlow("The request body comes too slowly.", code="body_too_slow")
    if in_body:
        return RequestTooSlow(f"The request body is not complete, and nothing came of it for {seconds:g} seconds.")
    return RequestTooSlow(f"The request headers were not complete after {seconds:g} seconds.")


_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


def _parser_for(protocol: "EdgeProtocol") -> httptools.HttpRequestParser:
    """A parser that lets a pipelined request be answered although the one before it ends the connection."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _send_at_once(transport: asyncio.Transport) -> None:
    """Switch Nagle's algorithm off.

    asyncio does so only for sockets that name TCP as their protocol; those accepted from a listener that was opened
    elsewhere and handed to uvicorn do not, and each response would wait 40 ms for the caller's delayed
    acknowledgement (CPython 3.11, measured 2026-11).
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # the caller may be gone already
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class EdgeProtocol(asyncio.Protocol):
    """One connection. Use ``edge_protocol``, which binds the limits.

    It takes the place of uvicorn's protocol in uvicorn's server, which counts connections, tasks and requests, sets the headers of every
    answer and calls ``shutdown``. What is the same for every request of a connection is made once, and a request pays one call for each
    thing that the parser found.
    """

    __slots__ = (
        "_admitted", "_app", "_body_began", "_body_bytes", "_can_read_at", "_chunk_bytes", "_client", "_deaf", "_drained", "_head_of_line",
        "_headers", "_host", "_idle_since", "_in_body", "_is_read_paused", "_keep_alive_seconds", "_linger_timer", "_parser", "_peer",
        "_pipeline", "_raw_bytes", "_refusal", "_root_path", "_scheme", "_server", "_shared_bytes", "_stall_timer", "_url", "_waiting_since",
        "_watchdog", "cycle", "loop", "server_state", "transport", "write_paused",
    )  # fmt: skip

    limits: ClassVar[EdgeLimits]
    connection_limits: ClassVar[ConnectionLimits]
    on_rejected: ClassVar["staticmethod[[int, str, str], None]"]
    page_marks: ClassVar["staticmethod[[bytes], list[tuple[bytes, bytes]]]"]

    transport: asyncio.Transport

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn's server makes a protocol; an application's state comes with a lifespan, which nothing here has."""
        if not config.loaded:
            config.load()
        self.loop = _loop or asyncio.get_running_loop()
        self.server_state = server_state
        self._app = config.loaded_app
        self._root_path = config.root_path
        self._keep_alive_seconds = config.timeout_keep_alive
        self._parser = _parser_for(self)
        # The connection
        self._server: tuple[str, int | None] | None = None
        self._client: tuple[str, int] | None = None
        self._scheme = "http"
        self._peer: str | None = None
        self._admitted = False
        self.cycle: RequestCycle | None = None  # the request that was read last
        self._pipeline: deque[RequestCycle] = deque()
        self._head_of_line: RequestCycle | None = None  # the request that those in the pipeline wait for
        self._refusal: OrcestatorError | None = None  # to be answered when the requests before it are
        self._deaf = False  # the connection is over: what still comes is read and dropped
        self._host: bytes | None = None  # the last Host that was found good
        self._is_read_paused = False
        self._can_read_at = 0.0  # when we began to read again: until then a silence was ours, not the caller's
        self.write_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._waiting_since = 0.0  # when the wait for a request, or for more of its body, began
        self._idle_since = 0.0  # when the last response was complete
        # The request
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_body = False  # from the end of the headers to the end of the body
        self._raw_bytes = 0  # received since the message began or since its last body byte
        self._chunk_bytes = 0  # size of the last read
        self._shared_bytes = 0  # size of the read that ended the message before: it may hold bytes of this one
        self._body_bytes = 0
        self._body_began = 0.0  # when a read first ended inside the body; 0.0 where none did

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away when there are too many."""
        self.transport = cast(asyncio.Transport, transport)
        self.server_state.connections.add(cast(Any, self))
        self._server = get_local_addr(self.transport)
        self._client = get_remote_addr(self.transport)
        self._scheme = "https" if is_ssl(self.transport) else "http"
        _send_at_once(self.transport)
        self._peer = peer(self._client[0]) if self._client else None
        self._admitted = self.connection_limits.admit(self._peer)
        if self._admitted:
            self._waiting_since = self.loop.time()
            self._watch(self.limits.header_timeout)
        else:
            self._turn_away()

    def _turn_away(self) -> None:
        if self.connection_limits.lingering >= _LINGERING_AT_ONCE:
            self._deaf = True
            self.transport.abort()
            return
        headers = {"retry-after": "1"}
        self._answer(Overloaded("Too many open connections.", code="too_many_connections", headers=headers))

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what the connection held; requests that wait behind the running one are never started."""
        self._cancel_timers()
        if self._admitted:
            self.connection_limits.leave(self._peer)
        self.server_state.connections.discard(cast(Any, self))
        running = self._running()
        for cycle in (self.cycle, running):
            if cycle is not None:
                cycle.disconnected = cycle.disconnected or not cycle.response_complete
                cycle.wake()
        self._be_writable()
        if exc is None:
            self.transport.close()
        del self._parser  # it holds this connection, which holds it
        if running is not None and not running.response_complete:
            self._abandon(running)
        self.cycle = self._head_of_line = None  # they hold this connection, which holds them
        self._pipeline.clear()

    def eof_received(self) -> None:
        """The caller has ended its side; the transport closes ours."""

    def shutdown(self) -> None:
        """The server ends: close, after the answer that is on its way."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _running(self) -> RequestCycle | None:
        """The request that the application works on, or the last one it worked on."""
        return self._head_of_line if self._pipeline else self.cycle

    def _cancel_timers(self) -> None:
        for timer in (self._watchdog, self._stall_timer):
            if timer is not None:
                timer.cancel()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self.connection_limits.lingering -= 1
        self._watchdog = self._stall_timer = self._linger_timer = None

    def _abandon(self, cycle: RequestCycle) -> None:
        """Tell the application that nobody waits for this response any more."""
        cycle.disconnected = True
        cycle.expects_continue = False
        cycle.wake()
        on_disconnect = cycle.scope.pop(ON_DISCONNECT, None)
        if on_disconnect is not None:
            on_disconnect()

    # Reading a request

    def data_received(self, data: bytes) -> None:
        """Feed the parser; afterwards, watch a request that is still incomplete."""
        if self._deaf:
            return
        self._chunk_bytes = size = len(data)
        self._raw_bytes += size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as failure:
            self._reject(explain(failure))
        except httptools.HttpParserUpgrade as declined:
            self._feed_without_upgrade(data[declined.args[0] :])
        if self._in_body or self._raw_bytes:
            self._watch_incomplete()

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Read a request again as if it had not offered h2c, which Java's client does with every first request.

        The parser treats an upgrade as the end of HTTP and drops the body, so a new one gets the head without the
        offer and then what followed it (httptools 0.9, checked 2026-11).
        """
        while True:
            data = self._head_without_upgrade() + rest
            self._url, self._headers = b"", []
            self._parser = _parser_for(self)
            try:
                return self._parser.feed_data(data)
            except httptools.HttpParserError as failure:
                return self._reject(explain(failure))
            except httptools.HttpParserUpgrade as declined:
                rest = data[declined.args[0] :]

    def _head_without_upgrade(self) -> bytes:
        lines = [self._parser.get_method(), b" ", self._url, b" HTTP/1.1\r\n"]
        for name, value in self._headers:
            if name == b"connection":
                value = b"close" if b"close" in value.lower() else b"keep-alive"  # noqa: PLW2901
            if name not in (b"upgrade", b"http2-settings"):
                lines += [name, b": ", value, b"\r\n"]
        return b"".join([*lines, b"\r\n"])

    def on_url(self, url: bytes) -> None:
        """A piece of the target: it may come in several reads."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer's: those come after the head was taken, and are dropped with the next one."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head and start the application, unless the caller offered an upgrade that we decline."""
        parser, headers, url = self._parser, self._headers, self._url
        method = parser.get_method()
        fields = dict(headers)
        expects_continue = self._check_head(method, url, headers, fields)
        if b"upgrade" in fields and parser.should_upgrade():
            if b"websocket" in fields[b"upgrade"].lower():
                refuse_websocket()
            return
        version = parser.get_http_version()
        raw_path, query = url, b""
        if b"?" in url or b"#" in url:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path, parsed.query or b""
        path = raw_path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": METHODS[method],
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "root_path": self._root_path,
            "path": self._root_path + (unquote(path) if "%" in path else path),
            "raw_path": self._root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "state": {},
        }
        keep_alive = version != "1.0" and parser.should_keep_alive()
        before = self.cycle
        self.cycle = cycle = RequestCycle(self, scope, keep_alive=keep_alive, expects_continue=expects_continue)
        # The scope keeps its list: trailer fields must not become headers.
        self._url, self._headers = b"", []
        self._in_body = True
        self._raw_bytes = self._body_bytes = 0
        self._body_began = 0.0
        if before is None or before.response_complete:
            self._start(cycle)
        else:
            self._pipeline.appendleft(cycle)
            self._line_up(before)

    def _start(self, cycle: RequestCycle) -> None:
        """Start the application."""
        task = cycle.task = self.loop.create_task(self._app(cycle.scope, cycle.receive, cycle.send))
        tasks = self.server_state.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(cycle.ended)

    def _line_up(self, before: RequestCycle) -> None:
        """The new request waits for the one ``before`` it."""
        if len(self._pipeline) == 1:
            self._head_of_line = before
        if len(self._pipeline) > self.limits.max_pipelined:
            raise InvalidRequest("Too many pipelined requests.", code="too_many_pipelined_requests")

    def _check_head(
        self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]
    ) -> bool:
        """Whether the caller waits to be told to go on before it sends the body."""
        limits = self.limits
        if self._raw_bytes + self._shared_bytes > limits.max_url_bytes or len(headers) > limits.max_header_fields:
            self._check_head_size(limits)
        if method not in METHODS or url[:1] != b"/":
            refuse_target(method)
        watched = WATCHED_FIELDS.intersection(fields)
        if len(fields) != len(headers):
            check_repeats(headers)
        version = self._parser.get_http_version()
        if version != "1.1":
            check_old_version(version, fields)
        host = fields.get(b"host")
        if host is None or host != self._host:
            self._check_host(host, version)
        if int(fields.get(b"content-length", 0)) > limits.max_body_bytes:
            raise too_large(limits.max_body_bytes)
        if ORDINARY_FIELDS.issuperset(watched):
            return False
        check_unusual(fields)
        return fields.get(b"expect", b"").lower() == b"100-continue"

    def _check_head_size(self, limits: EdgeLimits) -> None:
        """What was read may hold bytes of the body, or of the request before: count this head alone."""
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        fits = size <= limits.max_header_bytes and len(self._url) <= limits.max_url_bytes
        if not fits or len(self._headers) > limits.max_header_fields:
            raise self._head_too_large()

    def _head_too_large(self) -> InvalidRequest:
        limits = self.limits
        return head_too_large(
            self._url,
            max_url_bytes=limits.max_url_bytes,
            max_header_bytes=limits.max_header_bytes,
            max_header_fields=limits.max_header_fields,
        )

    def _check_host(self, host: bytes | None, version: str) -> None:
        if host is None and version == "1.0":
            return
        check_host(host or b"")
        self._host = host

    def on_body(self, body: bytes) -> None:
        """Count the body: one without a Content-Length is refused as soon as it is too large."""
        self._raw_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            raise too_large(self.limits.max_body_bytes)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and cycle.feed(body) > BODY_HIGH_WATER_BYTES:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """Be ready for the next request."""
        if not self._in_body:
            return  # the head that offered an upgrade; it is read again without the offer
        self._in_body = False
        self._raw_bytes = 0
        self._shared_bytes = self._chunk_bytes
        if self._headers:
            self._headers = []  # trailers
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.end_of_body()

    def _pause_reading(self) -> None:
        if not self._is_read_paused:
            self._is_read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Whoever reads the body has taken what was there."""
        if self._is_read_paused:
            self._is_read_paused = False
            self._can_read_at = self.loop.time()
            self.transport.resume_reading()

    # Waiting for the caller

    def _watch_incomplete(self) -> None:
        """A read has ended inside a head or a body."""
        if self._deaf:
            return
        if self._raw_bytes > self.limits.max_header_bytes:
            # In a body these are chunk extensions or trailers, which nothing else bounds.
            self._reject(self._head_too_large())
        elif self._in_body:
            if not self._raw_bytes:
                self._waiting_since = self.loop.time()
            self._body_began = self._body_began or self.loop.time()
            self._watch(self.limits.body_timeout)
        else:
            if self._raw_bytes == self._chunk_bytes and self.cycle is not None:
                self._waiting_since = self.loop.time()
            self._watch(self.limits.header_timeout)

    def _watch(self, seconds: float) -> None:
        """Have the watchdog look in at most so many seconds."""
        if self._watchdog is not None:
            if self._watchdog.when() <= self.loop.time() + seconds:
                return
            self._watchdog.cancel()
        self._watchdog = self.loop.call_later(seconds, self._on_watchdog)

    def _on_watchdog(self) -> None:
        """Look whether the caller is late. The timer is lazy: no byte and no request moves it, it looks again."""
        self._watchdog = None
        if self._deaf or self.transport.is_closing():
            return
        if self._in_body or self._raw_bytes or self.cycle is None:
            self._look_at_request(self.loop.time())
        elif self.cycle.response_complete:
            self._look_at_silence(self.loop.time())

    def _look_at_request(self, now: float) -> None:
        allowed = self.limits.body_timeout if self._in_body else self.limits.header_timeout
        cycle = self.cycle
        if self._is_read_paused or (self._in_body and cycle is not None and cycle.expects_continue):
            self._waiting_since = self._body_began = now  # it is us who do not read
        left = max(self._waiting_since, self._can_read_at) + allowed - now
        left_in_all = left
        if self._in_body:
            earned = self._body_bytes / self.limits.least_body_rate
            left_in_all = max(self._body_began, self._can_read_at) + allowed + earned - now
        if min(left, left_in_all) > 0:
            self._watch(min(left, left_in_all))
        else:
            self._reject(_too_slow(self._in_body, allowed, is_dripping=left > 0))

    def _look_at_silence(self, now: float) -> None:
        left = self._idle_since + self._keep_alive_seconds - now
        if left > 0:
            self._watch(left)
        else:
            self.transport.close()
            self._bound_flush()

    def pause_writing(self) -> None:
        """The caller does not read as fast as we write: it must go on within ``write_stall_seconds``."""
        self.write_paused = True
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.limits.write_stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again."""
        self._be_writable()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _be_writable(self) -> None:
        self.write_paused = False
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    async def drain(self) -> None:
        """Wait until the caller has taken most of what was written, or is gone."""
        while self.write_paused:
            if self._drained is None:
                self._drained = self.loop.create_future()
            await asyncio.shield(self._drained)

    # Answering

    def on_response_complete(self) -> None:
        """Go on with the next pipelined request, the refusal that waited for its turn, or wait for the caller.

        In place of uvicorn's, which makes and cancels a timer for every request.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._bound_flush()
            return
        cycle = self.cycle
        if self._in_body and cycle is not None and cycle.response_complete and not self._deaf:
            # Whoever has its answer has no more to say here, and would keep the place for as long as it says it.
            self._end()
            return
        if self._is_read_paused:
            self.resume_reading()
        if self._pipeline:
            self._head_of_line = self._pipeline.pop()
            self._start(self._head_of_line)
        elif self._refusal is not None:
            self._answer(self._refusal)
        else:
            self._idle_since = self.loop.time()
            if self._watchdog is None:
                self._watchdog = self.loop.call_later(self._keep_alive_seconds, self._on_watchdog)

    def _bound_flush(self) -> None:
        """A transport that closes waits for ever until its caller has read the rest."""
        if self._stall_timer is None and self.transport.get_write_buffer_size():
            self._stall_timer = self.loop.call_later(self.limits.write_stall_seconds, self.transport.abort)

    def _reject(self, error: OrcestatorError) -> None:
        """Refuse the request being read, in its turn; nothing that comes after it is read."""
        self._deaf = True
        if self._in_body and self.cycle is not None:
            if self.cycle is self._running():
                self._reject_running(self.cycle, error)
                return
            self._pipeline.popleft()
            self.cycle = self._pipeline[0] if self._pipeline else self._head_of_line
        if self.cycle is None or self.cycle.response_complete:
            self._answer(error)
        else:
            self._refusal = error

    def _reject_running(self, cycle: RequestCycle, error: OrcestatorError) -> None:
        """Refuse a request that the application works on, unless its response is on the way: then just end."""
        if not cycle.response_complete:
            self._abandon(cycle)
        if cycle.response_started:
            self._end()
        else:
            self._answer(error)

    def _answer(self, error: OrcestatorError) -> None:
        request_id = f"req_{uuid4().hex}"
        self.on_rejected(status(error), error.code or error.type, request_id)
        headers = self.cycle.scope["headers"] if self._in_body and self.cycle is not None else self._headers
        origin = dict(headers).get(b"origin")
        marks = [] if origin is None else self.page_marks(origin)
        self.transport.write(response(error, request_id, [*self.server_state.default_headers, *marks]))
        self._end()

    def _end(self) -> None:
        """Close in a way that lets the caller read what was written.

        Closing a socket with unread bytes resets the connection, and a reset discards what the caller has not read
        yet. So we end our side only, and drop what comes until the caller ends its own or ``linger_seconds`` pass.
        """
        self._deaf = True
        self.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self.connection_limits.lingering += 1
        self._linger_timer = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)


def edge_protocol(limits: EdgeLimits, on_rejected: OnRejected, page_marks: PageMarks) -> type[EdgeProtocol]:
    """The protocol class for one server, with its limits and its own count of connections."""
    bound = {
        "limits": limits,
        "connection_limits": ConnectionLimits(limits.max_connections, limits.max_connections_per_peer),
        "on_rejected": staticmethod(on_rejected),
        "page_marks": staticmethod(page_marks),
    }
    return type("BoundEdgeProtocol", (EdgeProtocol,), {"__slots__": (), **bound})
