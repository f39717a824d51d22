"""Responses that outlive the process that kept them: a shelf in the ledger's database, for ``previous_response_id``.

Writing is a background writer's business (``KeptRows`` is its target); reading is done in threads. A row is soon there, not at
once: who looks for one that another process may be writing looks again for a moment. Must never fail a request: what cannot be
read is not there.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from orcestator.json_text import Json, loads_strictly
from orcestator.store.kept_rows import KeptRows
from orcestator.store.kept_turns import Change, Put, Remove, Turn, size_of
from orcestator.store.rows import Reading

Found = TypeVar("Found")

MOST_WAITING_BYTES = 64 << 20
"""What may wait for a database that takes nothing; over it responses stay in memory only."""
PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Seconds between looks for a row that another process may be writing just now."""
LOOK_SECONDS = 1.0
"""How long a caller waits for one look; a disk that takes longer is one that has nothing."""
REMOVAL_SECONDS = 1.0
"""How long a caller waits for its removal to be written. It will be, when it is not by then."""

logger = logging.getLogger("orcestator.store")


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
        self, look: Callable[[Reading], Found], nothing: Found, is_enough: Callable[[Found], bool]
    ) -> Found:
        """What a look finds, and where another process may be writing it just now, what one of the next looks finds."""
        found = await self._look(look, nothing)
        for pause in PAUSES if self._is_shared else ():
            if is_enough(found):
                break
            await asyncio.sleep(pause)
            found = await self._look(look, nothing)
        return found

    async def _look(self, look: Callable[[Reading], Found], nothing: Found) -> Found:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._rows.rows.read, look), LOOK_SECONDS)
        # ValueError is what a row would be that is not ours.
        except (OSError, ValueError) as problem:
            logger.warning("kept responses cannot be read: %s", problem or "the disk takes too long")
            return nothing


_LIVE = "NOT kept.removed AND conversation.expires > :now"
_CONVERSATION = f"""
WITH RECURSIVE turn(id, previous, depth, seconds_left) AS (
    SELECT kept.id, kept.previous, 0, conversation.expires - :now
    FROM kept_response AS kept JOIN kept_conversation AS conversation ON conversation.id = kept.conversation
    WHERE kept.owner = :owner AND kept.response_id = :response_id AND {_LIVE}
    UNION ALL
    SELECT kept.id, kept.previous, turn.depth + 1, turn.seconds_left
    FROM turn JOIN kept_response AS kept ON kept.id = turn.previous
)
SELECT turn.previous, kept.removed, kept.response_id, kept.response, kept.own, turn.seconds_left
FROM turn JOIN kept_response AS kept ON kept.id = turn.id ORDER BY turn.depth DESC
"""
_ITEM = f"""
SELECT kept.response
FROM kept_item AS item JOIN kept_response AS kept ON kept.id = item.kept
JOIN kept_conversation AS conversation ON conversation.id = kept.conversation
WHERE item.owner = :owner AND item.item_id = :item_id AND {_LIVE} ORDER BY kept.id DESC LIMIT 1
"""
_REMOVAL = """
SELECT removed FROM kept_response WHERE owner = :owner AND response_id = :response_id ORDER BY removed LIMIT 1
"""


def conversation_of(reading: Reading, *, owner: str, response_id: str, now: Callable[[], float]) -> list[Turn] | None:
    """The turns up to a response; none when it was removed, None when it may come yet.

    Raises OSError and ValueError.
    """
    found = reading.execute(_CONVERSATION, {"owner": owner, "response_id": response_id, "now": now()})
    if not found:
        return [] if removal_of(reading, owner=owner, response_id=response_id) else None
    if found[0][0]:
        raise ValueError("a conversation without its first turn")
    return [_turn(*row[1:]) for row in found]


def _turn(removed: object, response_id: str, response_text: str, own_text: str, seconds_left: float) -> Turn:
    response, own = response_text.encode(), own_text.encode()
    size = len(response) + len(own)
    return Turn("" if removed else response_id, loads_strictly(response), loads_strictly(own), size, seconds_left)


def items_of(reading: Reading, *, owner: str, item_ids: Sequence[str], now: Callable[[], float]) -> dict[str, Json]:
    """Output items by their ids. Raises OSError and ValueError."""
    found: dict[str, Json] = {}
    for item_id in item_ids:
        if item_id in found:
            continue
        for (response,) in reading.execute(_ITEM, {"owner": owner, "item_id": item_id, "now": now()}):
            # All items of its response at once: they are mostly referred to together.
            found |= outputs_in(loads_strictly(response.encode()))
    return {item_id: found[item_id] for item_id in item_ids if item_id in found}


def outputs_in(response: Json) -> dict[str, Json]:
    """The output items of a response that have an id."""
    output = response.get("output")
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    return {item["id"]: item for item in items if isinstance(item.get("id"), str)}


def removal_of(reading: Reading, *, owner: str, response_id: str) -> bool:
    """Whether all that there is of a response is that it was removed. Raises OSError."""
    found = reading.execute(_REMOVAL, {"owner": owner, "response_id": response_id})
    return bool(found and found[0][0])
