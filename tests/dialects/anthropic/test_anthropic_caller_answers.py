"""What callers of the Messages API get: beyond what the recorded cases show."""

import json
from itertools import count
from typing import Any

import pytest

from orcestator.dialects.anthropic.caller import CALLER
from orcestator.dialects.anthropic.thinking_blocks import OUR_SIGNATURE, without_our_thinking
from orcestator.dialects.canonical import WriteTerms
from orcestator.errors import (
    AttemptsExhausted,
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    OrcestatorError,
    Overloaded,
    QuotaExceeded,
    StreamInterrupted,
    Unauthorized,
    UpstreamKeyRefused,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.json_text import Json
from tests.dialects.anthropic.anthropic_rules import events_in, message_of

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def terms() -> WriteTerms:
    """Terms with foreseeable ids."""
    numbers = count(1)
    return WriteTerms("orcestator", 1_700_000_000, lambda prefix: f"{prefix}{next(numbers)}", "req-1", prompt_tokens=7)


def chunk(delta: Json, reason: str | None = None, index: int = 0) -> Json:
    """A canonical chunk of one choice."""
    return {"id": "chatcmpl-1", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def written(*deltas: Json | str, reason: str = "stop") -> bytes:
    """The stream of an answer; a string goes the hot way."""
    writer = CALLER.writer(terms())
    pieces = [writer.text(one) if isinstance(one, str) else writer.chunk(chunk(one)) for one in deltas]
    return b"".join([*pieces, writer.chunk(chunk({}, reason)), writer.end(USAGE)])


def replied(message: Json, reason: str = "stop", **more: Any) -> Json:
    """The body of a whole answer."""
    return CALLER.reply({"choices": [{"index": 0, "message": message, "finish_reason": reason}], **more}, terms())


def called(call_id: str, name: str, arguments: str = "") -> Json:
    """The first delta of a call."""
    return {
        "tool_calls": [
            {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]
    }


def test_blocks_come_one_after_another() -> None:
    """Thinking, text, calls; then text again."""
    message = message_of(
        written(
            {"role": "assistant", "reasoning_content": "Hm"},
            {"content": "Hi"},
            ' "you"\n',
            called("a", "f"),
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
            called("b", "g"),
            "Done",
            reason="tool_calls",
        )
    )

    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": OUR_SIGNATURE + "unsigned"},
        {"type": "text", "text": 'Hi "you"\n'},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
        {"type": "text", "text": "Done"},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["id"] == "msg_1"
    assert message["usage"]["input_tokens"] == 3


def test_the_hot_way_writes_what_the_other_does() -> None:
    """Byte for byte."""
    fast, slow = CALLER.writer(terms()), CALLER.writer(terms())
    for writer in (fast, slow):
        writer.chunk(chunk({"role": "assistant", "content": "a"}))

    for text in ("b", '"\n\u2028', "é"):
        assert fast.text(text) == slow.chunk(chunk({"content": text}))


def test_a_delta_that_holds_everything_at_once() -> None:
    """As a whole answer given as a stream does."""
    message = message_of(written({"reasoning": "Hm", "content": "Hi", **called("a", "f", "{}")}))

    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]


def test_an_answer_of_nothing_is_still_whole() -> None:
    """No block, but a beginning and an end."""
    assert message_of(written())["content"] == []


def test_other_choices_are_left_out() -> None:
    """A message has one."""
    assert CALLER.writer(terms()).chunk(chunk({"content": "x"}, index=1)) == b""


def test_signatures_that_come_in_pieces_of_details() -> None:
    """As OpenRouter streams them: text first, the signature last."""
    own = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}

    message = message_of(
        written(
            {"reasoning": "Hm", "reasoning_details": [{**own, "text": "Hm"}]},
            {"reasoning_details": [{**own, "text": None, "signature": "sig"}]},
            "Hi",
        )
    )

    assert message["content"][0] == {"type": "thinking", "thinking": "Hm", "signature": "sig"}


def test_foreign_details_are_no_blocks() -> None:
    """Only their readable text is shown, in a block of ours."""
    foreign = {"type": "reasoning.encrypted", "data": "x", "format": "google-gemini-v1"}

    message = message_of(written({"reasoning_content": "Hm", "reasoning_details": [foreign]}, "Hi"))

    assert message["content"][0]["signature"].startswith(OUR_SIGNATURE)
    assert replied({"content": "Hi", "reasoning_details": [foreign]})["content"] == [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize("parts", [(), ("Hi",)])
def test_a_broken_answer_never_looks_whole(parts: tuple[str, ...]) -> None:
    """An error is its last event, also when it is its first."""
    writer = CALLER.writer(terms())
    begun = b"".join(writer.text(part) for part in parts)

    events = events_in(begun + writer.failure(StreamInterrupted(Overloaded("busy"))))

    assert events[-1]["error"] == {"type": "overloaded_error", "message": "busy"}
    assert "message_stop" not in [event["type"] for event in events]


def test_keep_alives_are_pings() -> None:
    """SDKs skip them."""
    assert events_in(CALLER.keep_alive) == [{"type": "ping"}]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"unreadable_arguments": "[1]"}),
        ("{", {"unreadable_arguments": "{"}),
        (None, {}),
    ],
)
def test_arguments_of_a_whole_answer_are_parsed(arguments: Any, expected: Json) -> None:
    """What is no object is kept under one name."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}

    made = replied({"content": None, "tool_calls": [call]}, "tool_calls")

    assert made["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": expected}]
    assert made["stop_reason"] == "tool_use"


def test_a_refusal_is_told_as_anthropic_tells_it() -> None:
    """Whole and streamed."""
    whole = replied({"content": None, "refusal": "No."})
    streamed = message_of(written({"refusal": "N"}, {"refusal": "o."}))

    for made in (whole, streamed):
        assert made["stop_reason"] == "refusal"
        assert made["stop_details"]["explanation"] == "No."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (Unauthorized("x"), "authentication_error"),
        (Forbidden("x"), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (BodyTooLarge("x"), "request_too_large"),
        (QuotaExceeded("x"), "rate_limit_error"),
        (Overloaded("x"), "overloaded_error"),
        (UpstreamRateLimited("x", cause="y"), "rate_limit_error"),
        (UpstreamKeyRefused("x", cause="y"), "api_error"),
        (UpstreamUnavailable("x", cause="y"), "overloaded_error"),
        (UpstreamTimeout("x", cause="y"), "timeout_error"),
        (AttemptsExhausted([], UpstreamTimeout("x", cause="y"), "x"), "timeout_error"),
        (OrcestatorError("x"), "api_error"),
    ],
)
def test_error_types(error: OrcestatorError, kind: str) -> None:
    """By status."""
    assert CALLER.error(error, "req-1") == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "req-1",
    }


def test_an_errors_message_names_the_field() -> None:
    """Anthropic's error has no place of its own for it."""
    named = CALLER.error(InvalidRequest("is too hot", param="temperature"), "")
    already = CALLER.error(InvalidRequest("temperature is too hot", param="temperature"), "")

    assert named["error"]["message"] == "temperature: is too hot"
    assert already["error"]["message"] == "temperature is too hot"
    assert "request_id" not in named


