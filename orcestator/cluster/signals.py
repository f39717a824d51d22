"""What SIGTERM and Ctrl-C mean: the first one drains, the second one ends at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

ENDED_BY_SECOND_SIGNAL = 130


class Stopping:
    """``event`` is set by the first signal; ``before_exit`` is called by the second one, for what outlives a process."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.before_exit: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()

    def install(self) -> None:
        """Take over the signals of this process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if sys.platform == "win32":
                signal.signal(number, lambda *_: self._loop.call_soon_threadsafe(self.signalled))
            else:
                self._loop.add_signal_handler(number, self.signalled)

    def signalled(self) -> None:
        """One more signal."""
        if self.event.is_set():
            # The user asked twice: no clean-up, no threads to wait for.
            for last_word in self.before_exit:
                last_word()
            os._exit(ENDED_BY_SECOND_SIGNAL)
        self.event.set()
