"""What the issuer never gave out does not go back to it."""

from typing import Any

from hypothesis import given, settings

from orcestator.dialects.responses.upstream import UPSTREAM
from orcestator.upstream.ids import new_id
from tests.dialects.responses.test_request import JUNK

THEIRS = "rs_" + "0a" * 25


def cleaned(*items: Any) -> Any:
    """The input that goes to the issuer; None when it goes as it came."""
    assert UPSTREAM.clean is not None
    found = UPSTREAM.clean({"model": "m", "input": list(items)})
    return None if found is None else found["input"]


def test_a_healthy_body_goes_as_it_came() -> None:
    reasoning = {"type": "reasoning", "id": THEIRS, "summary": []}

    assert (
        cleaned({"role": "user", "content": "x"}, reasoning, {"type": "item_reference", "id": new_id("msg_")}) is None
    )


def test_ids_of_ours_stay_here() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    secret = {"type": "reasoning", "summary": [], "encrypted_content": "x"}

    assert cleaned({"id": new_id("fc_"), **call}, {"id": new_id("rs_"), **secret}) == [call, secret]


def test_reasoning_of_other_upstreams_stays_here() -> None:
    told = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    user = {"role": "user", "content": "x"}

    assert cleaned(user, {"id": new_id("rs_"), **told}, {"encrypted_content": None, **told}) == [user]


@settings(max_examples=30, deadline=None)
@given(JUNK)
def test_any_input_is_taken(junk: Any) -> None:
    assert UPSTREAM.clean is not None
    assert UPSTREAM.clean({"input": [junk, {"type": "reasoning", "id": junk, "encrypted_content": junk}]}) != {}
    assert UPSTREAM.clean({"input": junk}) != {}
