"""A canonical call to a generateContent request: the rules that recorded crossings do not show."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import Target
from orcestator.dialects.gemini.model_traits import traits_of
from orcestator.dialects.gemini.signatures import SKIP_VALIDATION
from orcestator.dialects.gemini.upstream import UPSTREAM
from orcestator.dialects.tool_results import NO_RESULT
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

HI = [{"role": "user", "content": "Hi"}]


def body(model: str = "gemini-3-flash-preview", **fields: Any) -> Json:
    """The body of a call to a model."""
    return UPSTREAM.request({"messages": HI, **fields}, Target("gemini", model)).body


def thinking(model: str, **fields: Any) -> Any:
    """The thinking config that a call gets."""
    return body(model, **fields).get("generationConfig", {}).get("thinkingConfig")


def call(call_id: str, signature: str = "") -> Json:
    """A canonical tool call."""
    extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **extra}


@pytest.mark.parametrize(
    ("model", "streamed", "path"),
    [
        ("gemini-2.5-pro", False, "/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", True, "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("a/b?c", False, "/models/a%2Fb%3Fc:generateContent"),
    ],
)
def test_the_path_names_the_model(model: str, streamed: bool, path: str) -> None:
    """For translated and relayed bodies alike."""
    assert UPSTREAM.request({"messages": HI}, Target("gemini", model, streamed)).path == path
    assert UPSTREAM.relay_path(model, streamed) == path


@pytest.mark.parametrize(
    ("model", "fields", "config"),
    [
        ("gemini-3-pro-preview", {"reasoning_effort": "minimal"}, {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, {"thinkingLevel": "high", "includeThoughts": True}),
        (
            "gemini-3.1-pro-preview",
            {"reasoning_effort": "medium"},
            {"thinkingLevel": "medium", "includeThoughts": True},
        ),
        (
            "gemini-3-flash-preview",
            {"reasoning_effort": "none"},
            {"thinkingLevel": "minimal", "includeThoughts": False},
        ),
        ("gemini-3.8-flash", {"reasoning_effort": "none"}, {"thinkingLevel": "low", "includeThoughts": False}),
        ("gemini-flash-latest", {"reasoning": {"enabled": True}}, {"includeThoughts": True}),
        ("gemini-3-flash", {"reasoning": {"max_tokens": 50_000}}, {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash-lite", {"reasoning": {"max_tokens": 5}}, {"thinkingBudget": 512, "includeThoughts": True}),
        (
            "gemini-2.5-pro",
            {"reasoning": {"enabled": True, "exclude": True}},
            {"thinkingBudget": -1, "includeThoughts": False},
        ),
        (
            "gemini-2.5-pro",
            {"reasoning_effort": "low", "max_tokens": 1000},
            {"thinkingBudget": 200, "includeThoughts": True},
        ),
        ("gemini-2.5-flash", {}, None),
        ("gemini-2.0-flash", {"reasoning_effort": "low"}, None),
    ],
)
def test_thinking_in_the_terms_of_the_model(model: str, fields: Json, config: Json | None) -> None:
    """Budgets for 2.5, levels for 3, nothing where nothing was asked or nothing thinks."""
    assert thinking(model, **fields) == config


@pytest.mark.parametrize("model", ["gemini-4-ultra", "gemini-flash-latest", "google/gemini-3-pro-preview"])
def test_an_unknown_name_is_of_the_newest_generation(model: str) -> None:
    """Names are open-ended; only older ones are told apart."""
    assert traits_of(model).checks_signatures
    assert not traits_of("models/gemini-2.5-pro").checks_signatures


def test_only_the_first_call_of_each_step_of_the_current_turn_is_marked() -> None:
    """Where its signature is missing, and never in turns that are over."""
    results = [{"role": "tool", "tool_call_id": name, "content": "x"} for name in "abcde"]
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call("a")]},
        results[0],
        {"role": "assistant", "content": "done"},
        *HI,
        {"role": "assistant", "tool_calls": [call("b"), call("c")]},
        *results[1:3],
        {"role": "assistant", "tool_calls": [call("d", "c2ln")]},
        results[3],
        {"role": "assistant", "tool_calls": [call("e")]},
        results[4],
    ]

    contents = body(messages=messages)["contents"]

    calls = {part["functionCall"]["id"]: part for turn in contents for part in turn["parts"] if "functionCall" in part}
    signed = {name: part.get("thoughtSignature") for name, part in calls.items()}
    assert signed == {"a": None, "b": SKIP_VALIDATION, "c": None, "d": "c2ln", "e": SKIP_VALIDATION}


def test_a_signature_in_openrouters_place_goes_back_to_its_call() -> None:
    """A detail that names the call."""
    detail = {"type": "reasoning.encrypted", "data": "c2ln", "id": "a", "format": "google-gemini-v1"}
    message = {"role": "assistant", "tool_calls": [call("a")], "reasoning_details": [detail]}

    contents = body(messages=[*HI, message])["contents"]

    assert contents[1]["parts"][0]["thoughtSignature"] == "c2ln"
    assert contents[2]["parts"][0]["functionResponse"]["response"] == {"error": NO_RESULT}


def test_results_are_text_whatever_they_hold() -> None:
    """An object would lose large numbers, and a $ref in it is refused."""
    text = '{"$ref": "#/x", "n": 12345678901234567890}'
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": text},
    ]

    assert body(messages=messages)["contents"][2]["parts"][0]["functionResponse"]["response"] == {"output": text}


def test_a_history_that_begins_with_the_model_gets_a_turn_before_it() -> None:
    """The API wants a call to come after a user turn."""
    contents = body(messages=[{"role": "assistant", "tool_calls": [call("a")]}])["contents"]

    assert [turn["role"] for turn in contents] == ["user", "model", "user"]


def test_instructions_lie_in_the_first_turn_where_there_is_no_system() -> None:
    """Gemma 3 has no system instruction."""
    made = body("gemma-3-27b-it", messages=[{"role": "system", "content": "Be brief."}, *HI])

    assert made == {"contents": [{"role": "user", "parts": [{"text": "Be brief."}, {"text": "Hi"}]}]}


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER = {"type": "function", "function": {"name": "g"}}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (None, None),
    ],
)
def test_a_tool_choice(choice: Any, config: Json | None) -> None:
    """In the calling config's modes."""
    made = body(tools=[TOOL, OTHER], tool_choice=choice)

    assert made.get("toolConfig") == ({"functionCallingConfig": config} if config else None)
    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]


