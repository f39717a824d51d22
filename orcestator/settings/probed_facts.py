"""Reads what ``orcestator doctor --probe`` found out about models. A file that cannot be used is named, and no obstacle."""

from dataclasses import replace
from typing import Any

from orcestator.json_text import loads
from orcestator.providers.models import ModelFacts
from orcestator.settings.choices import ProviderSetting
from orcestator.store.documents import Documents

PROBED_FILE = "probed.json"


def with_probed_facts(
    providers: tuple[ProviderSetting, ...], documents: Documents
) -> tuple[tuple[ProviderSetting, ...], tuple[str, ...]]:
    """The providers with the facts found for them, and what there is to say about the file."""
    try:
        content = documents.get(PROBED_FILE)
        found = loads(content) if content is not None else {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        return providers, (
            f"{documents.place(PROBED_FILE)} is not what 'orcestator doctor --probe' writes, and is not used.",
        )
    return tuple(_with_probed(provider, found) for provider in providers), ()


def _with_probed(provider: ProviderSetting, found: dict[str, Any]) -> ProviderSetting:
    prefix = provider.row.name + "/"
    probed = tuple(
        ModelFacts(
            name.removeprefix(prefix),
            supported_parameters=_names(entry.get("supported_parameters")),
            input_modalities=_names(entry.get("input_modalities")),
        )
        for name, entry in found.items()
        if name.startswith(prefix) and isinstance(entry, dict)
    )
    return replace(provider, row=replace(provider.row, probed=probed)) if probed else provider


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()
