"""A writer writes everything it accepted, once and in order, or says how much it could not."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from orcestator.telemetry.background import BackgroundWriter
from tests.cluster.harness import until


class Shelf:
    """A target in memory; ``trouble`` is raised as long as it is set, and ``gate`` holds writes back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.trouble: Exception | None = None
        self.tried = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]

    def prepare(self) -> None: ...

    def write(self, items: Sequence[int]) -> None:
        self.tried.release()
        assert self.gate.wait(20)
        if self.trouble is not None:
            raise self.trouble
        self.batches.append(list(items))

    def close(self) -> None:
        self.is_closed = True


@contextmanager
def running(writer: BackgroundWriter[int]) -> Iterator[BackgroundWriter[int]]:
    writer.start()
    try:
        yield writer
    finally:
        writer.close(10)


def test_everything_is_written_in_order_and_in_batches() -> None:
    shelf = Shelf()
    with running(BackgroundWriter("shelf", shelf)) as writer:
        for number in range(5_000):
            writer(number)
    assert shelf.items == list(range(5_000))
    assert len(shelf.batches) < 500
    assert shelf.is_closed


def test_items_from_before_the_start_are_kept() -> None:
    shelf = Shelf()
    writer = BackgroundWriter("shelf", shelf)
    writer(1)
    with running(writer):
        pass
    assert shelf.items == [1]


def test_items_are_written_without_being_asked_for() -> None:
    shelf = Shelf()
    with running(BackgroundWriter("shelf", shelf)) as writer:
        writer(1)
        assert shelf.tried.acquire(timeout=20)


def test_the_first_item_waits_for_company() -> None:
    shelf = Shelf()
    with running(BackgroundWriter("shelf", shelf, window_seconds=1_000)) as writer:
        writer(1)
        assert not shelf.tried.acquire(timeout=0.1)
        writer(2)
        assert writer.flush(20)
    assert shelf.batches == [[1, 2]]


def test_flush_returns_when_all_is_written() -> None:
    shelf = Shelf()
    with running(BackgroundWriter("shelf", shelf, window_seconds=100)) as writer:
        for round_number in range(3):
            writer(round_number)
            assert writer.flush(20)
            assert shelf.items == list(range(round_number + 1))


def test_a_full_queue_drops_the_newest_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.gate.clear()
    with caplog.at_level(logging.ERROR), running(BackgroundWriter("shelf", shelf, capacity=10)) as writer:
        writer(0)
        assert shelf.tried.acquire(timeout=20)
        for number in range(1, 31):
            writer(number)
        assert writer.dropped == 20
        shelf.gate.set()
        assert writer.flush(20)
    assert shelf.items == list(range(11))
    assert [record.message for record in caplog.records] == [
        "shelf: the queue was full; records are being dropped and counted"
    ]


def test_without_keeping_a_failed_batch_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.trouble = OSError("no space left")
    with caplog.at_level(logging.ERROR), running(BackgroundWriter("shelf", shelf)) as writer:
        for number in range(3):
            writer(number)
            assert writer.flush(20)
        assert (writer.dropped, writer.failed_writes) == (3, 3)
        shelf.trouble = None
        writer(3)
    assert shelf.items == [3]
    assert len(caplog.records) == 1, "one line a minute, not one a failure"
    assert "no space left" in caplog.text


def test_a_kept_batch_is_tried_until_it_is_written() -> None:
    shelf = Shelf()
    shelf.trouble = OSError("database is locked")
    with running(BackgroundWriter("shelf", shelf, keeps_failed=True)) as writer:
        for number in range(3):
            writer(number)
        for _ in range(3):
            assert shelf.tried.acquire(timeout=20)
        shelf.trouble = None
        assert writer.flush(20)
        assert writer.dropped == 0
        assert writer.failed_writes >= 2
    assert shelf.items == [0, 1, 2]


