"""The pulse beats while nothing is sent, never over something that is being sent, and stops for good."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from orcestator.gateway.keepalive import KeepAlive
from orcestator.server.request_cycle import RequestCycle

INTERVAL = 0.01


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine with a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(bounded())


class PresettableLoop(asyncio.SelectorEventLoop):
    """Its clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Beats:
    """Counts beats; one can be held up, as by a caller that does not read."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.count += 1


async def several(beats: Beats, count: int) -> None:
    """Until there were so many beats."""
    while beats.count < count:
        beats.begun.clear()
        await beats.begun.wait()


def test_it_beats_again_and_again() -> None:
    async def work() -> None:
        beats = Beats()
        pulse = KeepAlive(INTERVAL, beats)
        await several(beats, 3)
        await pulse.stop()

    run(work())


def test_what_is_sent_puts_the_next_beat_off() -> None:
    """A stream with events more often than the interval has no comments in it."""

    async def work() -> None:
        beats = Beats()
        pulse = KeepAlive(30.0, beats)
        pulse._last -= 29.0
        pulse.touched()
        pulse._due()
        assert beats.count == 0
        pulse._last -= 31.0
        pulse._due()
        await beats.begun.wait()
        await pulse.stop()
        assert beats.count == 1

    run(work())


def test_a_beat_that_fell_due_as_the_stream_ended_is_not_sent() -> None:
    """Nothing comes after ``[DONE]``."""

    async def work() -> None:
        beats = Beats()
        pulse = KeepAlive(30.0, beats)
        pulse._last -= 31.0
        pulse._due()
        await pulse.stop()
        assert beats.count == 0

    run(work())


def test_a_beat_that_is_being_sent_is_awaited() -> None:
    """Whoever settles or stops the pulse goes on only when the comment is out, so that nothing overtakes it."""

    async def work() -> None:
        beats = Beats()
        beats.may_end.clear()
        pulse = KeepAlive(INTERVAL, beats)
        await beats.begun.wait()
        settling = asyncio.create_task(pulse.settle())
        stopping = asyncio.create_task(pulse.stop())
        await asyncio.sleep(0)
        assert not settling.done()
        assert not stopping.done()
        beats.may_end.set()
        await asyncio.gather(settling, stopping)
        assert beats.count == 1

    run(work())


def test_a_slow_beat_is_not_doubled() -> None:
    """While one hangs, no further ones pile up behind it."""

    async def work() -> None:
        beats = Beats()
        beats.may_end.clear()
        pulse = KeepAlive(30.0, beats)
        for _ in range(3):
            pulse._last -= 31.0
            pulse._due()
            await asyncio.sleep(0)
        beats.may_end.set()
        await pulse.stop()
        assert beats.count == 1

    run(work())


def test_settling_without_a_beat_takes_no_time() -> None:
    async def work() -> None:
        pulse = KeepAlive(30.0, Beats())
        await pulse.settle()
        await pulse.stop()

    run(work())


def test_cancel_ends_a_beat() -> None:
    """The caller is gone: nobody waits for a comment to reach it."""

    async def work() -> None:
        beats = Beats()
        beats.may_end.clear()
        pulse = KeepAlive(INTERVAL, beats)
        await beats.begun.wait()
        pulse.cancel()
        await pulse.settle()
        assert beats.count == 0

    run(work())


def test_what_was_written_past_it_puts_the_next_beat_off_by_an_interval_and_not_by_two() -> None:
    """Frames are pushed to the caller without a word to the pulse: it looks for them often enough. Its own comments are none."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PresettableLoop)
        beats, cycle = Beats(), RequestCycle(cast(Any, None), {}, keep_alive=True, expects_continue=False)

        async def beat() -> None:
            cycle.writes += 1
            await beats()

        begun, interval = loop.time(), 1000.0
        pulse = KeepAlive(interval, beat, cycle)
        cycle.writes += 1
        at: list[float] = []
        while len(at) < 3:
            loop.ahead += interval / 8
            for _ in range(4):
                await asyncio.sleep(0)
            if beats.count > len(at):
                at.append(round((loop.time() - begun) / interval, 1))
        await pulse.stop()
        assert 1.0 <= at[0] <= 1.5
        assert at[1] - at[0] <= 1.2
        assert at[2] - at[1] <= 1.2

    with asyncio.Runner(loop_factory=PresettableLoop) as runner:
        runner.run(work())
