"""Keep-alive comments for a stream on which nothing comes. One lazily re-armed timer; a task only when it beats."""

import asyncio
from collections.abc import Awaitable, Callable

from orcestator.server.request_cycle import RequestCycle

_LOOKS = 4
"""How often in an interval it looks whether something was pushed past it."""


class KeepAlive:
    """Calls ``beat`` whenever ``interval`` seconds pass without ``touched``, and without anything written to ``cycle``."""

    __slots__ = ("_beat", "_cycle", "_has_ended", "_interval", "_last", "_loop", "_seen_writes", "_task", "_timer")

    def __init__(self, interval: float, beat: Callable[[], Awaitable[None]], cycle: RequestCycle | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._beat = beat
        self._cycle = cycle
        self._seen_writes = 0
        self._last = self._loop.time()
        self._has_ended = False
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval / _LOOKS if cycle else interval, self._due)

    def touched(self) -> None:
        """Something was sent."""
        self._last = self._loop.time()

    def _due(self) -> None:
        cycle = self._cycle
        if cycle is not None and cycle.writes != self._seen_writes:
            self._seen_writes = cycle.writes
            self._last = self._loop.time()
        quiet = self._loop.time() - self._last
        if quiet >= self._interval:
            self._last = self._loop.time()
            quiet = 0.0
            if self._task is None or self._task.done():
                self._task = self._loop.create_task(self._run())
        wait = self._interval - quiet
        self._timer = self._loop.call_later(min(wait, self._interval / _LOOKS) if cycle else wait, self._due)

    async def _run(self) -> None:
        # The stream may have ended in the same turn of the loop in which this beat fell due.
        if not self._has_ended:
            await self._beat()
            if self._cycle is not None:
                # A comment is no content: the next one is due an interval after it.
                self._seen_writes = self._cycle.writes

    async def settle(self) -> None:
        """Wait for a beat that is being sent, so that what is sent next cannot come before it."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """No further beat; one that is being sent is finished, so that it cannot fall between later bytes."""
        self._has_ended = True
        self._timer.cancel()
        await self.settle()

    def cancel(self) -> None:
        """Stop at once."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
