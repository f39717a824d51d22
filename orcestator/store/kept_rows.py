"""Writes kept responses: each turn once, on top of the row of the turn before it. The target of a background writer.

Must never leave half a conversation behind: what is too old or too much goes by whole conversations.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from orcestator.json_text import dumps, loads_strictly
from orcestator.store.kept_turns import USUAL_BOUNDS, Bounds, Change, Put, size_of
from orcestator.store.rows import Guarantees, Row, Rows, Transaction

# What the last commits before a power cut held may be sent again, and a commit without a sync is seen sooner by the process
# that the next turn reaches. A short wait, then the writer tries again.
GUARANTEES = Guarantees(overwrites_removed=True, waits_seconds=1.0)
MOST_AT_ONCE = 50
"""Conversations that are forgotten in one transaction: other processes wait for its end."""

_LIVE = """
SELECT id, conversation, previous, size, own, response FROM kept_response
WHERE owner = :owner AND response_id = :response_id AND NOT removed AND id < :below ORDER BY id DESC LIMIT 1
"""
_UNNEEDED = """
SELECT id, conversation, previous, size, own, response FROM kept_response AS kept
WHERE id = :id AND removed AND NOT EXISTS (
    SELECT 1 FROM kept_response AS later
    WHERE later.conversation = kept.conversation AND later.previous = kept.id AND later.response <> ''
)
"""
_REWRITE = "UPDATE kept_response SET response = :response, own = :own, size = :size WHERE id = :id"
_TAKE_OUT = "UPDATE kept_response SET removed = :removed, response_id = :response_id WHERE id = :id"
_TAKE_ITEMS_OUT = "DELETE FROM kept_item WHERE kept = :id"
_COUNT = """
UPDATE kept_conversation SET responses = responses + :responses, size = size + :size,
    expires = CASE WHEN expires < :expires THEN :expires ELSE expires END
