"""Responses that outlive the process that kept them: a shelf in the ledger's file, for ``previous_response_id``.

Writing is a background writer's business (``KeptRows`` is its target); reading is done in threads, with a connection
for each look. A row is soon there, not at once: who looks for one that another process may be writing looks again for
a moment. Must never fail a request: what cannot be read is not there. Must never import SQLModel in the thread that
starts the server.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from orcestator.json_text import loads_strictly

if TYPE_CHECKING:
    from orcestator.store.kept_connection import KeptConnection

Json = dict[str, Any]
Found = TypeVar("Found")

KEPT_SECONDS = 24 * 3600.0
"""How long a conversation is kept after its last turn."""
MOST_RESPONSES = 100_000
MOST_BYTES = 1 << 30
"""Over either the conversations that have rested longest are forgotten."""
MOST_WAITING_BYTES = 64 << 20
"""What may wait for a database that takes nothing; over it responses stay in memory only."""
PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Seconds between looks for a row that another process may be writing just now."""
BUSY_SECONDS = 0.2
"""How long a look waits for a lock; in this kind of database a reader hardly ever meets one."""
LOOK_SECONDS = 1.0
"""How long a caller waits for one look; a disk that takes longer is one that has nothing."""
REMOVAL_SECONDS = 1.0
"""How long a caller waits for its removal to be written. It will be, when it is not by then."""

logger = logging.getLogger("orcestator.store")


class Put(NamedTuple):
    """A turn to write. ``history`` gives the items up to its answer as JSON, should the previous turn not be there."""

    owner: str
    response_id: str
    previous_id: str
    response: bytes
    own: bytes
    item_ids: tuple[str, ...]
    history: Callable[[], bytes]
    created: float


class Remove(NamedTuple):
    """A response to remove."""

    owner: str
    response_id: str


Change = Put | Remove


class Turn(NamedTuple):
    """A turn as it was found; ``response_id`` is "" for one that lives on only in those that followed it."""

    response_id: str
    response: Json
    own: list[Json]
    size: int
    seconds_left: float


class Bounds(NamedTuple):
    """How much is kept: responses, bytes of JSON, and seconds after a conversation's last turn."""

    responses: int = MOST_RESPONSES
    bytes: int = MOST_BYTES
    seconds: float = KEPT_SECONDS


USUAL_BOUNDS = Bounds()


class KeptRows:
    """The target of the background writer. Give the path of a file that the ledger has found good; ``wall`` gives
    Unix time."""

    def __init__(self, path: Path, bounds: Bounds = USUAL_BOUNDS, wall: Callable[[], float] = time.time) -> None:
        self.path = path
        self.bounds = bounds
        self.wall = wall
        self.taken_bytes = 0
        """Of everything that does not wait any more: written, or given up."""
        self._connection: KeptConnection | None = None

    def prepare(self) -> None:
        """Open the file and make the tables. Raises OSError."""
        self._connected()

    def write(self, items: Sequence[Change]) -> None:
        """Commit all changes, and forget what is too old or too much. Raises OSError when nothing was written."""
        try:
            self._connected().apply(items, self.wall())
        except OSError:
            # Never assume anything of a connection that failed: the next try opens the file anew.
            self.close()
            raise
        except Exception:
            self._take(items)  # On any other error the writer gives them up.
            raise
        self._take(items)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> "KeptConnection":
        if self._connection is not None and not self._connection.file.is_still_there():
            self.close()
        if self._connection is None:
            # Here and not above: see the module's docstring.
            from orcestator.store.kept_connection import KeptConnection  # noqa: PLC0415

            self._connection = KeptConnection(self.path, self.bounds)
        return self._connection

    def _take(self, items: Sequence[Change]) -> None:
        self.taken_bytes += sum(map(size_of, items))


