"""Kept responses in the file: found by every process and after a restart, by their owner only, within bounds."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orcestator.errors import InvalidRequest, RouteNotFound
from orcestator.gateway.conversations import PREVIOUS_NOT_FOUND, Conversations
from orcestator.json_text import Json
from orcestator.store.kept_responses import KeptResponses
from orcestator.store.kept_rows import KeptRows
from orcestator.store.kept_turns import Bounds, Change, Put
from orcestator.store.rows import Transaction
from orcestator.telemetry.background import BackgroundWriter
from tests.store.engines import kept_response_rows

if sys.platform != "win32":
    import resource

NOON = 1_763_726_400.0


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.time = NOON
        self.looks = 0
        self.second_look = threading.Event()

    def __call__(self) -> float:
        self.looks += 1
        if self.looks == 2:
            self.second_look.set()
        return self.time


class Process:
    """What one API server has: its memory, and a shelf with a writer of its own in the file of all."""

    def __init__(self, path: Path, *, is_shared: bool = True, started: bool = True, **more: Any) -> None:
        self.clock = more.pop("clock", None) or Clock()
        limits = {name: more.pop(name) for name in ("most_waiting_bytes",) if name in more}
        guarantees = {name: more.pop(name) for name in ("waits_seconds",) if name in more}
        rows = KeptRows(kept_response_rows(path, **guarantees), more.pop("bounds", Bounds()), self.clock)
        self.writer = BackgroundWriter[Change]("kept_responses", rows, keeps_failed=True, window_seconds=0.0)
        self.shelf = KeptResponses(rows, self.writer, self.writer.flush, is_shared=is_shared, **limits, **more)
        self.conversations = Conversations(self.clock, shelf=self.shelf)
        rows.prepare()  # so that what a test waits for is one row, and no import
        rows.close()
        if started:
            self.writer.start()

    async def turn(
        self, response_id: str, text: str = "", previous: str | None = None, owner: str = "caller-1", **more: Any
    ) -> list[Json]:
        """One request and its answer; the items that the model was given."""
        asked: Json = {"input": text or f"asked {response_id}", **more}
        asked |= {"previous_response_id": previous} if previous else {}
        body = await self.conversations.continued(owner, asked)
        self.conversations.keep(owner, asked, body, answer(response_id))
        given = body["input"]
        return given if isinstance(given, list) else [{"content": given}]

    def written(self) -> None:
        """Everything that waits is in the file."""
        assert self.writer.flush(20)


def answer(response_id: str) -> Json:
    """A response with one message."""
    content = [{"type": "output_text", "text": f"answered {response_id}", "annotations": []}]
    item = {"type": "message", "id": f"msg_{response_id}", "role": "assistant", "content": content}
    return {"id": response_id, "object": "response", "status": "completed", "output": [item], "usage": None}


@contextmanager
def processes(path: Path, count: int = 2, **more: Any) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        made = [Process(path, **more) for _ in range(count)]
        for process in made:
            stack.callback(process.writer.close, 20)
        yield made


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        return connection.execute(query).fetchall()


def texts(items: list[Json]) -> list[str]:
    """What was said, in order."""
    return [part["text"] for item in items for part in item["content"]]


async def is_unknown(process: Process, response_id: str, owner: str = "caller-1") -> bool:
    """Whether neither a turn nor a look finds it, with the errors that they have for that."""
    with pytest.raises(RouteNotFound):
        await process.conversations.response(owner, response_id)
    with pytest.raises(InvalidRequest) as caught:
        await process.conversations.continued(owner, {"input": "go on", "previous_response_id": response_id})
    return caught.value.code == PREVIOUS_NOT_FOUND


def test_twenty_turns_at_two_processes_in_turns(tmp_path: Path) -> None:
    """Each turn comes at once, to the process that did not keep the one before; every model sees everything."""
    with processes(tmp_path / "or.db") as pair:

        async def work() -> None:
            said: list[str] = []
            for number in range(20):
                previous = f"resp_{number - 1}" if number else None
                given = await pair[number % 2].turn(f"resp_{number}", previous=previous)
                said.append(f"asked resp_{number}")
                assert number == 0 or texts(given) == said
                said.append(f"answered resp_{number}")

        run(work())
        for process in pair:
            process.written()
    sizes = [size for (size,) in rows(tmp_path / "or.db", "SELECT size FROM kept_response ORDER BY id")]
    assert len(sizes) == 20
    assert max(sizes) < 1.1 * min(sizes), "a turn holds what is its own, not its history"
    assert rows(tmp_path / "or.db", "SELECT responses, size FROM kept_conversation") == [(20, sum(sizes))]
    assert pair[0].conversations.bytes <= sum(sizes), "nor is anything counted twice in memory"


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_row_that_is_being_written_is_waited_for(tmp_path: Path, is_shared: bool) -> None:
    """By who looks for it in another process; one that is alone knows that nobody else writes."""

    async def work() -> bool:
        late = Process(tmp_path / "or.db", started=False)
        other = Process(tmp_path / "or.db", is_shared=is_shared)
        await late.turn("resp_1")
        search = asyncio.create_task(other.shelf.find("caller-1", "resp_1"))
        if is_shared:
            assert await asyncio.to_thread(other.clock.second_look.wait, 10)
        else:
            await search
        late.writer.start()
        found = await search
        late.writer.close(20)
        other.writer.close(20)
        return bool(found)

    assert run(work()) is is_shared


def test_a_new_process_goes_on(tmp_path: Path) -> None:
    """After a restart: the conversation, the response as it was, what it was an answer to, its items by reference."""
    path = tmp_path / "or.db"
    with processes(path, 1) as (old,):
        run(old.turn("resp_1"))
        run(old.turn("resp_2", previous="resp_1"))
    with processes(path, 1, is_shared=False) as (new,):

        async def work() -> None:
            kept = new.conversations
            assert await kept.response("caller-1", "resp_2") == answer("resp_2")
            listed = await kept.input_items("caller-1", "resp_2", newest_first=False)
            assert texts(listed["data"]) == ["asked resp_1", "answered resp_1", "asked resp_2"]
            reference = {"type": "item_reference", "id": "msg_resp_1"}
            body = await kept.continued("caller-1", {"input": [reference, {"role": "user", "content": "and?"}]})
            assert body["input"][0] == answer("resp_1")["output"][0]
            given = await new.turn("resp_3", previous="resp_2")
            assert texts(given)[-2:] == ["answered resp_2", "asked resp_3"]

        run(work())


def test_nobody_sees_another_s(tmp_path: Path) -> None:
    """Neither a response nor an item."""
    path = tmp_path / "or.db"
    with processes(path, 2, is_shared=False) as (process, other):
        run(process.turn("resp_1"))
        process.written()
        for owner in ("caller-2", "caller-3", ""):
            assert run(is_unknown(other, "resp_1", owner))
            with pytest.raises(InvalidRequest, match="not kept here"):
                run(other.conversations.continued(owner, {"input": [{"type": "item_reference", "id": "msg_resp_1"}]}))
        assert run(other.conversations.response("caller-1", "resp_1")) == answer("resp_1")


def test_what_is_not_to_be_stored_is_not(tmp_path: Path) -> None:
    """``store: false``, in the file as in memory."""
    with processes(tmp_path / "or.db", 1, is_shared=False) as (process,):
        run(process.turn("resp_1", store=False))
        run(process.turn("resp_2"))
        process.written()
        assert run(is_unknown(process, "resp_1"))
    assert rows(tmp_path / "or.db", "SELECT response_id FROM kept_response") == [("resp_2",)]


def test_a_removed_response_is_gone_everywhere(tmp_path: Path) -> None:
    """Also from the memory of another process. Turns after it keep what they were told, until they go as well: then
    not a byte of it is in the file."""
    path = tmp_path / "or.db"
    with processes(path) as (here, there):

        async def work() -> None:
            await here.turn("resp_1", text="a secret word")
            await there.turn("resp_2", previous="resp_1")
            # Written after the removal, it would be a conversation of its own, which holds everything once more.
            there.written()
            await here.conversations.remove("caller-1", "resp_1")
            assert await is_unknown(here, "resp_1")
            assert await is_unknown(there, "resp_1")
            for process in (here, there, fresh):
                given = await process.turn("resp_3", previous="resp_2", store=False)
                assert texts(given)[:2] == ["a secret word", "answered resp_1"]
            await there.conversations.remove("caller-1", "resp_2")
            assert await is_unknown(here, "resp_2")

        with processes(path, 1) as (fresh,):
            run(work())
    assert rows(path, "SELECT removed, response, own, size FROM kept_response") == [(1, "", "", 0)] * 2
    assert rows(path, "SELECT size FROM kept_conversation") == [(0,)]
    assert rows(path, "SELECT * FROM kept_item") == []
    assert rows(path, "PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]
    assert b"secret word" not in path.read_bytes()


def test_a_turn_after_a_lost_one_has_its_history(tmp_path: Path) -> None:
    """The row before it was removed, or never written: a restart must not make a whole conversation half of one."""
    path = tmp_path / "or.db"
    with processes(path, 1, most_waiting_bytes=1000) as (old,):
        run(old.turn("resp_0"))
        old.written()
        run(old.turn("resp_1", previous="resp_0", text="long " * 300))
        run(old.turn("resp_2", previous="resp_1"))
        assert old.shelf.left_out == 1
    with processes(path, 1, is_shared=False) as (new,):
        said = texts(run(new.turn("resp_3", previous="resp_2")))
        assert said == [
            *("asked resp_0", "answered resp_0", "long " * 300, "answered resp_1", "asked resp_2", "answered resp_2"),
            "asked resp_3",
        ]
        assert run(is_unknown(new, "resp_1"))


def test_an_upstream_that_repeats_an_id(tmp_path: Path) -> None:
    """The latest answer has the name; one that goes on from its own name is no circle."""
    path = tmp_path / "or.db"
    with processes(path, 1) as (old,):
        run(old.turn("resp_1", text="first"))
        run(old.turn("resp_1", text="second", previous="resp_1"))
        run(old.turn("resp_2", previous="resp_1"))
    with processes(path, 1, is_shared=False) as (new,):
        given = run(new.turn("resp_3", previous="resp_2"))
        assert texts(given)[:4] == ["first", "answered resp_1", "second", "answered resp_1"]
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT response_id FROM kept_response WHERE removed = 0 ORDER BY id").fetchall()
        # The turn that was asked just now may have been written by now, or not.
        assert names[:2] == [("resp_1",), ("resp_2",)]


def test_a_conversation_expires_as_a_whole_after_its_last_turn(tmp_path: Path) -> None:
    """Its age begins anew with each turn; what expired is not found, and the next write takes it away."""
    path, clock = tmp_path / "or.db", Clock()
    bounds = Bounds(seconds=100.0)
    with processes(path, 1, clock=clock, bounds=bounds) as (process,):
        run(process.turn("resp_1"))
        clock.time += 90
        run(process.turn("resp_2", previous="resp_1"))
        process.written()
    with processes(path, 1, clock=clock, bounds=bounds, is_shared=False) as (new,):
        clock.time += 90
        assert len(run(new.shelf.find("caller-1", "resp_2"))) == 2
        assert len(run(new.shelf.find("caller-1", "resp_1"))) == 1
        clock.time += 10
        assert run(is_unknown(new, "resp_2"))
        assert run(new.shelf.find_items("caller-1", ["msg_resp_2"])) == {}
        run(new.turn("resp_3"))
        new.written()
    assert rows(path, "SELECT response_id FROM kept_response") == [("resp_3",)]
    assert rows(path, "SELECT item_id FROM kept_item") == [("msg_resp_3",)]


def test_memory_never_keeps_longer_than_the_file(tmp_path: Path) -> None:
    """What was read from it takes its age along."""
    path, clock = tmp_path / "or.db", Clock()
    with processes(path, 2, clock=clock) as (process, other):
        run(process.turn("resp_1"))
        clock.time += 23 * 3600
        assert run(other.conversations.response("caller-1", "resp_1"))
        clock.time += 3600
        other.shelf._is_shared = False
        assert run(is_unknown(other, "resp_1"))


@pytest.mark.parametrize("bounds", [Bounds(responses=12), Bounds(bytes=12 * 330)], ids=["count", "bytes"])
def test_over_its_bounds_the_longest_at_rest_goes(tmp_path: Path, bounds: Bounds) -> None:
    """By whole conversations: what is left of any is all of it."""
    path, clock = tmp_path / "or.db", Clock()
    with processes(path, 1, clock=clock, bounds=bounds, is_shared=False) as (process,):

        async def work() -> None:
            for number in range(30):
                clock.time += 1
                await process.turn(f"first_{number:02}")
                await process.turn(f"again_{number:02}", previous=f"first_{number:02}")
                process.written()

        run(work())
    kept = [name for (name,) in rows(path, "SELECT response_id FROM kept_response ORDER BY id")]
    assert 10 <= len(kept) <= 14, "the last batch may come on top"
    assert kept == [f"{turn}_{number:02}" for number in range(30) for turn in ("first", "again")][-len(kept) :]
    assert rows(path, "SELECT sum(responses), sum(size) FROM kept_conversation") == rows(
        path, "SELECT count(*), sum(size) FROM kept_response"
    )
    assert rows(path, "SELECT count(*) FROM kept_item") == [(len(kept),)]


@pytest.mark.parametrize("bounds", [Bounds(responses=12), Bounds(bytes=12 * 330)], ids=["count", "bytes"])
def test_nobody_pushes_out_what_another_caller_keeps(tmp_path: Path, bounds: Bounds) -> None:
    """Whoever takes the most room makes it."""
    path, clock = tmp_path / "or.db", Clock()
    with processes(path, 1, clock=clock, bounds=bounds, is_shared=False) as (process,):

        async def work() -> None:
            for number in range(3):
                await process.turn(f"quiet_{number}", owner="caller-2")
            for number in range(60):
                clock.time += 1
                await process.turn(f"loud_{number:02}")
                process.written()

        run(work())
    kept = [name for (name,) in rows(path, "SELECT response_id FROM kept_response ORDER BY id")]
    assert kept[:3] == ["quiet_0", "quiet_1", "quiet_2"]
    assert kept[3:] == [f"loud_{number:02}" for number in range(60)][-len(kept[3:]) :]
    assert 10 <= len(kept) <= 14


def test_after_a_failure_the_bounds_are_looked_at_anew(tmp_path: Path) -> None:
    """Others may have written meanwhile, who knows how much."""
    path = tmp_path / "or.db"
    bounds = Bounds(bytes=64_000)

    def turn(name: str, size: int) -> Put:
        return Put("me", name, "", b'{"output":[]}', b"x" * size, (), lambda: b"[]", NOON)

    ours = KeptRows(kept_response_rows(path, waits_seconds=0.02), bounds, lambda: NOON)
    ours.write([turn("ours", 10)])
    ours.write([])
    other = kept_response_rows(path)
    KeptRows(other, Bounds(), lambda: NOON).write([turn("theirs", 100_000)])

    def meanwhile(_transaction: Transaction) -> None:
        with pytest.raises(OSError, match="locked"):
            ours.write([turn("late", 10)])

    other.transact(meanwhile)
    ours.write([turn("late", 10)])
    assert rows(path, "SELECT response_id FROM kept_response") == [("late",)]
    ours.close()
    other.close()


def test_a_locked_database_fails_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory answers meanwhile; a removal is promised after a second at most, and everything is written in the end."""
    monkeypatch.setattr("orcestator.store.kept_responses.REMOVAL_SECONDS", 0.05)
    path = tmp_path / "or.db"
    with processes(path, 1, is_shared=False, waits_seconds=0.02) as (process,):
        process.written()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            run(process.turn("resp_1"))
            assert len(run(process.turn("resp_2", previous="resp_1"))) == 3
            run(process.conversations.remove("caller-1", "resp_1"))
            assert run(is_unknown(process, "resp_unknown"))
            assert process.writer.failed_writes > 0
            other.execute("ROLLBACK")
        process.written()
        assert process.writer.dropped == 0
    assert rows(path, "SELECT response_id, removed FROM kept_response") == [("resp_1", 1), ("resp_2", 0)]


