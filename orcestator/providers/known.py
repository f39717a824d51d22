"""What a well-kept package knows about models: the document ``facts.json`` beside this module, as facts. Pure.

``scripts/refresh_facts.py`` writes the document; the settings read the file and hand it in. A row, the configuration
and a provider's own list come before it.
"""

from collections.abc import Mapping

from orcestator.json_text import Json
from orcestator.prices import CLASSES
from orcestator.providers.models import ModelFacts

FACTS_FILE = "facts.json"


def known_models(document: Json, provider: str) -> tuple[ModelFacts, ...]:
    """The models that are known of the provider with this name in our rows. Raises ValueError for another document.

    The document is ``{"words": […], "providers": {provider: {model: entry}}}``; lists in an entry are indexes into
    ``words``, so that the document is small.
    """
    try:
        words: list[str] = document["words"]
        entries: Mapping[str, Json] = document["providers"].get(provider, {})
        return tuple(_facts(name, entry, words) for name, entry in entries.items())
    except (KeyError, TypeError, IndexError, AttributeError) as fault:
        raise ValueError(f"{FACTS_FILE} is not what scripts/refresh_facts.py writes: {fault!r}") from fault


def _facts(name: str, entry: Json, words: list[str]) -> ModelFacts:
    def named(key: str) -> tuple[str, ...]:
        return tuple(words[index] for index in entry.get(key, ()))

    return ModelFacts(
        id=name,
        context_length=entry.get("context"),
        max_output_tokens=entry.get("output"),
        supported_parameters=named("takes"),
        input_modalities=named("sees"),
        refused_parameters=named("refuses"),
        dialect=entry.get("dialect", ""),
        prices={
            name: price for name, price in zip(CLASSES, entry.get("prices", ()), strict=False) if price is not None
        },
    )