def test_our_thinking_is_taken_out_for_a_relay() -> None:
    """Anthropic would refuse its signature; a message of nothing else goes with it."""
    ours = {"type": "thinking", "thinking": "x", "signature": OUR_SIGNATURE + "unsigned"}
    theirs = {"type": "thinking", "thinking": "y", "signature": "sig"}
    said = {"type": "text", "text": "z"}
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [ours, theirs, said]},
            {"role": "assistant", "content": [ours]},
        ],
    }
    before = json.dumps(body)

    stripped = without_our_thinking(body)

    assert stripped is not None
    assert stripped["messages"] == [body["messages"][0], {"role": "assistant", "content": [theirs, said]}]
    assert json.dumps(body) == before
    assert without_our_thinking(stripped) is None


@pytest.mark.parametrize(
    ("own", "thinks"), [([], False), ([{"type": "thinking", "thinking": "y", "signature": "s"}], True)]
)
def test_manual_thinking_goes_when_an_open_loop_loses_its_thinking(own: list[Json], thinks: bool) -> None:
    """Anthropic refuses a loop that began without; its own block keeps it."""
    ours = {"type": "thinking", "thinking": "x", "signature": OUR_SIGNATURE + "unsigned"}
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a"}
    turns = [{"role": "assistant", "content": [ours, *own, use]}, {"role": "user", "content": [result]}]

    stripped = without_our_thinking({"thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": turns})

    assert stripped is not None
    assert ("thinking" in stripped) is thinks


@pytest.mark.parametrize(
    "body", [{}, {"messages": None}, {"messages": [7, {"content": "x"}, {"content": [7, {"type": "thinking"}]}]}]
)
def test_bodies_without_our_thinking(body: Json) -> None:
    """Are relayed as they came, whatever they are."""
    assert without_our_thinking(body) is None
