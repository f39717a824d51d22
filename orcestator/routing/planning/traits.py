"""What is known of a deployment's model before it is called: read once a snapshot from its facts, then only looked at."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orcestator.routing.reading.needs import known_lacks

FREE_SUFFIX = ":free"
"""OpenRouter's mark of a variant that costs nothing (https://openrouter.ai/docs/faq, checked 2026-11)."""


class Traits(NamedTuple):
    """Prices are US dollars for a million tokens, None when unknown; sizes are tokens, None when unknown.

    ``quality`` is 0 to 100, None when nobody said. ``is_json`` is None when it is not known whether the model can be held to
    JSON. ``max_concurrent`` 0 means no limit. ``name`` is the public name the configuration gives the model, "" for none.
    ``lacks`` are the needs (``Needs.parameters`` and ``Needs.modalities``) that it is known not to meet.
    """

    input_price: float | None = None
    output_price: float | None = None
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
    cache_read_price: float | None = None
    lacks: frozenset[str] = frozenset()

    def cost(self, prompt_tokens: int, output_tokens: int) -> float | None:
        """US dollars for this many tokens, None where a price that matters is not known."""
        if self.is_free:
            return 0.0
        prompt_price, output_price = self.input_price, self.output_price
        if prompt_price is None or output_price is None:
            return None
        return (prompt_tokens * prompt_price + output_tokens * output_price) / 1e6


def traits_of(model: str, facts: Mapping[str, Any]) -> Traits:
    """The traits in a model's facts, which are those of ``ModelFacts.to_wire``."""
    prices = facts.get("pricing") or {}
    parameters = facts.get("supported_parameters") or ()
    said_json = facts.get("json_response")
    return Traits(
        input_price=prices.get("input"),
        output_price=prices.get("output"),
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
        is_free=model.endswith(FREE_SUFFIX) or (bool(prices) and not any(prices.values())),
        continues_text="prefill" in parameters,
        name=facts.get("public_name", ""),
        cache_read_price=prices.get("cache_read"),
        lacks=known_lacks(facts),
    )
