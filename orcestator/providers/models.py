"""What is known about a model, read from a row, a configuration or a provider's own list. Guesses nothing.

Providers agree on ``data[].id`` in ``GET /models`` and on little else; the names read here are those of OpenRouter
(https://openrouter.ai/docs/api-reference/list-available-models), Mistral (``max_context_length``, ``capabilities``),
Groq (``context_window``, ``max_completion_tokens``), Together (``context_length``, a bare list), vLLM
(``max_model_len``), llama.cpp (``meta.n_ctx``), GitHub Models (``limits``), Anthropic (``max_input_tokens``,
``max_tokens``), Gemini (``models[].name``, ``inputTokenLimit``, ``outputTokenLimit``), and Cohere and Ollama
(``models[].name``), checked 2026-11. Prices are OpenRouter's (``pricing.prompt`` …, US dollars for a token, as text)
and Vercel's (``pricing.input`` …).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orcestator.json_text import Json

MOST_MODELS = 4096
"""Entries of a list that are read: an upstream cannot fill our memory with names."""
LONGEST_ID = 256
MODEL_NAME = re.compile(r"[!#-;=?-\[\]-~]{1,128}")
"""ASCII without spaces, quotes, backslashes and angle brackets. A controller takes no worker that offers another name."""
LARGEST_COUNT = 1 << 40
_CONTEXT = (
    "context_length",
    "max_model_len",
    "context_window",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
)
_OUTPUT = ("max_output_tokens", "max_completion_tokens", "outputTokenLimit")
_PRICE = re.compile(r"\d{1,3}(\.\d{1,20})?(e-\d{1,2})?")
_PRICES = {
    "input": ("prompt", "input"),
    "cache_read": ("input_cache_read",),
    "cache_write": ("input_cache_write",),
    "output": ("completion", "output"),
}
_MISTRAL_CAPABILITIES = {"function_calling": "tools", "reasoning": "reasoning_effort"}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model of a provider. Sizes are in tokens, None when not known; what is empty is not known, too.

    ``supported_parameters`` are named as OpenRouter names them, and ``prefill``: an assistant message at the end is
    continued; ``adaptive_thinking``: Anthropic's way of thinking without a budget. ``refused_parameters`` are answered
    with an error. ``dialect`` is the one in which this model must be spoken to, empty for its provider's. ``prices``
    are in US dollars for a million tokens, by the classes of ``orcestator.prices``.

    What follows them is only ever written by a person, for the routing. ``public_name`` is the name of the entry that
    was written. ``weight`` is 1 to 100, 0 when nobody said. ``max_concurrent`` 0 means no limit. ``quality`` is 0 to 100.
    ``is_available`` false: the model is listed and not used.
    """

    id: str
    context_length: int | None = None
    max_output_tokens: int | None = None
    supported_parameters: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ()
    refused_parameters: tuple[str, ...] = ()
    dialect: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)
    public_name: str = ""
    type: str = ""
    speed_tier: str = ""
    tags: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    json_response: bool | None = None
    weight: int = 0
    max_concurrent: int = 0
    quality: float | None = None
    is_available: bool = True

    def filled_from(self, other: "ModelFacts | None") -> "ModelFacts":
        """These facts, with what is not known taken from ``other``."""
        if other is None:
            return self
        return replace(
            self,
            context_length=self.context_length or other.context_length,
            max_output_tokens=self.max_output_tokens or other.max_output_tokens,
            supported_parameters=self.supported_parameters or other.supported_parameters,
            input_modalities=self.input_modalities or other.input_modalities,
            refused_parameters=self.refused_parameters or other.refused_parameters,
            dialect=self.dialect or other.dialect,
            prices=self.prices or other.prices,
            public_name=self.public_name or other.public_name,
            type=self.type or other.type,
            speed_tier=self.speed_tier or other.speed_tier,
            tags=self.tags or other.tags,
            capabilities=self.capabilities or other.capabilities,
            json_response=self.json_response if self.json_response is not None else other.json_response,
            weight=self.weight or other.weight,
            max_concurrent=self.max_concurrent or other.max_concurrent,
            quality=self.quality if self.quality is not None else other.quality,
            is_available=self.is_available and other.is_available,
        )

    def to_wire(self) -> Json:
        """The known facts as the JSON object that travels in an offer; the id is its key there."""
        facts: Json = {
            "context_length": self.context_length,
            "max_output_tokens": self.max_output_tokens,
            "supported_parameters": list(self.supported_parameters),
            "input_modalities": list(self.input_modalities),
            "refused_parameters": list(self.refused_parameters),
            "dialect": self.dialect,
            "pricing": dict(self.prices),
            "public_name": self.public_name,
            "type": self.type,
            "speed_tier": self.speed_tier,
            "tags": list(self.tags),
            "capabilities": list(self.capabilities),
            "weight": self.weight,
            "max_concurrent": self.max_concurrent,
        }
        known = {name: value for name, value in facts.items() if value}
        # Of these, what is false or 0 says something too.
        if self.json_response is not None:
            known["json_response"] = self.json_response
        if self.quality is not None:
            known["quality"] = self.quality
        if not self.is_available:
            known["available"] = False
        return known


