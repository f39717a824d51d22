"""A canonical call as Anthropic takes it, beyond what the recorded cases show."""

from typing import Any

import pytest

from orcestator.dialects.anthropic.upstream import UPSTREAM
from orcestator.dialects.anthropic.upstream_request import JSON_ONLY, USUAL_MAX_TOKENS
from orcestator.dialects.anthropic.upstream_tools import REPLY_TOOL
from orcestator.dialects.canonical import Target, WireCall
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from tests.dialects.anthropic.anthropic_rules import assert_accepted

OLD, MIDDLE, NEW = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5"
HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
LOOK = {"type": "function", "function": {"name": "look"}}


def wired(model: str = OLD, facts: Json | None = None, **call: Any) -> WireCall:
    """The accepted wire call."""
    made = UPSTREAM.request({"model": "m", "messages": HI, **call}, Target("anthropic", model, facts=facts or {}))
    assert_accepted(made.body)
    return made


def called(*ids: Any, **more: Any) -> Json:
    """An assistant's message with these calls of ``f``."""
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls, **more}


def result(call_id: Any, content: Any = "ok") -> Json:
    """A tool's message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize("messages", [None, [], "Hi", [7]])
def test_a_call_needs_messages(messages: Any) -> None:
    """No target could take a call without any."""
    with pytest.raises(InvalidRequest) as raised:
        UPSTREAM.request({"messages": messages}, Target("anthropic", OLD))

    assert raised.value.param == "messages"


@pytest.mark.parametrize(
    ("call", "facts", "expected", "dropped"),
    [
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_output_tokens": 64}, 5, ()),
        ({"max_tokens": 9}, {}, 9, ()),
        ({"max_tokens": 99}, {"max_output_tokens": 64}, 64, ("max_tokens",)),
        ({}, {"max_output_tokens": 64}, 64, ()),
        ({"max_tokens": None}, {}, USUAL_MAX_TOKENS, ()),
    ],
)
def test_the_limit_that_the_api_demands(call: Json, facts: Json, expected: int, dropped: tuple[str, ...]) -> None:
    """The caller's, the catalog's, or a constant."""
    made = wired(facts=facts, **call)

    assert (made.body["max_tokens"], made.dropped) == (expected, dropped)


def test_stream_is_the_targets_word() -> None:
    """Not the call's: a whole answer may be wanted of a streaming call, and the other way round."""
    streamed = UPSTREAM.request({"messages": HI}, Target("anthropic", OLD, streamed=True))

    assert streamed.body["stream"] is True
    assert "stream" not in wired(stream=True).body


@pytest.mark.parametrize(
    ("temperature", "sent", "dropped"), [(0, 0, ()), (1, 1, ()), (1.5, 1, ("temperature",)), ("hot", None, ())]
)
def test_temperature_is_clamped(temperature: Any, sent: Any, dropped: tuple[str, ...]) -> None:
    """To 1, and the change is told."""
    made = wired(temperature=temperature)

    assert (made.body.get("temperature"), made.dropped) == (sent, dropped)


@pytest.mark.parametrize("model", [NEW, "claude-opus-4-7"])
def test_models_without_sampling_get_none(model: str) -> None:
    """What equals the default is not told: nothing changes."""
    assert wired(model, temperature=1, top_p=1).dropped == ()
    made = wired(model, temperature=0.2, top_p=0.5, top_k=3)
    assert made.dropped == ("temperature", "top_p", "top_k")
    assert not {"temperature", "top_p", "top_k"} & made.body.keys()


def test_neutral_values_are_not_told() -> None:
    """They say what happens anyway; bookkeeping says nothing to the model."""
    neutral = {"n": 1, "logprobs": False, "presence_penalty": 0, "stop": None, "logit_bias": {}, "store": True}

    assert wired(**neutral, stream_options={"include_usage": True}).dropped == ()
    assert wired(prompt_cache_key="k").dropped == ("prompt_cache_key",)


def test_whatever_is_not_translated_is_named() -> None:
    """Also a field of tomorrow."""
    assert wired(n=3, verbosity="low", metadata={"a": "b"}).dropped == ("metadata", "n", "verbosity")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", None),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choices(given: Any, expected: Any) -> None:
    """Each has its word."""
    assert wired(tools=[TOOL], tool_choice=given).body.get("tool_choice") == expected


