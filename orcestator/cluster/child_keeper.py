"""Keeps children alive: starts them, starts one again when it dies, and ends them in order."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence

from orcestator.cluster.child import Child
from orcestator.errors import StartupProblem

logger = logging.getLogger(__name__)
READY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 1.0
"""A child that served this long was well: when something kills it, it is restarted at once. One that dies sooner may
be unable to live, and restarting it in a hurry would burn the machine."""
REFUSED_TO_START = 2
"""The status of a program of ours that printed one sentence about why it cannot start."""
KILL_SIGNAL = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM


class ChildKeeper:
    """The children that are kept alive, each by a task of its own, until ``stopping`` is set."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._tasks: dict[Child, asyncio.Task[None]] = {}

    def keep(self, child: Child) -> None:
        """Start the child again whenever it dies, more slowly the more often it does."""
        self._tasks[child] = asyncio.create_task(self._restart_for_ever(child))

    def let_go(self, child: Child) -> None:
        """Leave the child to its end."""
        self._tasks.pop(child).cancel()

    def let_all_go(self) -> None:
        """Leave every child to its end."""
        for task in self._tasks.values():
            task.cancel()

    async def _restart_for_ever(self, child: Child) -> None:
        serving_since: float | None = time.monotonic()
        while True:
            status = await child.wait()
            if self._stopping.is_set():
                return
            was_well = serving_since is not None and time.monotonic() - serving_since > CALM_SECONDS
            child.failures = 1 if was_well else child.failures + 1
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (child.failures - 1))
            logger.error("%s ended with status %s; starting it again in %g s", child.name, status, pause)
            await asyncio.sleep(pause)
            await child.start_again()
            serving_since = time.monotonic() if await child.ready(READY_SECONDS) else None


async def start(children: Sequence[Child]) -> None:
    """Start these at once, and return when each of them serves. Raises StartupProblem when one does not."""
    for child in children:
        await child.start()
    await asyncio.gather(*map(_until_ready, children))


async def end(children: Sequence[Child], patience: float) -> None:
    """Ask these to end, and return when they have."""
    for child in children:
        child.stop()
    await asyncio.gather(*(_ended(child, patience) for child in children))


def kill(children: Sequence[Child]) -> None:
    """End these at once, the last first: an API server that outlived its workers would tell its callers of an upstream that failed."""
    for child in reversed(children):
        child.stop(KILL_SIGNAL)


async def _until_ready(child: Child) -> None:
    if await child.ready(READY_SECONDS):
        return
    if child.is_running:
        raise StartupProblem(f"The {child.name} was not ready within {READY_SECONDS:g} seconds.")
    raise _why_it_ended(child)


def _why_it_ended(child: Child) -> StartupProblem:
    """A program that refused to start has said why on our standard error: a second sentence would only hide it."""
    status = child.process.returncode if child.process is not None else None
    if status == REFUSED_TO_START:
        return StartupProblem("")
    return StartupProblem(f"The {child.name} ended with status {status} while starting.")


async def _ended(child: Child, patience: float) -> None:
    try:
        await asyncio.wait_for(child.wait(), patience)
    except TimeoutError:
        child.stop(KILL_SIGNAL)
        await child.wait()
