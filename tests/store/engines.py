"""The product's databases, and engines that only tests have: a protocol is one when something else passes its tests, too."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from orcestator.store import kept_rows, ledger, quota_rows
from orcestator.store.documents import Change
from orcestator.store.engines import open_rows
from orcestator.store.rows import NO_PARAMETERS, Parameters, Reading, Refused, Result, Row, Rows, Schema, Transaction
from orcestator.store.schema import RECORDS


def ledger_rows(path: Path, **more: Any) -> Rows:
    """The database as the ledger opens it, but for the guarantees that are given."""
    return open_rows(path, RECORDS, ledger.GUARANTEES._replace(**more))


def kept_response_rows(path: Path, **more: Any) -> Rows:
    """The database as kept responses open it, but for the guarantees that are given."""
    return open_rows(path, RECORDS, kept_rows.GUARANTEES._replace(**more))


def quotas_at(path: Path, process: int = 1) -> quota_rows.QuotaRows:
    """The quotas that are kept in a file."""
    return quota_rows.QuotaRows(open_rows(path, quota_rows.schema_of(process), quota_rows.GUARANTEES), process)


class MemoryDocuments:
    """Documents in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, int]] = {}
        self._numbers = itertools.count()
        self._changing = threading.Lock()

    def get(self, name: str) -> bytes | None:
        return self._kept[name][0] if name in self._kept else None

    def put(self, name: str, content: bytes) -> int:
        self._kept[name] = (content, next(self._numbers))
        return self._kept[name][1]

    def change(self, name: str, change: Change) -> int:
        with self._changing:
            return self.put(name, change(self.get(name)))

    def delete(self, name: str) -> None:
        self._kept.pop(name, None)

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self._kept if name.startswith(prefix))

    def version(self, name: str) -> int | None:
        return self._kept[name][1] if name in self._kept else None

    def place(self, name: str) -> str:
        return f"memory, {name}"


class MemoryRows:
    """Rows in the memory of this process, which SQLite keeps without a file: the shortest engine that there can be."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._committed: bytes | None = None

    def check(self) -> None:
        pass

    def prepare(self) -> None:
        self.transact(lambda _transaction: None)

    def transact(self, work: Callable[[Transaction], Result]) -> Result:
        with closing(self._at_the_last_commit()) as connection:
            try:
                result = work(MemoryTransaction(connection))
            except sqlite3.IntegrityError as problem:
                raise ValueError(str(problem)) from problem
            except sqlite3.Error as problem:
                raise OSError(str(problem)) from problem
            connection.commit()
            self._committed = connection.serialize()
            return result

    def read(self, work: Callable[[Reading], Result]) -> Result:
        with closing(self._at_the_last_commit()) as connection:
            try:
                return work(MemoryTransaction(connection))
            except sqlite3.Error as problem:
                raise OSError(str(problem)) from problem

    def close(self) -> None:
        pass

    def _at_the_last_commit(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        if self._committed is not None:
            connection.deserialize(self._committed)
            return connection
        for statement in self._schema.statements("sqlite"):
            connection.execute(statement)
        connection.commit()
        return connection


class MemoryTransaction:
    """What ``MemoryRows`` hands to its users, without a thought for speed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def insert(self, table: str, values: Parameters) -> int:
        return self._inserted(table, list(values), list(values.values()))

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Refused]:
        refused = []
        for number, row in enumerate(rows):
            try:
                self._inserted(table, columns, [near(value) for value in row])
            except sqlite3.IntegrityError as problem:
                refused.append(Refused(number, str(problem)))
        return refused

    def _inserted(self, table: str, columns: Sequence[str], row: Sequence[object]) -> int:
        marks = ", ".join("?" * len(row))
        cursor = self._connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)
        return cursor.lastrowid or 0


def near(value: object) -> object:
    """The value, or the nearest one that there is room for."""
    if isinstance(value, int):
        return min(value, 2**63 - 1)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