@pytest.mark.parametrize(
    "given", [7, "maybe", {"type": "custom", "custom": {"name": "f"}}, {"function": {"name": "g"}}]
)
def test_a_choice_that_cannot_be_expressed_is_named(given: Any) -> None:
    """And the model chooses."""
    made = wired(tools=[TOOL], tool_choice=given)

    assert "tool_choice" not in made.body
    assert made.dropped == ("tool_choice",)


def test_one_call_at_a_time() -> None:
    """The flag lives inside the choice, so it brings one."""
    made = wired(tools=[TOOL], parallel_tool_calls=False)

    assert made.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert wired(tools=[TOOL], tool_choice="none", parallel_tool_calls=False).body["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in wired(parallel_tool_calls=False).body


@pytest.mark.parametrize("nested", [True, False])
def test_allowed_tools_leave_only_those(nested: bool) -> None:
    """In both shapes that OpenAI has had for them."""
    allowance = {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}
    choice = {"type": "allowed_tools", **({"allowed_tools": allowance} if nested else allowance)}

    made = wired(tools=[LOOK, TOOL], tool_choice=choice)

    assert [tool["name"] for tool in made.body["tools"]] == ["f"]
    assert made.body["tool_choice"] == {"type": "any"}


def test_a_forced_choice_of_a_tool_that_was_left_out_is_named() -> None:
    """``tool_choice`` without tools would be refused."""
    made = wired(tools=[{"type": "web_search"}], tool_choice="required")

    assert made.dropped == ("tools.web_search", "tool_choice")
    assert not {"tools", "tool_choice"} & made.body.keys()


def test_forcing_yields_to_manual_thinking_but_not_to_adaptive() -> None:
    """Only a budget excludes it."""
    manual = wired(OLD, tools=[TOOL], tool_choice="required", reasoning_effort="low", max_tokens=9000)
    adaptive = wired(MIDDLE, tools=[TOOL], tool_choice="required", reasoning_effort="low")

    assert "tool_choice" not in manual.body
    assert manual.dropped == ("tool_choice",)
    assert adaptive.body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("parameters", "schema", "dropped"),
    [
        (None, {"type": "object", "properties": {}}, ()),
        ({}, {"type": "object", "properties": {}}, ()),
        ({"properties": {"x": {}}}, {"type": "object", "properties": {"x": {}}}, ()),
        ({"anyOf": [SCHEMA]}, {"type": "object", "properties": {}}, ("tools.function.parameters",)),
    ],
)
def test_input_schemas_are_objects(parameters: Any, schema: Json, dropped: tuple[str, ...]) -> None:
    """Whatever the caller left out."""
    made = wired(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])

    assert (made.body["tools"][0]["input_schema"], made.dropped) == (schema, dropped)


def test_strict_tools_where_the_model_has_them() -> None:
    """They came with structured outputs."""
    tool = {"type": "function", "function": {**TOOL["function"], "strict": True}}

    assert wired(OLD, tools=[tool]).body["tools"][0]["strict"] is True
    older = wired("claude-sonnet-4-20250514", tools=[tool])
    assert older.dropped == ("tools.function.strict",)


def test_calls_in_the_history_bring_their_tools() -> None:
    """But none may be called when the caller offers none."""
    made = wired(messages=[*HI, called("a"), result("a")])

    assert [tool["name"] for tool in made.body["tools"]] == ["f"]
    assert made.body["tool_choice"] == {"type": "none"}


def test_ids_are_of_the_alphabet_and_unique() -> None:
    """Providers that number the calls of each answer from 0 repeat themselves."""
    history = [*HI, called("0:f"), result("0:f", "first"), called("0:f"), result("0:f", "second")]

    made = wired(messages=history)
    again = wired(messages=history)

    contents = [turn["content"][0] for turn in made.body["messages"]]
    assert [block["content"] for block in contents if block["type"] == "tool_result"] == ["first", "second"]
    assert made.body == again.body


