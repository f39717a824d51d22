"""One open connection to the database's file: tables, pragmas and the ledger's quick insert.

Every failure of the database leaves here as an OSError, after which the connection must not be used again. Must never
write half a batch, and never let one impossible row hold up the others.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, func, insert, select
from sqlalchemy import event as listeners
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from orcestator.routing.events import AttemptEnded, RequestEnded
from orcestator.store import database_file, ledger_file
from orcestator.store.tables import AttemptRow, RequestRow, SchemaVersion

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

RowEvent = RequestEnded | AttemptEnded
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
                if connection.execute(select(func.count()).select_from(SchemaVersion)).scalar() == 0:
                    connection.execute(insert(SchemaVersion).values(version=ledger_file.VERSION))
        except BaseException:
            connection.close()
            raise
        return connection


class LedgerConnection(DatabaseConnection):
    """A connection that writes the ledger's rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._inserts = {
            RequestEnded: _insert_text(RequestRow, RequestEnded._fields, self._engine),
            AttemptEnded: _insert_text(AttemptRow, AttemptEnded._fields, self._engine),
        }

    def insert(self, requests: Sequence[RequestEnded], attempts: Sequence[AttemptEnded]) -> None:
        """Commit a row for each. A row that SQLite can never take is logged and left out."""
        try:
            as_os_error(lambda: self._insert_all(requests, attempts))
        except (IntegrityError, UnicodeEncodeError, OverflowError):
            events: list[RowEvent] = [*requests, *attempts]
            as_os_error(lambda: self._insert_singly([_storable(event) for event in events]))

    def _insert_all(self, requests: Sequence[RequestEnded], attempts: Sequence[AttemptEnded]) -> None:
        with self._connection.begin():
            self._insert_in_portions(self._inserts[RequestEnded], requests)
            self._insert_in_portions(self._inserts[AttemptEnded], attempts)

    def _insert_in_portions(self, text: str, events: Sequence[RowEvent]) -> None:
        """Many rows a statement: the driver lets other threads run at each, and to get its turn back from a busy event loop costs
        both of them more than the row."""
        whole = len(events) - len(events) % PORTION
        for start in range(0, whole, PORTION):
            flat = tuple(chain.from_iterable(events[start : start + PORTION]))
            self._connection.exec_driver_sql(_with_rows(text, PORTION), flat)
        if whole < len(events):
            rest = events[whole:]
            self._connection.exec_driver_sql(_with_rows(text, len(rest)), tuple(chain.from_iterable(rest)))

    def _insert_singly(self, events: Sequence[RowEvent]) -> None:
        with self._connection.begin():
            for event in events:
                try:
                    self._connection.exec_driver_sql(self._inserts[type(event)], tuple(event))
                except IntegrityError as problem:
                    logger.error("a row was refused: %s", problem.orig, extra={"request_id": event.request_id})


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


def _insert_text(row: type[SQLModel], columns: Sequence[str], engine: Engine) -> str:
    table = SQLModel.metadata.tables[str(row.__tablename__)]
    return str(insert(table).compile(engine, column_keys=list(columns)))


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


def _storable(event: RowEvent) -> RowEvent:
    """The event with what SQLite cannot hold replaced: lone surrogates, integers over 64 bits."""
    return type(event)(*(_storable_value(value) for value in event))


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST_INTEGER, min(value, LARGEST_INTEGER))
    return value
