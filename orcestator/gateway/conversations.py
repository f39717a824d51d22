"""Responses kept for the next turn: VS Code sends only what is new, and the id of the answer before.

https://platform.openai.com/docs/guides/conversation-state (checked 2026-11). What is kept is ours alone: whichever
provider takes the next turn gets the whole history. Bounded by entries, bytes and age; each caller sees its own only.
Nothing is held twice: a turn has its own items, and what came before it is shared with the turns it came from.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orcestator.dialects.responses.conversation import (
    input_listing,
    items_to_keep,
    own_items,
    with_history,
    with_references,
)
from orcestator.errors import InvalidRequest, RouteNotFound
from orcestator.json_text import Json, dumps

PREVIOUS_NOT_FOUND = "previous_response_not_found"
"""On this code VS Code sends the turn again with its whole history (checked 2026-11)."""


class ShelvedTurn(Protocol):
    """A turn as the shelf gives it. ``response_id`` is "" when the turn lives on only in those that followed it."""

    @property
    def response_id(self) -> str:
        """The id of its response."""

    @property
    def response(self) -> Json:
        """The response; of one that was removed, its ``output`` alone."""

    @property
    def own(self) -> Sequence[Json]:
        """The items that were new in it."""

    @property
    def size(self) -> int:
        """Bytes of both."""

    @property
    def seconds_left(self) -> float:
        """How long it will be kept yet."""


class Shelf(Protocol):
    """Where responses are kept beyond this process. Nothing of it raises, or blocks the event loop."""

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
        """Write a turn soon: what it answered and said is JSON. ``history`` gives all items up to its answer, in any
        thread, for when the turn before it turns out not to be there."""

    async def find(self, owner: str, response_id: str) -> Sequence[ShelvedTurn]:
        """The conversation up to a response, its first turn first; empty when it is not there."""

    async def find_items(self, owner: str, item_ids: Sequence[str]) -> Mapping[str, Json]:
        """Those of the output items that are there, by their ids."""

    async def is_removed(self, owner: str, response_id: str) -> bool:
        """Whether somebody else removed a response that this process has in its memory."""

    async def remove(self, owner: str, response_id: str) -> None:
        """Remove a response. Returns when that is done, or will take longer."""


@dataclass(slots=True, eq=False)
class Kept:
    """One turn: the items that were new in it, its response, and the turn that it goes on from.

    ``size`` is in bytes; ``length`` is the number of items in the conversation up to its end; ``holders`` counts the
    index and the turns that go on from it.
    """

    response: Json
    own: tuple[Json, ...]
    previous: "Kept | None"
    size: int
    expires: float
    output: tuple[Json, ...] = field(init=False)
    length: int = field(init=False)
    holders: int = 0

    def __post_init__(self) -> None:
        self.output = tuple(items_to_keep({}, self.response))
        before = self.previous.length if self.previous is not None else 0
        self.length = before + len(self.own) + len(self.output)

    def given(self) -> list[Json]:
        """The whole conversation up to what it was an answer to."""
        turns, turn = [], self.previous
        while turn is not None:
            turns.append(turn)
            turn = turn.previous
        earlier = [item for turn in reversed(turns) for item in (*turn.own, *turn.output)]
        return [*earlier, *self.own]

    def items(self) -> list[Json]:
        """The whole conversation up to its end."""
        return [*self.given(), *self.output]

    def item_ids(self) -> list[str]:
        """The ids that its output can be referred to by."""
        return [item["id"] for item in self.output if isinstance(item.get("id"), str)]


class Conversations:
    """``now`` gives seconds on any steady clock; ``shelf`` is asked for what is not in memory."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        shelf: Shelf | None = None,
        most_responses: int = 4096,
        most_bytes: int = 64 << 20,
        seconds: float = 24 * 3600.0,
    ) -> None:
        self._now = now
        self._shelf = shelf
        self._most_responses = most_responses
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._items: dict[tuple[str, str], tuple[Json, float]] = {}
        self._shares: dict[str, _Share] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def continued(self, owner: str, body: Json) -> Json:
        """The body with the conversation it continues and the items it refers to; the body itself when there are none.

        Raises InvalidRequest for what is not kept.
        """
        shelved = await self._shelved_items(owner, body)
        body = with_references(body, lambda item_id: self._item(owner, item_id) or shelved.get(item_id))
        previous = body.get("previous_response_id")
        if previous is None:
            return body
        kept = await self._found(owner, previous) if isinstance(previous, str) else None
        if kept is None:
            raise InvalidRequest(
                f"Previous response with id '{str(previous)[:128]}' not found. Send the whole conversation instead.",
                param="previous_response_id",
                code=PREVIOUS_NOT_FOUND,
            )
        return with_history(body, kept.items())

    def keep(self, owner: str, asked: Json, body: Json, response: Json) -> None:
        """Keep a whole response with the conversation that led to it, unless the caller asked not to.

        ``asked`` is what the caller sent, ``body`` what ``continued`` made of it. Never waits for anything.
        """
        response_id = response.get("id")
        if body.get("store") is False or not isinstance(response_id, str) or not response_id:
            return
        previous_id, previous, own = self._gone_on_from(owner, asked, own_items(body))
        response_json, own_json = dumps(response), dumps(own)
        size = len(response_json) + len(own_json)
        if size > self._most_bytes // 8:
            return
        kept = Kept(response, tuple(own), previous, size, self._now() + self._seconds)
        self._hold(owner, response_id, kept)
        if self._shelf is not None:
            self._shelf.put(
                owner,
                response_id,
                previous_id=previous_id,
                response=response_json,
                own=own_json,
                item_ids=kept.item_ids(),
                history=lambda: dumps(kept.given()),
            )
        self._make_room()

    def _gone_on_from(self, owner: str, asked: Json, given: list[Json]) -> tuple[str, Kept | None, list[Json]]:
        """The id of the turn before this one, that turn, and what was given on top of it.

        Nothing and all of it when that turn was forgotten in the meantime, or replaced by another.
        """
        previous_id = asked.get("previous_response_id")
        previous = self._kept.get((owner, previous_id)) if isinstance(previous_id, str) else None
        if previous is None or given[: previous.length] != previous.items():
            return "", None, given
        return str(previous_id), previous, given[previous.length :]

    async def response(self, owner: str, response_id: str) -> Json:
        """A kept response. Raises RouteNotFound."""
        return (await self._required(owner, response_id)).response

    async def input_items(self, owner: str, response_id: str, **page: Any) -> Json:
        """A page of what it was an answer to. Raises RouteNotFound and InvalidRequest."""
        return input_listing((await self._required(owner, response_id)).given(), response_id, **page)

    async def remove(self, owner: str, response_id: str) -> None:
        """Forget a response; what went on from it keeps its items. Raises RouteNotFound."""
        await self._required(owner, response_id)
        self._forget(owner, response_id)
        if self._shelf is not None:
            await self._shelf.remove(owner, response_id)

    async def _required(self, owner: str, response_id: str) -> Kept:
        kept = await self._found(owner, response_id)
        if kept is None:
            raise RouteNotFound(f"Response with id '{response_id[:128]}' not found.", param="response_id")
        return kept

    async def _found(self, owner: str, response_id: str) -> Kept | None:
        kept = self._find(owner, response_id)
        if self._shelf is None:
            return kept
        if kept is None:
            return self._brought(owner, await self._shelf.find(owner, response_id))
        if await self._shelf.is_removed(owner, response_id):
            self._forget(owner, response_id)
            return None
        return kept

    def _find(self, owner: str, response_id: str) -> Kept | None:
        kept = self._kept.get((owner, response_id))
        if kept is None or kept.expires <= self._now():
            return None
        self._kept.move_to_end((owner, response_id))
        self._shares[owner].ids.move_to_end(response_id)
        return kept

    def _brought(self, owner: str, turns: Sequence[ShelvedTurn]) -> Kept | None:
        """The last of these turns, now in memory on top of those that were there already."""
        known = [place for place, turn in enumerate(turns) if self._find(owner, turn.response_id) is not None]
        kept = self._find(owner, turns[known[-1]].response_id) if known else None
        for turn in turns[known[-1] + 1 :] if known else turns:
            expires = self._now() + min(turn.seconds_left, self._seconds)
            kept = Kept(turn.response, tuple(turn.own), kept, turn.size, expires)
            self._hold(owner, turn.response_id, kept)
        self._make_room()
        return kept

    async def _shelved_items(self, owner: str, body: Json) -> Mapping[str, Json]:
        """The items that the body refers to and that are not in memory."""
        missing: list[str] = []

        def note(item_id: str) -> Json:
            if self._item(owner, item_id) is None:
                missing.append(item_id)
            return {}

        if self._shelf is None:
            return {}
        with_references(body, note)
        return await self._shelf.find_items(owner, missing) if missing else {}

    def _item(self, owner: str, item_id: str) -> Json | None:
        item, expires = self._items.get((owner, item_id), (None, 0.0))
        return item if expires > self._now() else None

    def _hold(self, owner: str, response_id: str, kept: Kept) -> None:
        """Count a turn and put it into the index, unless it lives on only in the turns that follow."""
        share = self._shares.setdefault(owner, _Share())
        self.bytes += kept.size
        share.bytes += kept.size
        if kept.previous is not None:
            kept.previous.holders += 1
        if not response_id:
            return
        self._forget(owner, response_id)
        kept.holders += 1
        self._kept[owner, response_id] = kept
        self._shares.setdefault(owner, share).ids[response_id] = None
        for item in kept.output:
            if isinstance(item.get("id"), str):
                self._items[owner, item["id"]] = item, kept.expires

    def _forget(self, owner: str, response_id: str) -> None:
        kept = self._kept.pop((owner, response_id), None)
        if kept is None:
            return
        for item_id in kept.item_ids():
            self._items.pop((owner, item_id), None)
        share = self._shares[owner]
        del share.ids[response_id]
        self._release(share, kept)
        if not (share.ids or share.bytes):
            del self._shares[owner]

    def _release(self, share: "_Share", kept: Kept | None) -> None:
        """One holder less: without any a turn is gone, and so may be those that it alone held."""
        while kept is not None:
            kept.holders -= 1
            if kept.holders > 0:
                return
            self.bytes -= kept.size
            share.bytes -= kept.size
            kept = kept.previous

    def _make_room(self) -> None:
        while self._kept:
            (owner, response_id), oldest = next(iter(self._kept.items()))
            if oldest.expires <= self._now():
                self._forget(owner, response_id)
            elif len(self._kept) > self._most_responses or self.bytes > self._most_bytes:
                # Of whoever takes the most room: nobody can push out what somebody else keeps.
                owner, share = max(self._shares.items(), key=lambda found: (bool(found[1].ids), found[1].bytes))
                self._forget(owner, next(iter(share.ids)))
            else:
                return


@dataclass(slots=True)
class _Share:
    """What one caller's turns take: their ids, the one that was used longest ago first, and their bytes."""

    ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    bytes: int = 0
