"""The Responses API's answers, as servers that are like it but not quite it send them too."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.responses.upstream import UPSTREAM
from orcestator.errors import UpstreamBroken, UpstreamError, UpstreamRateLimited, UpstreamUnavailable
from orcestator.json_text import Json
from tests.dialects.responses.responses_sdk import read_terms
from tests.dialects.responses.test_request import JUNK

MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}


def chunks(*events: Json) -> list[Any]:
    """What the reader makes of events, nothing left out but nothings."""
    reader = UPSTREAM.reader(read_terms())
    return [made for event in events if (made := reader.read(json.dumps(event).encode()))]


def deltas(*events: Json) -> list[Json]:
    """The deltas only."""
    found = [[{"choices": [{"delta": {"content": m}}]}] if isinstance(m, str) else m for m in chunks(*events)]
    return [choice["delta"] for made in found for chunk in made for choice in chunk["choices"]]


def test_an_item_that_came_whole_counts_once() -> None:
    added = {"type": "response.output_item.added", "output_index": 1, "item": CALL}
    done = {"type": "response.output_item.done", "output_index": 1, "item": CALL}
    said = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    head = {"index": 0, "id": "call_1", "type": "function"}

    assert deltas(said, said) == [{"content": "Hi"}]
    assert deltas(done, done) == [{"tool_calls": [{**head, "function": {"name": "f", "arguments": "{}"}}]}]
    assert deltas(added, done, done) == [
        {"tool_calls": [{**head, "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]


def test_an_end_without_a_stream_before_it_says_everything() -> None:
    response = {"status": "in_progress", "output": [MESSAGE, CALL], "usage": {"input_tokens": 3, "output_tokens": 4}}

    said, called, last = chunks({"type": "response.completed", "response": response})[0]

    assert said["choices"][0]["delta"] == {"content": "Hi"}
    assert called["choices"][0]["delta"]["tool_calls"][0]["id"] == "call_1"
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_citations_and_log_probabilities_come_along() -> None:
    cited = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "t", "url": "https://a.example"}
    text = {"type": "response.output_text.delta", "delta": "H", "logprobs": [{"token": "H", "logprob": -0.1}]}
    noted = {"type": "response.output_text.annotation.added", "annotation": cited}

    said, note = chunks(text, noted)

    assert said[0]["choices"][0]["logprobs"] == {"content": [{"token": "H", "logprob": -0.1}]}
    fields = {name: cited[name] for name in ("start_index", "end_index", "title", "url")}
    assert note[0]["choices"][0]["delta"] == {"annotations": [{"type": "url_citation", "url_citation": fields}]}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, UpstreamRateLimited),
        ({"type": "error", "error": {"code": 503, "message": "busy"}}, UpstreamUnavailable),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}}, UpstreamBroken),
        ({"type": "response.failed"}, UpstreamBroken),
        ({"type": "response.completed", "response": {"error": {"code": "slow_down"}}}, UpstreamRateLimited),
        ({"error": {"message": "no type"}}, UpstreamBroken),
    ],
)
def test_a_stream_that_says_it_failed_raises(event: Json, kind: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as raised:
        chunks(event)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"output": None},
        {"output": [], "status": "failed"},
        {"output": [], "status": "queued"},
        {"error": "x"},
        [],
        None,
    ],
)
def test_a_reply_that_is_none_raises(wire: Any) -> None:
    with pytest.raises(UpstreamBroken):
        UPSTREAM.reply(wire, read_terms())


@pytest.mark.parametrize(("data", "said"), [(b'{"type":"response.queued"}', []), (b'{"type":"x.y","delta":"z"}', [])])
def test_unknown_events_say_nothing(data: bytes, said: list[Json]) -> None:
    assert UPSTREAM.reader(read_terms()).read(data) == said


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b"{", b"null"])
def test_what_is_no_event_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        UPSTREAM.reader(read_terms()).read(data)


KINDS = [
    "error",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.output_text.delta",
    "response.output_text.annotation.added",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_part.added",
    "response.output_item.added",
    "response.output_item.done",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
]
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call"]) | JUNK},
    optional={
        name: JUNK for name in ("content", "summary", "encrypted_content", "name", "call_id", "arguments", "input")
    },
)
EVENT = JUNK | st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "output_index": st.integers(0, 2) | JUNK,
        "delta": JUNK,
        "item": ITEM | JUNK,
        "item_id": JUNK,
        "annotation": JUNK,
        "logprobs": JUNK,
        "response": JUNK
        | st.fixed_dictionaries({"output": st.lists(ITEM) | JUNK}, optional={"usage": JUNK, "error": JUNK}),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, max_size=6))
def test_any_stream_is_chunks_or_an_upstream_error(events: list[Any]) -> None:
    reader = UPSTREAM.reader(read_terms())
    for event in events:
        try:
            made = reader.read(json.dumps(event).encode())
        except (UpstreamError, ValueError):
            continue
        for chunk in made if isinstance(made, list) else []:
            if chunk == event:
                # Of no shape of this API: handed on for the stream to judge.
                continue
            choice = chunk["choices"][0]
            assert choice["index"] == 0
            assert isinstance(choice["delta"], dict)


@settings(max_examples=60, deadline=None)
@given(
    JUNK
    | st.fixed_dictionaries({"output": st.lists(ITEM | JUNK)}, optional={"status": JUNK, "usage": JUNK, "id": JUNK})
)
def test_any_reply_is_a_reply_or_an_upstream_error(wire: Any) -> None:
    try:
        made = UPSTREAM.reply(wire, read_terms())
    except UpstreamError:
        return
    assert made["choices"][0]["message"]["role"] == "assistant"
    assert isinstance(made["id"], str)


@settings(max_examples=40, deadline=None)
@given(JUNK)
def test_any_error_body_is_read(parsed: Any) -> None:
    assert isinstance(UPSTREAM.error(parsed), dict)
