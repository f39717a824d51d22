"""Another program that opens, locks and closes a database costs no row: neither while it does, nor afterwards."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orcestator.routing.state.quota import QuotaRow
from orcestator.store.ledger import Ledger
from orcestator.store.sqlite import database_file
from tests.store.engines import ledger_rows, quotas_at

# The other program is a process of its own: within one process SQLite knows of all its connections.
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
for statement in sys.stdin:
    print(connection.execute(statement).fetchall(), flush=True)
connection.close()
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the process's open files")


class Child:
    """A Python program that takes a line and answers it with one."""

    def __init__(self, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        self.process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, line: str) -> str:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def children(path: Path, count: int) -> Iterator[list[Child]]:
    program = str(Path(__file__).with_name("lock_child.py"))
    made = [Child(program, str(path), f"writer{number}") for number in range(count)]
    try:
        yield made
    finally:
        for child in made:
            child.kill()


def counts(path: Path) -> list[int]:
    """Rows of requests and kept responses, as a program of its own sees them."""
    looks = Child("-c", HOLDER, str(path))
    told = [looks(f"SELECT count(*) FROM {table}") for table in ("request_row", "kept_response")]
    looks.end()
    return [int(line.strip("[](),")) for line in told]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_lock_of_another_program_costs_no_row(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "or.db"
    with children(path, processes) as writers:
        for writer in writers:
            assert writer("0 20 written") == "done"
        holder = Child("-c", HOLDER, str(path))
        assert holder("BEGIN EXCLUSIVE") == "[]"
        for writer in writers:
            assert writer("20 40 refused") == "done"
        assert holder("ROLLBACK") == "[]"
        holder.end()
        for writer in writers:
            assert writer("40 60 written") == "done"
        assert counts(path) == [60 * processes] * 2
        if Path("/proc").exists():
            assert not [
                link for writer in writers for link in open_files(writer) if "or.db" in link and "(deleted)" in link
            ]
    assert counts(path) == [60 * processes] * 2, "a killed process leaves what it wrote"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("gone", ["removed", "removed alone", "moved"])
def test_writers_that_share_a_file_go_on_in_a_new_one(tmp_path: Path, gone: str) -> None:
    """Also where its write-ahead log stayed behind, which belongs to the old one."""
    path = tmp_path / "or.db"
    with children(path, 2) as writers:
        for writer in writers:
            assert writer("0 20 written") == "done"
        if gone == "moved":
            path.rename(tmp_path / "elsewhere.db")
        else:
            for file in tmp_path.glob("or.db" if gone == "removed alone" else "or.db*"):
                file.unlink()
        for writer in writers:
            assert writer("20 40 written") == "done"
        assert counts(path) == [40, 40]
    assert counts(path) == [40, 40]
    assert path.stat().st_mode & 0o077 == 0


@needs_proc
@pytest.mark.parametrize("what", ["ledger", "quota"])
def test_a_file_that_is_there_is_opened_by_sqlite_alone(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing any other descriptor would take SQLite's locks away."""
    path = tmp_path / "or.db"
    database_file.make(path)
    opened: list[str] = []
    really_open = os.open

    def watched(name: str, *arguments: int) -> int:
        opened.append(os.fspath(name))
        return really_open(name, *arguments)

    monkeypatch.setattr(os, "open", watched)
    if what == "ledger":
        ledger = Ledger(ledger_rows(path), str, str)
        ledger.prepare()
        ledger.close()
    else:
        rows = quotas_at(path)
        assert rows.salt()
        rows.write([QuotaRow("p", "2", "m", {})])
        rows.close()
    assert str(path) not in opened


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "or.db").symlink_to(tmp_path / "disk" / "real.db")
    database_file.make(tmp_path / "or.db")
    assert (tmp_path / "disk" / "real.db").exists()


def test_quotas_go_on_in_a_new_file_when_theirs_was_removed(tmp_path: Path) -> None:
    path = tmp_path / "quota.sqlite"
    rows = quotas_at(path)
    rows.write([QuotaRow("p", "2", "m", {})])
    for file in tmp_path.iterdir():
        file.unlink()
    rows.write([QuotaRow("p", "2", "n", {})])
    assert [row.model for row in quotas_at(path).read()] == ["n"]
    rows.close()


def open_files(child: Child) -> list[str]:
    return [os.readlink(link) for link in Path(f"/proc/{child.process.pid}/fd").iterdir()]
