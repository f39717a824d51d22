"""Which engine an address of rows names: the one place that knows them all."""

import re
from pathlib import Path

from orcestator.errors import StartupProblem
from orcestator.store.rows import Guarantees, Rows, Schema
from orcestator.store.sqlite.engine import SqliteRows

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)  # two letters at least: one is a drive of Windows
_SQLITE = "sqlite:///"


def file_of(address: str | Path) -> Path | None:
    """The file that an address names, None where it is a URL of something else."""
    text = str(address)
    if text.lower().startswith(_SQLITE) and len(text) > len(_SQLITE):
        return Path(text[len(_SQLITE) :])
    return None if _SCHEME.match(text) else Path(text)


def open_rows(address: str | Path, schema: Schema, guarantees: Guarantees) -> Rows:
    """The database at a path or URL; nothing is touched yet. Raises StartupProblem for a URL of a kind that no engine is for."""
    file = file_of(address)
    if file is not None:
        return SqliteRows(file, schema, guarantees)
    kind = str(address).partition("://")[0]  # not the address itself: there may be a password in it
    raise StartupProblem(
        f"OR_DB_PATH is a URL of the kind '{kind}://', for which there is no database engine;"
        f" set it to the path of a SQLite file, or to {_SQLITE} and the path."
    )
