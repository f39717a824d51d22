"""What is read of a model's facts."""

from typing import Any

import pytest

from orcestator.prices import NANO_DOLLARS, prices_of
from orcestator.providers.models import ModelFacts
from orcestator.routing.planning.traits import Traits, traits_of


def test_everything_that_facts_can_say() -> None:
    facts = ModelFacts(
        "m",
        context_length=8000,
        max_output_tokens=2000,
        supported_parameters=("tools", "response_format", "prefill"),
        input_modalities=("text", "image"),
        prices={"input": 1.0, "output": 2.0, "cache_read": 0.1},
        public_name="fine",
        type="fast",
        speed_tier="slow",
        tags=("code",),
        capabilities=("math",),
        weight=5,
        max_concurrent=3,
        json_response=False,
        quality=80.0,
        is_available=False,
    )
    assert traits_of("m", facts.to_wire()) == Traits(
        prices_of({"input": 1.0, "output": 2.0, "cache_read": 0.1}), 8000, 2000, 80.0, "slow", "fast",
        frozenset({"code", "math"}), False, 5, 3, False, False, True, "fine", frozenset({"audio", "file"}),
    )  # fmt: skip


def test_nothing_is_known_of_a_model_without_facts() -> None:
    assert traits_of("m", {}) == Traits()


@pytest.mark.parametrize(
    ("model", "pricing", "is_free"),
    [
        ("m", {}, False),
        ("m:free", {}, True),
        ("m", {"input": 0.0, "output": 0.0}, True),
        ("m", {"input": 0.0, "output": 1.0}, False),
    ],
)
def test_what_is_free(model: str, pricing: dict[str, Any], is_free: bool) -> None:
    traits = traits_of(model, {"pricing": pricing})
    assert traits.is_free is is_free
    assert (traits.cost(1000, 1000) == 0) is is_free


def test_json_is_known_from_the_parameters_too() -> None:
    assert traits_of("m", {"supported_parameters": ["response_format"]}).is_json is True
    assert traits_of("m", {"supported_parameters": ["tools"]}).is_json is None


def test_the_cost_of_a_request() -> None:
    assert traits_of("m", {"pricing": {"input": 2.0, "output": 10.0}}).cost(1_000_000, 500_000) == 7 * NANO_DOLLARS
    assert traits_of("m", {"pricing": {"input": 2.0}}).cost(1, 1) is None
    assert traits_of("m", {"pricing": {"output": 2.0}}).cost(1, 1) is None
    assert Traits().cost(1, 1) is None
