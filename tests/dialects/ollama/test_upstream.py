"""Ollama as an upstream: what its compatible endpoint would lose, and lines of any quality."""

import json
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings

from orcestator.dialects.canonical import ReadTerms, Target
from orcestator.dialects.ollama.upstream import UPSTREAM
from orcestator.errors import InvalidRequest, UpstreamBroken, UpstreamError, UpstreamRateLimited
from orcestator.json_text import Json
from tests.dialects.ollama.ollama_garbage import BODIES, GARBAGE, MESSAGES

HELLO = {"role": "user", "content": "Hi"}


def terms() -> ReadTerms:
    """Terms under which ids can be foreseen."""
    numbers = count(1)
    return ReadTerms("ollama", lambda prefix: f"{prefix}{next(numbers)}", 0)


def wire(call: Json, **facts: Any) -> Json:
    """The body that a call becomes."""
    return UPSTREAM.request({"messages": [HELLO], **call}, Target("ollama", "m", facts=facts)).body


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
    ],
)
def test_efforts(effort: str, think: Any) -> None:
    """As Ollama itself reads OpenAI's."""
    assert wire({"reasoning_effort": effort})["think"] == think


def test_a_sound_travels_among_the_images() -> None:
    """Ollama takes both in one list."""
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    made = wire({"messages": [{"role": "user", "content": [sound]}]})
    assert made["messages"][0] == {"role": "user", "content": "", "images": ["UklGRg=="]}


def test_a_custom_tool_in_the_history_keeps_its_input() -> None:
    """Only functions can be offered, but what was called stays readable."""
    custom = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [custom]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    made = wire({"messages": messages})["messages"]
    assert made[0]["tool_calls"][0]["function"] == {"index": 0, "name": "patch", "arguments": {"input": "*** Begin"}}
    assert made[1]["tool_name"] == "patch"


@pytest.mark.parametrize(
    "call", [{"messages": None}, {"messages": []}, {"messages": [{"role": "king"}]}, {"messages": ["Hi"]}]
)
def test_messages_that_cannot_be_given(call: Json) -> None:
    """Are refused with the field's name."""
    with pytest.raises(InvalidRequest) as raised:
        wire(call)
    assert str(raised.value.param).startswith("messages")


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ({"prompt_eval_count": 3, "eval_count": 2}, {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        ({"prompt_eval_count": 3}, {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}),
        ({"eval_count": 2}, None),
        ({"prompt_eval_count": -3, "eval_count": 2}, None),
    ],
)
def test_usage(line: Json, usage: Json | None) -> None:
    """A prompt that was not counted is not taken for an empty one."""
    reply = UPSTREAM.reply({"message": {"role": "assistant", "content": "x"}, "done": True, **line}, terms())
    assert reply.get("usage") == usage


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"error": "model 'x' not found"}, {"message": "model 'x' not found"}),
        ({"error": {"message": "no", "type": "api_error"}}, {"message": "no", "type": "api_error"}),
        ({"error": 7}, {}),
        ("no", {}),
    ],
)
def test_errors(body: Any, detail: Json) -> None:
    """A text, in some versions an object."""
    assert UPSTREAM.error(body) == detail


def test_an_error_line_with_a_status() -> None:
    """Has the class of its status."""
    with pytest.raises(UpstreamRateLimited):
        UPSTREAM.reader(terms()).read(b'{"error":"too many","status":429}')


def test_a_call_without_a_name() -> None:
    """Cannot be passed on."""
    with pytest.raises(UpstreamBroken):
        UPSTREAM.reader(terms()).read(b'{"message":{"tool_calls":[{"function":{"arguments":{}}}]},"done":false}')


def test_an_empty_line_of_an_answer_says_nothing() -> None:
    """And does not end it."""
    assert UPSTREAM.reader(terms()).read(b'{"message":{"role":"assistant","content":""},"done":false}') == []


@settings(max_examples=60, deadline=None)
@given(BODIES, MESSAGES)
def test_any_call_is_translated_or_refused(call: Json, messages: list[Any]) -> None:
    """Nothing but InvalidRequest leaves, and the call stays as it was."""
    call = {**call, "messages": messages}
    before = json.dumps(call)
    with suppress(InvalidRequest):
        json.dumps(UPSTREAM.request(call, Target("ollama", "m")).body)
    assert json.dumps(call) == before


@settings(max_examples=60, deadline=None)
@given(GARBAGE, BODIES)
def test_any_answer_is_read_or_refused(anything: Any, message: Json) -> None:
    """A value, an UpstreamError or, from the reader, a ValueError; an error body gives a dict."""
    assert isinstance(UPSTREAM.error(anything), dict)
    for answer in (anything, {"message": message, "done": anything}, message):
        with suppress(UpstreamError):
            UPSTREAM.reply(answer, terms())
        with suppress(UpstreamError, ValueError):
            UPSTREAM.reader(terms()).read(json.dumps(answer).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[1]"])
def test_a_line_that_is_no_object(data: bytes) -> None:
    """Is for the caller of the reader to count."""
    with pytest.raises(ValueError, match=r".*"):
        UPSTREAM.reader(terms()).read(data)
