"""One open connection that writes kept responses: each turn once, on top of the row of the turn before it.

Every failure of the database leaves here as an OSError, after which the connection must not be used again. Must never
leave half a conversation behind: what is too old or too much goes by whole conversations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Executable,
    Row,
    Select,
    Table,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlmodel import SQLModel

from orcestator.json_text import dumps, loads_strictly
from orcestator.store import tables
from orcestator.store.kept_responses import Bounds, Change, Put, size_of
from orcestator.store.ledger_connection import DatabaseConnection, as_os_error

# NORMAL: what the last commits before a power cut held may be sent again, and a commit without a sync is seen sooner
# by the process that the next turn reaches. What was removed is overwritten. A short wait, then the writer tries again.
_PRAGMAS = ("PRAGMA synchronous = NORMAL", "PRAGMA secure_delete = ON", "PRAGMA busy_timeout = 1000")
MOST_AT_ONCE = 50
"""Conversations that are forgotten in one transaction: other processes wait for its end."""

CONVERSATIONS = SQLModel.metadata.tables[str(tables.KeptConversation.__tablename__)]
RESPONSES = SQLModel.metadata.tables[str(tables.KeptResponse.__tablename__)]
ITEMS = SQLModel.metadata.tables[str(tables.KeptItem.__tablename__)]


class KeptConnection(DatabaseConnection):
    """A connection that writes kept responses, within ``bounds``."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        super().__init__(path, _PRAGMAS)
        self._bounds = bounds
        # What was written since the sums were looked at: at first who knows how much, by others.
        self._new_responses, self._new_bytes = bounds.responses, bounds.bytes

    def apply(self, changes: Sequence[Change], now: float) -> None:
        """Make room, then commit all changes. ``now`` is Unix time. Raises OSError when none was made."""
        as_os_error(lambda: self._apply(changes, now))

    def _apply(self, changes: Sequence[Change], now: float) -> None:
        while self._forget_some(now):
            pass
        with self._connection.begin():
            for change in changes:
                if isinstance(change, Put):
                    self._put(change)
                else:
                    self._remove(change.owner, change.response_id)
        self._new_responses += len(changes)
        self._new_bytes += sum(map(size_of, changes))

    def _put(self, put: Put) -> None:
        previous = self._live(put.owner, put.previous_id) if put.previous_id else None
        expires = put.created + self._bounds.seconds
        if previous is None:
            # The turn before may have been lost, removed or forgotten: then this one begins the conversation anew.
            own = put.history() if put.previous_id else put.own
            conversation = self._insert(CONVERSATIONS, expires=expires, responses=0, size=0)
        else:
            own, conversation = put.own, previous.conversation
        size = len(own) + len(put.response)
        row = self._insert(
            RESPONSES,
            conversation=conversation,
            previous=0 if previous is None else previous.id,
            owner=put.owner,
            response_id=put.response_id,
            created=put.created,
            removed=False,
            size=size,
            own=own.decode(),
            response=put.response.decode(),
        )
        for item_id in put.item_ids:
            self._insert(ITEMS, kept=row, owner=put.owner, item_id=item_id)
        self._count(conversation, size, responses=1, expires=expires)
        self._replace_older(put, row)

    def _replace_older(self, put: Put, row: int) -> None:
        """An upstream may give an id twice, and a batch may be tried again: the latest answer has the name."""
        older = self._live(put.owner, put.response_id, RESPONSES.c.id < row)
        if older is not None:
            self._take_out(older, response_id="")

    def _remove(self, owner: str, response_id: str) -> None:
        row = self._live(owner, response_id)
        if row is not None:
            self._take_out(row, response_id=response_id)

    def _live(self, owner: str, response_id: str, *more: ColumnElement[bool]) -> Row[Any] | None:
        columns = RESPONSES.c
        named = (columns.owner == owner, columns.response_id == response_id, columns.removed.is_(False))
        return self._run(select(RESPONSES).where(*named, *more).order_by(columns.id.desc()).limit(1)).first()

    def _take_out(self, row: Row[Any], response_id: str) -> None:
        """Leave of a turn what later turns need, and of those that were left for this one alone nothing."""
        left = dumps({"output": loads_strictly(row.response.encode()).get("output")})
        self._rewrite(row, removed=True, response_id=response_id, response=left.decode(), own=row.own)
        self._run(delete(ITEMS).where(ITEMS.c.kept == row.id))
        unneeded = self._unneeded(row.id)
        while unneeded is not None:
            self._rewrite(unneeded, response="", own="")
            unneeded = self._unneeded(unneeded.previous)

    def _unneeded(self, row_id: int) -> Row[Any] | None:
        """The removed turn of this row, unless there is one that goes on from it."""
        later = RESPONSES.alias()
        goes_on = exists().where(
            later.c.conversation == RESPONSES.c.conversation, later.c.previous == RESPONSES.c.id, later.c.response != ""
        )
        return self._run(select(RESPONSES).where(RESPONSES.c.id == row_id, RESPONSES.c.removed, ~goes_on)).first()

    def _rewrite(self, row: Row[Any], *, response: str, own: str, **more: object) -> None:
        size = len(response.encode()) + len(own.encode())
        values = {"response": response, "own": own, "size": size, **more}
        self._count(row.conversation, size - row.size)
        self._run(update(RESPONSES).where(RESPONSES.c.id == row.id).values(**values))

    def _count(self, conversation: int, size: int, responses: int = 0, expires: float = 0.0) -> None:
        columns = CONVERSATIONS.c
        sums = {"responses": columns.responses + responses, "size": columns.size + size}
        latest = func.max(columns.expires, expires)
        self._run(update(CONVERSATIONS).where(columns.id == conversation).values(**sums, expires=latest))

    def _forget_some(self, now: float) -> bool:
        """Forget some conversations that are too old, and some over the bounds; whether there may be more of them."""
        columns = CONVERSATIONS.c
        oldest = select(CONVERSATIONS).order_by(columns.expires, columns.id).limit(MOST_AT_ONCE)
        with self._connection.begin():
            found = [row.id for row in self._run(oldest.where(columns.expires <= now))]
            self._forget(found)
            found += self._push_out(oldest)
        if not found and self._is_due:
            self._new_responses = self._new_bytes = 0
        return bool(found)

    def _push_out(self, oldest: Select[Any]) -> list[int]:
        """Over the bounds, forget what has rested longest of the caller that takes the most room: nobody can push out what
        somebody else keeps."""
        responses, size = self._excess()
        found: list[int] = []
        if responses <= 0 and size <= 0:
            return found
        taken = func.sum(RESPONSES.c.size) if size > 0 else func.count()
        largest = select(RESPONSES.c.owner).group_by(RESPONSES.c.owner).order_by(taken.desc()).limit(1)
        of_largest = select(RESPONSES.c.conversation).where(RESPONSES.c.owner == largest.scalar_subquery())
        for row in self._run(oldest.where(CONVERSATIONS.c.id.in_(of_largest))):
            if responses <= 0 and size <= 0:
                break
            responses, size = responses - row.responses, size - row.size
            found.append(row.id)
        self._forget(found)
        return found

    @property
    def _is_due(self) -> bool:
        """Whether so much is new that the sums have to be looked at."""
        return self._new_responses > self._bounds.responses // 1000 or self._new_bytes > self._bounds.bytes // 64

    def _excess(self) -> tuple[int, int]:
        """How many responses and bytes there are over the bounds, at most 0 where there are none."""
        if not self._is_due:
            return 0, 0
        columns = CONVERSATIONS.c
        sums = select(func.coalesce(func.sum(columns.responses), 0), func.coalesce(func.sum(columns.size), 0))
        found = self._run(sums).one()
        return found[0] - self._bounds.responses, found[1] - self._bounds.bytes

    def _forget(self, conversations: Sequence[int]) -> None:
        turns = select(RESPONSES.c.id).where(RESPONSES.c.conversation.in_(conversations))
        self._run(delete(ITEMS).where(ITEMS.c.kept.in_(turns)))
        self._run(delete(RESPONSES).where(RESPONSES.c.conversation.in_(conversations)))
        self._run(delete(CONVERSATIONS).where(CONVERSATIONS.c.id.in_(conversations)))

    def _insert(self, table: Table, **values: object) -> int:
        return int(self._run(insert(table).values(**values)).lastrowid)

    def _run(self, statement: Executable) -> "CursorResult[*tuple[Any, ...]]":
        return self._connection.execute(statement)
