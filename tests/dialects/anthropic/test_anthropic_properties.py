"""What must hold for any JSON: nothing but the promised errors, and only requests that Anthropic takes."""

import json
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.anthropic.caller import CALLER
from orcestator.dialects.anthropic.thinking_blocks import without_our_thinking
from orcestator.dialects.anthropic.tokens import count_estimate
from orcestator.dialects.anthropic.upstream import UPSTREAM
from orcestator.dialects.canonical import ReadCall, ReadTerms, Target, WriteTerms
from orcestator.errors import InvalidRequest, UpstreamError
from orcestator.json_text import Json
from tests.dialects.anthropic.anthropic_rules import assert_accepted, message_of

few = settings(max_examples=60, deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(-5, 5) | texts
garbage = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
words = st.sampled_from(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "search_result",
        "base64",
        "url",
        "content",
        "file",
        "enabled",
        "adaptive",
        "disabled",
        "auto",
        "any",
        "tool",
        "none",
        "json_schema",
        "json_object",
        "function",
        "custom",
        "required",
        "user",
        "assistant",
        "system",
        "tool",
        "low",
        "high",
        "xhigh",
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "end_turn",
        "refusal",
        "overloaded_error",
    ]
)
fields = st.sampled_from(
    [
        "type",
        "text",
        "source",
        "data",
        "url",
        "media_type",
        "content",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "thinking",
        "signature",
        "budget_tokens",
        "effort",
        "format",
        "schema",
        "role",
        "message",
        "delta",
        "index",
        "content_block",
        "partial_json",
        "stop_reason",
        "stop_details",
        "explanation",
        "usage",
        "input_tokens",
        "output_tokens",
        "error",
        "cache_control",
        "cache_creation",
        "output_tokens_details",
        "display",
        "title",
    ]
)
shapes = st.recursive(
    words | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=5),
    max_leaves=15,
)
BODY_FIELDS = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
]


def read_terms() -> ReadTerms:
    numbers = count(1)
    return ReadTerms("prov", lambda prefix: f"{prefix}{next(numbers)}")


def write_terms() -> WriteTerms:
    numbers = count(1)
    return WriteTerms("orcestator", 0, lambda prefix: f"{prefix}{next(numbers)}")


def read_or_refused(body: Json) -> ReadCall | InvalidRequest:
    """The call, or why it is none."""
    try:
        return CALLER.read(body)
    except InvalidRequest as error:
        return error


