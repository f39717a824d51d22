"""A provider that a person adds while the program runs: read by the rules of the configuration file."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from orcestator.errors import StartupProblem
from orcestator.providers.rows import find_row
from orcestator.settings.choices import ProviderSetting
from orcestator.settings.models_file import NO_VARIABLES
from orcestator.settings.provider_choice import DIALECTS, NAME, choose_providers
from orcestator.settings.yaml_file import Section, parsed_yaml

SOURCE = "the request"


def added_provider(name: str, kind: str, entries: Mapping[str, Any]) -> ProviderSetting:
    """The provider ``name`` with what a section of the file would say. ``kind`` is a known provider that it is like, or a
    dialect, "" for what its name is known as. Raises StartupProblem. No ``${VARIABLE}`` in it is replaced."""
    kind = kind.lower()
    like = _like(name, kind, entries)
    if like == name:
        return _chosen(name, {**({"dialect": kind} if kind in DIALECTS and kind != name else {}), **entries})
    if not NAME.match(name):
        raise StartupProblem(f"'{name}' must be a name of a-z, 0-9, _ and -, at most 32 long.")
    found = _chosen(like, entries)
    return replace(found, row=replace(found.row, name=name, title=name))


def _like(name: str, kind: str, entries: Mapping[str, Any]) -> str:
    """The name whose rules it is read by: that of the known provider that it is like, or its own."""
    is_dialect = kind in DIALECTS and ("base_url" in entries or find_row(name) is not None)
    if kind in ("", name) or is_dialect:
        return name
    if find_row(kind) is None:
        if kind in DIALECTS:
            return name
        raise StartupProblem(f"The type '{kind}' is neither a known provider nor one of {', '.join(DIALECTS)}.")
    if find_row(name) is not None:
        raise StartupProblem(f"The provider '{name}' is known, and is not of the type '{kind}': give it another name.")
    return kind


def _chosen(name: str, entries: Mapping[str, Any]) -> ProviderSetting:
    text = orjson.dumps({"providers": {name: dict(entries)}}).decode()
    section = parsed_yaml(text, SOURCE, NO_VARIABLES, frozenset({"providers"})).nodes["providers"]
    assert isinstance(section, Section), "a mapping was written"
    choice = choose_providers(NO_VARIABLES, section, {})
    found = next((provider for provider in choice.providers if provider.row.name == name), None)
    if found is None or choice.sandbox_fallback:
        why = f"The provider '{name}' stays off: give its api_key, or the base_url of a server that needs none, and leave 'enabled' out."
        raise StartupProblem(" ".join(choice.notices) or why)
    return found