@pytest.mark.skipif(sys.platform == "win32", reason="the file size limit is a POSIX one")
def test_a_full_disk_fails_no_request(tmp_path: Path) -> None:
    """What waits for room is bounded, and written when there is some."""
    path = tmp_path / "or.db"
    with processes(path, 1, is_shared=False, most_waiting_bytes=2000) as (process,):
        process.written()
        with no_byte_may_be_written():
            for number in range(20):
                previous = f"resp_{number - 1}" if number else None
                assert len(run(process.turn(f"resp_{number}", previous=previous))) == (2 * number + 1 if number else 1)
            assert not process.writer.flush(0.3)
            assert process.writer.failed_writes > 0
        process.written()
        assert process.shelf.left_out > 10
        run(process.turn("resp_20", previous="resp_19"))
    with processes(path, 1, is_shared=False) as (new,):
        assert len(run(new.turn("resp_21", previous="resp_20"))) == 43


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_file_that_cannot_be_read_has_nothing(tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told what it is told of any id that is not kept, and the log says why."""
    path = tmp_path / "or.db"
    with processes(path, 1, is_shared=False) as (process,):
        process.written()
        for file in tmp_path.glob("or.db*"):
            file.write_text("not a database" * 1000) if harm == "damaged" else file.unlink()
        assert run(is_unknown(process, "resp_1"))
        assert "kept responses cannot be read" in caplog.text
        if harm == "missing":
            run(process.turn("resp_1"))
            process.written()
            assert len(run(process.shelf.find("caller-1", "resp_1"))) == 1
        path.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX ones")
def test_the_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    with processes(tmp_path / "data" / "or.db", 1) as (process,):
        run(process.turn("resp_1"))
        process.written()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
    assert modes == {"or.db": 0o600, "or.db-wal": 0o600, "or.db-shm": 0o600}


def test_the_program_s_own_thread_never_imports_sqlmodel() -> None:
    """It takes most of a second that the start of the server does not have."""
    program = (
        "import sys; import orcestator.store.kept_responses, orcestator.store.engines, orcestator.store.schema; "
        "print(sorted({'sqlmodel', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    child = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"


@contextmanager
def no_byte_may_be_written() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
