"""An event loop whose clock jumps: nothing waits, and the order of what happens is the same every time.

It carries no I/O. Tasks, timers, futures and ``asyncio.timeout`` work as they do elsewhere.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(RuntimeError):
    """Everything waits and no timer is set: in real time the program would hang."""


class _Clock:
    """Virtual seconds."""

    def __init__(self) -> None:
        self.now = 0.0


class _JumpingSelector(selectors.SelectSelector):
    """Takes registrations (a loop has a pipe to itself) and, instead of waiting for them, lets time pass."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready; the clock is moved on by ``timeout``."""
        if timeout is None:
            raise Deadlock("Everything waits for something that cannot happen: no timer is set.")
        if timeout > 0.0:
            self._clock.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. ``time()`` starts at 0.0 and moves only when everything waits."""

    def __init__(self) -> None:
        self._virtual = _Clock()
        super().__init__(_JumpingSelector(self._virtual))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end in virtual time. Raises what ``main`` raises, or Deadlock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