def likely_bodies() -> st.SearchStrategy[Json]:
    """Bodies whose required fields are there, and any other may be anything."""
    blocks = st.lists(shapes | st.dictionaries(fields, shapes, max_size=5), max_size=3) | texts
    messages = st.lists(st.fixed_dictionaries({"role": words, "content": blocks}), max_size=3)
    required = {"model": st.just("m"), "max_tokens": st.just(9), "messages": messages | garbage}
    optional = {name: shapes for name in BODY_FIELDS if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


@few
@given(likely_bodies() | st.dictionaries(st.sampled_from(BODY_FIELDS) | texts, garbage, max_size=6))
def test_any_body_is_read_or_refused(body: Json) -> None:
    """And what was read can be sent on, and counted."""
    before = json.dumps(body)
    read = read_or_refused(body)
    if isinstance(read, InvalidRequest):
        assert read.param
        assert read.param in read.message
    else:
        assert count_estimate(read.call) >= 0
        assert_accepted(UPSTREAM.request(read.call, Target("anthropic", "claude-sonnet-4-5")).body)
    without_our_thinking(body)
    assert json.dumps(body) == before


@few
@given(
    garbage
    | shapes
    | st.fixed_dictionaries({"content": st.lists(shapes, max_size=4)}, optional={"stop_reason": words, "usage": shapes})
)
def test_any_reply_is_read_or_a_failure(wire: Any) -> None:
    """And an answer can be written for a caller of ours."""
    UPSTREAM.error(wire)
    try:
        reply = UPSTREAM.reply(wire, read_terms())
    except UpstreamError:
        return
    made = CALLER.reply(reply, write_terms())
    assert made["role"] == "assistant"
    json.dumps(made, allow_nan=False)


@few
@given(st.lists(st.dictionaries(fields, shapes, max_size=5) | shapes, max_size=8))
def test_any_event_is_read_or_a_failure(events: list[Any]) -> None:
    """In any order."""
    reader = UPSTREAM.reader(read_terms())
    for event in events:
        try:
            meaning = reader.read(json.dumps(event).encode())
        except (UpstreamError, ValueError):
            continue
        assert meaning is None or isinstance(meaning, str | list)


ids = st.sampled_from(["a", "b", "call:1", "", "toolu_1"])
contents = st.sampled_from(["", " ", "Hi", "Bye\n"]) | st.just(
    [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]
)
calls = st.lists(
    st.builds(lambda one, text: {"id": one, "type": "function", "function": {"name": "f", "arguments": text}}, ids, st.sampled_from(["", "{}", "{", "[]"])),
    max_size=3,
)  # fmt: skip
details = st.lists(
    st.sampled_from(
        [
            {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
            {
                "type": "reasoning.text",
                "text": "t",
                "signature": "orcestator-unsigned",
                "format": "anthropic-claude-v1",
            },
            {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"},
            {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1"},
        ]
    ),
    max_size=2,
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": contents})
    | st.fixed_dictionaries({"role": st.just("assistant"), "content": contents}, optional={"tool_calls": calls, "reasoning_details": details})
    | st.fixed_dictionaries({"role": st.just("tool"), "content": contents, "tool_call_id": ids}),
    min_size=1,
    max_size=8,
)  # fmt: skip
options = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([1, 1024, 9000]),
        "reasoning_effort": st.sampled_from(["none", "low", "xhigh"]),
        "temperature": st.sampled_from([0, 1.5]),
        "top_k": st.just(3),
        "stop": st.sampled_from([" ", ["x", "\n"]]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
        "response_format": st.just({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}),
    },
)
models = st.sampled_from(
    ["claude-sonnet-4-20250514", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5", "other"]
)


@few
@given(messages, options, models)
def test_any_conversation_is_one_that_anthropic_takes(history: list[Json], more: Json, model: str) -> None:
    """Alternating turns, every call answered, nothing empty; and the same each time."""
    call = {"messages": history, **more}
    before = json.dumps(call)

    made = UPSTREAM.request(call, Target("anthropic", model))

    assert_accepted(made.body)
    assert UPSTREAM.request(call, Target("anthropic", model)) == made
    assert json.dumps(call) == before


deltas = st.lists(
    st.builds(lambda text: {"content": text}, st.sampled_from(["Hi", '"\n', "é"]))
    | st.builds(lambda text: {"reasoning_content": text}, st.sampled_from(["Hm", "So"]))
    | st.builds(lambda found: {"reasoning_details": found}, details),
    max_size=6,
)


@few
@given(deltas, st.lists(st.sampled_from(["", "{}", '{"a":1}']), max_size=3))
def test_any_answer_is_a_stream_that_can_be_put_together(parts: list[Json], arguments: list[str]) -> None:
    """All its text arrives, in blocks of which one is open at a time."""
    calls = [
        {"tool_calls": [{"index": place, "id": f"c{place}", "type": "function", "function": {"name": "f", "arguments": text}}]}
        for place, text in enumerate(arguments)
    ]  # fmt: skip
    writer = CALLER.writer(write_terms())

    written = b"".join(
        writer.chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        for delta, reason in [*((one, None) for one in [*parts, *calls]), ({}, "stop")]
    )
    message = message_of(written + writer.end({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}))

    said = [block["text"] for block in message["content"] if block["type"] == "text"]
    assert "".join(said) == "".join(one.get("content", "") for one in parts)
    uses = [block["input"] for block in message["content"] if block["type"] == "tool_use"]
    assert uses == [json.loads(text or "{}") for text in arguments]
