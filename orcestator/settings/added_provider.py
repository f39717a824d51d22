"""A provider that a person adds while the program runs: read by the rules of the configuration file."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import orjson

from orcestator.errors import StartupProblem
from orcestator.providers.rows import find_row
from orcestator.settings.choices import ProviderSetting
from orcestator.settings.environment import Variable, Variables
from orcestator.settings.problems import Place
from orcestator.settings.provider_choice import DIALECTS, NAME, choose_providers
from orcestator.settings.yaml_file import Section, parsed_yaml
from orcestator.upstream.http.addresses import is_allowed, is_literal
from orcestator.upstream.http.origin import Origin

SOURCE = "the request"


def added_provider(name: str, kind: str, entries: Mapping[str, Any]) -> ProviderSetting:
    """The provider ``name`` with what a section of the file would say. ``kind`` is a known provider that it is like, or a
    dialect, "" for what its name is known as. Raises StartupProblem. No ``${VARIABLE}`` in it is replaced.

    What a known provider's address or models need beside a key (``YANDEX_FOLDER_ID``) may stand among the entries by that name.
    """
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


def check_added_address(base_url: str, *, private: bool) -> None:
    """Refuse an address that nothing may be sent to; ``private`` allows this machine and private networks. Raises StartupProblem.

    A public name that leads to a private address is refused when it is connected to.
    """
    origin, _ = Origin.from_url(base_url)
    if is_literal(origin.host) and not is_allowed(origin.host, private=True):
        raise StartupProblem(f"{origin.host} is a special address that no provider can have.")
    if origin.private and not private:
        raise StartupProblem(
            f"{origin.host} is in a private network: set OR_ADDED_PROVIDERS_ALLOW_PRIVATE=true and reload,"
            " or write this provider into the configuration."
        )


def _chosen(name: str, entries: Mapping[str, Any]) -> ProviderSetting:
    row = find_row(name)
    said, words = _without_words({variable for _, variable in row.fills} if row else set(), entries)
    text = orjson.dumps({"providers": {name: said}}).decode()
    section = parsed_yaml(text, SOURCE, Variables({}), frozenset({"providers"})).nodes["providers"]
    assert isinstance(section, Section), "a mapping was written"
    choice = choose_providers(words, section, {})
    found = next((provider for provider in choice.providers if provider.row.name == name), None)
    if found is None or choice.sandbox_fallback:
        why = f"The provider '{name}' stays off: give its api_key, or the base_url of a server that needs none, and leave 'enabled' out."
        raise StartupProblem(" ".join(choice.notices) or why)
    return found


def _without_words(names: Collection[str], entries: Mapping[str, Any]) -> tuple[dict[str, Any], Variables]:
    """The entries of a section, and those of these names, which are variables of the environment otherwise."""
    words = {name: text for name, text in entries.items() if name in names}
    for name, text in words.items():
        if type(text) is not str:
            raise StartupProblem(f"{SOURCE}: {name} must be a text.")
    found = {name: Variable(name, text, Place(SOURCE)) for name, text in words.items()}
    return {name: entry for name, entry in entries.items() if name not in names}, Variables(found)
