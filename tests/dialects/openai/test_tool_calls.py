"""Tool calls: whole, one after another, each under one id, however the upstream deals them out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.reply import ReplyTerms, chat_reply
from orcestator.dialects.openai.tool_calls import MOST_ARGUMENT_CHARS, MOST_CALLS, ToolCallOrder, whole_calls
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Json
from tests.dialects.client_rules import END, ROLE, SHOWN, STOP, Seen, chunk, ids, run, safe, sse
from tests.dialects.client_rules import head as chunk_head


def call(index: object = 0, wire_id: object = None, name: object = None, arguments: object = None) -> Json:
    """A delta of a call; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {
        key: value for key, value in (("index", index), ("id", wire_id), ("function", function)) if value is not None
    }


def answered(*deltas: Json | list[Json]) -> Seen:
    """The answer whose chunks have these tool call deltas."""
    lists = [delta if isinstance(delta, list) else [delta] for delta in deltas]
    return safe(sse(ROLE, *[chunk({"tool_calls": calls}) for calls in lists], chunk({}, "tool_calls"), END))


def brief(seen: Seen) -> list[tuple[str, str]]:
    return [(one["name"], one["text"]) for one in seen.calls]


def test_a_call_in_pieces() -> None:
    seen = answered(call(0, "a", "f", ""), call(0, arguments='{"x"'), call(0, arguments=":1}"))

    assert seen.calls == [{"id": "a", "type": "function", "name": "f", "text": '{"x":1}', "more": {}}]
    assert seen.finish == "tool_calls"


def test_interleaved_calls_come_out_one_after_another() -> None:
    opened = [call(i, f"id{i}", f"f{i}", "") for i in range(3)]
    pieces = [call(i, arguments=part) for part in ('{"a"', ":", "1}") for i in (2, 0, 1)]

    assert brief(answered(*opened, *pieces)) == [(f"f{i}", '{"a":1}') for i in range(3)]


def test_the_first_call_streams_live() -> None:
    order = ToolCallOrder(lambda: "made")

    live = [order.add([delta]) for delta in (call(0, "a", "f", "{"), call(1, "b", "g", "{}"), call(0, arguments="}"))]

    assert [len(deltas) for deltas in live] == [1, 0, 1]
    assert [delta["id"] for delta in order.finish()] == ["b"]


@pytest.mark.parametrize("wire_id", [None, "", "same", 7, [1], {}])
@pytest.mark.parametrize("indexes", [(0, 1), (0, 0), (None, None), ("0", "1")])
def test_calls_without_ids_of_their_own_get_them(wire_id: object, indexes: tuple[object, object]) -> None:
    first, second = indexes

    seen = answered([call(first, wire_id, "f", "{}"), call(second, wire_id, "g", "[]")])

    assert brief(seen) == [("f", "{}"), ("g", "[]")]


def test_two_calls_of_one_tool_under_one_index_are_told_apart_by_their_ids() -> None:
    assert brief(answered(call(0, "a", "f", "1"), call(0, "b", "f", "2"))) == [("f", "1"), ("f", "2")]


def test_a_new_id_on_each_delta_is_one_call_with_its_first_id() -> None:
    seen = answered(call(0, "a", "f", "{"), call(0, "b", arguments="1"), call(0, "c", arguments="}"))

    assert [(one["id"], one["text"]) for one in seen.calls] == [("a", "{1}")]


def test_id_and_name_repeated_on_each_delta() -> None:
    assert brief(answered(call(0, "a", "f", "{"), call(0, "a", "f", "}"))) == [("f", "{}")]


def test_deltas_without_an_index_go_to_their_id_or_to_the_last_call() -> None:
    deltas = [call(None, "a", "f"), call(None, "b", "g"), call(None, "a", arguments="1"), call(None, arguments="2")]

    assert brief(answered(*deltas)) == [("f", "1"), ("g", "2")]


def test_a_name_that_comes_late() -> None:
    assert brief(answered(call(0, "a", None, "{"), call(0, name="f"), call(0, arguments="}"))) == [("f", "{}")]


@pytest.mark.parametrize("nothing", [[], [{}], [None], ["x"], [{"index": 4}], [{"function": 3}], [call(0, "", "", "")]])
def test_what_names_and_says_nothing_is_no_call(nothing: list[Any]) -> None:
    assert safe(sse(ROLE, chunk({"content": "a", "tool_calls": nothing}), STOP, END)).calls == []
    assert brief(answered(nothing, call(0, "a", "f", "{}"))) == [("f", "{}")]


def test_arguments_without_a_name_fail_before_anything_is_sent() -> None:
    told = run([sse(ROLE, chunk({"tool_calls": [call(0, "a", None, "{}")]}), STOP)])

    assert told.fell_back
    assert told.failure is not None
    assert told.failure.cause == "nameless_tool_call"


