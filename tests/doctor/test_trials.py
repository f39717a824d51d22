"""How the answers to the small calls are judged, and what follows for the facts. Pure."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.doctor.trials import PLAIN, TRIALS, Facts, Trial, differences, learned

BY_NAME = {trial.name: trial for trial in (PLAIN, *TRIALS)}


def reply(**message: Any) -> dict[str, Any]:
    """A canonical reply."""
    return {"choices": [{"message": {"role": "assistant", **message}}]}


def call(name: str, arguments: str = '{"city": "Paris"}') -> dict[str, Any]:
    """A tool call."""
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("plain", reply(content="yes"), reply(content="")),
        ("tool call", reply(tool_calls=[call("get_weather")]), reply(content="It is sunny.")),
        ("tool call", reply(tool_calls=[call("get_weather")]), reply(tool_calls=[call("get_weather", "{oops")])),
        (
            "parallel tools",
            reply(tool_calls=[call("get_weather"), call("get_time")]),
            reply(tool_calls=[call("get_time")]),
        ),
        ("JSON schema", reply(content='{"sum": 5}'), reply(content='```json\n{"sum": 5}\n```')),
        ("JSON schema", reply(content='{"sum": 5}'), reply(content='{"sum": "5"}')),
        ("image", reply(content="White"), reply(content=None)),
        ("reasoning", reply(content="No", reasoning_content="7 times 13"), reply(content="No")),
        (
            "reasoning",
            {**reply(content="No"), "usage": {"completion_tokens_details": {"reasoning_tokens": 9}}},
            {**reply(content="No"), "usage": {"completion_tokens_details": {"reasoning_tokens": 0}}},
        ),
    ],
)
def test_what_shows_an_ability(name: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    """The thing was done, not only accepted."""
    assert (BY_NAME[name].shows(good), BY_NAME[name].shows(bad)) == (True, False)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "tool_calls", "function", "content", "usage"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["choices", "usage"]), _JSON), st.sampled_from([PLAIN, *TRIALS]))
def test_any_reply_is_judged(answer: dict[str, Any], trial: Trial) -> None:
    """Whatever an upstream made of it."""
    assert trial.shows(answer) in (True, False)


@pytest.mark.parametrize("trial", [PLAIN, *TRIALS], ids=lambda trial: trial.name)
def test_a_call_is_small(trial: Trial) -> None:
    """A few tokens, with a limit for models that think."""
    body = trial.call("m")
    assert (body["model"], body["max_completion_tokens"]) == ("m", 512)
    assert len(json.dumps(body)) < 1500


CLAIMED = Facts(("temperature", "tools", "reasoning_effort"), ())


@pytest.mark.parametrize(
    ("results", "parameters", "modalities", "words"),
    [
        ({}, CLAIMED.supported_parameters, ("text",), ()),
        ({"tool call": True, "image": None}, CLAIMED.supported_parameters, ("text",), ()),
        (
            {"tool call": False, "image": True, "reasoning": None},
            ("temperature", "reasoning_effort"),
            ("text", "image"),
            ("tools was claimed and does not work", "image works and was not known"),
        ),
        (
            {"JSON schema": True},
            (*CLAIMED.supported_parameters, "response_format", "structured_outputs"),
            ("text",),
            ("response_format works and was not known", "structured_outputs works and was not known"),
        ),
    ],
)
def test_claims_are_put_right(
    results: dict[str, bool | None], parameters: tuple[str, ...], modalities: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """A trial that told nothing leaves the claim as it is."""
    facts = learned(CLAIMED, results)
    assert facts == Facts(parameters, modalities)
    assert differences(CLAIMED, facts) == words
