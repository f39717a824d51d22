"""Draining: what runs may finish, what is left is interrupted, and nobody waits longer than agreed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from orcestator.server.drain import Drain


class Running:
    """An exchange that ends when it is told to, or never."""

    def __init__(self, drain: Drain, *, obeys: bool = True) -> None:
        self.interrupted = False
        self._drain = drain
        self._obeys = obeys
        drain.active.add(self)

    def interrupt(self) -> None:
        """End, if it does."""
        self.interrupted = True
        if self._obeys:
            self.end()

    def end(self) -> None:
        """As an exchange ends."""
        self._drain.active.discard(self)
        self._drain.note_end()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine with a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(bounded())


def test_nothing_running_is_over_at_once() -> None:
    async def work() -> None:
        drain = Drain()
        assert not drain.is_draining
        drain.begin()
        assert drain.is_draining
        assert await drain.finish(300) == 0

    run(work())


def test_the_last_one_to_finish_ends_the_wait() -> None:
    """And none is interrupted."""

    async def work() -> None:
        drain = Drain()
        first, second = Running(drain), Running(drain)
        drain.begin()
        finishing = asyncio.create_task(drain.finish(300))
        await asyncio.sleep(0)
        first.end()
        await asyncio.sleep(0)
        assert not finishing.done()
        second.end()
        assert await finishing == 0
        assert not any(exchange.interrupted for exchange in (first, second))

    run(work())


def test_the_rest_is_interrupted() -> None:
    async def work() -> None:
        drain = Drain()
        left = [Running(drain) for _ in range(3)]
        drain.begin()
        assert await drain.finish(0.01) == 3
        assert all(exchange.interrupted for exchange in left)
        assert not drain.active

    run(work())


def test_one_that_does_not_obey_holds_nobody_up_for_ever() -> None:
    async def work() -> None:
        drain = Drain()
        stubborn, other = Running(drain, obeys=False), Running(drain)
        drain.begin()
        assert await drain.finish(0.01, grace_seconds=0.01) == 2
        assert drain.active == {stubborn}
        assert other.interrupted

    run(work())