def test_arguments_given_as_an_object_become_text() -> None:
    assert brief(answered(call(0, "a", "f", {"x": 1}))) == [("f", '{"x":1}')]


def test_broken_arguments_are_passed_on_as_they_are() -> None:
    """A model's own mistakes are for the caller to see, who tells it of them."""
    assert brief(answered(call(0, "a", "f", '{"x": troo}'))) == [("f", '{"x": troo}')]


@pytest.mark.parametrize("kind", [{"type": "custom"}, {}])
def test_custom_tools_keep_their_kind(kind: Json) -> None:
    deltas = [
        {"index": 0, "id": "a", "custom": {"name": "c", "input": "x"}} | kind,
        {"index": 0, "custom": {"input": "y"}},
    ]

    assert [(one["type"], one["text"]) for one in answered(*deltas).calls] == [("custom", "xy")]


def test_fields_beside_the_call_ride_along() -> None:
    seen = answered(call(0, "a", "f", "{}") | {"extra_content": {"google": {"thought_signature": "s"}}})

    assert seen.calls[0]["more"] == {"extra_content": {"google": {"thought_signature": "s"}}}


def test_text_in_the_same_delta_goes_in_its_own() -> None:
    seen = safe(sse(ROLE, chunk({"content": "so", "tool_calls": [call(0, "a", "f", "{}")]}, "tool_calls"), END))

    assert (seen.text, brief(seen)) == ("so", [("f", "{}")])


def test_done_without_a_finish_after_calls() -> None:
    assert safe(sse(ROLE, chunk({"tool_calls": [call(0, "a", "f", "{}")]}), END)).finish == "tool_calls"


def test_too_many_calls_are_refused() -> None:
    calls = [call(i, f"id{i}", "f", "") for i in range(MOST_CALLS + 1)]

    with pytest.raises(UpstreamBroken, match=str(MOST_CALLS)):
        ToolCallOrder(lambda: "x").add(calls)
    with pytest.raises(UpstreamBroken, match=str(MOST_CALLS)):
        whole_calls(calls, lambda: "x")
    assert len(whole_calls(calls[1:], lambda: "x")) == MOST_CALLS


def test_too_long_arguments_are_refused() -> None:
    order = ToolCallOrder(lambda: "x")
    order.add([call(0, "a", "f", "x" * MOST_ARGUMENT_CHARS)])

    with pytest.raises(UpstreamBroken, match="4 MiB"):
        order.add([call(0, arguments="x")])


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "index": st.integers(0, 2) | st.none(),
                "id": st.sampled_from(["a", "b", "", 3, None]),
                "type": st.sampled_from(["function", "custom", "other", None]),
                "function": st.fixed_dictionaries(
                    {"name": st.sampled_from(["f", "g"])},
                    optional={"arguments": st.sampled_from(["{}", None, {}, [1], ""])},
                ),
            },
        ).filter(lambda wire: "function" in wire)
        | st.none()
        | st.text(max_size=1),
        max_size=5,
    )
)
def test_a_whole_message_and_a_stream_show_the_same_kind_of_calls(wires: list[Any]) -> None:
    message = {"role": "assistant", "content": "x", "tool_calls": wires}
    wire = chunk_head(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])

    reply = chat_reply(json.dumps(wire).encode(), ReplyTerms("prov", SHOWN, 4, 1, ids()))

    calls = json.loads(reply.body)["choices"][0]["message"]["tool_calls"]
    assert len(calls) == sum(isinstance(wire, dict) for wire in wires)
    assert len({one["id"] for one in calls}) == len(calls)
    for one in calls:
        part = one[one["type"]]
        assert isinstance(one["id"], str)
        assert isinstance(part["arguments" if one["type"] == "function" else "input"], str)


PATCH = '{"input":"*** Begin Patch\\nx"}'
RESTORED = [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin Patch\nx"}}]


def test_a_custom_tool_that_the_upstream_knew_as_a_function_comes_back_as_itself() -> None:
    """In a stream once its arguments are whole, with the calls behind it in their order."""
    order = ToolCallOrder(lambda: "call_new", {"patch"})
    assert order.add([call(0, "a", "patch", PATCH[:9]), call(1, "b", "f", "{}")]) == []
    assert order.add([call(0, arguments=PATCH[9:])]) == []
    first, second = order.finish()
    assert [first] == RESTORED
    assert second["function"] == {"name": "f", "arguments": "{}"}


def test_so_it_does_in_a_whole_message() -> None:
    """A tool of another name stays what it was."""
    wires = [call(None, "a", "patch", PATCH), call(None, "b", "f", "{}")]
    first, second = whole_calls(wires, lambda: "call_new", {"patch"})
    assert first == {key: value for key, value in RESTORED[0].items() if key != "index"}
    assert second["function"] == {"name": "f", "arguments": "{}"}
