"""Gemini's answers and errors: what recorded crossings do not show."""

import contextlib
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.gemini.errors import SPENT_DAY_SECONDS, error_detail
from orcestator.dialects.gemini.upstream import UPSTREAM
from orcestator.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from orcestator.json_text import Json


def terms() -> ReadTerms:
    """Terms whose ids are counted."""
    numbers = count(1)
    return ReadTerms("gemini", lambda prefix: f"{prefix}{next(numbers)}", 1_700_000_000)


def answer(*parts: Json, finish: str | None = "STOP", index: int = 0) -> Json:
    """A wire answer of one candidate."""
    reason = {"finishReason": finish} if finish else {}
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": index, **reason}]}


def reader() -> Callable[[Any], Any]:
    """Reads one event after the other."""
    made = UPSTREAM.reader(terms())
    return lambda event: made.read(json.dumps(event).encode())


def error(code: int, status: str, *details: Json, message: str = "m") -> Json:
    """An error body."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


RPC = "type.googleapis.com/google.rpc."
RETRY = {"@type": RPC + "RetryInfo", "retryDelay": "52.5s"}
DAY = {"@type": RPC + "QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
MINUTE = {"@type": RPC + "QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}
BAD_KEY = {"@type": RPC + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
BAD_FIELD = {"@type": RPC + "BadRequest", "fieldViolations": [{"field": "contents[0].role", "description": "d"}]}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            error(429, "RESOURCE_EXHAUSTED", MINUTE, RETRY),
            {"message": "m", "type": "RESOURCE_EXHAUSTED", "code": "rate_limit_exceeded", "retry_after": 52.5},
        ),
        (
            [error(429, "RESOURCE_EXHAUSTED", DAY, RETRY)],
            {
                "message": "m",
                "type": "RESOURCE_EXHAUSTED",
                "code": "rate_limit_exceeded",
                "retry_after": SPENT_DAY_SECONDS,
            },
        ),
        (
            error(400, "INVALID_ARGUMENT", BAD_KEY),
            {"message": "m", "type": "INVALID_ARGUMENT", "code": "API_KEY_INVALID", "status": 401},
        ),
        (
            error(400, "INVALID_ARGUMENT", BAD_FIELD),
            {"message": "m", "type": "INVALID_ARGUMENT", "param": "contents[0].role"},
        ),
        ({"error": "plain"}, {"message": "plain"}),
        ([], {}),
        ("x", {}),
        ({"error": None}, {}),
    ],
)
def test_an_error_body_tells_class_place_and_pause(body: Any, detail: Json) -> None:
    """Wrapped in an array or not."""
    assert error_detail(body) == detail


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error(400, "INVALID_ARGUMENT", BAD_KEY), UpstreamKeyRefused),
        ([error(429, "RESOURCE_EXHAUSTED")], UpstreamRateLimited),
        (error(503, "UNAVAILABLE"), UpstreamUnavailable),
        ({"error": {"message": "?"}}, UpstreamBroken),
    ],
)
def test_an_error_in_a_200_has_its_class(body: Any, kind: type[UpstreamError]) -> None:
    """In a stream as in a whole answer."""
    with pytest.raises(kind):
        reader()(body)
    with pytest.raises(kind):
        UPSTREAM.reply(body, terms())


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "MALFORMED_RESPONSE"])
def test_a_model_that_broke_is_a_failure(reason: str) -> None:
    """Whatever it had said by then: nobody may take it for whole."""
    thought, said = {"text": "hm", "thought": True}, {"text": "Hi"}
    called = {"functionCall": {"name": "f", "args": {}}}

    for part in (thought, said, called):
        with pytest.raises(UpstreamBroken) as broken:
            UPSTREAM.reply(answer(part, finish=reason), terms())
        assert broken.value.cause == reason.lower()
        with pytest.raises(UpstreamBroken):
            reader()(answer(part, finish=reason))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("NEW_ONE", "NEW_ONE"),
    ],
)
def test_finish_reasons(theirs: str, ours: str) -> None:
    """A word that nobody knows yet is for the stream to judge."""
    assert UPSTREAM.reply(answer({"text": "x"}, finish=theirs), terms())["choices"][0]["finish_reason"] == ours
    assert reader()(answer({"text": "x"}, finish=theirs))[-1]["choices"][0]["finish_reason"] == ours


def test_candidates_of_a_stream_are_told_apart() -> None:
    """Text of the first is the short form; what comes after a finish, as some models give one with every event, is told."""
    read = reader()

    assert read(answer({"text": "a"}, finish=None)) == "a"
    assert read(answer({"text": "b"}, finish=None, index=1)) == [
        {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]}
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in read(answer(finish="STOP", index=1))] == ["stop"]
    late = read(answer({"text": "late"}, finish="STOP", index=1))
    assert [chunk["choices"][0]["delta"] for chunk in late] == [{"content": "late"}, {}]
    assert read(answer({"text": "c"}, finish=None)) == "c"


def test_usage_may_come_after_the_finish() -> None:
    """And alone before it means nothing yet."""
    read = reader()
    usage = {"usageMetadata": {"promptTokenCount": 3, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 2}}

    assert read(usage) == []
    read(answer({"text": "a"}))
    (chunk,) = read(usage)
    assert chunk["choices"] == []
    assert (chunk["usage"]["prompt_tokens"], chunk["usage"]["total_tokens"]) == (7, 9)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b'"x"'])
def test_what_is_no_event_is_a_value_error(data: bytes) -> None:
    """So that the stream can count garbage."""
    with pytest.raises(ValueError, match=r"\w"):
        UPSTREAM.reader(terms()).read(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.sampled_from(["STOP", "OTHER", "SAFETY"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates",
                    "content",
                    "parts",
                    "text",
                    "thought",
                    "thoughtSignature",
                    "functionCall",
                    "name",
                    "args",
                    "id",
                    "inlineData",
                    "mimeType",
                    "data",
                    "finishReason",
                    "index",
                    "usageMetadata",
                    "promptTokenCount",
                    "promptFeedback",
                    "blockReason",
                    "error",
                    "code",
                    "status",
                    "details",
                    "@type",
                    "retryDelay",
                    "logprobsResult",
                    "chosenCandidates",
                    "responseId",
                    "violations",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4))
@settings(max_examples=60, deadline=None)
def test_garbage_ends_in_a_value_or_a_failure(events: list[Any]) -> None:
    """Reply, reader and error never raise anything else."""
    read = reader()
    for event in events:
        for asked in (event, {"candidates": [event]}, {"candidates": [{"content": {"parts": [event]}}]}):
            assert isinstance(error_detail(asked), dict)
            with contextlib.suppress(UpstreamError):
                json.dumps(UPSTREAM.reply(asked, terms()))
            try:
                assert isinstance(read(asked), str | list)
            except (UpstreamError, ValueError):
                read = reader()