WHERE id = :id
"""
_EXPIRED = "SELECT id FROM kept_conversation WHERE expires <= :now ORDER BY expires, id LIMIT :most"
_SUMS = "SELECT coalesce(sum(responses), 0), coalesce(sum(size), 0) FROM kept_conversation"
_OLDEST_OF_LARGEST = """
SELECT id, responses, size FROM kept_conversation WHERE id IN (
    SELECT conversation FROM kept_response
    WHERE owner = (SELECT owner FROM kept_response GROUP BY owner ORDER BY {taken} DESC LIMIT 1)
) ORDER BY expires, id LIMIT :most
"""
_FORGET = (
    "DELETE FROM kept_item WHERE kept IN (SELECT id FROM kept_response WHERE conversation = :id)",
    "DELETE FROM kept_response WHERE conversation = :id",
    "DELETE FROM kept_conversation WHERE id = :id",
)
_LARGEST_ID = 2**63 - 1


class _Kept(NamedTuple):
    """A row of ``kept_response``."""

    id: int
    conversation: int
    previous: int
    size: int
    own: str
    response: str


class KeptRows:
    """The target of the background writer. Give the rows of a database that the ledger has found good; ``wall`` gives
    Unix time."""

    def __init__(self, rows: Rows, bounds: Bounds = USUAL_BOUNDS, wall: Callable[[], float] = time.time) -> None:
        self.rows = rows
        self.wall = wall
        self.taken_bytes = 0
        """Of everything that does not wait any more: written, or given up."""
        self._bounds = bounds
        # What was written since the sums were looked at: at first who knows how much, by others.
        self._new_responses, self._new_bytes = bounds.responses, bounds.bytes

    def prepare(self) -> None:
        """Open the database and make the tables. Raises OSError."""
        self.rows.prepare()

    def write(self, items: Sequence[Change]) -> None:
        """Make room, then commit all changes. Raises OSError when none was made."""
        try:
            self._apply(items, self.wall())
        except OSError:
            # Another process may have written meanwhile, who knows how much.
            self._new_responses, self._new_bytes = self._bounds.responses, self._bounds.bytes
            raise
        except Exception:
            self._take(items)  # On any other error the writer gives them up.
            raise
        self._take(items)

    def close(self) -> None:
        """Let go of the database."""
        self.rows.close()

    def _take(self, items: Sequence[Change]) -> None:
        self.taken_bytes += sum(map(size_of, items))

    def _apply(self, changes: Sequence[Change], now: float) -> None:
        while self.rows.transact(partial(self._forget_some, now)):
            pass
        self.rows.transact(partial(self._make, changes))
        self._new_responses += len(changes)
        self._new_bytes += sum(map(size_of, changes))

    def _make(self, changes: Sequence[Change], transaction: Transaction) -> None:
        for change in changes:
            if isinstance(change, Put):
                _put(transaction, change, change.created + self._bounds.seconds)
            else:
                row = _live(transaction, change.owner, change.response_id)
                if row is not None:
                    _take_out(transaction, row, response_id=change.response_id)

    def _forget_some(self, now: float, transaction: Transaction) -> bool:
        """Forget some conversations that are too old, and some over the bounds; whether there may be more of them."""
        expired = transaction.execute(_EXPIRED, {"now": now, "most": MOST_AT_ONCE})
        _forget(transaction, expired)
        excess = self._push_out(transaction)
        if not expired and not excess and self._is_due:
            self._new_responses = self._new_bytes = 0
        return bool(expired or excess)

    def _push_out(self, transaction: Transaction) -> list[Row]:
        """Over the bounds, forget what has rested longest of the caller that takes the most room: nobody can push out what
        somebody else keeps."""
        responses, size = self._excess(transaction)
        if responses <= 0 and size <= 0:
            return []
        taken = "sum(size)" if size > 0 else "count(*)"
        found: list[Row] = []
        for row in transaction.execute(_OLDEST_OF_LARGEST.format(taken=taken), {"most": MOST_AT_ONCE}):
            if responses <= 0 and size <= 0:
                break
            responses, size = responses - row[1], size - row[2]
            found.append(row)
        _forget(transaction, found)
        return found

    @property
    def _is_due(self) -> bool:
        """Whether so much is new that the sums have to be looked at."""
        return self._new_responses > self._bounds.responses // 1000 or self._new_bytes > self._bounds.bytes // 64

    def _excess(self, transaction: Transaction) -> tuple[int, int]:
        """How many responses and bytes there are over the bounds, at most 0 where there are none."""
        if not self._is_due:
            return 0, 0
        ((responses, size),) = transaction.execute(_SUMS)
        return responses - self._bounds.responses, size - self._bounds.bytes


def _put(transaction: Transaction, put: Put, expires: float) -> None:
    previous = _live(transaction, put.owner, put.previous_id) if put.previous_id else None
    if previous is None:
        # The turn before may have been lost, removed or forgotten: then this one begins the conversation anew.
        own = put.history() if put.previous_id else put.own
        conversation = transaction.insert("kept_conversation", {"expires": expires, "responses": 0, "size": 0})
    else:
        own, conversation = put.own, previous.conversation
    size = len(own) + len(put.response)
    turn = {
        "conversation": conversation,
        "previous": 0 if previous is None else previous.id,
        "owner": put.owner,
        "response_id": put.response_id,
        "created": put.created,
        "removed": False,
        "size": size,
        "own": own.decode(),
        "response": put.response.decode(),
    }
    row = transaction.insert("kept_response", turn)
    for item_id in put.item_ids:
        transaction.insert("kept_item", {"kept": row, "owner": put.owner, "item_id": item_id})
    _count(transaction, conversation, size, responses=1, expires=expires)
    # An upstream may give an id twice, and a batch may be tried again: the latest answer has the name.
    older = _live(transaction, put.owner, put.response_id, below=row)
    if older is not None:
        _take_out(transaction, older, response_id="")


def _live(transaction: Transaction, owner: str, response_id: str, below: int = _LARGEST_ID) -> _Kept | None:
    named = {"owner": owner, "response_id": response_id, "below": below}
    return _first(transaction.execute(_LIVE, named))


def _take_out(transaction: Transaction, row: _Kept, response_id: str) -> None:
    """Leave of a turn what later turns need, and of those that were left for this one alone nothing."""
    left = dumps({"output": loads_strictly(row.response.encode()).get("output")})
    _rewrite(transaction, row, response=left.decode(), own=row.own)
    transaction.execute(_TAKE_OUT, {"id": row.id, "removed": True, "response_id": response_id})
    transaction.execute(_TAKE_ITEMS_OUT, {"id": row.id})
    unneeded = _unneeded(transaction, row.id)
    while unneeded is not None:
        _rewrite(transaction, unneeded, response="", own="")
        unneeded = _unneeded(transaction, unneeded.previous)


def _unneeded(transaction: Transaction, row_id: int) -> _Kept | None:
    """The removed turn of this row, unless there is one that goes on from it."""
    return _first(transaction.execute(_UNNEEDED, {"id": row_id}))


def _first(rows: Sequence[Row]) -> _Kept | None:
    return _Kept(*rows[0]) if rows else None


def _rewrite(transaction: Transaction, row: _Kept, *, response: str, own: str) -> None:
    size = len(response.encode()) + len(own.encode())
    _count(transaction, row.conversation, size - row.size)
    transaction.execute(_REWRITE, {"id": row.id, "response": response, "own": own, "size": size})


def _count(transaction: Transaction, conversation: int, size: int, responses: int = 0, expires: float = 0.0) -> None:
    sums = {"id": conversation, "responses": responses, "size": size, "expires": expires}
    transaction.execute(_COUNT, sums)


def _forget(transaction: Transaction, conversations: Sequence[Row]) -> None:
    for conversation in conversations:
        for statement in _FORGET:
            transaction.execute(statement, {"id": conversation[0]})
