"""A connection pool for each origin, and the bulkhead around it: how many at once, who waits, who is turned away.

A slot is one running exchange. It is entered before a connection is looked for and left when the exchange is over,
however that happens; whoever holds a slot leaves it exactly once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from orcestator.errors import Overloaded, ShuttingDown, UpstreamError, UpstreamUnavailable
from orcestator.upstream.http.connection import Connection
from orcestator.upstream.http.dialing import Dialer
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

_CLOSED = "the upstream connections are closed"

_WIND_UP_SECONDS = 1.0
_WIND_UP_BYTES = 64 * 1024
_CLOSE_SECONDS = 1.0
"""How long cut connections may take to be gone: the loop needs a turn or two."""


class OriginPool:
    """At most ``limit`` exchanges and connections; at most ``max_waiting`` callers wait for a slot, first come first served."""

    def __init__(self, origin: Origin, dialer: Dialer, *, limit: int, max_waiting: int, keep_alive: float) -> None:
        """``keep_alive`` is how many seconds an idle connection is kept."""
        self.loop = asyncio.get_running_loop()
        self.origin = origin
        self.limit = limit
        self.in_use = 0
        self.host_line = b"Host: " + origin.authority.encode() + b"\r\n"
        if origin.proxy is not None and origin.scheme == "http":  # in a tunnel the proxy was told, and sees no request
            self.host_line += origin.proxy.header
        self._dialer = dialer
        self._max_waiting = max_waiting
        self._keep_alive = keep_alive
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._waiters: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._all_closed: asyncio.Future[None] | None = None

    @property
    def idle(self) -> int:
        """How many connections are open and unused."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many callers wait for a slot."""
        return len(self._waiters)

    # Slots.

    def try_enter(self) -> bool:
        """Take a slot if one is free; nobody waits while one is."""
        if self.in_use < self.limit:
            self.in_use += 1
            return True
        return False

    async def enter(self, patience: float) -> None:
        """Wait up to ``patience`` seconds for a slot and take it; raises ``Overloaded``."""
        if len(self._waiters) >= self._max_waiting:
            raise self._overloaded(patience)
        waiter: asyncio.Future[bool] = self.loop.create_future()
        self._waiters[waiter] = None
        timer = self.loop.call_later(patience, self._turn_away, waiter)
        try:
            has_slot = await waiter
        except asyncio.CancelledError:
            self._waiters.pop(waiter, None)
            if not waiter.cancelled() and waiter.result():
                self.leave()  # cancelled in the same moment that it was given a slot
            raise
        finally:
            timer.cancel()
        if not has_slot:
            raise self._closed() if self._all_closed is not None else self._overloaded(patience)

    def leave(self) -> None:
        """Give a slot back: to the first who waits, or to the pool."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(True)
                return
        self.in_use -= 1

    def _turn_away(self, waiter: "asyncio.Future[bool]") -> None:
        self._waiters.pop(waiter, None)
        if not waiter.done():
            waiter.set_result(False)

    def _overloaded(self, patience: float) -> Overloaded:
        milliseconds = max(1, round(patience * 1000))
        return Overloaded(
            f"all {self.limit} connections to {self.origin.host} are in use",
            code="pool_full",
            headers={"retry-after-ms": str(milliseconds), "retry-after": str(-(-milliseconds // 1000))},
        )

    # Connections, for those who hold a slot.

    def take_idle(self) -> Connection | None:
        """The connection that was used last, or None."""
        return self._idle.pop() if self._idle else None

    async def connect(self, timeouts: Timeouts, total_at: float) -> Connection:
        """A fresh connection; raises what ``Dialer.dial`` raises."""
        if self._all_closed is not None:
            raise self._closed()
        if self._idle and len(self._connections) >= self.limit:
            # Only after a stale connection: the others still count, and the one unused longest is the next to go stale.
            self._idle.pop(0).abort()
        connection = await self._dialer.dial(self.origin, self._build, timeouts, total_at)
        if self._all_closed is not None:
            connection.abort()
            raise self._closed()
        if connection.is_open:  # a peer may hang up at once
            self._connections.add(connection)
        return connection

    def end(self, connection: Connection) -> None:
        """An exchange is over: keep its connection if it can be used again, and leave the slot."""
        if connection.rest(self._keep_alive):
            self._idle.append(connection)
        if self._waiters:
            self.leave()
        else:
            self.in_use -= 1

    def wind_up(self, connection: Connection) -> None:
        """End an exchange whose answer is as good as over: its last bytes may come for a moment longer, unread."""
        connection.allow(_WIND_UP_SECONDS)
        self._wind_up(connection, _WIND_UP_BYTES)

    def _wind_up(self, connection: Connection, allowance: int) -> None:
        if connection.pieces:
            allowance -= len(connection.take())
        if connection.is_complete or connection.failure is not None or allowance < 0:
            self.end(connection)
        else:
            connection.expect().add_done_callback(lambda _: self._wind_up(connection, allowance))

    def break_off(self, failure: Callable[[], UpstreamError], *, begun: bool) -> None:
        """End the running exchanges, without ``begun`` only those whose answer has not begun."""
        for connection in list(self._connections):
            if connection.is_busy and not connection.is_complete and (begun or not connection.has_head):
                connection.fail(failure())

    def _build(self) -> Connection:
        return Connection(self.loop, self.origin.host, self._forget)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not connection.is_busy and connection in self._idle:
            self._idle.remove(connection)
        if self._all_closed is not None and not self._connections and not self._all_closed.done():
            self._all_closed.set_result(None)

    def _closed(self) -> ShuttingDown:
        return ShuttingDown(_CLOSED)

    async def close(self) -> None:
        """Turn everybody away, cut every connection and wait until they are gone; not for long, as nothing depends on it."""
        self._all_closed = self.loop.create_future()
        for waiter in list(self._waiters):
            self._turn_away(waiter)
        self._idle.clear()
        for connection in list(self._connections):
            connection.fail(UpstreamUnavailable(_CLOSED, cause="closed"))
        if self._connections:
            await asyncio.wait((self._all_closed,), timeout=_CLOSE_SECONDS)
