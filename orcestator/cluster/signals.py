"""What signals mean: the first SIGTERM or Ctrl-C drains, the second one ends at once, SIGHUP reads the configuration again."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from orcestator.cluster.pipe_rpc import PipeChannel, Pipes

ENDED_BY_SECOND_SIGNAL = 130


class Stopping:
    """``event`` is set by the first signal; ``before_exit`` is called by the second one, for what outlives a process."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.before_exit: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[Any]] = set()
        self.supervisor: PipeChannel | None = None
        """Who holds our standard input open and listens to our output, if anybody does."""

    def install(self, *, supervised: bool = False) -> None:
        """Take over the signals of this process. ``supervised``: end also when standard input closes.

        A supervisor holds the other end open; when it is killed, nothing else tells its children.
        """
        if supervised:
            pipes = Pipes()
            self.supervisor = PipeChannel(pipes.send)
            threading.Thread(
                target=self._listen, args=(pipes, self.supervisor), name="orcestator-supervisor-watch", daemon=True
            ).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            if sys.platform == "win32":
                signal.signal(number, lambda *_: self._loop.call_soon_threadsafe(self.signalled))
            else:
                self._loop.add_signal_handler(number, self.signalled)

    def on_hangup(self, reload: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run this on SIGHUP; Windows has none."""
        if sys.platform != "win32":
            self._loop.add_signal_handler(signal.SIGHUP, lambda: self._run(reload()))

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _listen(self, pipes: Pipes, supervisor: PipeChannel) -> None:
        # A loop that is already closed needs no telling.
        with contextlib.suppress(RuntimeError):
            pipes.listen(lambda piece: self._loop.call_soon_threadsafe(supervisor.feed, piece))
            self._loop.call_soon_threadsafe(supervisor.close)
            self._loop.call_soon_threadsafe(self.event.set)

    def signalled(self) -> None:
        """One more signal."""
        if self.event.is_set():
            # The user asked twice: no clean-up, no threads to wait for.
            for last_word in self.before_exit:
                last_word()
            os._exit(ENDED_BY_SECOND_SIGNAL)
        self.event.set()
