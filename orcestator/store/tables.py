"""The tables: of the ledger, whose columns are those of ``record_rows``; of kept responses.

Importing this takes most of a second (SQLModel brings pydantic and SQLAlchemy), so only the writers' threads do. All
tables are here because two threads may come for them at once: once this is imported, nothing is added any more.
A change of a column needs a new ``schema.VERSION``.
"""

from typing import Any

from sqlmodel import BigInteger, Boolean, Column, Field, Float, Index, Integer, SQLModel, String, Table, text

from orcestator.store.record_rows import ATTEMPTS, COLUMNS, REQUESTS

_TYPES: dict[type, tuple[Any, str]] = {
    str: (String, "''"),
    int: (BigInteger, "0"),
    float: (Float, "0"),
    bool: (Boolean, "FALSE"),
}
"""How a column of a type is made, and what stands in it where a row was written before there was such a column."""
_INDEXED = frozenset({"request_id", "started_at"})


def _table(name: str) -> Table:
    columns = [
        Column(
            column,
            _TYPES[kind][0],
            nullable=is_nullable,
            server_default=None if is_nullable else text(_TYPES[kind][1]),
            index=column in _INDEXED,
        )
        for column, (kind, is_nullable) in COLUMNS[name].items()
    ]
    return Table(name, SQLModel.metadata, Column("id", Integer, primary_key=True), *columns)


REQUEST_TABLE, ATTEMPT_TABLE = _table(REQUESTS), _table(ATTEMPTS)


class KeptConversation(SQLModel, table=True):
    """One conversation of the Responses API: what is counted and forgotten as a whole. ``expires`` is Unix time,
    24 hours after the last turn; ``responses`` and ``size`` (bytes) are the sums over its turns."""

    __tablename__ = "kept_conversation"

    id: int | None = Field(default=None, primary_key=True)
    expires: float = Field(index=True)
    responses: int
    size: int


class KeptResponse(SQLModel, table=True):
    """One turn of a kept conversation, with the items that were new in it; ``previous`` is the row of the turn before
    it, 0 for the first. Of a removed one only what later turns need is left, at last nothing."""

    __tablename__ = "kept_response"
    __table_args__ = (Index("ix_kept_response_name", "owner", "response_id"),)

    id: int | None = Field(default=None, primary_key=True)
    conversation: int = Field(index=True)
    previous: int
    owner: str
    response_id: str
    created: float
    removed: bool
    size: int
    own: str
    response: str


class KeptItem(SQLModel, table=True):
    """Where the output item of an id is: the row of its response."""

    __tablename__ = "kept_item"
    __table_args__ = (Index("ix_kept_item_name", "owner", "item_id"),)

    id: int | None = Field(default=None, primary_key=True)
    kept: int = Field(index=True)
    owner: str
    item_id: str


class SchemaVersion(SQLModel, table=True):
    """One row: the version of the schema the file was made with."""

    __tablename__ = "schema_version"

    version: int = Field(primary_key=True)
