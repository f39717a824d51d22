"""Turns on top of each other: what is kept of one is what the next begins with."""

from typing import Any

import pytest

from orcestator.dialects.responses.caller import CALLER
from orcestator.dialects.responses.conversation import input_listing, items_to_keep, with_history, with_references
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from tests.dialects.responses.responses_sdk import write_terms


def answer(text: str) -> Json:
    """A response that says this."""
    return CALLER.reply({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}, write_terms())


def test_a_turn_is_read_as_if_the_caller_had_sent_the_whole_conversation() -> None:
    first = {"model": "m", "instructions": "Be brief.", "input": "hi"}
    second = {"model": "m", "input": [{"role": "user", "content": "and?"}], "previous_response_id": "resp_1"}
    third = {"model": "m", "input": "so?", "previous_response_id": "resp_2"}

    kept = items_to_keep(first, answer("Hello"))
    kept = items_to_keep(with_history(second, kept), answer("Then"))
    call = CALLER.read(with_history(third, kept)).call

    assert [(message["role"], message["content"]) for message in call["messages"]] == [
        ("user", "hi"),
        ("assistant", "Hello"),
        ("user", "and?"),
        ("assistant", "Then"),
        ("user", "so?"),
    ]
    assert "previous_response_id" in third, "the caller's body was changed"


def test_a_body_without_input_continues_with_what_there_is() -> None:
    kept = items_to_keep({"input": "hi"}, answer("Hello"))

    assert with_history({"model": "m", "previous_response_id": "resp_1"}, kept)["input"] == kept


@pytest.mark.parametrize(("given", "param"), [(5, "input"), ([{"role": "user", "content": "x"}, 5], "input[1]")])
def test_no_items_are_refused(given: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        with_history({"input": given}, [])
    assert refused.value.param == param


def test_references_are_replaced_by_what_they_stand_for() -> None:
    kept = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    body = {"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "b"}]}

    found = with_references(body, {"msg_1": kept}.get)

    assert found["input"] == [kept, {"role": "user", "content": "b"}]
    assert with_references(found, {}.get) is found
    with pytest.raises(InvalidRequest):
        with_references(body, {}.get)


def test_the_listing_pages_through_items_that_all_have_ids() -> None:
    kept = items_to_keep({"input": [{"role": "user", "content": str(n)} for n in range(3)]}, {})

    first = input_listing(kept, "resp_1", limit=2)
    second = input_listing(kept, "resp_1", limit=2, after=first["last_id"])
    forward = input_listing(kept, "resp_1", newest_first=False)

    assert (first["has_more"], second["has_more"]) == (True, False)
    ids = [item["id"] for item in [*first["data"], *second["data"]]]
    assert ids == ["msg_1_2", "msg_1_1", "msg_1_0"]
    assert [item["id"] for item in forward["data"]] == ids[::-1]
    assert (forward["first_id"], forward["last_id"]) == ("msg_1_0", "msg_1_2")
    assert forward["data"][0]["content"] == [{"type": "input_text", "text": "0"}]


def test_an_unknown_place_to_go_on_from_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        input_listing([], "resp_1", after="msg_9")
    assert refused.value.param == "after"
