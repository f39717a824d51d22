"""What Anthropic answers, read: beyond what the recorded cases show."""

import json
from itertools import count
from typing import Any

import pytest

from orcestator.dialects.anthropic.answer_facts import (
    WireUsage,
    canonical_usage,
    finish_reason,
    stop_reason,
    wire_usage,
)
from orcestator.dialects.anthropic.upstream import UPSTREAM
from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.failures import error_from_reply
from orcestator.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.json_text import Json


def terms() -> ReadTerms:
    """Terms with foreseeable ids."""
    numbers = count(1)
    return ReadTerms("prov", lambda prefix: f"{prefix}{next(numbers)}", 1_700_000_000)


def read(*events: Any) -> list[Any]:
    """What each event means."""
    reader = UPSTREAM.reader(terms())
    return [reader.read(json.dumps(event).encode()) for event in events]


def block(kind: str, index: int = 0, **fields: Any) -> Json:
    """The start of a content block."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(kind: str, index: int = 0, **fields: Any) -> Json:
    """A delta of a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stopped(index: int = 0) -> Json:
    """The end of a block."""
    return {"type": "content_block_stop", "index": index}


def deltas_of(meaning: Any) -> list[Json]:
    """The deltas of a list of chunks."""
    return [chunk["choices"][0]["delta"] for chunk in meaning]


ERRORS = [
    ("invalid_request_error", UpstreamRejected),
    ("authentication_error", UpstreamKeyRefused),
    ("billing_error", UpstreamKeyRefused),
    ("permission_error", UpstreamKeyRefused),
    ("not_found_error", UpstreamRejected),
    ("request_too_large", UpstreamRejected),
    ("rate_limit_error", UpstreamRateLimited),
    ("api_error", UpstreamUnavailable),
    ("timeout_error", UpstreamTimeout),
    ("overloaded_error", UpstreamUnavailable),
    ("something_new", UpstreamBroken),
    (None, UpstreamBroken),
]


@pytest.mark.parametrize(("kind", "expected"), ERRORS)
def test_errors_inside_a_200(kind: str | None, expected: type[UpstreamError]) -> None:
    """The type stands for the status, in a stream and in a whole answer."""
    wire = {"type": "error", "error": {"type": kind, "message": "Because."}}

    for attempt in (lambda: read(wire), lambda: [UPSTREAM.reply(wire, terms())]):
        with pytest.raises(UpstreamError, match="Because") as raised:
            attempt()
        assert type(raised.value) is expected


def test_an_error_of_a_refused_request_keeps_its_code() -> None:
    """``details.error_code`` is what Anthropic keeps stable."""
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "Too big", "details": {"error_code": "image_dimensions_too_large"}}}  # fmt: skip

    error = error_from_reply("prov", 400, lambda name: None, json.dumps(body).encode(), 0.0, UPSTREAM.error)

    assert type(error) is UpstreamRejected
    assert error.upstream_code == "image_dimensions_too_large"
    assert "Too big" in error.message


@pytest.mark.parametrize("parsed", [None, 7, "x", [], [{}], {"error": 7}, {"error": {"message": 7, "details": 7}}])
def test_error_bodies_of_other_shapes(parsed: Any) -> None:
    """Give what there is."""
    assert UPSTREAM.error(parsed).keys() <= {"message", "type", "code", "param"}


@pytest.mark.parametrize("wire", [None, [], "x", {}, {"content": []}, {"content": [{"type": "text", "text": ""}]}])
def test_what_is_no_message(wire: Any) -> None:
    """Is a broken upstream."""
    with pytest.raises(UpstreamBroken):
        UPSTREAM.reply(wire, terms())


def test_an_empty_answer_that_ended_is_whole() -> None:
    """Anthropic gives none after a result that needs no words."""
    reply = UPSTREAM.reply({"content": [], "stop_reason": "end_turn"}, terms())

    assert reply["choices"][0]["message"]["content"] == ""
    assert reply["id"] == "msg_1"
    assert "usage" not in reply


def test_a_nameless_tool() -> None:
    """Is a broken upstream, either way."""
    with pytest.raises(UpstreamBroken):
        UPSTREAM.reply({"content": [{"type": "tool_use", "input": {}}], "stop_reason": "tool_use"}, terms())
    with pytest.raises(UpstreamBroken):
        read(block("tool_use", id="a"))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b'"text"'])
