"""One open connection to the database's file: tables, pragmas and the ledger's quick insert.

Every failure of the database leaves here as an OSError, after which the connection must not be used again. Must never
write half a batch, and never let one impossible row hold up the others.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, func, insert, inspect, select, update
from sqlalchemy import event as listeners
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from orcestator.store import database_file, ledger_file
from orcestator.store.record_rows import ATTEMPTS, COLUMNS, REQUESTS, Row
from orcestator.store.tables import SchemaVersion, additions

BUSY_MILLISECONDS = 5_000
"""How long a transaction waits for another process's one."""
LARGEST_WAL_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""
PORTION = 64
"""Rows of one statement; the driver keeps 128 statements, so each number of rows is read once."""
LARGEST_INTEGER = 2**63 - 1
"""SQLite's own limit."""

# FULL costs nothing in batches (one sync each), and NORMAL could lose the last commits when the power goes.
_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA journal_size_limit = {LARGEST_WAL_BYTES}",
)

Result = TypeVar("Result")

logger = logging.getLogger("orcestator.store")


class DatabaseConnection:
    """Opens the file at ``path`` and makes all tables. ``pragmas`` are for this connection. Raises OSError."""

    def __init__(self, path: Path, pragmas: Sequence[str] = ()) -> None:
        database_file.make(path)
        self._engine = _engine(path, pragmas)
        self.file = database_file.Opened(path)
        self._connection = as_os_error(self._connect)

    def close(self) -> None:
        """Close the connection and its file."""
        self._connection.close()
        self._engine.dispose()

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        try:
            with connection.begin():
                SQLModel.metadata.create_all(connection)
                _bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _bring_up_to_date(connection: Connection) -> None:
    """Write the version of the schema, and add the columns that a file of an older one lacks."""
    version = connection.execute(select(func.max(SchemaVersion.version))).scalar()
    if version is None:
        connection.execute(insert(SchemaVersion).values(version=ledger_file.VERSION))
    elif version < ledger_file.VERSION:
        for table in COLUMNS:
            there = {column["name"] for column in inspect(connection).get_columns(table)}
            for statement in additions(table, there, connection.dialect):
                connection.exec_driver_sql(statement)
        connection.execute(update(SchemaVersion).values(version=ledger_file.VERSION))


class LedgerConnection(DatabaseConnection):
    """A connection that writes the ledger's rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._inserts = {name: _insert_text(name, tuple(columns), self._engine) for name, columns in COLUMNS.items()}

    def insert(self, requests: Sequence[Row], attempts: Sequence[Row]) -> None:
        """Commit the rows. One that SQLite can never take is logged and left out."""
        rows = {REQUESTS: requests, ATTEMPTS: attempts}
        try:
            as_os_error(lambda: self._insert_all(rows))
        except (IntegrityError, UnicodeEncodeError, OverflowError):
            as_os_error(lambda: self._insert_singly({name: [_storable(row) for row in rows[name]] for name in rows}))

    def _insert_all(self, rows: Mapping[str, Sequence[Row]]) -> None:
        with self._connection.begin():
            for table, of_table in rows.items():
                self._insert_in_portions(self._inserts[table], of_table)

    def _insert_in_portions(self, text: str, rows: Sequence[Row]) -> None:
        """Many rows a statement: the driver lets other threads run at each, and to get its turn back from a busy event loop costs
        both of them more than the row."""
        whole = len(rows) - len(rows) % PORTION
        for start in range(0, whole, PORTION):
            flat = tuple(chain.from_iterable(rows[start : start + PORTION]))
            self._connection.exec_driver_sql(_with_rows(text, PORTION), flat)
        if whole < len(rows):
            rest = rows[whole:]
            self._connection.exec_driver_sql(_with_rows(text, len(rest)), tuple(chain.from_iterable(rest)))

    def _insert_singly(self, rows: Mapping[str, Sequence[Row]]) -> None:
        with self._connection.begin():
            for table, of_table in rows.items():
                for row in of_table:
                    try:
                        self._connection.exec_driver_sql(self._inserts[table], row)
                    except IntegrityError as problem:
                        logger.error("a row was refused: %s", problem.orig, extra={"request_id": row[0]})


def _engine(path: Path, pragmas: Sequence[str]) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    listeners.listen(engine, "connect", lambda connection, _record: _prepare(connection, pragmas))
    # The lock is taken at the start of a transaction: one that reads first could be refused half-way.
    listeners.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare(connection: Any, pragmas: Sequence[str]) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in (*_PRAGMAS, *pragmas):
        connection.execute(pragma)


def _insert_text(table: str, columns: Sequence[str], engine: Engine) -> str:
    return str(insert(SQLModel.metadata.tables[table]).compile(engine, column_keys=list(columns)))


@cache
def _with_rows(text: str, rows: int) -> str:
    """The statement for so many rows."""
    values = text[text.rindex("(") :]
    return text + f", {values}" * (rows - 1)


def as_os_error(step: Callable[[], Result]) -> Result:
    """What ``step`` gives. Raises OSError for a failure of the database, IntegrityError for one of a row."""
    try:
        return step()
    except IntegrityError:
        raise  # about one row, not about the database
    except DBAPIError as problem:
        raise OSError(str(problem.orig)) from problem


def _storable(row: Row) -> Row:
    """The row with what SQLite cannot hold replaced: lone surrogates, integers over 64 bits."""
    return tuple(map(_storable_value, row))


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
    return value
