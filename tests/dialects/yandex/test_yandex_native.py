"""Yandex's native text generation: cumulative text, calls without ids, gRPC's errors."""

import json
from contextlib import suppress
from itertools import accumulate, count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import ReadTerms, Target
from orcestator.dialects.failures import error_from_reply
from orcestator.dialects.yandex.upstream import UPSTREAM
from orcestator.errors import InvalidRequest, UpstreamError, UpstreamRateLimited
from orcestator.json_text import Json

NAMES = (
    "messages", "role", "content", "text", "type", "tool_calls", "tool_call_id", "id", "function", "custom", "name",
    "arguments", "input", "tools", "parameters", "tool_choice", "response_format", "json_schema", "schema", "reasoning",
    "enabled", "max_tokens", "temperature", "result", "alternatives", "message", "status", "toolCallList", "toolCalls",
    "functionCall", "usage", "inputTextTokens", "completionTokens", "completionTokensDetails", "reasoningTokens",
    "error", "code", "grpcCode", "httpCode", "details", "retryDelay", "modelVersion",
)  # fmt: skip
WORDS = ("user", "assistant", "tool", "system", "text", "function", "json_schema", "ALTERNATIVE_STATUS_FINAL", "12", "")
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


def terms() -> ReadTerms:
    """Terms under which ids can be foreseen."""
    numbers = count(1)
    return ReadTerms("yandex", lambda prefix: f"{prefix}{next(numbers)}", 0)


@pytest.mark.parametrize(
    ("asked", "sent"), [(-0.5, 0), (0, 0), (0.3, 0.3), (1, 1), (1.5, 1), ("hot", "hot"), (True, True)]
)
def test_a_temperature_is_brought_between_zero_and_one(asked: Any, sent: Any) -> None:
    """What is no number is Yandex's to explain."""
    call = {"messages": [{"role": "user", "content": "Hi"}], "temperature": asked}
    made = UPSTREAM.request(call, Target("yandex", "yandexgpt"))
    assert made.body["completionOptions"]["temperature"] == sent
    assert made.dropped == (() if asked == sent else ("temperature",))


def line(text: Any, status: str = "PARTIAL") -> bytes:
    """One line of a stream."""
    alternative = {"message": {"role": "assistant", "text": text}, "status": f"ALTERNATIVE_STATUS_{status}"}
    return json.dumps({"result": {"alternatives": [alternative]}}).encode()


