"""The schema of the ledger's database: the tables of ``tables``, in the words of an engine.

Importing SQLModel takes most of a second: only the threads that open a database do, when they do. Nothing here may bring it to
the thread that starts the server.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from orcestator.store.record_rows import COLUMNS
from orcestator.store.rows import Columns, Schema

VERSION = 2
"""Of the tables; a change of a column needs a new one. 2: what requests used and cost, and a row for every attempt (2026-11)."""


def _statements(engine: str) -> Sequence[str]:
    # Here and not above: see the module's docstring.
    from sqlalchemy.engine import URL  # noqa: PLC0415
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415
    from sqlmodel import SQLModel  # noqa: PLC0415

    import orcestator.store.tables  # noqa: F401, PLC0415

    dialect = URL.create(engine).get_dialect()()

    def made() -> Iterator[str]:
        for table in SQLModel.metadata.sorted_tables:
            yield str(CreateTable(table, if_not_exists=True).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                yield str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
        yield f"INSERT INTO schema_version (version) SELECT {VERSION} WHERE NOT EXISTS (SELECT 1 FROM schema_version)"

    return tuple(made())


def _additions(engine: str, there: Columns) -> Sequence[str]:
    """The columns that the tables of an older version lack."""
    from sqlalchemy.engine import URL  # noqa: PLC0415
    from sqlalchemy.schema import CreateTable  # noqa: PLC0415
    from sqlmodel import SQLModel  # noqa: PLC0415

    import orcestator.store.tables  # noqa: F401, PLC0415

    dialect = URL.create(engine).get_dialect()()
    compiler: Any = dialect.ddl_compiler(dialect, CreateTable(SQLModel.metadata.tables["request_row"]))
    added = [
        f"ALTER TABLE {table} ADD COLUMN {compiler.get_column_specification(column)}"
        for table in COLUMNS
        for column in SQLModel.metadata.tables[table].columns
        if column.name not in there[table]
    ]
    return (*added, f"UPDATE schema_version SET version = {VERSION}")


RECORDS = Schema(VERSION, _statements, _additions)
