"""Cohere's chat API: ranges, the one system turn, events by their type."""

import json
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import ReadTerms, Target
from orcestator.dialects.cohere.upstream import UPSTREAM
from orcestator.errors import InvalidRequest, UpstreamBroken, UpstreamError
from orcestator.json_text import Json

NAMES = (
    "messages", "role", "content", "text", "type", "tool_calls", "tool_call_id", "id", "function", "custom", "name",
    "arguments", "input", "tools", "parameters", "tool_choice", "response_format", "json_schema", "schema", "reasoning",
    "reasoning_effort", "enabled", "max_tokens", "temperature", "top_p", "top_k", "stop", "image_url", "url", "detail",
    "message", "finish_reason", "usage", "tokens", "input_tokens", "output_tokens", "delta", "tool_plan", "thinking",
    "error", "index", "frequency_penalty", "presence_penalty", "strict",
)  # fmt: skip
WORDS = (
    "user", "assistant", "tool", "system", "text", "function", "json_schema", "image_url", "content-delta",
    "message-end",
    "tool-call-start", "tool-call-delta", "ERROR", "COMPLETE", "",
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-9, 9)
    | st.sampled_from(WORDS)
    | st.text(max_size=3)
)
GARBAGE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
HELLO = {"role": "user", "content": "Hi"}


def terms() -> ReadTerms:
    """Terms under which ids can be foreseen."""
    numbers = count(1)
    return ReadTerms("cohere", lambda prefix: f"{prefix}{next(numbers)}", 0)


def body_of(call: Json) -> Json:
    """The body that a call becomes."""
    return UPSTREAM.request({"messages": [HELLO], **call}, Target("cohere", "command-a")).body


@pytest.mark.parametrize(
    ("given_fields", "made"),
    [
        ({"temperature": 2}, {"temperature": 1}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_k": 0}, {"k": 0}),
        ({"frequency_penalty": 0, "presence_penalty": 0.3}, {"presence_penalty": 0.3}),
        ({"temperature": "hot"}, {"temperature": "hot"}),
        ({"max_tokens": 1, "max_completion_tokens": 2}, {"max_tokens": 2}),
        ({"tools": [], "tool_choice": "required"}, {}),
    ],
)
def test_fields(given_fields: Json, made: Json) -> None:
    """Numbers are brought into the documented ranges; what is no number is Cohere's to explain."""
    body = body_of(given_fields)
    assert {name: value for name, value in body.items() if name not in ("model", "messages", "stream")} == made


def test_more_stop_sequences_than_cohere_takes_are_left_out_and_named() -> None:
    call = {"messages": [HELLO], "stop": ["a", "b", "c", "d", "e"]}
    made = UPSTREAM.request(call, Target("cohere", "command-a"))
    assert (made.body["stop_sequences"], made.dropped) == (call["stop"], ())
    made = UPSTREAM.request({**call, "stop": [*call["stop"], "f"]}, Target("cohere", "command-a"))
    assert (made.body["stop_sequences"], made.dropped) == (call["stop"], ("stop",))


def test_turns_that_say_nothing_are_left_out() -> None:
    """Cohere refuses empty turns; a tool's empty result is one of its own."""
    call_part = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    messages = [
        {"role": "system", "content": ""},
        HELLO,
        {"role": "assistant", "content": ""},
        {"role": "user", "content": []},
        {"role": "assistant", "content": None, "tool_calls": [call_part]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    made = body_of({"messages": messages})["messages"]
    assert [message["role"] for message in made] == ["user", "assistant", "tool"]
    assert made[1]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [HELLO, {"role": "king"}]}, "messages[1].role"),
    ],
)
def test_messages_that_cannot_be_given(call: Json, param: str) -> None:
    """The field is named as the caller spelled it."""
    with pytest.raises(InvalidRequest) as raised:
        UPSTREAM.request(call, Target("cohere", "command-a"))
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("usage", "prompt_tokens"),
    [
        (
            {
                "tokens": {"input_tokens": 5.0, "output_tokens": 1.0},
                "billed_units": {"input_tokens": 3, "output_tokens": 1},
            },
            5,
        ),
        ({"billed_units": {"input_tokens": 3, "output_tokens": 1}}, 3),
        ({"tokens": {}}, None),
        ({"tokens": {"input_tokens": -1, "output_tokens": 1}}, None),
        (None, None),
    ],
)
def test_usage(usage: Any, prompt_tokens: int | None) -> None:
    """The model's own tokens, else the billed ones, else none."""
    reply = UPSTREAM.reply({"message": {"content": []}, "usage": usage}, terms())
    assert reply.get("usage", {}).get("prompt_tokens") == prompt_tokens


@pytest.mark.parametrize(
    ("body", "detail"),
    [({"message": "invalid api token"}, {"message": "invalid api token"}), ({"data": 1}, {}), ([], {})],
)
def test_errors(body: Any, detail: Json) -> None:
    """A message, or nothing."""
    assert UPSTREAM.error(body) == detail


def test_a_call_without_a_name() -> None:
    """Cannot be passed on."""
    event = {
        "type": "tool-call-start",
        "delta": {"message": {"tool_calls": {"id": "a", "function": {"arguments": ""}}}},
    }
    with pytest.raises(UpstreamBroken):
        UPSTREAM.reader(terms()).read(json.dumps(event).encode())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), GARBAGE, max_size=6), st.lists(GARBAGE, max_size=3))
def test_any_call_is_translated_or_refused(call: Json, messages: list[Any]) -> None:
    """Nothing but InvalidRequest leaves, and the call stays as it was."""
    call = {"messages": [*messages, HELLO], **call}
    before = json.dumps(call)
    with suppress(InvalidRequest):
        json.dumps(UPSTREAM.request(call, Target("cohere", "m")).body)
    assert json.dumps(call) == before


@settings(max_examples=60, deadline=None)
@given(GARBAGE, st.sampled_from(WORDS))
def test_any_answer_is_read_or_refused(wire: Any, kind: str) -> None:
    """A value, an UpstreamError or, from the reader, a ValueError; an error body gives a dict."""
    assert isinstance(UPSTREAM.error(wire), dict)
    for answer in (wire, {"message": wire}, {"type": kind, "delta": wire}, {"type": kind, "delta": {"message": wire}}):
        with suppress(UpstreamError):
            UPSTREAM.reply(answer, terms())
        with suppress(UpstreamError, ValueError):
            UPSTREAM.reader(terms()).read(json.dumps(answer).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[1]"])
def test_an_event_that_is_no_object(data: bytes) -> None:
    """Is for the caller of the reader to count."""
    with pytest.raises(ValueError, match=r".*"):
        UPSTREAM.reader(terms()).read(data)