def facts_from_listing(listing: Any) -> dict[str, ModelFacts]:
    """The models in the answer to a request for them, by id in their order; what cannot be read is left out."""
    return {facts.id: facts for facts in _listed(listing)}


def left_out_of(listing: Any) -> int:
    """How many entries of such an answer are beyond ``MOST_MODELS``, and not read."""
    return max(0, len(_entries(listing)) - MOST_MODELS)


def _entries(listing: Any) -> list[Any]:
    entries = listing.get("data", listing.get("models")) if isinstance(listing, dict) else listing
    return entries if isinstance(entries, list) else []


def _listed(listing: Any) -> Iterator[ModelFacts]:
    for entry in _entries(listing)[:MOST_MODELS]:
        name = _name(entry) if isinstance(entry, dict) else None
        if name is not None and _chats(entry):
            yield _facts(name, entry)


def _name(entry: Mapping[str, Any]) -> str | None:
    name = entry.get("id", entry.get("name"))
    # Gemini lists "models/gemini-…" and takes the name without the prefix (https://ai.google.dev/api/models).
    return name.removeprefix("models/") if isinstance(name, str) and MODEL_NAME.fullmatch(name) else None


def _chats(entry: Mapping[str, Any]) -> bool:
    """False for a model of Gemini's own list that generates nothing; whoever says nothing about it is believed."""
    methods = entry.get("supportedGenerationMethods")
    return not isinstance(methods, list) or "generateContent" in methods or "embedContent" in methods


def _facts(name: str, entry: Mapping[str, Any]) -> ModelFacts:
    top, limits, meta = (_object(entry, inner) for inner in ("top_provider", "limits", "meta"))
    return ModelFacts(
        id=name,
        context_length=_first_count(entry, _CONTEXT)
        or _first_count(top, ("context_length",))
        or _first_count(limits, ("max_input_tokens",))
        or _first_count(meta, ("n_ctx", "n_ctx_train")),
        max_output_tokens=_first_count(entry, _OUTPUT)
        or _first_count(top, ("max_completion_tokens",))
        or _first_count(limits, ("max_output_tokens",))
        or _anthropic_output(entry),
        supported_parameters=_names(entry.get("supported_parameters")) or _mistral_parameters(entry),
        input_modalities=_names(_object(entry, "architecture").get("input_modalities")) or _mistral_modalities(entry),
        prices=_prices(_object(entry, "pricing")),
    )


def _anthropic_output(entry: Mapping[str, Any]) -> int | None:
    """``max_tokens`` is the longest answer only beside ``max_input_tokens``; elsewhere it may be all."""
    return _first_count(entry, ("max_tokens",)) if "max_input_tokens" in entry else None


def _mistral_parameters(entry: Mapping[str, Any]) -> tuple[str, ...]:
    able = _object(entry, "capabilities")
    return tuple(parameter for name, parameter in _MISTRAL_CAPABILITIES.items() if able.get(name) is True)


def _mistral_modalities(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return ("text", "image") if _object(entry, "capabilities").get("vision") is True else ()


def _prices(pricing: Mapping[str, Any]) -> dict[str, float]:
    """Only texts are read: whoever writes numbers (Together) means other units."""
    found = {name: _first_price(pricing, names) for name, names in _PRICES.items()}
    return {name: price for name, price in found.items() if price is not None}


def _first_price(pricing: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        text = pricing.get(name)
        if isinstance(text, str) and _PRICE.fullmatch(text):
            return round(float(text) * 1e6, 6)
    return None


def _object(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _first_count(entry: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        count = entry.get(name)
        if type(count) is int and 0 < count < LARGEST_COUNT:
            return count
    return None


def _names(value: Any) -> tuple[str, ...]:
    return tuple(filter(_is_name, value[:64])) if isinstance(value, list) else ()


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()