def test_calls_in_two_messages_get_their_results_in_one() -> None:
    """Neighbours of one role are one turn, and so are the answers."""
    made = wired(messages=[*HI, called("a"), called("b", content="And"), result("b"), result("a")])

    assert [block["type"] for block in made.body["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in made.body["messages"][2]["content"]] == ["a", "b"]


@pytest.mark.parametrize("messages", [[called("a")], [*HI, called("a")], [called("a"), *HI], [called(None)]])
def test_a_missing_result_is_made_up_for(messages: list[Json]) -> None:
    """As an error: the API demands one."""
    made = wired(messages=messages)

    results = [block for turn in made.body["messages"] for block in turn["content"] if block["type"] == "tool_result"]
    assert [one["is_error"] for one in results] == [True]


def test_a_result_that_comes_too_late_becomes_text() -> None:
    """The call was answered with an error in its own turn; a second answer would be refused."""
    made = wired(messages=[*HI, called("a"), *HI, {"role": "assistant", "content": "Well"}, result("a", "late")])

    assert [block["type"] for block in made.body["messages"][2]["content"]] == ["tool_result", "text"]
    assert "late" in made.body["messages"][-1]["content"][0]["text"]


def test_an_orphan_result_becomes_text() -> None:
    """With its image beside it."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}

    made = wired(messages=[*HI, result("gone", [{"type": "text", "text": "lost"}, image])])

    assert [block["type"] for block in made.body["messages"][0]["content"]] == ["text", "text", "image"]
    assert "lost" in made.body["messages"][0]["content"][1]["text"]


@pytest.mark.parametrize(
    ("arguments", "expected", "dropped"),
    [
        ("", {}, ()),
        ("  ", {}, ()),
        (None, {}, ()),
        ('{"a":1}', {"a": 1}, ()),
        ({"a": 1}, {"a": 1}, ()),
        ('{"a":', {"unreadable_arguments": '{"a":'}, ("messages.tool_calls.arguments",)),
        ("[1]", {"unreadable_arguments": "[1]"}, ("messages.tool_calls.arguments",)),
    ],
)
def test_arguments_become_an_object(arguments: Any, expected: Json, dropped: tuple[str, ...]) -> None:
    """What is none is kept, and told."""
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}

    made = wired(messages=[*HI, {"role": "assistant", "tool_calls": [call]}, result("a")], tools=[TOOL])

    assert (made.body["messages"][1]["content"][0]["input"], made.dropped) == (expected, dropped)


def test_a_custom_tools_call_keeps_its_text() -> None:
    """As the one field of its input."""
    call = {"id": "a", "type": "custom", "custom": {"name": "run", "input": "ls"}}

    made = wired(messages=[*HI, {"role": "assistant", "tool_calls": [call]}, result("a")])

    assert made.body["messages"][1]["content"][0]["input"] == {"input": "ls"}


def test_structured_output_where_the_catalog_denies_it() -> None:
    """The catalog knows better than the name: a tool that the model must call answers instead."""
    made = wired(OLD, facts={"supported_parameters": ["temperature"]}, response_format=FORMAT)

    assert "output_config" not in made.body
    assert made.body["tool_choice"]["name"] == REPLY_TOOL


def test_structured_output_by_tool_beside_the_callers_tools() -> None:
    """The model calls one of them, or answers."""
    made = wired("claude-sonnet-4-20250514", tools=[TOOL], response_format=FORMAT)

    assert [tool["name"] for tool in made.body["tools"]] == ["f", REPLY_TOOL]
    assert made.body["tool_choice"] == {"type": "any"}


def test_structured_output_by_tool_yields_to_manual_thinking() -> None:
    """The schema is told to the model; that it is not enforced is told to the caller."""
    made = wired("claude-sonnet-4-20250514", reasoning={"max_tokens": 2000}, max_tokens=4000, response_format=FORMAT)

    assert made.dropped == ("response_format",)
    assert JSON_ONLY in made.body["system"][0]["text"]
    assert "tools" not in made.body


@pytest.mark.parametrize(
    "wanted", [7, {"type": "grammar"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}]
)
def test_a_strange_response_format_is_named(wanted: Any) -> None:
    """And nothing breaks."""
    assert wired(response_format=wanted).dropped == ("response_format",)


@pytest.mark.parametrize(
    ("effort", "max_tokens", "budget"), [("low", 10_000, 2000), ("high", 10_000, 8000), ("minimal", 2000, 1024)]
)
def test_efforts_as_budgets(effort: str, max_tokens: int, budget: int) -> None:
    """Shares of the limit, within what the API takes."""
    made = wired(OLD, reasoning_effort=effort, max_tokens=max_tokens)

    assert made.body["thinking"] == {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize("call", [{"reasoning_effort": "high"}, {"reasoning": {"max_tokens": 512}}])
def test_no_budget_fits_into_a_small_limit(call: Json) -> None:
    """The limit holds, thinking is left out and named."""
    made = wired(OLD, max_tokens=1024, **call)

    assert "thinking" not in made.body
    assert made.dropped == tuple(call)


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [(MIDDLE, "xhigh", "high"), (MIDDLE, "max", "max"), (MIDDLE, "minimal", "low"), (NEW, "xhigh", "xhigh")],
)
def test_efforts_of_adaptive_models(model: str, effort: str, sent: str) -> None:
    """The next weaker level where there is no such one."""
    made = wired(model, reasoning_effort=effort)

    assert made.body["thinking"]["type"] == "adaptive"
    assert made.body["output_config"] == {"effort": sent}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (OLD, None),
        (MIDDLE, None),
        ("claude-opus-5", {"type": "disabled"}),
        ("claude-sonnet-5-5", {"type": "between_tools"}),
    ],
)
@pytest.mark.parametrize("call", [{"reasoning_effort": "none"}, {"reasoning": {"enabled": False}}])
def test_thinking_off(model: str, expected: Any, call: Json) -> None:
    """By leaving it out, or by the model's word for it."""
    made = wired(model, **call)

    assert (made.body.get("thinking"), made.dropped) == (expected, ())


def test_reasoning_of_a_model_that_has_none_is_named() -> None:
    """Its own old thinking blocks would be refused there, too."""
    made = wired("claude-3-5-haiku-20241022", reasoning_effort="low")

    assert made.dropped == ("reasoning_effort",)


def test_hidden_reasoning() -> None:
    """Wanted, but not shown."""
    made = wired(MIDDLE, reasoning={"enabled": True, "exclude": True})

    assert made.body["thinking"] == {"type": "adaptive", "display": "omitted"}


def test_a_turn_of_nothing_but_thinking_is_left_out() -> None:
    """The last block of an assistant's turn must be another."""
    detail = {"type": "reasoning.text", "text": "x", "signature": "s", "format": "anthropic-claude-v1"}

    made = wired(messages=[*HI, {"role": "assistant", "content": "", "reasoning_details": [detail]}, *HI])

    assert [turn["role"] for turn in made.body["messages"]] == ["user"]


def test_a_conversation_that_the_assistant_begins() -> None:
    """Gets an opening: the first turn is the user's."""
    made = wired(messages=[{"role": "assistant", "content": "Hello"}, *HI])

    assert [turn["role"] for turn in made.body["messages"]] == ["user", "assistant", "user"]
    assert wired(messages=[{"role": "system", "content": "Be kind"}]).body["messages"][0]["role"] == "user"


def test_at_most_four_cache_marks() -> None:
    """The last ones: each covers all before it."""
    mark = {"type": "ephemeral"}
    marked = [{"type": "text", "text": str(place), "cache_control": mark} for place in range(4)]

    made = wired(messages=[{"role": "system", "content": marked[:2]}, {"role": "user", "content": marked}])

    assert made.dropped == ("cache_control",)
    assert all("cache_control" not in block for block in made.body["system"])
    assert all("cache_control" in block for block in made.body["messages"][0]["content"])


def test_images_of_a_tool_stay_in_its_result() -> None:
    """And a cache mark moves to the result itself."""
    image = {
        "type": "image_url",
        "image_url": {"url": "data:image/jpg;base64,AA=="},
        "cache_control": {"type": "ephemeral"},
    }

    made = wired(messages=[*HI, called("a"), result("a", [image])])

    block = made.body["messages"][2]["content"][0]
    assert block["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}}
    ]
    assert block["cache_control"] == {"type": "ephemeral"}


def test_names_of_dropped_things_are_fit_for_a_header() -> None:
    """A caller's own words are among them."""
    made = wired(tools=[{"type": "evil\r\nx: y"}])

    assert made.dropped == ("tools.evil__x__y",)


def test_the_relays_path() -> None:
    """The same for streams."""
    assert UPSTREAM.relay_path("m", True) == UPSTREAM.relay_path("m", False) == "/messages"
