"""What is known of a deployment's model before it is called: read once a snapshot from its facts, then only looked at."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orcestator.prices import FREE, UNKNOWN, Prices, dollars_a_million, estimate, prices_of
from orcestator.routing.reading.needs import known_lacks

FREE_SUFFIX = ":free"
"""OpenRouter's mark of a variant that costs nothing (https://openrouter.ai/docs/faq, checked 2026-11)."""


class Traits(NamedTuple):
    """Sizes are tokens, None when unknown. What is free has the prices ``FREE``.

    ``quality`` is 0 to 100, None when nobody said. ``is_json`` is None when it is not known whether the model can be held to
    JSON. ``max_concurrent`` 0 means no limit. ``name`` is the public name the configuration gives the model, "" for none.
    ``lacks`` are the needs (``Needs.parameters`` and ``Needs.modalities``) that it is known not to meet.
    """

    prices: Prices = UNKNOWN
    context_length: int | None = None
    max_output_tokens: int | None = None
    quality: float | None = None
    speed_tier: str = ""
    type: str = ""
    tags: frozenset[str] = frozenset()
    is_json: bool | None = None
    weight: int = 1
    max_concurrent: int = 0
    is_available: bool = True
    is_free: bool = False
    continues_text: bool = False
    name: str = ""
    lacks: frozenset[str] = frozenset()

    def cost(self, prompt_tokens: int, output_tokens: int) -> int | None:
        """Nano-dollars for this many tokens, None where a price that matters is not known."""
        return estimate(self.prices, prompt_tokens, output_tokens)

    @property
    def input_price(self) -> float | None:
        """US dollars for a million tokens of a prompt, None when unknown."""
        return dollars_a_million(self.prices.input)

    @property
    def output_price(self) -> float | None:
        """US dollars for a million tokens of an answer, None when unknown."""
        return dollars_a_million(self.prices.output)


def traits_of(model: str, facts: Mapping[str, Any]) -> Traits:
    """The traits in a model's facts, which are those of ``ModelFacts.to_wire``."""
    pricing = facts.get("pricing") or {}
    is_free = model.endswith(FREE_SUFFIX) or (bool(pricing) and not any(pricing.values()))
    parameters = facts.get("supported_parameters") or ()
    said_json = facts.get("json_response")
    return Traits(
        prices=FREE if is_free else prices_of(pricing),
        context_length=facts.get("context_length"),
        max_output_tokens=facts.get("max_output_tokens"),
        quality=facts.get("quality"),
        speed_tier=facts.get("speed_tier", ""),
        type=facts.get("type", ""),
        tags=frozenset(facts.get("tags", ())) | frozenset(facts.get("capabilities", ())),
        is_json=said_json if said_json is not None else "response_format" in parameters or None,
        weight=facts.get("weight", 1),
        max_concurrent=facts.get("max_concurrent", 0),
        is_available=facts.get("available", True),
        is_free=is_free,
        continues_text="prefill" in parameters,
        name=facts.get("public_name", ""),
        lacks=known_lacks(facts),
    )
