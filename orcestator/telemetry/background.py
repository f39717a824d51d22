"""Takes the writing of events off the event loop: a bounded queue and one thread for each target.

Calling a ``BackgroundWriter`` puts one item into a queue and returns: no formatting, no I/O, no lock that can block.
It must never raise into a request, and never lose an item without counting it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)

CAPACITY = 100_000
"""Items that may wait. Over it the newest are dropped and counted: the oldest explain what went wrong."""
WINDOW_SECONDS = 0.05
"""How long the first item of a batch waits for company."""
LARGEST_BATCH = 1_000
"""Items handed to the target at once."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
"""The usual pause before a failed batch is tried again, and the longest it becomes."""
REPORT_SECONDS = 60.0
"""One line in the log for this long, however often a target fails."""
JOIN_SECONDS = 0.5
"""How long ``close`` waits at least for a thread that was told to give up."""
ORPHAN_LOOK_SECONDS = 1.0
"""How often an idle thread looks whether the program ended without ``close``."""

logger = logging.getLogger("orcestator.telemetry")


class Target(Protocol[Item_contra]):
    """Where items end up. All three methods are called in the writer's thread only."""

    def prepare(self) -> None:
        """Do what is slow before the first item comes. Raises OSError; ``write`` is called all the same."""

    def write(self, items: Sequence[Item_contra]) -> None:
        """Write all items, or none. Raises OSError when they could not be written.

        Without items it finds out whether some could be written now, where the last ones could not."""

    def close(self) -> None:
        """Let go of files and connections."""


class Undeliverable(Exception):
    """Raised by a target whose reader refused the batch: it would refuse it again, so it is dropped and counted."""


class BackgroundWriter(Generic[Item]):
    """A callable that hands its items to ``target`` in a thread, at most ``window_seconds`` after the first.

    With ``keeps_failed`` a batch that could not be written is tried again until it can, until it was tried ``most_tries``
    times (0: no limit), or until ``close`` runs out of time; without it, the batch is dropped and counted. The pause
    before the next try begins with ``first_pause_seconds`` and doubles.
    """

    def __init__(
        self,
        name: str,
        target: Target[Item],
        *,
        keeps_failed: bool = False,
        most_tries: int = 0,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        capacity: int = CAPACITY,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self.name = name
        self.failed_writes = 0
        self.is_failing = False
        """Whether the target takes nothing now: the last write failed, and what it was about is not given up."""
        self._target = target
        self._keeps_failed = keeps_failed
        self._most_tries = most_tries
        self._first_pause_seconds = first_pause_seconds
        self._capacity = capacity
        self._window_seconds = window_seconds
        self._queue: SimpleQueue[Item | threading.Event] = SimpleQueue()
        self._overflowed = 0  # counted where items come in,
        self._unwritten = 0  # counted in the thread: two counters, so that neither needs a lock
        self._overflow_told = False
        self._next_report = 0.0
        self._closing = False
        self._hurry = threading.Event()
        self._give_up = threading.Event()
        # Not a daemon: the interpreter waits for it, so that what was accepted is written even without close().
        self._thread = threading.Thread(target=self._run, name=f"orcestator-{name}", daemon=False)

    def __call__(self, item: Item) -> None:
        """Queue one item. Costs well under a microsecond; never blocks, never raises."""
        if self._queue.qsize() < self._capacity:
            self._queue.put(item)
        else:
            self._overflowed += 1

    @property
    def dropped(self) -> int:
        """Items that will never be written."""
        return self._overflowed + self._unwritten

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing

    def start(self) -> None:
        """Start the thread. Items that came before are kept."""
        self._thread.start()

    def flush(self, deadline_seconds: float = 10.0) -> bool:
        """Block until everything queued so far is written or dropped; False when that took too long."""
        done = threading.Event()
        self._hurry.set()
        self._queue.put(done)
        return done.wait(deadline_seconds)

    def close(self, deadline_seconds: float) -> None:
        """Write what is queued and end the thread. Blocks; what is not written by the deadline is dropped, counted
        and logged. A write that is under way at the deadline is not cut short, and the thread ends after it."""
        if self._closing or self._thread.ident is None:
            return
        deadline = time.monotonic() + deadline_seconds
        self._capacity = 0
        self._closing = True
        self.flush(deadline_seconds)
        self._give_up.set()
        self._thread.join(max(JOIN_SECONDS, deadline - time.monotonic()))

    def _run(self) -> None:
        self._guarded(self._target.prepare, 0)
        while not (self._closing and self._queue.empty()):
            first = self._next()
            if first is not None:
                self._hurry.wait(self._window_seconds)
                self._write_batch(first)
        self._guarded(self._target.close, 0)

    def _next(self) -> Item | threading.Event | None:
        try:
            return self._queue.get(timeout=ORPHAN_LOOK_SECONDS)
        except Empty:
            self._closing = self._closing or _program_is_over()
            if self.is_failing:
                self._guarded(lambda: self._target.write([]), 0)
            return None

    def _write_batch(self, first: Item | threading.Event) -> None:
        taken = [first]
        waiting = min(self._queue.qsize(), LARGEST_BATCH - 1)
        taken += [self._queue.get_nowait() for _ in range(waiting)]
        items = [each for each in taken if not isinstance(each, threading.Event)]
        if items:
            self._write_until_done(items)
        if len(items) < len(taken):
            self._wake_flushers(taken)
        self._tell_overflow()

    def _wake_flushers(self, taken: list[Item | threading.Event]) -> None:
        if not self._closing:
            self._hurry.clear()
        for each in taken:
            if isinstance(each, threading.Event):
                each.set()

    def _write_until_done(self, items: list[Item]) -> None:
        pause = self._first_pause_seconds
        tries = 0
        while not self._give_up.is_set():
            if self._guarded(lambda: self._target.write(items), len(items)):
                return
            tries += 1
            if not self._keeps_failed or tries == self._most_tries or _program_is_over():
                break
            self._give_up.wait(pause)
            pause = min(2 * pause, max(LONGEST_PAUSE_SECONDS, self._first_pause_seconds))
        self._drop(items)

    def _drop(self, items: list[Item]) -> None:
        self._unwritten += len(items)
        # Whether one that is tried so often only would take the next item, nobody knows before there is one.
        self.is_failing = not self._most_tries
        if _program_is_over():
            self._give_up.set()  # The interpreter waits for this thread: it must not fail batch after batch.
        if self._keeps_failed:
            logger.error("%s: %d records were lost, they could not be written in time", self.name, len(items))

    def _guarded(self, step: Callable[[], None], items: int) -> bool:
        try:
            step()
        except OSError as problem:
            self.failed_writes += 1
            self.is_failing = True
            self._report(problem, items, "will be tried again" if self._keeps_failed else "are lost")
            return False
        except Undeliverable as refusal:
            self.failed_writes += 1
            self._unwritten += items
            self._report(refusal, items, "are lost")
        # The edge of a thread: an error nobody foresaw must not end the writing for good, nor be tried again.
        except Exception:
            self.failed_writes += 1
            self._unwritten += items
            logger.exception("%s: %d records were lost to an unexpected error", self.name, items)
        self.is_failing = False
        return True

    def _report(self, problem: Exception, items: int, what: str) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            end = f"; {items} records {what}" if items else ""
            logger.error("%s cannot be written: %s%s", self.name, problem, end)

    def _tell_overflow(self) -> None:
        if self._overflowed and not self._overflow_told:
            self._overflow_told = True
            logger.error("%s: the queue was full; records are being dropped and counted", self.name)


def _program_is_over() -> bool:
    return not threading.main_thread().is_alive()
