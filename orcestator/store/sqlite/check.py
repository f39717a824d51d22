"""Looks at a file before the program starts, with the standard library alone because that takes no time.

Must never change the rows of a file it did not make.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from orcestator.errors import StartupProblem
from orcestator.store.sqlite import database_file

BUSY_SECONDS = 0.2
"""How long the check waits for a process that is writing."""
LARGEST_CHECKED_BYTES = 64 * 1024 * 1024
"""Up to this size a file is read through for damage; beyond it that would take too long for a start."""


def check(path: Path, known: int) -> None:
    """Find out whether the file at ``path`` can be the ledger; make its folder and an empty file when there is none. ``known`` is the
    newest version of the schema that this program can write.

    Raises StartupProblem with the one sentence to print.
    """
    try:
        database_file.make(path)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            _check_sound(connection, path)
            _check_writable(connection)
            version = version_in(connection)
            if version <= known:
                _use_write_ahead_log(connection)
    except OSError as problem:
        raise StartupProblem(f"{path} cannot be made for the ledger: {problem.strerror}; {_REMEDY}") from problem
    except sqlite3.DatabaseError as problem:
        raise StartupProblem(f"{path} cannot be used as the ledger: {problem}; {_REMEDY}") from problem
    if version > known:
        raise StartupProblem(
            f"{path} was written by a newer orcestator (schema {version}, this one knows {known}); {_REMEDY}"
        )


_REMEDY = "set OR_DB_PATH to another file"


def _check_sound(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA schema_version").fetchone()
    if path.stat().st_size <= LARGEST_CHECKED_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the file is damaged ({verdict.splitlines()[-1]})")


def _check_writable(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE write_probe (number INTEGER)")  # needs a journal, so a writable folder
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as problem:
        # Another process is writing right now: that is no reason not to start, the rows wait in the queue.
        if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Here, while nobody else of this process is there: the switch waits for no lock, and one of two that make it fails."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise


def version_in(connection: sqlite3.Connection) -> int:
    """The version of the schema that a file has, 0 when it has none. Raises sqlite3.Error."""
    has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    if not has_table:
        return 0
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return version if isinstance(version, int) else 0
