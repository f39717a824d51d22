"""Sends requests to upstreams over pooled HTTP/1.1 connections. It judges no answer and follows no redirect.

Its own choices are two: a request that dies with a kept-alive connection before any byte of an answer is sent once
more on a fresh one, and nothing else is ever repeated.
"""

import re
import ssl
from collections.abc import Callable

from orcestator.errors import (
    TOTAL_TIMEOUT,
    ShuttingDown,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.upstream.http.connection import MAX_HEAD_BYTES, Connection
from orcestator.upstream.http.decoding import Decoder, encoding_of
from orcestator.upstream.http.dialing import Dialer
from orcestator.upstream.http.headers import Headers
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.pool import OriginPool
from orcestator.upstream.http.resolver import Lookup, Resolver
from orcestator.upstream.http.response import LONGEST_EVENT_BYTES, EncodedResponse, Response
from orcestator.upstream.http.timeouts import Timeouts

__all__ = ["Response", "UpstreamClient"]

_BODILESS_METHODS = frozenset({b"GET", b"DELETE", b"OPTIONS"})
_UNSUPPORTED_METHODS = frozenset({b"HEAD", b"CONNECT"})  # their answers are framed differently, and nobody needs them

_ENCODED = re.compile(rb"\r\n(?:transfer|content)-encoding:", re.IGNORECASE)


class UpstreamClient:
    """The one HTTP client of a process; it belongs to the event loop of its first request."""

    def __init__(
        self,
        *,
        connections_per_origin: int = 512,
        pending_per_origin: int = 1024,
        keep_alive: float = 60.0,
        max_reply_bytes: int = 64 * 1024 * 1024,
        max_event_bytes: int = LONGEST_EVENT_BYTES,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        """Configure; nothing is opened.

        ``keep_alive`` is in seconds. ``ssl_context`` must verify. ``lookup`` replaces the system's resolver; behind an
        origin's proxy names are resolved by that, so that only addresses written as such are guarded here. Raises
        ``StartupProblem`` for settings that cannot work.
        """
        self._limit = connections_per_origin
        self._max_waiting = pending_per_origin
        self._keep_alive = keep_alive
        self._max_bytes = max_reply_bytes
        self._longest_event = max_event_bytes
        self._is_closed = False
        self._resolver = Resolver(lookup)
        self._dialer = Dialer(self._resolver, ssl_context)
        self._pools: dict[Origin, OriginPool] = {}

    async def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        header_block: bytes,
        body: bytes,
        timeouts: Timeouts,
        *,
        deadline: float | None = None,
    ) -> Response:
        """Send one request and return when the head of its answer is here, whatever its status.

        ``header_block`` is ``Name: value`` lines, each with its CRLF; Host and Content-Length are added. ``deadline``
        (the loop's time) ends the exchange earlier than ``timeouts.total`` would.

        Raises ``Overloaded`` when the origin's connections are all in use, ``UpstreamUnavailable``,
        ``UpstreamTimeout`` and ``UpstreamBroken``; their ``sent`` is false when nothing had left us.
        """
        pool = self._pools.get(origin) or self._open_pool(origin)
        now = pool.loop.time()
        total_at = now + timeouts.total
        if deadline is not None and deadline < total_at:
            total_at = deadline
            if deadline <= now:
                raise UpstreamTimeout("no time was left for the request", cause=TOTAL_TIMEOUT, sent=False)
        head = _request_head(
            method, path if origin.proxy is None else _target(origin, path), pool.host_line, header_block, len(body)
        )
        if not pool.try_enter():
            await pool.enter(min(timeouts.pool, total_at - now))
        connection = pool.take_idle()
        is_stale = False
        try:
            if connection is not None:
                await connection.begin(head, body, timeouts.first_byte, total_at)
                is_stale = not connection.has_head
                if is_stale:
                    _raise_unless_unheard(connection)
            if connection is None or is_stale:
                connection = await _exchange_fresh(pool, head, body, timeouts, total_at, is_repeated=is_stale)
            response = self._answer(connection, pool, timeouts.idle)
            response.longest_event = self._longest_event
            return response
        except BaseException:  # cancellation too: the answer is nobody's any more, and a slot must never leak
            if connection is not None:
                connection.abort()
            pool.leave()
            raise

    async def close(self) -> None:
        """Cut every connection; a running exchange ends in a failure. Nothing can be sent afterwards."""
        self._is_closed = True
        await self._resolver.close()
        for pool in self._pools.values():
            await pool.close()

    def in_use(self) -> int:
        """How many exchanges are running."""
        return sum(pool.in_use for pool in self._pools.values())

    def in_use_at(self, origin: Origin) -> int:
        """How many exchanges are running with one origin."""
        pool = self._pools.get(origin)
        return pool.in_use if pool is not None else 0

    def break_off(self, origin: Origin, failure: Callable[[], UpstreamError], *, begun: bool) -> None:
        """End the running exchanges with an origin that is known to send nothing more; without ``begun`` only those whose answer
        has not begun. ``failure`` makes the failure of each."""
        pool = self._pools.get(origin)
        if pool is not None:
            pool.break_off(failure, begun=begun)

    def idle(self) -> int:
        """How many open connections wait to be used again."""
        return sum(pool.idle for pool in self._pools.values())

    def waiting(self) -> int:
        """How many callers wait for a connection."""
        return sum(pool.waiting for pool in self._pools.values())

    def _open_pool(self, origin: Origin) -> OriginPool:
        if self._is_closed:
            raise ShuttingDown("the upstream connections are closed")
        pool = OriginPool(
            origin, self._dialer, limit=self._limit, max_waiting=self._max_waiting, keep_alive=self._keep_alive
        )
        self._pools[origin] = pool
        return pool

    def _answer(self, connection: Connection, pool: OriginPool, idle_seconds: float) -> Response:
        head = connection.answer_head()
        if len(head) > MAX_HEAD_BYTES:
            raise connection.too_large_head()
        headers = Headers(head)
        if _ENCODED.search(head) is not None:
            if b"transfer-encoding" in headers:
                _check_transfer(connection, headers)
            if b"content-encoding" in headers and (connection.pieces or not connection.is_complete):
                encoding = encoding_of(headers.get_all(b"content-encoding"))
                if encoding is not None:
                    decoder = Decoder(encoding, self._max_bytes)
                    return EncodedResponse(connection, pool, headers, idle_seconds, self._max_bytes, decoder)
        return Response(connection, pool, headers, idle_seconds, self._max_bytes)


def _target(origin: Origin, path: bytes) -> bytes:
    """What a proxy is asked for: the whole address (RFC 9112 §3.2.2), but inside a tunnel."""
    return b"http://" + origin.authority.encode() + path if origin.scheme == "http" else path


def _request_head(method: bytes, target: bytes, host_line: bytes, header_block: bytes, body_bytes: int) -> bytes:
    if len(target.split()) != 1 or method in _UNSUPPORTED_METHODS:
        raise ValueError(f"cannot be sent as a request: {method!r} {target!r}")
    if body_bytes == 0 and method in _BODILESS_METHODS:
        return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method, target, host_line, header_block)
    return b"%b %b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n" % (method, target, host_line, body_bytes, header_block)


def _raise_unless_unheard(connection: Connection) -> None:
    """The failure of an exchange, unless nothing of an answer was heard: then the connection was left before, and another one will do."""
    failure = connection.failure
    if failure is not None and not isinstance(failure, UpstreamUnavailable):
        raise failure.anew()


async def _exchange_fresh(
    pool: OriginPool, head: bytes, body: bytes, timeouts: Timeouts, total_at: float, *, is_repeated: bool
) -> Connection:
    """Exchange on a new connection; ``is_repeated`` says that the request has left us once already."""
    try:
        connection = await pool.connect(timeouts, total_at)
        try:
            await connection.begin(head, body, timeouts.first_byte, total_at)
            if not connection.has_head and connection.failure is not None:
                raise connection.failure.anew()
        except BaseException:  # cancelled or failed
            connection.abort()
            raise
    except UpstreamError as failure:
        failure.sent = failure.sent or is_repeated
        raise
    return connection


def _check_transfer(connection: Connection, headers: Headers) -> None:
    named = b",".join(headers.get_all(b"transfer-encoding")).strip().lower()
    if named != b"chunked":
        raise UpstreamBroken(f"{connection.name} answered in a transfer encoding nobody asked for", cause="encoding")
