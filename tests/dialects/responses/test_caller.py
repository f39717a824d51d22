"""What callers of the Responses API may send, and what they are told when they may not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.custom_tools import emulated_custom_tools, restored_input
from orcestator.dialects.responses.caller import CALLER
from orcestator.dialects.responses.tool_names import ToolBook, flat_name
from orcestator.errors import InvalidRequest, UpstreamRejected
from orcestator.json_text import Json
from tests.dialects.responses.test_request import JUNK


def body(**more: Any) -> Json:
    """A caller's body."""
    return {"model": "m", "input": "hi", **more}


def messages(*items: Json) -> list[Json]:
    """The messages that items become."""
    found: list[Json] = CALLER.read(body(input=list(items))).call["messages"]
    return found


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": {}}]}, "input[0].output"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"instructions": []}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_a_refusal_names_the_field_as_the_caller_spelled_it(wrong: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        CALLER.read(body(**wrong))
    assert refused.value.param == param
    assert param.partition("[")[0].partition(".")[0] in refused.value.message


def test_fields_without_a_meaning_here_are_named_and_ours_stay_silent() -> None:
    ours = {
        "store": True,
        "metadata": {"a": "b"},
        "client_metadata": {},
        "stream_options": {},
        "truncation": "disabled",
    }
    lost = {
        "truncation": "auto",
        "max_tool_calls": 2,
        "include": ["web_search_call.results"],
        "x\n": 1,
        "background": False,
    }

    assert CALLER.read(body(**ours)).dropped == ()
    assert CALLER.read(body(**lost)).dropped == (
        "include.web_search_call.results",
        "truncation",
        "max_tool_calls",
        "unknown",
    )


def test_neighbouring_items_of_the_assistant_are_one_message() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    called = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": None}

    first, tool, last = messages(said, called, said, output, {"role": "assistant", "content": "b"})

    assert first["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "a"}]
    assert [call["id"] for call in first["tool_calls"]] == ["c"]
    assert tool == {"role": "tool", "tool_call_id": "c", "content": ""}
    assert last == {"role": "assistant", "content": "b"}


def test_items_of_tools_that_ran_elsewhere_are_named() -> None:
    read = CALLER.read(
        body(input=[{"type": "web_search_call"}, {"type": "compaction"}, {"role": "user", "content": "x"}])
    )

    assert read.dropped == ("input.web_search_call", "input.compaction")
    assert len(read.call["messages"]) == 1


def test_a_choice_needs_tools_to_choose_from() -> None:
    hosted = [{"type": "web_search"}]

    read = CALLER.read(body(tools=hosted, tool_choice="required", parallel_tool_calls=True))

    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(read.call)
    assert read.dropped == ("tools.web_search", "tool_choice")


def test_tools_that_come_as_an_item_are_tools_too() -> None:
    late = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]}

    read = CALLER.read(body(input=[{"role": "user", "content": "x"}, late]))

    assert [tool["function"]["name"] for tool in read.call["tools"]] == ["late"]
    assert read.dropped == ()


NAMES = st.text(st.sampled_from("ab_-. é"), min_size=1, max_size=80)
DECLARED = st.lists(
    st.builds(
        lambda space, names: (
            {"type": "namespace", "name": space, "tools": [{"type": "function", "name": name} for name in names]}
        ),
        NAMES,
        st.lists(NAMES, min_size=1, max_size=3),
    )
    | st.builds(lambda name: {"type": "custom", "name": name}, st.sampled_from(["a__b", "a", "b"])),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(DECLARED)
def test_every_tool_is_found_again_by_its_made_name(tools: list[Json]) -> None:
    book = ToolBook({"tools": tools})
    pairs = {(tool["name"], inner["name"]) for tool in tools if "tools" in tool for inner in tool["tools"]}
    flats = {book.flat(space, name) for space, name in pairs}

    assert len(flats) == len(pairs)
    for space, name in pairs:
        flat = book.flat(space, name)
        assert book.tool(flat)[:2] == (name, space)
        assert len(flat) <= 64
        assert flat.replace("_", "").replace("-", "").isascii()
        assert not set(flat) & set(". é")


def test_a_tool_of_an_earlier_turn_keeps_its_name() -> None:
    assert ToolBook({}).flat("mcp__a__", "_b") == flat_name("mcp__a__", "_b") == "mcp__a__b"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"input":"a\\nb"}', "a\nb"),
        ("{}", ""),
        ("", ""),
        ("*** Begin Patch", "*** Begin Patch"),
        ('"text"', "text"),
        ('{"patch":"x"}', '{"patch":"x"}'),
        ("[1]", "[1]"),
    ],
)
def test_what_a_custom_tool_is_given_is_found(arguments: str, given: str) -> None:
    assert restored_input(arguments) == given


def test_a_call_without_custom_tools_stays_itself() -> None:
    call = {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f"}}]}

    emulated, names = emulated_custom_tools(call)

    assert emulated is call
    assert names == frozenset()


def test_custom_tools_become_functions_everywhere_in_a_call() -> None:
    custom = {"type": "custom", "custom": {"name": "patch"}}
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": 'a"'}}],
    }
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [custom]}}

    emulated, names = emulated_custom_tools({"messages": [called], "tools": [custom], "tool_choice": choice})

    assert names == {"patch"}
    assert emulated["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert emulated["tool_choice"]["allowed_tools"]["tools"] == [{"type": "function", "function": {"name": "patch"}}]
    function = emulated["messages"][0]["tool_calls"][0]["function"]
    assert restored_input(function["arguments"]) == 'a"'


def test_errors_have_openais_shape() -> None:
    error = UpstreamRejected("too long", cause="http_400", upstream_code="context_length_exceeded", param="input")

    told = CALLER.error(error, "request-1")["error"]

    assert told == {
        "message": "too long",
        "type": "invalid_request_error",
        "param": "input",
        "code": "context_length_exceeded",
    }


ITEM_KINDS = ["message", "reasoning", "function_call", "custom_tool_call", "function_call_output", "additional_tools"]
ITEMS = st.lists(
    JUNK
    | st.fixed_dictionaries(
        {"type": st.sampled_from(ITEM_KINDS) | JUNK},
        optional={
            "role": st.sampled_from(["user", "assistant"]) | JUNK,
            "content": JUNK
            | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["input_image", "refusal"]) | JUNK})),
            **{name: JUNK for name in ("id", "call_id", "name", "namespace", "output", "summary", "tools", "input")},
        },
    ),
    max_size=4,
)
TOOLS = st.lists(
    JUNK
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["function", "custom", "namespace", "web_search"]) | JUNK},
        optional={name: JUNK for name in ("name", "parameters", "strict", "format", "description", "tools")},
    ),
    max_size=3,
)
FIELDS = [
    "instructions",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "stream",
    "max_output_tokens",
    "metadata",
    "prompt",
]


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {"model": st.just("m") | JUNK, "input": ITEMS | JUNK},
        optional={"tools": TOOLS | JUNK, **{name: JUNK for name in FIELDS}},
    )
)
def test_any_body_is_a_call_or_an_invalid_request(sent: Json) -> None:
    try:
        read = CALLER.read(sent)
    except InvalidRequest as error:
        param = error.param
    else:
        param = "none"
        assert all(message["role"] for message in read.call["messages"])
        assert all(name.isprintable() for name in read.dropped)
    assert param, "the field is named"
