"""Every accepted event becomes its row: through locks, removed files, full disks and impossible values."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orcestator.routing.events import AttemptEnded, HealthChanged, RequestEnded
from orcestator.store.ledger import Ledger
from orcestator.store.record_rows import ATTEMPTS, COLUMNS, REQUESTS, attempt_row, request_row
from orcestator.store.schema import VERSION
from orcestator.telemetry.background import BackgroundWriter
from orcestator.usage import Usage
from tests.cluster.harness import until
from tests.store.engines import ledger_rows

BuildRequest = Callable[..., RequestEnded]
BuildAttempt = Callable[..., AttemptEnded]


def same(text: str) -> str:
    return text


@contextmanager
def ledger_at(path: Path, **more: Any) -> Iterator[Ledger]:
    ledger = Ledger(ledger_rows(path, **more), same, same)
    try:
        yield ledger
    finally:
        ledger.close()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        return connection.execute(query).fetchall()


def ids(path: Path) -> list[str]:
    return [row[0] for row in rows(path, "SELECT request_id FROM request_row ORDER BY id")]


def test_a_row_has_every_field_of_its_event(
    tmp_path: Path, request_ended: BuildRequest, attempt_ended: BuildAttempt
) -> None:
    """Winners and losers have theirs; what was used has a column for each class."""
    path = tmp_path / "or.db"
    used = Usage(30, 5, True, 10, 7, 6, 2, 1, 1, 0, 3)
    lost = attempt_ended(maybe_billed=True, nano_usd=None, usage=Usage(30, 0, True))
    won = attempt_ended(number=2, kind="fallback", usage=used, nano_usd=2**40)
    request = request_ended(error="X", message="why", usage=used, nano_usd=2**40, tried=(lost, won), plan=object())
    with ledger_at(path) as ledger:
        ledger.write([request, HealthChanged("p", "m", "open", 1.0, "")])
    assert rows(path, f"SELECT {', '.join(COLUMNS[REQUESTS])} FROM request_row") == [request_row(request)]
    written = rows(path, f"SELECT {', '.join(COLUMNS[ATTEMPTS])} FROM attempt_row ORDER BY number")
    assert written == [attempt_row("r1", lost), attempt_row("r1", won)]
    told = {**request._asdict(), **used._asdict()}
    assert dict(zip(COLUMNS[REQUESTS], request_row(request), strict=True)) == {
        name: value for name, value in told.items() if name not in ("usage", "tried", "plan", "planned_at")
    }
    told = {"request_id": "r1", **won._asdict(), **used._asdict()}
    del told["usage"]
    assert dict(zip(COLUMNS[ATTEMPTS], attempt_row("r1", won), strict=True)) == told


@pytest.mark.parametrize("table", [REQUESTS, ATTEMPTS])
def test_a_table_has_the_columns_of_its_rows(tmp_path: Path, table: str) -> None:
    path = tmp_path / "or.db"
    with ledger_at(path) as ledger:
        ledger.prepare()
    described = {row[1]: (row[2], not row[3]) for row in rows(path, f"PRAGMA table_info({table})")}
    kinds = {str: "VARCHAR", int: "BIGINT", float: "FLOAT", bool: "BOOLEAN"}
    assert described == {"id": ("INTEGER", False)} | {
        name: (kinds[kind], is_nullable) for name, (kind, is_nullable) in COLUMNS[table].items()
    }


def test_a_file_of_the_first_version_goes_on_with_its_rows(
    tmp_path: Path, request_ended: BuildRequest, attempt_ended: BuildAttempt
) -> None:
    """It gets the columns that it lacks; in its old rows they say that nothing is known."""
    path = tmp_path / "or.db"
    with closing(sqlite3.connect(path)) as older, older:
        older.executescript((Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8"))
    for number in ("new", "again"):
        with ledger_at(path) as ledger:
            ledger.write([request_ended(request_id=number, tried=(attempt_ended(),))])
    assert rows(path, "SELECT request_id, prompt_tokens, cache_read_tokens, nano_usd FROM request_row ORDER BY id") == [
        ("old", 11, 0, None),
        ("new", 3, 0, 55_000),
        ("again", 3, 0, 55_000),
    ]
    assert rows(path, "SELECT request_id, error, kind, total_s FROM attempt_row ORDER BY id") == [
        ("old", "UpstreamTimeout", "", 0.0),
        ("new", "", "", 0.2),
        ("again", "", "", 0.2),
    ]
    assert rows(path, "SELECT version FROM schema_version") == [(VERSION,)]


def test_texts_go_through_their_policies(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "or.db"
    ledger = Ledger(ledger_rows(path), str.upper, str.title)
    ledger.write([request_ended(message="why")])
    ledger.close()
    assert rows(path, "SELECT user_text, assistant_text, requested_model, message FROM request_row") == [
        ("HELLO", "HI", "Orcestator", "Why")
    ]


def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "or.db"
    with ledger_at(path) as ledger:
        ledger.prepare()
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def test_impossible_values_do_not_hold_up_the_others(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "or.db"
    with ledger_at(path) as ledger:
        ledger.write(
            [
                request_ended(request_id="before"),
                request_ended(request_id="odd", user_text="a\ud800b\x00c", usage=Usage(10**30, 5)),
                request_ended(request_id="impossible", latency_s=float("nan")),
                request_ended(request_id="after"),
            ]
        )
    assert ids(path) == ["before", "odd", "after"], "SQLite takes NaN for NULL, and no column may be NULL"
    assert rows(path, "SELECT user_text, prompt_tokens FROM request_row WHERE request_id = 'odd'") == [
        ("a\\ud800b\x00c", 2**63 - 1)
    ]


def test_a_locked_database_delays_rows_and_loses_none(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "or.db"
    rows = ledger_rows(path, waits_seconds=0.05)
    writer = BackgroundWriter("ledger", Ledger(rows, same, same), keeps_failed=True)
    writer.start()
    writer(request_ended(request_id="first"))
    assert writer.flush(20)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(20):
            writer(request_ended(request_id=str(number)))
        assert not writer.flush(0.2)
        until(lambda: writer.failed_writes > 0, "a write has failed")
        other.execute("ROLLBACK")
    writer.close(20)
    assert writer.dropped == 0
    assert ids(path) == ["first", *map(str, range(20))]


def test_a_removed_file_is_made_anew(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "data" / "or.db"
    with ledger_at(path) as ledger:
        ledger.write([request_ended(request_id="old")])
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
        ledger.write([request_ended(request_id="new")])
    assert ids(path) == ["new"]


def test_a_damaged_file_is_an_os_error_and_the_next_one_works(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "or.db"
    with ledger_at(path) as ledger:
        path.write_text("not a database" * 1000)
        with pytest.raises(OSError, match="not a database"):
            ledger.write([request_ended()])
        path.unlink()
        ledger.write([request_ended(request_id="new")])
    assert ids(path) == ["new"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the process's open files")
def test_a_connection_that_failed_is_not_used_again(tmp_path: Path, request_ended: BuildRequest) -> None:
    path = tmp_path / "or.db"
    with ledger_at(path, waits_seconds=0.001) as ledger:
        ledger.prepare()
        assert is_open(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OSError, match="locked"):
                ledger.write([request_ended()])
        assert not is_open(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the file size limit is a POSIX one")
def test_a_full_disk_writes_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "or.db"
    child = run_child("full_disk_child.py", path)
    stdout, stderr = child.communicate(timeout=50)
    assert stdout == "full\nroom again\n", stderr
    assert ids(path) == ["first", *map(str, range(200))]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
def test_a_killed_process_loses_at_most_its_last_moment(tmp_path: Path) -> None:
    """Rows are committed without anybody asking, in order and without a gap; a kill only costs the newest."""
    path = tmp_path / "or.db"
    child = run_child("ledger_child.py", path)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) % 100 == 0 and len(committed(path)) > 100:
            break
    seen_before = len(committed(path))
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=20)
    emitted = int((rest.splitlines() or [line])[-1]) + 1
    kept = committed(path)
    assert kept == [str(number) for number in range(len(kept))]
    assert seen_before <= len(kept) <= emitted
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    # The child emits at most one a millisecond, so 1,000 are ten times the 100 ms that may be lost.
    assert emitted - len(kept) < 1_000


def test_the_program_s_own_thread_never_imports_sqlmodel(tmp_path: Path) -> None:
    """It takes most of a second that the start of the server does not have."""
    program = (
        "import sys; from orcestator.store.engines import open_rows; from orcestator.store.schema import RECORDS; "
        "from orcestator.store.ledger import GUARANTEES, Ledger; "
        f"Ledger(open_rows({str(tmp_path / 'or.db')!r}, RECORDS, GUARANTEES), str, str); "
        "print(sorted({'sqlmodel', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", program], env=child_env(), capture_output=True, text=True, check=True)
    assert child.stdout == "[]\n"


def committed(path: Path) -> list[str]:
    try:
        return ids(path)
    except sqlite3.OperationalError:
        return []  # the tables are still being made


def is_open(path: Path) -> bool:
    return any(os.path.realpath(link) == str(path) for link in Path("/proc/self/fd").iterdir())


def child_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def run_child(name: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(name)), str(path)],
        env=child_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_table_of_somebody_else_s_is_told(tmp_path: Path, request_ended: BuildRequest) -> None:
    """Rows wait for a file that can take them, and until then the writer says that it fails: ``/health`` shows it."""
    path = tmp_path / "or.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE request_row (id INTEGER PRIMARY KEY, note TEXT)")
    writer = BackgroundWriter("ledger", Ledger(ledger_rows(path), same, same), keeps_failed=True)
    writer.start()
    writer(request_ended(request_id="first"))
    until(lambda: writer.is_failing, "the writer knows that it fails")
    with closing(sqlite3.connect(path, timeout=20)) as other, other:
        other.execute("DROP TABLE request_row")
    until(lambda: not writer.is_failing, "it writes")
    writer.close(20)
    assert ids(path) == ["first"]
