"""The schema of the ledger's database: the tables of ``tables``, in the words of an engine.

Importing SQLModel takes most of a second: only the threads that open a database do, when they do. Nothing here may bring it to
the thread that starts the server.
"""

from collections.abc import Iterator, Sequence

from orcestator.store.rows import Schema

VERSION = 1
"""Of the tables; a change of a column needs a new one."""


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


RECORDS = Schema(VERSION, _statements)
