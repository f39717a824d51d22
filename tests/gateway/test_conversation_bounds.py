"""Kept responses: found again by their owner alone, within bounds of number, bytes and age."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from orcestator.errors import InvalidRequest, RouteNotFound
from orcestator.gateway.conversations import PREVIOUS_NOT_FOUND, Conversations
from orcestator.json_text import Json


class Clock:
    """Time that stands until it is told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of something that waits for nothing here."""
    return asyncio.run(work)


def message(text: str, item_id: str) -> Json:
    """What a model said."""
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, "id": item_id}


def turn(kept: Conversations, response_id: str, text: str, owner: str = "me", **asked: Any) -> Json:
    """A whole turn: the body as it was continued."""
    body = {"input": text, **asked}
    continued: Json = run(kept.continued(owner, body))
    response = {"id": response_id, "object": "response", "output": [message(f"{text}!", f"msg_{response_id}")]}
    kept.keep(owner, body, continued, response)
    return continued


def texts_in(body: Json) -> list[str]:
    """Every text of a conversation, in its order."""
    return [part["text"] for item in body["input"] for part in item["content"]]


def refusal(kept: Conversations, body: Json, owner: str = "me") -> InvalidRequest:
    """Why a body cannot be continued."""
    with pytest.raises(InvalidRequest) as caught:
        run(kept.continued(owner, body))
    return caught.value


def reference(item_id: str) -> Json:
    """A body that refers to an item."""
    return {"input": [{"type": "item_reference", "id": item_id}]}


def test_a_body_that_refers_to_nothing_is_itself() -> None:
    """So that its bytes can go on as they came."""
    body = {"input": "x", "previous_response_id": None}
    assert run(Conversations(Clock()).continued("me", body)) is body


def test_a_conversation_goes_on_from_any_of_its_turns() -> None:
    """Each response stands for the conversation up to its end, whatever came of it later."""
    kept = Conversations(Clock())
    turn(kept, "resp_1", "a")
    turn(kept, "resp_2", "b", previous_response_id="resp_1")
    assert texts_in(turn(kept, "resp_3", "c", previous_response_id="resp_2")) == ["a", "a!", "b", "b!", "c"]
    assert texts_in(turn(kept, "resp_4", "d", previous_response_id="resp_1")) == ["a", "a!", "d"]
    listed = run(kept.input_items("me", "resp_3", newest_first=False))["data"]
    assert texts_in({"input": listed}) == ["a", "a!", "b", "b!", "c"]


def test_another_owner_finds_nothing() -> None:
    """Neither the response nor its input nor its items; and two owners may have the same id."""
    kept = Conversations(Clock())
    turn(kept, "resp_1", "mine")
    assert refusal(kept, {"previous_response_id": "resp_1", "input": "x"}, "you").param == "previous_response_id"
    assert refusal(kept, reference("msg_resp_1"), "you").param == "input[0]"
    for asked in (kept.response("you", "resp_1"), kept.input_items("you", "resp_1"), kept.remove("you", "resp_1")):
        with pytest.raises(RouteNotFound):
            run(asked)
    turn(kept, "resp_1", "yours", "you")
    mine = run(kept.continued("me", {"input": "x", "previous_response_id": "resp_1"}))
    assert texts_in(mine) == ["mine", "mine!", "x"]
    assert run(kept.continued("me", reference("msg_resp_1")))["input"] == [message("mine!", "msg_resp_1")]


@pytest.mark.parametrize(
    "previous", ["resp_none", "", 7, ["resp_1"], {"id": "resp_1"}, True], ids=lambda value: type(value).__name__
)
def test_what_is_not_kept_has_the_code_that_clients_know(previous: Any) -> None:
    """Whatever stands there."""
    kept = Conversations(Clock())
    turn(kept, "resp_1", "a")
    error = refusal(kept, {"input": "x", "previous_response_id": previous})
    assert (error.code, error.param, error.http_status) == (PREVIOUS_NOT_FOUND, "previous_response_id", 400)


@pytest.mark.parametrize(
    ("asked", "response"),
    [({"store": False}, {"id": "resp_1"}), ({}, {}), ({}, {"id": ""}), ({}, {"id": 7})],
)
def test_what_is_not_to_be_kept(asked: Json, response: Json) -> None:
    """By the caller's wish, or for want of a name."""
    kept = Conversations(Clock())
    body = {"input": "x", **asked}
    kept.keep("me", body, body, response)
    assert (len(kept), kept.bytes) == (0, 0)


