"""Facts about models: filled in, sent on, and read from the lists of providers that agree on little."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.prices import FREE
from orcestator.providers.models import MOST_MODELS, ModelFacts, facts_from_listing, left_out_of
from orcestator.routing.planning.traits import Traits, traits_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        *("id", "name", "context_length", "top_provider", "limits", "meta", "architecture", "capabilities"),
        *("pricing", "max_tokens", "max_input_tokens", "supportedGenerationMethods"),
    ]
)


def test_what_is_not_known_is_filled_in():
    told = ModelFacts("m", max_output_tokens=5)
    known = ModelFacts("m", 100, 7, ("tools",), ("text", "image"))
    assert told.filled_from(known) == ModelFacts("m", 100, 5, ("tools",), ("text", "image"))
    priced = ModelFacts("m", refused_parameters=("temperature",), dialect="responses", prices={"input": 1.0})
    assert ModelFacts("m").filled_from(priced) == priced
    assert ModelFacts("m", prices={"input": 2.0}, dialect="openai").filled_from(priced).prices == {"input": 2.0}
    assert told.filled_from(None) is told
    routed = ModelFacts(
        *("m", None, None, (), (), (), "", {}),
        *("public", "fast", "slow", ("code",), ("chat",), False, 5, 3, 0.0, False),
    )
    assert ModelFacts("m").filled_from(routed) == routed
    assert routed.filled_from(ModelFacts("m", weight=9, json_response=True, quality=7.0, type="x")) == routed


def test_the_wire_has_what_is_known_and_nothing_else():
    assert ModelFacts("m").to_wire() == {}
    assert ModelFacts("m", 100, None, ("tools",)).to_wire() == {
        "context_length": 100,
        "supported_parameters": ["tools"],
    }
    facts = ModelFacts("m", refused_parameters=("top_p",), dialect="responses", prices={"input": 0.5})
    assert facts.to_wire() == {
        "refused_parameters": ["top_p"],
        "dialect": "responses",
        "pricing": {"input": 0.5},
    }


def test_what_a_person_says_for_the_routing_is_read_back_from_the_wire():
    facts = ModelFacts(
        "m", public_name="p", type="fast", speed_tier="slow", tags=("a",), capabilities=("b",), json_response=False,
        weight=5, max_concurrent=3, quality=0.0, is_available=False, prices={"input": 0.0, "output": 0.0},
    )  # fmt: skip
    assert traits_of("m", facts.to_wire()) == Traits(
        FREE, None, None, 0.0, "slow", "fast", frozenset({"a", "b"}), False, 5, 3, False, True, False, "p"
    )
    assert traits_of("m", ModelFacts("m").to_wire()) == Traits()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            {
                "id": "openai/gpt-4o",
                "context_length": 128000,
                "architecture": {"input_modalities": ["text", "image"]},
                "top_provider": {"context_length": 128000, "max_completion_tokens": 16384},
                "supported_parameters": ["tools", "seed"],
                "pricing": {
                    "prompt": "0.0000025",
                    "completion": "0.00001",
                    "request": "0",
                    "input_cache_read": "1.25e-6",
                },
            },
            ModelFacts(
                "openai/gpt-4o",
                128000,
                16384,
                ("tools", "seed"),
                ("text", "image"),
                prices={"input": 2.5, "cache_read": 1.25, "output": 10.0},
            ),
            id="openrouter",
        ),
        pytest.param(
            {
                "id": "mistral-medium-latest",
                "max_context_length": 131072,
                "capabilities": {"function_calling": True, "vision": True, "reasoning": False},
            },
            ModelFacts("mistral-medium-latest", 131072, None, ("tools",), ("text", "image")),
            id="mistral",
        ),
        pytest.param(
            {"id": "llama", "context_window": 131072, "max_completion_tokens": 32768},
            ModelFacts("llama", 131072, 32768),
            id="groq",
        ),
        pytest.param({"id": "q", "max_model_len": 4096}, ModelFacts("q", 4096), id="vllm"),
        pytest.param({"id": "q", "meta": {"n_ctx": 8192}}, ModelFacts("q", 8192), id="llama.cpp"),
        pytest.param(
            {"id": "q", "limits": {"max_input_tokens": 9, "max_output_tokens": 4}}, ModelFacts("q", 9, 4), id="github"
        ),
        pytest.param({"id": "models/gemini-3"}, ModelFacts("gemini-3"), id="gemini compatible"),
        pytest.param(
            {
                "name": "models/gemini-3",
                "inputTokenLimit": 9,
                "outputTokenLimit": 4,
                "supportedGenerationMethods": ["generateContent"],
            },
            ModelFacts("gemini-3", 9, 4),
            id="gemini",
        ),
        pytest.param(
            {"type": "model", "id": "claude-x", "max_input_tokens": 9, "max_tokens": 4},
            ModelFacts("claude-x", 9, 4),
            id="anthropic",
        ),
        pytest.param({"id": "q", "max_tokens": 4}, ModelFacts("q"), id="max_tokens alone may mean anything"),
        pytest.param({"name": "command-a", "context_length": 9}, ModelFacts("command-a", 9), id="cohere"),
        pytest.param({"name": "qwen3:8b", "model": "qwen3:8b"}, ModelFacts("qwen3:8b"), id="ollama"),
        pytest.param({"id": "t", "pricing": {"input": 0.6, "output": "free"}}, ModelFacts("t"), id="other units"),
        pytest.param({"id": "gpt-4o", "object": "model"}, ModelFacts("gpt-4o"), id="openai"),
        pytest.param(
            {"id": "q", "context_length": True, "max_output_tokens": -1, "supported_parameters": "tools"},
            ModelFacts("q"),
            id="nonsense",
        ),
    ],
)
def test_an_entry_is_read(entry, expected):
    assert facts_from_listing({"data": [entry]}) == {expected.id: expected}


def test_the_list_may_be_bare_or_under_models():
    assert list(facts_from_listing([{"id": "a"}])) == ["a"]
    assert list(facts_from_listing({"models": [{"id": "a"}]})) == ["a"]


def test_what_generates_nothing_is_left_out():
    entries = [
        {"name": "models/aqa", "supportedGenerationMethods": ["generateAnswer"]},
        {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]},
    ]
    assert list(facts_from_listing({"models": entries})) == ["embedding"]


def test_entries_without_a_usable_name_are_left_out():
    listing = {"data": [{"id": ""}, {"id": 7}, {"id": "a\nb"}, {"id": "x" * 500}, "text", {"id": "good"}]}
    assert list(facts_from_listing(listing)) == ["good"]


def test_a_list_without_end_is_cut():
    listing = {"data": [{"id": str(n)} for n in range(MOST_MODELS + 10)]}
    assert len(facts_from_listing(listing)) == MOST_MODELS
    assert (left_out_of(listing), left_out_of({"data": [{"id": "a"}]}), left_out_of("x")) == (10, 0, 0)


@given(st.lists(st.dictionaries(FIELDS, JSON), max_size=3) | JSON)
def test_no_list_breaks_the_reader(entries: Any):
    for facts in facts_from_listing({"data": entries}).values():
        assert facts.to_wire() is not None
