"""Measures how late the event loop runs its timers: the first sign of anything that blocks it.

Must never start a task of its own: a timer that sets itself again costs a few microseconds four times a second.
"""

import asyncio
from collections.abc import Callable

SAMPLE_SECONDS = 0.25
"""The time between two samples."""


class LoopLag:
    """Hands the delay in seconds of each sample to ``observe`` (``Metrics.observe_lag``)."""

    def __init__(self, observe: Callable[[float], None], sample_seconds: float = SAMPLE_SECONDS) -> None:
        self._observe = observe
        self._sample_seconds = sample_seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to sample the running loop."""
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """No further sample is taken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self._sample_seconds
        self._timer = loop.call_at(due, self._sample, loop, due)

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        # uvloop rounds timers to milliseconds and may be a little early.
        self._observe(max(0.0, loop.time() - due))
        self._schedule(loop)