def test_the_oldest_go_first() -> None:
    """What was used lately stays; of the others nothing can be referred to."""
    kept = Conversations(Clock(), most_responses=3)
    for number in (1, 2, 3):
        turn(kept, f"resp_{number}", "x")
    run(kept.response("me", "resp_1"))
    turn(kept, "resp_4", "x")
    assert len(kept) == 3
    assert refusal(kept, {"input": "x", "previous_response_id": "resp_2"}).code == PREVIOUS_NOT_FOUND
    assert refusal(kept, reference("msg_resp_2")).param == "input[0]"
    assert run(kept.response("me", "resp_1"))["id"] == "resp_1"


def test_bytes_are_bounded() -> None:
    """Whatever the conversations are, and one that is too large alone is not kept at all."""
    kept = Conversations(Clock(), most_bytes=40_000)
    for number in range(50):
        turn(kept, f"resp_{number}", "x" * 1000, f"owner-{number % 3}")
        assert kept.bytes <= 40_000
    assert 0 < len(kept) < 50
    turn(kept, "resp_large", "x" * 5000)
    assert refusal(kept, {"input": "x", "previous_response_id": "resp_large"}).code == PREVIOUS_NOT_FOUND


def test_nothing_is_left_of_what_was_removed() -> None:
    """Not a byte, whichever way it went."""
    kept = Conversations(Clock())
    turn(kept, "resp_1", "a")
    turn(kept, "resp_2", "b", previous_response_id="resp_1")
    turn(kept, "resp_2", "b again", previous_response_id="resp_1")
    for response_id in ("resp_1", "resp_2"):
        run(kept.remove("me", response_id))
    assert (len(kept), kept.bytes) == (0, 0)


def test_age_is_bounded() -> None:
    """A response and its items are gone after their time, also for who uses them all the while."""
    clock = Clock()
    kept = Conversations(clock, seconds=60.0)
    turn(kept, "resp_1", "a")
    clock.now += 59
    turn(kept, "resp_2", "b", previous_response_id="resp_1")
    assert run(kept.continued("me", reference("msg_resp_1")))["input"] == [message("a!", "msg_resp_1")]
    clock.now += 1
    assert refusal(kept, {"input": "x", "previous_response_id": "resp_1"}).code == PREVIOUS_NOT_FOUND
    assert refusal(kept, reference("msg_resp_1")).param == "input[0]"
    with pytest.raises(RouteNotFound):
        run(kept.response("me", "resp_1"))
    assert run(kept.response("me", "resp_2"))["id"] == "resp_2"


def test_nobody_pushes_out_what_somebody_else_keeps() -> None:
    """Room is made by whoever takes the most of it, the oldest first."""
    kept = Conversations(Clock(), most_bytes=200_000)
    turn(kept, "resp_mine", "m" * 5_000, owner="a")
    for number in range(100):
        turn(kept, f"resp_{number}", "x" * 10_000, owner="b")
    assert run(kept.response("a", "resp_mine"))["id"] == "resp_mine"
    assert run(kept.response("b", "resp_99"))["id"] == "resp_99"
    with pytest.raises(RouteNotFound):
        run(kept.response("b", "resp_0"))
    assert kept.bytes <= 200_000


def test_nor_by_their_number() -> None:
    """Many small ones take no more than their share either."""
    kept = Conversations(Clock(), most_responses=10)
    turn(kept, "resp_mine", "m", owner="a")
    for number in range(50):
        turn(kept, f"resp_{number}", "x" * 100, owner="b")
    assert run(kept.response("a", "resp_mine"))["id"] == "resp_mine"
    assert len(kept) == 10
    run(kept.remove("a", "resp_mine"))
    for number in range(42, 50):
        run(kept.remove("b", f"resp_{number}"))
    assert (kept.bytes, len(kept._shares)) != (0, 0)
    kept = Conversations(Clock())
    turn(kept, "resp_one", "x", owner="a")
    run(kept.remove("a", "resp_one"))
    assert (kept.bytes, kept._shares) == (0, {})