def said(read: Any) -> str:
    """The text in what ``read`` returned."""
    if isinstance(read, str):
        return read
    deltas = [choice["delta"] for chunk in read for choice in chunk["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=8))
def test_the_deltas_join_to_the_last_text(pieces: list[str]) -> None:
    """However the cumulative text grows, nothing is repeated and nothing is lost."""
    reader = UPSTREAM.reader(terms())
    texts = list(accumulate(pieces))
    reads = [reader.read(line(text)) for text in texts[:-1]]
    reads.append(reader.read(line(texts[-1], "FINAL")))

    assert "".join(map(said, reads)) == texts[-1]
    assert reads[-1][-1]["choices"][0]["finish_reason"] == "stop"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab", max_size=4), min_size=1, max_size=6))
def test_a_stream_never_says_what_no_line_began_with(texts: list[str]) -> None:
    """Texts that do not grow end the answer as filtered, and nothing is said after it."""
    reader = UPSTREAM.reader(terms())
    spoken, finishes = "", 0
    for text in texts:
        read = reader.read(line(text))
        finishes += sum(
            "finish_reason" in choice for chunk in read if isinstance(chunk, dict) for choice in chunk["choices"]
        )
        before, spoken = spoken, spoken + said(read)
        assert spoken == (before if finishes else text)
    grew = all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert finishes == (0 if grew else 1)


def test_a_text_beside_tool_calls_filters_nothing() -> None:
    """A last line whose text is empty because it calls a tool ends as a tool call."""
    reader = UPSTREAM.reader(terms())
    reader.read(line("Looking"))
    call = {"functionCall": {"name": "f", "arguments": {"a": 1}}}
    message = {"role": "assistant", "text": "", "toolCallList": {"toolCalls": [call]}}
    alternative = {"message": message, "status": "ALTERNATIVE_STATUS_TOOL_CALLS"}
    read = reader.read(json.dumps({"result": {"alternatives": [alternative]}}).encode())

    assert isinstance(read, list)
    assert [chunk["choices"][0].get("finish_reason") for chunk in read] == [None, "tool_calls"]


@pytest.mark.parametrize(
    ("model", "uri"),
    [
        ("yandexgpt", "gpt://b1g/yandexgpt/latest"),
        ("yandexgpt/rc", "gpt://b1g/yandexgpt/rc"),
        ("yandexgpt-lite/latest@tuned", "gpt://b1g/yandexgpt-lite/latest@tuned"),
        ("gpt://other/yandexgpt/latest", "gpt://other/yandexgpt/latest"),
    ],
)
def test_the_address_of_a_model(model: str, uri: str) -> None:
    """A short name is completed with the folder; a whole one is used as it is."""
    target = Target("yandex", model, fills={"folder": "b1g"})
    assert UPSTREAM.request({"messages": [{"role": "user", "content": "Hi"}]}, target).body["modelUri"] == uri


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}, {"role": "king"}]}, "messages[1].role"),
    ],
)
def test_messages_that_cannot_be_given(call: Json, param: str) -> None:
    """The field is named as the caller spelled it."""
    with pytest.raises(InvalidRequest) as raised:
        UPSTREAM.request(call, Target("yandex", "m"))
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"error": {"grpcCode": 16, "httpCode": 401, "message": "no", "httpStatus": "Unauthorized", "details": []}},
            {"message": "no", "type": "UNAUTHENTICATED", "code": 401},
        ),
        (
            {"code": 3, "message": "invalid model_uri", "details": []},
            {"message": "invalid model_uri", "type": "INVALID_ARGUMENT", "code": 400},
        ),
        (
            {
                "code": 8,
                "message": "slow",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}],
            },
            {"message": "slow", "type": "RESOURCE_EXHAUSTED", "code": 429, "retry_after": 2.5},
        ),
        ({"error": "bad key"}, {"message": "bad key"}),
        ({"error": {"code": 99, "message": "new"}}, {"message": "new"}),
        ([], {}),
        ({"error": 7}, {}),
    ],
)
def test_errors(body: Any, detail: Json) -> None:
    """Both shapes of a gRPC gateway, and what is neither."""
    assert UPSTREAM.error(body) == detail


def test_a_wait_in_the_body_counts() -> None:
    """An error answer becomes the class of its status, with the wait that its details name."""
    body = json.dumps({"code": 8, "message": "slow", "details": [{"retryDelay": "3s"}]}).encode()
    error = error_from_reply("yandex", 429, lambda name: None, body, 0.0, UPSTREAM.error)
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after == 3.0


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), GARBAGE, max_size=6), st.lists(GARBAGE, max_size=3))
def test_any_call_is_translated_or_refused(call: Json, messages: list[Any]) -> None:
    """Nothing but InvalidRequest leaves, and the call stays as it was."""
    call = {"messages": messages, **call}
    before = json.dumps(call)
    with suppress(InvalidRequest):
        json.dumps(UPSTREAM.request(call, Target("yandex", "m")).body)
    assert json.dumps(call) == before


@settings(max_examples=60, deadline=None)
@given(GARBAGE)
def test_any_answer_is_read_or_refused(wire: Any) -> None:
    """A value, an UpstreamError or, from the reader, a ValueError; an error body gives a dict."""
    assert isinstance(UPSTREAM.error(wire), dict)
    for answer in (
        wire,
        {"result": wire},
        {"result": {"alternatives": [{"message": wire, "status": "ALTERNATIVE_STATUS_FINAL"}]}},
    ):
        with suppress(UpstreamError):
            UPSTREAM.reply(answer, terms())
        with suppress(UpstreamError, ValueError):
            UPSTREAM.reader(terms()).read(json.dumps(answer).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"null", b"\xff"])
def test_a_line_that_is_no_object(data: bytes) -> None:
    """Is for the caller of the reader to count."""
    with pytest.raises(ValueError, match=r".*"):
        UPSTREAM.reader(terms()).read(data)


def test_the_relay_path() -> None:
    """Is that of every call."""
    assert UPSTREAM.relay_path("m", True) == "/completion"
