"""The facts that come with the package: readable, small, of our providers, and what the rows rely on."""

import json
from pathlib import Path

import pytest

from orcestator.prices import CLASSES
from orcestator.providers.known import FACTS_FILE, known_models
from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import DIALECT_AUTH, ROWS, find_row

FILE = Path(__file__).parents[2] / "orcestator" / "providers" / FACTS_FILE
DOCUMENT = json.loads(FILE.read_text(encoding="utf-8"))
PROVIDERS = sorted(DOCUMENT["providers"])


def test_the_file_is_small_and_says_where_it_is_from():
    assert FILE.stat().st_size < 400_000
    assert DOCUMENT["source"].startswith("litellm ")
    assert DOCUMENT["date"] >= "2026-11-21"


def test_every_provider_in_it_is_one_of_ours():
    assert set(PROVIDERS) <= {row.name for row in ROWS}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_entry_can_be_read_and_is_possible(provider: str):
    row = find_row(provider)
    assert row is not None
    models = known_models(DOCUMENT, provider)
    assert models
    for facts in models:
        assert facts.id
        assert set(facts.prices) <= set(CLASSES)
        assert all(0 <= price < 10_000 for price in facts.prices.values())
        assert facts.dialect in ("", *row.dialects)
        assert "text" in facts.input_modalities


def test_most_models_have_a_size_and_a_price():
    models = [facts for provider in PROVIDERS for facts in known_models(DOCUMENT, provider)]
    assert sum(facts.context_length is not None for facts in models) > 0.8 * len(models)
    assert sum("output" in facts.prices for facts in models) > 0.8 * len(models)


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "xai", "mistral", "deepseek", "moonshot", "azure"])
def test_a_default_model_has_its_facts(name: str):
    row = find_row(name)
    assert row is not None
    facts = {found.id: found for found in known_models(DOCUMENT, name)}
    known = facts[row.default_model or "gpt-4o"]
    assert known.context_length
    assert known.prices["input"] < known.prices["output"]
    assert "tools" in known.supported_parameters


def test_models_that_are_only_in_the_responses_dialect_say_so():
    facts = {found.id: found for found in known_models(DOCUMENT, "openai")}
    assert facts["gpt-5.5-pro"].dialect == "responses"
    assert facts["gpt-5.5"].dialect == ""


def test_claudes_that_take_no_temperature_say_so():
    facts = {found.id: found for found in known_models(DOCUMENT, "anthropic")}
    assert facts["claude-sonnet-5-5"].refused_parameters == ("temperature", "top_p", "top_k")


def test_an_entry_in_full():
    document = {
        "words": ["tools", "text", "image", "top_p"],
        "providers": {"p": {"m": {
            "context": 9, "output": 4, "takes": [0], "sees": [1, 2], "refuses": [3], "dialect": "responses",
            "prices": [1.0, None, 2.0, 3.0],
        }, "n": {}}},
    }  # fmt: skip
    assert known_models(document, "p") == (
        ModelFacts(
            "m", 9, 4, ("tools",), ("text", "image"), ("top_p",), "responses",
            {"input": 1.0, "cache_write": 2.0, "output": 3.0},
        ),
        ModelFacts("n"),
    )  # fmt: skip
    assert known_models(document, "nobody") == ()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"words": [], "providers": []},
        {"words": [], "providers": {"p": {"m": 1}}},
        {"words": [], "providers": {"p": {"m": {"takes": [0]}}}},
        {"words": [], "providers": {"p": {"m": {"takes": 1}}}},
    ],
)
def test_another_document_is_refused(document):
    with pytest.raises(ValueError, match=r"facts\.json is not what"):
        known_models(document, "p")


def test_the_dialects_of_the_file_are_dialects():
    assert {facts.dialect for name in PROVIDERS for facts in known_models(DOCUMENT, name)} <= {"", *DIALECT_AUTH}
