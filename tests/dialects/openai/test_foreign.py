"""A call of another dialect made fit for plain OpenAI: nothing of the extension keys is left, and losses have names."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.openai.foreign import DETAILS_BACK, REASONING_BACK, to_openai
from orcestator.json_text import Json

IMAGE: Json = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


def made_of(call: Json, *quirks: str, **facts: Any) -> tuple[Json, tuple[str, ...]]:
    """The call that goes out; what was given stays as it was."""
    given_call = {"messages": [{"role": "user", "content": "x"}], **call}
    before = deepcopy(given_call)
    made = to_openai(given_call, quirks, facts)
    assert given_call == before
    return made


def messages_of(*messages: Json, quirks: tuple[str, ...] = ()) -> list[Json]:
    """The messages that go out, without a loss."""
    made, dropped = made_of({"messages": list(messages)}, *quirks)
    assert dropped == ()
    return list(made["messages"])


def test_parts_of_text_alone_become_text() -> None:
    """Many upstreams take parts from users only; a picture keeps them parts."""
    text = {"type": "text", "text": "a"}
    assert messages_of({"role": "user", "content": [text, {"type": "text", "text": "b"}]}) == [
        {"role": "user", "content": "a\nb"}
    ]
    assert messages_of({"role": "user", "content": [text, IMAGE]}) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]}
    ]


def test_marks_for_a_cache_go_and_are_named() -> None:
    """On parts and on tools."""
    mark = {"cache_control": {"type": "ephemeral"}}
    content = [{"type": "text", "text": "a", **mark}]
    made, dropped = made_of({"messages": [{"role": "user", "content": content}]})
    assert (made["messages"], dropped) == ([{"role": "user", "content": "a"}], ("cache_control",))
    tool = {"type": "function", "function": {"name": "f"}}
    made, dropped = made_of({"tools": [{**tool, **mark}]})
    assert (made["tools"], dropped) == ([tool], ("cache_control",))


def calls(*ids: str) -> Json:
    """An assistant's message that calls a tool under each id."""
    wires = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": wires}


def test_what_tools_show_follows_their_results() -> None:
    """After the last of them: nobody may speak between a call and its results."""
    results = [
        calls("1", "2"),
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "seen"}, IMAGE]},
        {"role": "tool", "tool_call_id": "2", "content": [IMAGE]},
    ]
    made = messages_of(*results, {"role": "user", "content": "And?"})
    assert [message["role"] for message in made] == ["assistant", "tool", "tool", "user", "user"]
    assert made[1]["content"] == "seen"
    assert isinstance(made[2]["content"], str)
    assert made[3] == {"role": "user", "content": [IMAGE, IMAGE]}
    assert messages_of(*results)[-1] == {"role": "user", "content": [IMAGE, IMAGE]}


@pytest.mark.parametrize(
    ("quirks", "left"),
    [
        ((), set()),
        ((REASONING_BACK,), {"reasoning_content"}),
        ((DETAILS_BACK,), {"reasoning_details"}),
    ],
)
def test_reasoning_goes_only_to_who_wants_it(quirks: tuple[str, ...], left: set[str]) -> None:
    """And a signature of Gemini's to nobody here."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "hm",
        "reasoning_details": [{"type": "reasoning.text"}],
        "tool_calls": [{**call, "extra_content": {"google": {"thought_signature": "s"}}}],
    }
    made, _ = messages_of(message, {"role": "tool", "tool_call_id": "1", "content": "ok"}, quirks=quirks)
    assert made.keys() - {"role", "content", "tool_calls"} == left
    assert made["tool_calls"] == [call]


def test_a_tools_failure_is_named_as_lost() -> None:
    """The text of it goes on."""
    failed = {"role": "tool", "tool_call_id": "1", "content": "no", "is_error": True}
    made, dropped = made_of({"messages": [calls("1"), failed]})
    assert dropped == ("messages.is_error",)
    assert made["messages"][1] == {"role": "tool", "tool_call_id": "1", "content": "no"}


@pytest.mark.parametrize(
    ("call", "facts", "left", "dropped"),
    [
        ({"max_completion_tokens": 9}, {}, {"max_tokens": 9}, ()),
        ({"top_k": 3}, {}, {}, ("top_k",)),
        ({"top_k": 3}, {"supported_parameters": ["top_k"]}, {"top_k": 3}, ()),
        ({"stop": list("abcde")}, {}, {"stop": list("abcd")}, ("stop",)),
        ({"stop": list("abcd")}, {}, {"stop": list("abcd")}, ()),
        ({"reasoning": {"max_tokens": 13_000}}, {"max_output_tokens": 16_000}, {"reasoning_effort": "high"}, ()),
        ({"reasoning": {"max_tokens": 13_000}}, {"supported_parameters": ["tools"]}, {}, ()),
        ({"reasoning": {"max_tokens": 9}}, {"supported_parameters": ["reasoning"]}, {"reasoning": {"max_tokens": 9}}, ()),
        ({"reasoning": {"enabled": False}}, {}, {}, ()),
        ({"reasoning": {"exclude": True}, "reasoning_effort": "low"}, {}, {"reasoning_effort": "low"}, ()),
        ({"tools": [{"type": "function", "cache_control": {}}]}, {}, {"tools": [{"type": "function"}]}, ()),
    ],
)  # fmt: skip
def test_parameters(call: Json, facts: Json, left: Json, dropped: tuple[str, ...]) -> None:
    """By their plain names, as the facts of the model have it."""
    made, lost = made_of(call, **facts)
    assert {name: value for name, value in made.items() if name != "messages"} == left
    assert lost == dropped


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "id"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={"content": VALUES, "tool_calls": VALUES, "is_error": VALUES, "reasoning_details": VALUES},
)
CALLS = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=4)},
    optional={name: VALUES for name in ("tools", "reasoning", "top_k", "stop", "max_completion_tokens")},
)


@settings(max_examples=60, deadline=None)
@given(call=CALLS)
def test_whatever_was_asked_is_a_call(call: Json) -> None:
    """With every message that was there, and what was given unchanged."""
    made, dropped = made_of(call)
    assert len(made["messages"]) >= len(call["messages"])
    assert len(set(dropped)) == len(dropped)