class KeptResponses:
    """The shelf. ``queue`` and ``flush`` are those of the writer of ``rows``.

    ``is_shared``: other processes write to the file, too.
    """

    def __init__(
        self,
        rows: KeptRows,
        queue: Callable[[Change], None],
        flush: Callable[[float], bool],
        *,
        is_shared: bool,
        most_waiting_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self._rows = rows
        self._queue = queue
        self._flush = flush
        self._is_shared = is_shared
        self._most_waiting_bytes = most_waiting_bytes
        self._queued_bytes = 0
        self.left_out = 0
        """Responses that were not written because too much was waiting already."""

    def put(
        self,
        owner: str,
        response_id: str,
        *,
        previous_id: str,
        response: bytes,
        own: bytes,
        item_ids: Sequence[str],
        history: Callable[[], bytes],
    ) -> None:
        """Queue a turn. Costs microseconds; never raises."""
        put = Put(
            *(owner, response_id, previous_id, response, own),
            *(tuple(item_ids), history, self._rows.wall()),
        )
        if self._queued_bytes - self._rows.taken_bytes + size_of(put) > self._most_waiting_bytes:
            self._leave_out()
            return
        self._queued_bytes += size_of(put)
        self._queue(put)

    async def find(self, owner: str, response_id: str) -> Sequence[Turn]:
        """The conversation up to a response, its first turn first; empty when it is not there."""
        look = partial(conversation_of, owner=owner, response_id=response_id, now=self._rows.wall)
        return await self._looked_up(look, None, lambda found: found is not None) or []

    async def find_items(self, owner: str, item_ids: Sequence[str]) -> Mapping[str, Json]:
        """Those of the output items that are there, by their ids."""
        look = partial(items_of, owner=owner, item_ids=item_ids, now=self._rows.wall)
        return await self._looked_up(look, {}, lambda found: len(found) == len(set(item_ids)))

    async def is_removed(self, owner: str, response_id: str) -> bool:
        """Whether a response was removed and not kept again; False without a look where nobody else removes any."""
        look = partial(removal_of, owner=owner, response_id=response_id)
        return self._is_shared and await self._look(look, False)

    async def remove(self, owner: str, response_id: str) -> None:
        """Remove a response. Returns when that is written, or after a second."""
        self._queue(Remove(owner, response_id))
        await asyncio.to_thread(self._flush, REMOVAL_SECONDS)

    def _leave_out(self) -> None:
        if not self.left_out:
            logger.error("the database takes nothing: kept responses stay in memory until it does")
        self.left_out += 1

    async def _looked_up(
        self, look: Callable[[sqlite3.Connection], Found], nothing: Found, is_enough: Callable[[Found], bool]
    ) -> Found:
        """What a look finds, and where another process may be writing it just now, what one of the next looks finds."""
        found = await self._look(look, nothing)
        for pause in PAUSES if self._is_shared else ():
            if is_enough(found):
                break
            await asyncio.sleep(pause)
            found = await self._look(look, nothing)
        return found

    async def _look(self, look: Callable[[sqlite3.Connection], Found], nothing: Found) -> Found:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._read, look), LOOK_SECONDS)
        # ValueError is what a row would be that is not ours.
        except (OSError, sqlite3.Error, ValueError) as problem:
            logger.warning("kept responses cannot be read: %s", problem or "the disk takes too long")
            return nothing

    def _read(self, look: Callable[[sqlite3.Connection], Found]) -> Found:
        address = f"{self._rows.path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.text_factory = bytes
            return look(connection)


def size_of(change: Change) -> int:
    """The bytes of JSON that a change brings."""
    return len(change.response) + len(change.own) if isinstance(change, Put) else 0


_LIVE = "kept.removed = 0 AND conversation.expires > :now"
_CONVERSATION = f"""
WITH RECURSIVE turn(row, previous, depth, seconds_left) AS (
    SELECT kept.id, kept.previous, 0, conversation.expires - :now
    FROM kept_response AS kept JOIN kept_conversation AS conversation ON conversation.id = kept.conversation
    WHERE kept.owner = :owner AND kept.response_id = :response_id AND {_LIVE}
    UNION ALL
    SELECT kept.id, kept.previous, turn.depth + 1, turn.seconds_left
    FROM turn JOIN kept_response AS kept ON kept.id = turn.previous
)
SELECT turn.previous, kept.removed, kept.response_id, kept.response, kept.own, turn.seconds_left
FROM turn JOIN kept_response AS kept ON kept.id = turn.row ORDER BY turn.depth DESC
"""
_ITEM = f"""
SELECT kept.response
FROM kept_item AS item JOIN kept_response AS kept ON kept.id = item.kept
JOIN kept_conversation AS conversation ON conversation.id = kept.conversation
WHERE item.owner = :owner AND item.item_id = :item_id AND {_LIVE} ORDER BY kept.id DESC LIMIT 1
"""
_REMOVAL = "SELECT min(removed) FROM kept_response WHERE owner = :owner AND response_id = :response_id"


def conversation_of(
    connection: sqlite3.Connection, *, owner: str, response_id: str, now: Callable[[], float]
) -> list[Turn] | None:
    """The turns up to a response; none when it was removed, None when it may come yet.

    Raises sqlite3.Error and ValueError.
    """
    found = connection.execute(_CONVERSATION, {"owner": owner, "response_id": response_id, "now": now()}).fetchall()
    if not found:
        return [] if removal_of(connection, owner=owner, response_id=response_id) else None
    if found[0][0]:
        raise ValueError("a conversation without its first turn")
    return [
        Turn(
            "" if removed else name.decode(),
            loads_strictly(response),
            loads_strictly(own),
            len(response) + len(own),
            seconds_left,
        )
        for _, removed, name, response, own, seconds_left in found
    ]


def items_of(
    connection: sqlite3.Connection, *, owner: str, item_ids: Sequence[str], now: Callable[[], float]
) -> dict[str, Json]:
    """Output items by their ids. Raises sqlite3.Error and ValueError."""
    found: dict[str, Json] = {}
    for item_id in item_ids:
        if item_id in found:
            continue
        row = connection.execute(_ITEM, {"owner": owner, "item_id": item_id, "now": now()}).fetchone()
        # All items of its response at once: they are mostly referred to together.
        found |= outputs_in(loads_strictly(row[0])) if row is not None else {}
    return {item_id: found[item_id] for item_id in item_ids if item_id in found}


def outputs_in(response: Json) -> dict[str, Json]:
    """The output items of a response that have an id."""
    output = response.get("output")
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    return {item["id"]: item for item in items if isinstance(item.get("id"), str)}


def removal_of(connection: sqlite3.Connection, *, owner: str, response_id: str) -> bool:
    """Whether all that there is of a response is that it was removed. Raises sqlite3.Error."""
    row = connection.execute(_REMOVAL, {"owner": owner, "response_id": response_id}).fetchone()
    return bool(row[0])