def test_tools_that_may_not_be_called_are_not_declared() -> None:
    """Names can only be allowed where a call is a must."""
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}}

    made = body(tools=[TOOL, OTHER], tool_choice=choice)

    assert made["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert "toolConfig" not in made


@pytest.mark.parametrize("model", ["gemini-3-flash", "gemma-3-27b-it"])
@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_tool_that_takes_nothing_has_no_parameters(model: str, schema: Any) -> None:
    """An object without properties is refused there."""
    (made,) = body(model, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])["tools"]

    assert made == {"functionDeclarations": [{"name": "f"}]}


def test_what_has_no_place_is_named_once() -> None:
    """Not lost silently."""
    part = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    asked = {
        "messages": [{"role": "user", "content": [part, part, {"type": "odd"}], "name": "me"}],
        "min_p": 0.1,
        "user": None,
        "tools": [{"type": "web_search"}, "?"],
        "tool_choice": "required",
        "modalities": ["audio", "text"],
        "response_format": {"type": "grammar"},
    }

    dropped = UPSTREAM.request(asked, Target("gemini", "gemini-3-flash")).dropped

    assert sorted(dropped) == [
        "cache_control",
        "messages.name",
        "messages.odd",
        "min_p",
        "modalities.audio",
        "response_format",
        "tool_choice",
        "tools.web_search",
        "tools[1]",
    ]


@pytest.mark.parametrize("messages", [[], None, [{"role": "user", "content": ""}], "x", [3]])
def test_a_call_that_says_nothing_is_refused(messages: Any) -> None:
    """No target of this dialect could take it."""
    with pytest.raises(InvalidRequest) as refused:
        body(messages=messages)
    assert refused.value.param == "messages"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=5)
    | st.sampled_from(["user", "tool", "assistant", "text", "f"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "role",
        "content",
        "tool_calls",
        "id",
        "function",
        "name",
        "arguments",
        "type",
        "text",
        "image_url",
        "url",
        "file",
        "file_data",
        "input_audio",
        "data",
        "format",
        "tool_call_id",
        "reasoning_details",
        "images",
        "custom",
        "refusal",
        "extra_content",
        "json_schema",
        "schema",
        "enabled",
        "max_tokens",
        "allowed_tools",
        "tools",
        "parameters",
    ]
)
NESTED = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=15
)
FIELDS = st.sampled_from(
    [
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning",
        "reasoning_effort",
        "stop",
        "max_tokens",
        "n",
        "modalities",
        "temperature",
        "logprobs",
        "parallel_tool_calls",
    ]
)


@given(st.dictionaries(FIELDS, NESTED, max_size=5), st.lists(st.dictionaries(KEYS, NESTED, max_size=5), max_size=4))
@settings(max_examples=60, deadline=None)
def test_garbage_is_refused_or_translated(asked: Json, messages: list[Json]) -> None:
    """Nothing but InvalidRequest, no change of what was given, and a body that is JSON."""
    whole = {"messages": [*HI, *messages], **asked}
    before = repr(whole)
    for model in ("gemini-3-flash", "gemini-2.5-pro"):
        with contextlib.suppress(InvalidRequest):
            json.dumps(UPSTREAM.request(whole, Target("gemini", model)).body)
    assert repr(whole) == before
