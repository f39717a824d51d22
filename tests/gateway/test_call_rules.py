"""What a call must be, and what of it the log shows."""

from typing import Any

import pytest

from orcestator.errors import InvalidRequest
from orcestator.gateway.call_rules import LONGEST_MODEL_NAME, CallLimits, check_call, user_text

LIMITS = CallLimits(messages=3, choices=2, tools=2, stops=2)
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"model": "m", "n": 2, "stream": True, "stop": ["a", "b"], "tools": [{}, {}]},
        {"n": None, "stream": None, "stop": None, "tools": None, "model": None},
        {"stop": "a long text"},
        {"tools": [], "stream": False, "unknown": {"deep": 1}},
        {"messages": [{}] * 3},
    ],
)
def test_what_is_taken(more: dict[str, Any]) -> None:
    """Nulls count as absent, unknown fields are the upstream's business."""
    check_call("chat", HELLO | more, LIMITS)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{}] * 4}, "messages"),
        ({"messages": [{}, "x"]}, "messages[1]"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}] * 3}, "tools"),
        ({"n": 0}, "n"),
        ({"n": 3}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.0}, "n"),
        ({"n": "1"}, "n"),
        ({"stream": 1}, "stream"),
        ({"stream": "true"}, "stream"),
        ({"stop": ["a", "b", "c"]}, "stop"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"model": ["m"]}, "model"),
        ({"model": "m" * (LONGEST_MODEL_NAME + 1)}, "model"),
    ],
)
def test_what_is_refused(more: dict[str, Any], param: str) -> None:
    """The field is named in the message and in ``param``."""
    with pytest.raises(InvalidRequest) as caught:
        check_call("chat", HELLO | more, LIMITS)
    assert caught.value.param == param
    assert f"'{param}" in caught.value.message


def test_other_endpoints_need_no_messages() -> None:
    check_call("embeddings", {"model": "e", "input": "x"}, LIMITS)
    with pytest.raises(InvalidRequest):
        check_call("completions", {"prompt": "x", "n": 99}, LIMITS)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("a text that is too long", "a text that"),
        ([{"type": "text", "text": "two"}, {"type": "text", "text": "parts"}], "two parts"),
        ([{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "x"}], " x"),
        ([{"text": 5}, None, "bare"], "bare"),
        (None, ""),
        (7, ""),
        ({"text": "x"}, ""),
    ],
)
def test_the_users_text(content: Any, shown: str) -> None:
    call = {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "no"}]}
    assert user_text("chat", call, 11) == shown


def test_the_last_user_message_counts() -> None:
    """And a call without one has no text."""
    call = {"messages": [{"role": "user", "content": "first"}, {"role": "user", "content": "last"}, {"role": "tool"}]}
    assert user_text("chat", call, 100) == "last"
    assert user_text("chat", {"messages": [{"role": "system", "content": "x"}, {}]}, 100) == ""


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ({"prompt": "p"}, "p"),
        ({"input": "i"}, "i"),
        ({"input": ["a", "b"]}, "a b"),
        ({"input": [1, 2, 3]}, ""),
        ({"input": [[1], [2]]}, ""),
        ({}, ""),
    ],
)
def test_the_text_of_other_endpoints(call: dict[str, Any], shown: str) -> None:
    assert user_text("embeddings", call, 100) == shown


def test_nothing_is_kept_when_nothing_is_wanted() -> None:
    assert user_text("chat", HELLO, 0) == ""
