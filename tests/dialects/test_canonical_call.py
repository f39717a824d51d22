"""What every upstream translator reads out of the canonical call, also where a caller keeps to no rule."""

from typing import Any

import pytest

from orcestator.dialects.canonical_call import (
    AllowedTools,
    AnswerFormat,
    allowed_tools,
    answer_format,
    function_name_of,
    messages_in,
    output_limit,
    reasoning_wish,
    stops_in,
    tool_calls_in,
    tools_in,
    within,
)
from orcestator.errors import InvalidRequest

SCHEMA = {"type": "object"}


@pytest.mark.parametrize("messages", [None, [], "hello", {}])
def test_a_call_has_messages(messages: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_in({"messages": messages})
    assert (caught.value.param, "at least one message" in caught.value.message) == ("messages", True)


@pytest.mark.parametrize("stray", [{"role": "bogus"}, {}, "hello", {"role": ["user"]}])
def test_every_message_has_a_role_that_is_known(stray: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_in({"messages": [{"role": "user"}, stray]})
    assert caught.value.param == "messages[1].role"
    roles = [{"role": role} for role in ("system", "developer", "user", "assistant", "tool")]
    assert messages_in({"messages": roles}) == roles


def test_a_custom_tool_s_text_is_the_one_field_of_an_object() -> None:
    function = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    custom = {"id": "2", "type": "custom", "custom": {"name": "c", "input": "ls"}}
    calls = tool_calls_in({"tool_calls": [function, custom, {"function": {"name": 5}}, "stray"]})
    assert [(one.id, one.name, one.arguments, one.is_custom) for one in calls] == [
        ("1", "f", "{}", False),
        ("2", "c", {"input": "ls"}, True),
        (None, "", None, False),
    ]
    assert [one.wire for one in calls[:2]] == [function, custom]
    assert tool_calls_in({"tool_calls": "stray"}) == tool_calls_in({}) == []


def test_tools_and_the_choice_among_them() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert tools_in({"tools": [named, 5]}) == [named]
    assert tools_in({"tools": "stray"}) == []
    assert [function_name_of(one) for one in (named, {"function": {"name": 5}}, {}, "auto", None)] == [
        "f", None, None, None, None,
    ]  # fmt: skip
    inner = {"mode": "required", "tools": [named, {"function": {}}, "stray"]}
    found = AllowedTools("required", ["f"])
    assert allowed_tools({"type": "allowed_tools", "allowed_tools": inner}) == found
    assert allowed_tools({"type": "allowed_tools", **inner}) == found, "as the Responses API writes it"
    assert allowed_tools(named) is allowed_tools("auto") is None


def test_limits_and_stops() -> None:
    assert output_limit({"max_tokens": 5}) == 5
    assert output_limit({"max_completion_tokens": 0, "max_tokens": 5}) == 0
    assert output_limit({}) is None
    assert [stops_in({"stop": stop}) for stop in ("a", ["a", "b"], None, 5)] == [["a"], ["a", "b"], [], []]
    assert [within(value, 0, 1) for value in (-1, 0.5, 2, True, "hot", None)] == [0, 0.5, 1, True, "hot", None]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, AnswerFormat("text")),
        ({"type": "text"}, AnswerFormat("text")),
        ({"type": "json_object"}, AnswerFormat("json_object")),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}}, AnswerFormat("json_schema", SCHEMA)),
        ({"type": "json_schema", "json_schema": {"schema": 5}}, AnswerFormat("json_schema")),
        ({"type": "json_schema"}, AnswerFormat("json_schema")),
        ({"type": "odd"}, AnswerFormat("")),
        ({"type": ["text"]}, AnswerFormat("")),
        ("text", AnswerFormat("")),
    ],
)
def test_the_form_of_the_answer(wanted: Any, found: AnswerFormat) -> None:
    assert answer_format({"response_format": wanted}) == found


def test_what_is_asked_of_reasoning() -> None:
    wish = reasoning_wish({"reasoning_effort": "high", "reasoning": {"max_tokens": 9, "exclude": True}})
    assert (wish.effort, wish.budget, wish.is_off, wish.is_hidden) == ("high", 9, False, True)
    assert reasoning_wish({"reasoning_effort": "none"}).is_off
    assert reasoning_wish({"reasoning": {"enabled": False}}).is_off
    nothing = reasoning_wish({"reasoning": "stray"})
    assert (nothing.effort, nothing.budget, nothing.said, nothing.is_off, nothing.is_hidden) == (
        None,
        None,
        {},
        False,
        False,
    )
