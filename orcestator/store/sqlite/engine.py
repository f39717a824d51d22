"""Rows in a SQLite file, on the driver's own connection.

SQLite alone opens its file (``database_file`` says why); it is in the mode of the write-ahead log, so that who reads and who writes do
not wait for each other; a transaction takes its lock at its start. Must never write half a transaction.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from orcestator.store.rows import (
    NO_PARAMETERS,
    Guarantees,
    Parameters,
    Reading,
    Refused,
    Result,
    Row,
    Schema,
    Transaction,
)
from orcestator.store.sqlite import database_file
from orcestator.store.sqlite.check import check, version_in

NAME = "sqlite"
READ_SECONDS = 0.2
"""How long who only reads waits for a lock; in this kind of database it hardly ever meets one."""
LARGEST_WAL_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""
PORTION = 64
"""Rows of one statement; the driver keeps 128 statements, so each number of rows is read once."""
_VERSION = "SELECT max(version) FROM schema_version"
_ALL_COLUMNS = (
    "SELECT t.name, c.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table'"
)
LARGEST_INTEGER = 2**63 - 1
"""SQLite's own limit."""


class SqliteRows:
    """The engine for the file at ``path``."""

    def __init__(self, path: Path, schema: Schema, guarantees: Guarantees) -> None:
        self._path = path
        self._schema = schema
        self._guarantees = guarantees
        self._connection: sqlite3.Connection | None = None
        self._file: database_file.Opened | None = None
        self._has_failed = False
        """Since the tables were made: then not even that they are there is assumed."""

    def check(self) -> None:
        """Look at the file with little more than opening it."""
        check(self._path, self._schema.version)

    def prepare(self) -> None:
        """Open the file and make the tables."""
        with self._as_os_error():
            self._connected()

    def transact(self, work: Callable[[Transaction], Result]) -> Result:
        """Do ``work`` between BEGIN IMMEDIATE and COMMIT."""
        with self._as_os_error():
            return _transacted(self._connected(), work)

    def read(self, work: Callable[[Reading], Result]) -> Result:
        """Do ``work`` on a connection of its own that can write nothing."""
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=READ_SECONDS, isolation_level=None)) as connection:
                return work(_Statements(connection))
        except sqlite3.Error as problem:
            raise OSError(f"{self._path}: {problem}") from problem

    def close(self) -> None:
        """Close the file."""
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            connection.close()

    def _connected(self) -> sqlite3.Connection:
        """The open connection, to the file that has the path now: rows in one that was removed or replaced would be gone."""
        if self._file is not None and not self._file.is_still_there():
            self.close()
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._opened_as_it_is()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as problem:
            # No database, or a damaged one.
            if not self._guarantees.starts_anew:
                raise
            database_file.put_aside(self._path, problem)
            return self._opened_as_it_is()

    def _opened_as_it_is(self) -> sqlite3.Connection:
        database_file.make(self._path)
        self._file = database_file.Opened(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _pragmas(self._guarantees):
                connection.execute(pragma)
            if self._has_failed or not self._schema.version or version_in(connection) != self._schema.version:
                # Otherwise they were made with their version, and what they are is 30 MiB to know, since SQLModel does.
                _transacted(connection, self._make_tables)
                self._has_failed = False
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, transaction: Transaction) -> None:
        for statement in self._schema.statements(NAME):
            transaction.execute(statement)
        if self._schema.version and transaction.execute(_VERSION)[0][0] < self._schema.version:
            there: dict[str, set[str]] = {}
            for table, column in transaction.execute(_ALL_COLUMNS):
                there.setdefault(table, set()).add(column)
            for statement in self._schema.additions(NAME, there):
                transaction.execute(statement)

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """Failures of the database, after which nothing is assumed of the connection: the next use opens the file anew."""
        try:
            yield
        except sqlite3.IntegrityError as problem:
            raise ValueError(f"{self._path}: {problem}") from problem  # about a value, not about the database
        except sqlite3.Error as problem:
            self._has_failed = True
            self.close()
            raise OSError(f"{self._path}: {problem}") from problem
        except OSError:
            self.close()
            raise


class _Statements:
    """A connection as its users see it, to read and to change."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def insert(self, table: str, values: Parameters) -> int:
        text = _insert_text(table, tuple(values), 1)
        return int(self._connection.execute(text, tuple(values.values())).lastrowid or 0)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Refused]:
        """Many rows a statement: the driver lets other threads run at each, and to get its turn back from a busy event loop costs
        both of them more than the row."""
        columns = tuple(columns)
        refused: list[Refused] = []
        for start in range(0, len(rows), PORTION):
            portion = rows[start : start + PORTION]
            try:
                flat = tuple(chain.from_iterable(portion))
                self._connection.execute(_insert_text(table, columns, len(portion)), flat)
            except (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError):
                # Nothing of a statement that fails is done.
                refused += self._appended_singly(_insert_text(table, columns, 1), portion, start)
        return refused

    def _appended_singly(self, text: str, rows: Sequence[Sequence[object]], first: int) -> Iterator[Refused]:
        for number, row in enumerate(rows, first):
            try:
                self._connection.execute(text, tuple(map(_storable, row)))
            except sqlite3.IntegrityError as problem:
                yield Refused(number, str(problem))


def _transacted(connection: sqlite3.Connection, work: Callable[[Transaction], Result]) -> Result:
    # The lock is taken at the start: a transaction that reads first could be refused half-way.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(_Statements(connection))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _pragmas(guarantees: Guarantees) -> Iterator[str]:
    yield f"PRAGMA busy_timeout = {round(guarantees.waits_seconds * 1000)}"
    yield "PRAGMA journal_mode = WAL"
    # FULL costs nothing in batches (one sync each); a commit without a sync is seen sooner by other processes.
    yield f"PRAGMA synchronous = {'FULL' if guarantees.survives_power_cuts else 'NORMAL'}"
    yield f"PRAGMA journal_size_limit = {LARGEST_WAL_BYTES}"
    yield f"PRAGMA secure_delete = {'ON' if guarantees.overwrites_removed else 'OFF'}"


@cache
def _insert_text(table: str, columns: tuple[str, ...], rows: int) -> str:
    """The statement for so many rows."""
    names = ", ".join(f'"{column}"' for column in columns)
    values = f"({', '.join('?' * len(columns))})"
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([values] * rows)}'


def _storable(value: Any) -> Any:
    """The value, with what SQLite cannot hold replaced: lone surrogates, integers over 64 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
    return value
