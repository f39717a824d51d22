"""A canonical call on its way to the Responses API: what the golden cases do not show."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import RESPONSES_FORMAT
from orcestator.dialects.responses.upstream import UPSTREAM
from orcestator.json_text import Json
from tests.dialects.responses.responses_sdk import target

HI = [{"role": "user", "content": "hi"}]


def wire(model: str = "gpt-5.1", facts: Json | None = None, **call: Any) -> tuple[Json, tuple[str, ...]]:
    """The body and what was left out."""
    made = UPSTREAM.request({"model": "m", "messages": HI, **call}, target(model, facts=facts or {}))
    return made.body, made.dropped


@pytest.mark.parametrize(("given", "sent"), [(1, 16), (16, 16), (17, 17)])
def test_the_limit_is_never_below_what_the_api_takes(given: int, sent: int) -> None:
    assert wire(max_tokens=given)[0]["max_output_tokens"] == sent


@pytest.mark.parametrize(
    ("model", "call", "kept"),
    [
        ("gpt-4.1", {}, True),
        ("chatgpt-4o-latest", {}, True),
        ("gpt-5-chat-latest", {}, True),
        ("someone/else", {}, True),
        ("gpt-5", {"reasoning_effort": "none"}, False),
        ("gpt-5-mini", {}, False),
        ("openai/o3", {}, False),
        ("gpt-5.1", {}, False),
        ("gpt-5.1", {"reasoning_effort": "none"}, True),
        ("gpt-6-sol", {"reasoning_effort": "none"}, False),
    ],
)
def test_models_that_refuse_sampling_are_not_asked(model: str, call: Json, kept: bool) -> None:
    body, dropped = wire(model, temperature=0.2, top_p=0.5, **call)

    assert ("temperature" in body, "top_p" in body) == (kept, kept)
    assert ("temperature" in dropped) != kept


def test_the_offers_facts_count_more_than_the_name() -> None:
    body, dropped = wire("gpt-5", {"supported_parameters": ["temperature"]}, temperature=0.2, reasoning_effort="low")

    assert body["temperature"] == 0.2
    assert "include" not in body
    assert dropped == ("reasoning_effort",)


@pytest.mark.parametrize(
    ("model", "call", "sent"),
    [
        ("gpt-5.1", {}, None),
        ("gpt-5.1", {"reasoning_effort": "high"}, {"effort": "high", "summary": "auto"}),
        ("gpt-5.1", {"reasoning_effort": "high", "reasoning": {"exclude": True}}, {"effort": "high"}),
        ("gpt-5.1", {"reasoning_effort": "none"}, {"effort": "none"}),
        ("gpt-5.1", {"reasoning": {"enabled": False}}, {"effort": "none"}),
        ("gpt-5", {"reasoning": {"enabled": False}}, {"effort": "minimal"}),
        ("o4-mini", {"reasoning": {"enabled": False}}, {"effort": "low"}),
        ("gpt-5.1", {"reasoning": {"enabled": True}}, {"summary": "auto"}),
        ("gpt-5.1", {"reasoning": {"max_tokens": 500}, "max_tokens": 1000}, {"effort": "medium", "summary": "auto"}),
        ("gpt-5.1", {"reasoning": {"max_tokens": 3200}}, {"effort": "low", "summary": "auto"}),
        ("gpt-4o", {"reasoning_effort": "low"}, None),
    ],
)
def test_reasoning(model: str, call: Json, sent: Json | None) -> None:
    assert wire(model, **call)[0].get("reasoning") == sent


@pytest.mark.parametrize(
    ("model", "asked"), [("gpt-5.1", True), ("o3", True), ("gpt-4o", False), ("gpt-3.5-turbo", False)]
)
def test_encrypted_reasoning_is_asked_of_models_that_reason(model: str, asked: bool) -> None:
    assert ("reasoning.encrypted_content" in wire(model)[0].get("include", [])) == asked


@pytest.mark.parametrize(("said", "sent"), [({}, False), ({"strict": None}, False), ({"strict": True}, True)])
def test_strict_is_always_said(said: Json, sent: bool) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, **said}}]

    assert wire(tools=tools)[0]["tools"][0]["strict"] is sent


@pytest.mark.parametrize(("said", "sent"), [({}, False), ({"store": False}, False), ({"store": True}, True)])
def test_nothing_is_kept_upstream_unless_the_call_says_so(said: Json, sent: bool) -> None:
    assert wire(**said)[0]["store"] is sent


def test_reasoning_of_others_and_reasoning_that_leads_nowhere_stay_here() -> None:
    mine = {"type": "reasoning.encrypted", "data": "x", "format": RESPONSES_FORMAT, "index": 9}
    foreign = {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}
    messages = [
        {"role": "assistant", "content": "a", "reasoning_details": [foreign, mine]},
        {"role": "assistant", "content": None, "reasoning_details": [mine]},
    ]

    body, dropped = wire(messages=messages)

    assert [item["type"] for item in body["input"]] == ["reasoning", "message"]
    assert dropped == ("messages.reasoning_details",)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "name", "id"]), inner),
    max_leaves=6,
)
MESSAGES = st.lists(
    JUNK
    | st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "function"]) | JUNK},
        optional={
            "content": JUNK | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "file"])})),
            "tool_calls": JUNK
            | st.lists(st.fixed_dictionaries({"type": st.just("custom"), "custom": JUNK, "id": JUNK})),
            "reasoning_details": JUNK
            | st.lists(st.fixed_dictionaries({"format": st.just(RESPONSES_FORMAT), "type": JUNK})),
            "tool_call_id": JUNK,
        },
    ),
    max_size=4,
)
FIELDS = ["tools", "tool_choice", "response_format", "reasoning", "max_tokens", "logprobs", "stop", "temperature", "n"]


@settings(max_examples=60, deadline=None)
@given(messages=MESSAGES | JUNK, more=st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4))
def test_any_call_becomes_a_request(messages: Any, more: Json) -> None:
    body = UPSTREAM.request({"model": "m", "messages": messages, **more}, target()).body

    assert body["model"] == "gpt-5.1"
    assert all(isinstance(item, dict) and item["type"] for item in body["input"])
