"""What is kept in memory: each turn once, shared by the turns after it, counted as long as anybody holds it."""

import asyncio
import time
from typing import Any

import pytest

from orcestator.errors import InvalidRequest, RouteNotFound
from orcestator.gateway.conversations import PREVIOUS_NOT_FOUND, Conversations
from orcestator.json_text import Json

OWNER = "caller-1"
TEXT = "word " * 200


def turn(kept: Conversations, response_id: str, previous: str | None = None, **more: Any) -> list[Json]:
    """One request with its answer; the items that the model was given."""
    asked: Json = {"input": [{"role": "user", "content": f"{response_id} {TEXT}"}], **more}
    asked |= {"previous_response_id": previous} if previous else {}
    body = asyncio.run(kept.continued(OWNER, asked))
    said = {"type": "message", "id": f"msg_{response_id}", "role": "assistant", "content": []}
    kept.keep(OWNER, asked, body, {"id": response_id, "output": [said]})
    items: list[Json] = body["input"]
    return items


def chain(kept: Conversations, count: int, name: str = "resp") -> None:
    """A conversation of so many turns."""
    for number in range(count):
        turn(kept, f"{name}_{number}", f"{name}_{number - 1}" if number else None)


def knows(kept: Conversations, response_id: str) -> bool:
    """Whether the next turn can go on from it."""
    try:
        asyncio.run(kept.continued(OWNER, {"input": "and?", "previous_response_id": response_id}))
    except InvalidRequest as error:
        return error.code != PREVIOUS_NOT_FOUND
    return True


def test_a_turn_is_held_once_however_long_the_conversation() -> None:
    """Fifty turns cost what fifty conversations of one turn cost."""
    long, short = Conversations(time.monotonic), Conversations(time.monotonic)
    chain(long, 50)
    for number in range(50):
        turn(short, f"resp_{number}")
    assert 0 < long.bytes <= short.bytes
    assert len(turn(long, "last", "resp_49")) == 101
    listed = asyncio.run(long.input_items(OWNER, "last", newest_first=False, limit=100))
    assert len(listed["data"]) == 100
    assert listed["has_more"] is True


@pytest.mark.parametrize("order", [range(4), range(3, -1, -1), (1, 3, 0, 2)], ids=["first", "last", "mixed"])
def test_what_nobody_holds_any_more_is_not_counted(order: Any) -> None:
    """Turns are removed in any order: each lives as long as one that goes on from it, and nothing is left over."""
    kept = Conversations(time.monotonic)
    chain(kept, 4)
    whole = kept.bytes
    for place, number in enumerate(order):
        asyncio.run(kept.remove(OWNER, f"resp_{number}"))
        alive = sorted(order)[: 1 + max((left for left in list(order)[place + 1 :]), default=-1)]
        assert kept.bytes == pytest.approx(whole * len(alive) / 4, rel=0.01)
    assert kept.bytes == 0
    with pytest.raises(RouteNotFound):
        asyncio.run(kept.remove(OWNER, "resp_0"))


def test_a_removed_turn_stays_with_the_turns_after_it() -> None:
    """They were told it; its own name is gone, and the names of its items."""
    kept = Conversations(time.monotonic)
    chain(kept, 2)
    asyncio.run(kept.remove(OWNER, "resp_0"))
    assert not knows(kept, "resp_0")
    assert len(turn(kept, "resp_2", "resp_1")) == 5
    with pytest.raises(InvalidRequest, match="not kept here"):
        asyncio.run(kept.continued(OWNER, {"input": [{"type": "item_reference", "id": "msg_resp_0"}]}))


def test_bounds_hold_and_the_newest_is_whole() -> None:
    """By entries and by bytes; the conversation that is going on keeps its beginning."""
    few = Conversations(time.monotonic, most_responses=10)
    chain(few, 30)
    assert len(few) == 10
    assert knows(few, "resp_29")
    assert not knows(few, "resp_19")
    assert len(turn(few, "last", "resp_29")) == 61
    small = Conversations(time.monotonic, most_bytes=20_000)
    for number in range(30):
        chain(small, 2, f"talk{number}")
        assert small.bytes <= 20_000
    assert knows(small, "talk29_1")
    assert not knows(small, "talk0_1")


def test_an_answer_that_an_upstream_names_again_replaces_the_other() -> None:
    """Also when it goes on from its own name."""
    kept = Conversations(time.monotonic)
    turn(kept, "resp_0")
    assert len(turn(kept, "resp_0", "resp_0")) == 3
    assert len(turn(kept, "resp_1", "resp_0")) == 5
    asyncio.run(kept.remove(OWNER, "resp_1"))
    asyncio.run(kept.remove(OWNER, "resp_0"))
    assert (len(kept), kept.bytes) == (0, 0)
