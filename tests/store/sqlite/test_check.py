"""What cannot be a ledger stops the start, with a sentence that says why and what to do."""

import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.store.ledger import Ledger
from orcestator.store.schema import VERSION
from tests.store.engines import ledger_rows

if sys.platform != "win32":
    import resource


def same(text: str) -> str:
    return text


def made(path: Path) -> Path:
    ledger = Ledger(ledger_rows(path), same, same)
    ledger.prepare()
    ledger.close()
    return path


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_missing_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "deep" / "or.db"
    ledger_rows(path).check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_ledger_is_accepted_and_left_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path / "or.db")
    before = path.read_bytes()
    ledger_rows(path).check()
    assert path.read_bytes() == before


def test_the_version_is_written_once(tmp_path: Path) -> None:
    path = made(made(tmp_path / "or.db"))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(VERSION,)]


@pytest.mark.parametrize("what", ["text", "damage", "folder", "parent", "newer", "views"])
def test_what_cannot_be_a_ledger_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "or.db"
    if what == "text":
        path.write_text("this is a diary, not a database\n" * 100)
    elif what == "damage":
        made(path)
        content = bytearray(path.read_bytes())
        content[4096:8192] = b"\xff" * 4096
        path.write_bytes(content)
    elif what == "folder":
        path.mkdir()
    elif what == "parent":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "or.db"
    elif what == "newer":
        execute(made(path), f"UPDATE schema_version SET version = {VERSION + 1}")
    elif what == "views":
        execute(path, "CREATE VIEW schema_version AS SELECT 1 AS number")
    with pytest.raises(StartupProblem, match=r"or\.db .*set OR_DB_PATH to another file"):
        Ledger(ledger_rows(path), same, same)


@pytest.mark.skipif(sys.platform == "win32", reason="the file size limit is a POSIX one")
@pytest.mark.parametrize("is_new", [True, False])
def test_a_disk_that_takes_nothing_is_found_at_the_start(tmp_path: Path, is_new: bool) -> None:
    path = tmp_path / "or.db" if is_new else made(tmp_path / "or.db")
    with no_byte_may_be_written(), pytest.raises(StartupProblem, match="set OR_DB_PATH"):
        ledger_rows(path).check()
    ledger_rows(path).check()


@contextmanager
def no_byte_may_be_written() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_someone_is_writing_to_is_accepted(tmp_path: Path) -> None:
    path = made(tmp_path / "or.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger_rows(path).check()