def test_close_gives_up_at_its_deadline_and_says_what_was_lost(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.trouble = OSError("database is locked")
    writer = BackgroundWriter("shelf", shelf, keeps_failed=True)
    writer.start()
    for number in range(2_500):
        writer(number)
    assert shelf.tried.acquire(timeout=20)
    with caplog.at_level(logging.ERROR):
        writer.close(0.2)
    assert shelf.is_closed
    assert writer.dropped == 2_500
    assert "were lost" in caplog.text


def test_an_unforeseen_error_costs_its_batch_only(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.trouble = KeyError("a mistake")
    with caplog.at_level(logging.ERROR), running(BackgroundWriter("shelf", shelf, keeps_failed=True)) as writer:
        writer(1)
        assert writer.flush(20)
        shelf.trouble = None
        writer(2)
    assert shelf.items == [2]
    assert writer.dropped == 1
    assert "unexpected error" in caplog.text


def test_what_comes_after_close_is_counted() -> None:
    writer = BackgroundWriter("shelf", Shelf())
    with running(writer):
        pass
    writer(1)
    assert writer.dropped == 1


def test_closing_twice_or_without_a_start_is_harmless() -> None:
    writer: BackgroundWriter[int] = BackgroundWriter("shelf", Shelf())
    writer.close(1)
    with running(writer):
        writer.close(1)


PROGRAM = """
import sys
from orcestator.telemetry.background import BackgroundWriter
from tests.cluster.harness import until
class Printer:
    def prepare(self): pass
    def write(self, items): {write}
    def close(self): print("closed", flush=True)
writer = BackgroundWriter("printer", Printer(), keeps_failed=True)
writer.start()
writer("last words")
raise RuntimeError("the program dies")
"""


@pytest.mark.parametrize(
    ("write", "expected"), [("print(*items)", "last words\nclosed\n"), ("raise OSError('locked')", "closed\n")]
)
def test_a_program_that_dies_without_close_writes_and_ends(write: str, expected: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(write=write)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout == expected
    assert "the program dies" in child.stderr


def test_a_call_never_waits_for_the_target() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    finished = threading.Event()

    def many(writer: Callable[[int], None]) -> None:
        for number in range(1_000):
            writer(number)
        finished.set()

    with running(BackgroundWriter("shelf", shelf)) as writer:
        writer(-1)
        assert shelf.tried.acquire(timeout=20)
        threading.Thread(target=many, args=(writer,)).start()
        assert finished.wait(20)
        shelf.gate.set()


@pytest.mark.parametrize("keeps_failed", [True, False])
def test_a_target_fails_only_as_long_as_it_takes_nothing(keeps_failed: bool) -> None:
    """That it takes items again is found without one: nobody may come for hours."""
    shelf = Shelf()
    shelf.trouble = OSError("no space left")
    with running(BackgroundWriter("shelf", shelf, keeps_failed=keeps_failed)) as writer:
        assert not writer.is_failing
        writer(1)
        for _ in range(2):
            assert shelf.tried.acquire(timeout=20)
        assert writer.is_failing
        shelf.trouble = None
        until(lambda: not writer.is_failing, "it takes items again")
    assert shelf.items == ([1] if keeps_failed else [])


def test_a_target_that_is_tried_so_often_only_fails_no_longer_than_that() -> None:
    """Whether a receiver of notices is there again, only the next notice can tell."""
    shelf = Shelf()
    shelf.trouble = OSError("unreachable")
    writer = BackgroundWriter("shelf", shelf, keeps_failed=True, most_tries=2, first_pause_seconds=0.01)
    with running(writer):
        writer(1)
        assert writer.flush(20)
        assert (writer.is_failing, writer.dropped) == (False, 1)


def test_a_target_that_cannot_be_prepared_fails(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.trouble = OSError("locked")
    shelf.prepare = lambda: shelf.write([])  # type: ignore[method-assign]
    with running(BackgroundWriter("shelf", shelf, keeps_failed=True)) as writer:
        assert writer.flush(20)
        assert writer.is_failing
        shelf.trouble = None
        until(lambda: not writer.is_failing, "it takes items again")
    assert caplog.messages == ["shelf cannot be written: locked"]