def test_events_that_are_no_objects(data: bytes) -> None:
    """Are garbage, for the stream to refuse."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's own message
        UPSTREAM.reader(terms()).read(data)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "message_start"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": None}},
        {"type": "content_block_stop"},
        {"type": "weather_report"},
    ],
)
def test_events_that_say_nothing(event: Json) -> None:
    """Known or not."""
    assert read(event) == [[]]


@pytest.mark.parametrize(
    "event", [{"type": ["message_stop"]}, {"detail": "boom"}, {"type": "overloaded_error", "message": "boom"}]
)
def test_events_of_no_shape_of_this_api(event: Json) -> None:
    """Are handed on, for the stream to judge."""
    assert read(event) == [[event]]


def test_text_at_the_start_of_a_block_counts() -> None:
    """Some gateways begin with it."""
    assert read(block("text", text="Hi"), delta("text_delta", text=" there")) == ["Hi", " there"]


@pytest.mark.parametrize(
    ("start", "pieces", "arguments"), [({}, [], "{}"), (None, ["", '{"a":1}'], '{"a":1}'), ({"a": 1}, [], '{"a":1}')]
)
def test_arguments_however_they_come(start: Any, pieces: list[str], arguments: str) -> None:
    """In pieces, at once with the start of the block, or not at all."""
    meanings = read(
        block("tool_use", id="a", name="f", input=start),
        *[delta("input_json_delta", partial_json=piece) for piece in pieces],
        stopped(),
    )

    calls = [one["tool_calls"][0] for meaning in meanings for one in deltas_of(meaning)]
    assert calls[0] == {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert "".join(one["function"]["arguments"] for one in calls) == arguments


def test_calls_are_numbered_among_themselves() -> None:
    """Whatever the blocks' numbers are."""
    meanings = read(block("tool_use", 3, id="a", name="f"), stopped(3), block("tool_use", 5, name="g"))

    calls = [one["tool_calls"][0] for meaning in meanings for one in deltas_of(meaning)]
    assert [(one["index"], one.get("id")) for one in calls] == [(0, "a"), (0, None), (1, "toolu_1")]


def test_a_stop_reason_for_calls_that_never_came() -> None:
    """Means that the model stopped."""
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}

    assert read(ended)[0][0]["choices"][0]["finish_reason"] == "stop"
    assert read(block("tool_use", id="a", name="f"), ended)[1][0]["choices"][0]["finish_reason"] == "tool_calls"


def test_thinking_without_a_signature_has_no_details() -> None:
    """There is nothing to give back."""
    meanings = read(block("thinking"), delta("thinking_delta", thinking="Hm"), stopped())

    assert deltas_of(meanings[1]) == [{"reasoning_content": "Hm"}]
    assert meanings[2] == []


def test_endless_blocks_are_refused() -> None:
    """None of them ever closed."""
    with pytest.raises(UpstreamBroken):
        read(*[block("text", place) for place in range(5000)])


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_finish_reasons_survive_both_ways(reason: str) -> None:
    """Each has its word."""
    assert finish_reason(stop_reason(reason)) == reason


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("pause_turn", "stop"),
        ("model_context_window_exceeded", "length"),
        ("new", "new"),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_odd_stop_reasons(wire: Any, expected: str | None) -> None:
    """An unknown one is for the stream to judge, none is none."""
    assert finish_reason(wire) == expected


def test_usage_is_overwritten_not_added() -> None:
    """Reports are cumulative; a zero after a number is silence."""
    usage = WireUsage()
    usage.take({"input_tokens": 10, "output_tokens": 1})
    usage.take({"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": None})
    usage.take({"input_tokens": 0, "output_tokens": 9})

    counted = usage.canonical()

    assert counted is not None
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (12, 9, 21)


@pytest.mark.parametrize("wire", [None, [], {}, {"output_tokens": 3}, {"input_tokens": "7"}, {"input_tokens": -1}])
def test_usage_that_is_none(wire: Any) -> None:
    """Is not made up."""
    assert canonical_usage(wire) is None


def test_usage_comes_back_as_it_was() -> None:
    """Input without what the cache read and wrote."""
    wire = {"input_tokens": 5, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 4}

    usage = canonical_usage(wire)

    assert usage is not None
    assert usage["prompt_tokens"] == 10
    assert wire_usage(usage) == wire


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": 7},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "lost"}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}},
    ],
)
def test_a_piece_of_nothing_that_is_open_cannot_be_read(event: Json) -> None:
    """It is not passed over: the rest would look whole."""
    with pytest.raises(ValueError, match="nothing that is open"):
        read(event)
