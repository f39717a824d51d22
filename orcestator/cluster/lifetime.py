"""The life of a serving process: start its parts in order, wait for a signal, drain, close them in reverse."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from orcestator.cluster.garbage import keep_pauses_short, put_the_start_aside
from orcestator.cluster.signals import Stopping
from orcestator.server.drain import Drain

logger = logging.getLogger(__name__)
LAME_DUCK_SECONDS = 0.2
"""The listener stays open this long after the last exchange, so that a refusal still reaches who is connecting."""


class Lifetime:
    """Background tasks and closers of one process."""

    def __init__(self) -> None:
        self.stopping = Stopping()
        self._tasks: list[asyncio.Task[Any]] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def run_beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run until the process ends. A bug in it is logged and stops the process: half a cluster helps nobody."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_end)
        self._tasks.append(task)
        return task

    def on_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Called at the end, last registered first."""
        self._closers.append(closer)

    async def wait(self, drain: Drain | None = None) -> None:
        """Until the first signal. Everything has started by now; ``drain`` knows of the requests that are being served."""
        put_the_start_aside()
        self.run_beside(keep_pauses_short(lambda: drain is None or not drain.active))
        await self.stopping.event.wait()

    async def close(self) -> None:
        """Stop background work, then close everything; one failing closer does not keep the others from closing."""
        self.stopping.event.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for closer in reversed(self._closers):
            try:
                await closer()
            except OSError:
                logger.exception("a part did not close cleanly")

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("a background task failed; stopping", exc_info=problem)
            self.stopping.event.set()


async def drain_exchanges(drain: Drain, seconds: float) -> None:
    """Refuse new requests, let running ones finish for ``seconds``, and interrupt the rest."""
    drain.begin()
    running = len(drain.active)
    if running:
        logger.info("shutting down: waiting up to %g s for %d running requests", seconds, running)
    interrupted = await drain.finish(seconds)
    if interrupted:
        logger.warning("shutting down: %d requests were still running and were told so", interrupted)
    await asyncio.sleep(LAME_DUCK_SECONDS)
