"""What callers of the Responses API are sent, judged by the SDK's own types and stream helper."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from orcestator.dialects.canonical import RESPONSES_FORMAT
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.responses.caller import CALLER
from orcestator.dialects.responses.writer import ResponsesWriter
from orcestator.errors import (
    InvalidRequest,
    Overloaded,
    StreamInterrupted,
    UpstreamBroken,
    UpstreamRateLimited,
    UpstreamRejected,
)
from orcestator.json_text import Json
from tests.dialects.responses.responses_sdk import checked_events, checked_response, counted, write_terms

FIXTURES = Path(__file__).parents[1] / "fixtures" / "responses"
TOOLS = [
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "n", "description": "", "tools": [{"type": "function", "name": "f"}]},
]
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def streamed(*deltas: Json, finish: str = "stop", writer: ResponsesWriter | None = None) -> bytes:
    """What a caller gets of an answer in these deltas."""
    writer = writer or ResponsesWriter(write_terms({"tools": TOOLS}))
    stream = ChatStream(StreamTerms("prov", "orcestator", True, 8, 1_700_000_000, 100, counted()), writer=writer)
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": USAGE}
    for chunk in [*chunks, last]:
        stream.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    stream.feed(b"data: [DONE]\n\n")
    return stream.take()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/caller_stream.txt")), ids=lambda path: path.parent.name)
def test_recorded_streams_are_what_the_sdk_reads(path: Path) -> None:
    """Every event by its type, and all of them by ``responses.stream``, with comments in between."""
    recorded = path.read_bytes()
    wire = CALLER.keep_alive + recorded.replace(b"\n\n", b"\n\n" + CALLER.keep_alive)
    headers = {"content-type": CALLER.stream_type}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=wire, headers=headers))

    with (
        OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=httpx.Client(transport=transport)) as sdk,
        sdk.responses.stream(model="m", input="hi") as stream,
    ):
        kinds = [event.type for event in stream]

    assert kinds == [event.type for event in checked_events(recorded)]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/caller_reply.json")), ids=lambda path: path.parent.name)
def test_recorded_replies_are_what_the_sdk_reads(path: Path) -> None:
    checked_response(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "before", [[], [{"content": "a"}], [{"reasoning_content": "hm"}], [{"content": "a"}, {"refusal": "no"}]]
)
def test_text_is_what_a_chunk_of_it_would_be(before: list[Json]) -> None:
    fast, slow = ResponsesWriter(write_terms()), ResponsesWriter(write_terms())
    for delta in before:
        for writer in (fast, slow):
            writer.chunk({"choices": [{"index": 0, "delta": delta}]})

    written = fast.text('b"\n') + fast.text("c") + fast.end(USAGE)
    for content in ('b"\n', "c"):
        written = written.removeprefix(slow.chunk({"choices": [{"index": 0, "delta": {"content": content}}]}))

    assert written == slow.end(USAGE)


def call(place: int, name: str, *given: str) -> list[Json]:
    """The deltas of a tool call."""
    head = {"index": place, "id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": ""}}
    return [{"tool_calls": [part]} for part in (head, *({"index": place, "function": {"arguments": g}} for g in given))]


ENCRYPTED = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "format": RESPONSES_FORMAT}]}
FOREIGN = {
    "reasoning_details": [{"type": "reasoning.text", "text": "x", "signature": "s", "format": "anthropic-claude-v1"}]
}
DELTAS = st.lists(
    st.sampled_from(
        [
            {"content": "a"},
            {"content": "é\n"},
            {"reasoning_content": "hm"},
            {"refusal": "no"},
            ENCRYPTED,
            FOREIGN,
            {"content": "b", "annotations": [{"type": "url_citation", "url_citation": {}}]},
        ]
    ),
    min_size=1,
    max_size=8,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["patch", "n__f", "other"]), st.sampled_from([[], ["{", "}"], ['{"a', '":1}'], ["}", '"']])
    )
).map(lambda calls: [delta for place, (name, given) in enumerate(calls) for delta in call(place, name, *given)])


@settings(max_examples=60, deadline=None)
@given(DELTAS, CALLS, st.sampled_from(["stop", "length", "content_filter", "tool_calls"]))
def test_events_are_in_order_whatever_the_answer_is(deltas: list[Json], calls: list[Json], finish: str) -> None:
    writer = ResponsesWriter(write_terms({"tools": TOOLS}))

    events = checked_events(streamed(*deltas, *calls, finish=finish, writer=writer))

    said = "".join(delta.get("content", "") for delta in deltas)
    assert events[-1].response.output_text == said
    assert writer.response is not None
    assert writer.response["output"], "never an empty answer"
    assert writer.response["status"] == ("completed" if finish in ("stop", "tool_calls") else "incomplete")


def test_an_answer_without_text_has_an_empty_message() -> None:
    events = checked_events(streamed({"role": "assistant", "content": ""}))

    assert events[-1].response.output[0].content[0].text == ""


def test_the_callers_own_tools_come_back() -> None:
    output = streamed(
        *call(0, "n__f", "{}"), *call(1, "patch", '{"input":', '"x"}'), *call(2, "free"), finish="tool_calls"
    )

    whole = checked_events(output)[-1].response

    assert [(item.type, item.name, item.namespace, item.call_id) for item in whole.output] == [
        ("function_call", "f", "n", "call_0"),
        ("custom_tool_call", "patch", None, "call_1"),
        ("function_call", "free", None, "call_2"),
    ]
    assert whole.output[1].input == "x"


def test_reasoning_of_this_api_is_given_to_the_caller_encrypted() -> None:
    first, message = checked_events(streamed({"reasoning_content": "hm"}, ENCRYPTED, {"content": "a"}))[
        -1
    ].response.output

    assert (first.summary[0].text, first.encrypted_content) == ("hm", "x")
    assert message.type == "message"


def test_log_probabilities_are_in_the_deltas_and_in_the_whole() -> None:
    writer = ResponsesWriter(write_terms())
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": "H"},
        "logprobs": {"content": [{"token": "H", "bytes": None}]},
    }

    output = writer.chunk({"choices": [choice]}) + writer.text("i") + writer.end(USAGE)

    part = checked_events(output)[-1].response.output[0].content[0]
    assert (part.text, part.logprobs[0].token, part.logprobs[0].bytes) == ("Hi", "H", [])


def test_usage_has_every_number() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1}}
    writer = ResponsesWriter(write_terms())
    output = writer.chunk({"choices": [{"index": 0, "delta": {"content": "a"}}]}) + writer.end({**USAGE, **details})

    usage = checked_events(output)[-1].response.usage

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 3, 8)
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (2, 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamBroken("x", cause="closed"), "server_error"),
        (UpstreamRateLimited("x", cause="http_429"), "rate_limit_exceeded"),
        (UpstreamRejected("x", cause="http_400", upstream_code="context_length_exceeded"), "context_length_exceeded"),
        (StreamInterrupted(UpstreamRejected("x", cause="http_400")), "invalid_prompt"),
        (InvalidRequest("x"), "invalid_prompt"),
        (Overloaded("x"), "server_error"),
    ],
)
def test_a_failure_is_valid_as_the_first_event(error: Any, code: str) -> None:
    writer = ResponsesWriter(write_terms())
    frames = writer.failure(error)

    first, second, last, told = [
        json.loads(frame.partition("data: ")[2]) for frame in frames.decode().split("\n\n")[:-1]
    ]

    assert [first["type"], second["type"], last["type"], told["type"]] == [
        "response.created",
        "response.in_progress",
        "response.failed",
        "error",
    ]
    assert told["error"] == {"type": error.body()["error"]["type"], "code": code, "message": "x", "param": None}
    assert last["response"]["error"] == {"code": code, "message": "x"}
    assert writer.response is None


def test_a_half_call_is_not_given_out_when_the_answer_breaks() -> None:
    writer = ResponsesWriter(write_terms())
    half = {"choices": [{"index": 0, "delta": call(0, "f")[0]}]}
    output = writer.chunk({"choices": [{"index": 0, "delta": {"content": "a"}}]}) + writer.chunk(half)
    output += writer.failure(UpstreamBroken("cut", cause="closed"))

    events = checked_events(output)

    assert [item.type for item in events[-1].response.output] == ["message"]
    assert [event.item.type for event in events if event.type == "response.output_item.done"] == ["message"]


def test_what_was_asked_for_is_echoed() -> None:
    asked = {
        "instructions": "i",
        "previous_response_id": "resp_0",
        "store": False,
        "metadata": {"a": "b"},
        "tools": TOOLS,
    }
    made = CALLER.reply({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}, write_terms(asked))

    response = checked_response(made)

    assert (response.instructions, response.previous_response_id, response.metadata) == ("i", "resp_0", {"a": "b"})
    assert made["store"] is False
    assert len(response.tools) == 2


def test_a_whole_reply_says_what_the_stream_of_it_says() -> None:
    calls = [{"id": "call_0", "type": "function", "function": {"name": "patch", "arguments": '{"input":"x"}'}}]
    message = {"content": "a", "reasoning_content": "hm", **ENCRYPTED, "tool_calls": calls}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": USAGE}
    deltas = [{"reasoning_content": "hm"}, ENCRYPTED, {"content": "a"}, *call(0, "patch", '{"input":"x"}')]
    writer = ResponsesWriter(write_terms({"tools": TOOLS}))
    streamed(*deltas, finish="tool_calls", writer=writer)
    whole = CALLER.reply(body, write_terms({"tools": TOOLS}))

    for response in (whole, writer.response or {}):
        for holder in (response, *response["output"]):
            del holder["id"]

    assert whole == writer.response
