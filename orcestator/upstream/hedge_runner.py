"""What the attempt loop needs of the event loop: a race of two attempts, a bound on one, a place to wait in.

A race costs a request that nobody hedges one timer: its attempt runs in the caller's own task, and only a second one gets a task
of its own. When the second speaks first, the first is cut the way ``asyncio.timeout`` cuts what it bounds: the caller's task is
cancelled, and the cancellation taken back here, unless somebody else asked for one, too.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from orcestator.errors import OrcestatorError, UpstreamTimeout
from orcestator.upstream.call import Answer, WholeAnswer

T = TypeVar("T")


def close_answer(answer: Answer) -> None:
    """Free the connection of an answer that nobody takes."""
    if not isinstance(answer, WholeAnswer):
        answer.close()


class FutureSeat:
    """A place to wait in, on a future of the running event loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    def wake(self) -> None:
        """End the wait."""
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Until ``wake`` was called, at most this long."""
        timer = self._loop.call_later(seconds, self.wake)
        try:
            await self._future
        finally:
            timer.cancel()


class AsyncioConcurrency(Generic[T]):
    """The attempt loop's ``Concurrency`` on asyncio's event loop, or any other with its interface.

    All races share one timer, set to the earliest of them: a timer for each would cost more than the rest of the race.
    """

    __slots__ = ("_alarm", "_alarm_at", "_duels", "_loop", "discard")

    def __init__(self, discard: Callable[[T], None]) -> None:
        """``discard`` closes an answer that nobody takes."""
        self.discard = discard
        self._loop: asyncio.AbstractEventLoop | None = None
        self._duels: set[_Duel[T]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    async def race(self, first: Awaitable[T], delay: float, second: Callable[[], Coroutine[Any, Any, T] | None]) -> T:
        """The answer that is there first; see ``Concurrency.race``. Nothing is left running."""
        duel = self._begun(delay, second)
        try:
            return await first
        except OrcestatorError:
            if duel.task is None or duel.has_failed:
                raise
            return await duel.after_failure()
        except asyncio.CancelledError:
            if duel.task is None or not duel.has_won or not duel.is_left_to_us():
                raise
            return duel.task.result()
        finally:
            self._duels.discard(duel)
            if duel.task is not None:
                duel.end()

    def _begun(self, delay: float, second: Callable[[], Coroutine[Any, Any, T] | None]) -> "_Duel[T]":
        loop, caller = asyncio.get_running_loop(), asyncio.current_task()
        assert caller is not None, "a coroutine of asyncio runs in a task"
        if loop is not self._loop:
            # A program has one loop; a test may have several, one after the other.
            self._loop, self._alarm, self._alarm_at = loop, None, math.inf
            self._duels.clear()
        duel = _Duel(loop.time() + delay, second, caller)
        self._duels.add(duel)
        if duel.due < self._alarm_at:
            self._set_alarm(loop, duel.due)
        return duel

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = loop.call_at(at, self._ring, loop), at

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what is due, and set the alarm for the next; races that ended meanwhile are not among them."""
        now, self._alarm, self._alarm_at = max(loop.time(), self._alarm_at), None, math.inf
        for duel in [duel for duel in self._duels if duel.due <= now]:
            self._duels.discard(duel)
            duel.begin(loop)
        if self._duels:
            self._set_alarm(loop, min(duel.due for duel in self._duels))

    async def within(self, seconds: float, attempt: Awaitable[T]) -> T:
        """What is awaited. Raises UpstreamTimeout after ``seconds``."""
        try:
            async with asyncio.timeout(seconds) as bound:
                return await attempt
        except TimeoutError:
            if not bound.expired():
                raise
            raise UpstreamTimeout(
                f"Nothing came within the {seconds:g} s that one attempt may take.", cause="attempt_timeout"
            ) from None

    def seat(self) -> FutureSeat:
        """A place to wait in."""
        return FutureSeat()


class _Duel(Generic[T]):
    """The second attempt beside the first, which runs in the caller's task."""

    __slots__ = ("_before", "_caller", "_cut", "_first_runs", "_second", "due", "task")

    def __init__(
        self, due: float, second: Callable[[], Coroutine[Any, Any, T] | None], caller: asyncio.Task[Any]
    ) -> None:
        self.due = due
        self.task: asyncio.Task[T] | None = None
        self._second = second
        self._caller = caller
        self._before = caller.cancelling()
        self._first_runs = True
        self._cut = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The first is late."""
        coroutine = self._second()
        if coroutine is not None:
            self.task = loop.create_task(coroutine)
            self.task.add_done_callback(self._second_ended)

    @property
    def has_won(self) -> bool:
        """Whether the first was cut, because the second had an answer."""
        return self._cut

    @property
    def has_failed(self) -> bool:
        """Whether the second is over without an answer."""
        return self.task is not None and self.task.done() and self.task.exception() is not None

    async def after_failure(self) -> T:
        """The second goes on alone."""
        self._first_runs = False
        if not self.is_left_to_us():
            raise asyncio.CancelledError
        assert self.task is not None, "there is a second one"
        return await self.task

    def is_left_to_us(self) -> bool:
        """Take our cut back; False when the caller's task was cancelled by somebody else, too."""
        if not self._cut:
            return self._caller.cancelling() <= self._before
        self._cut = False
        return self._caller.uncancel() <= self._before

    def end(self) -> None:
        """Leave nothing behind."""
        self._first_runs = False
        if self._cut:
            self._cut = False
            self._caller.uncancel()
        if self.task is not None and not self.task.done():
            self.task.cancel()

    def _second_ended(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            if self._first_runs:
                self._cut = True
                self._caller.cancel()
        elif isinstance(error, OrcestatorError):
            error.kept()
        else:
            # A failed hedge fails nobody, but a bug has to be seen.
            task.get_loop().call_exception_handler({"message": "a bug ended a hedge", "exception": error, "task": task})
