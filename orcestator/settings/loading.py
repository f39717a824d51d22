"""Puts the sources together: the command line before the environment, that before ``.env``, that before the file."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orcestator.errors import StartupProblem
from orcestator.providers.rows import ROWS
from orcestator.providers.secret import Secret
from orcestator.settings.choices import ModelEntry, ProviderSetting
from orcestator.settings.environment import Variables, read_variables
from orcestator.settings.kept_providers import read_added
from orcestator.settings.model_choice import (
    Addresses,
    alias_notices,
    read_aliases,
    read_entries,
    with_entries,
)
from orcestator.settings.models_file import is_address, listed_at_address, listed_in_file
from orcestator.settings.probed_facts import with_probed_facts
from orcestator.settings.problems import COMMAND_LINE, Place, no_provider, problem
from orcestator.settings.provider_choice import Choice, choose_providers, no_providers
from orcestator.settings.reserved import FOR_LATER
from orcestator.settings.rule_choice import read_rules, read_verdicts
from orcestator.settings.sources import (
    BY_NAME,
    Values,
    beside_file,
    given_by_file,
    given_by_overrides,
    given_by_variables,
    usual_proxies,
)
from orcestator.settings.table import Settings
from orcestator.settings.yaml_file import Leaf, Node, Section, read_yaml
from orcestator.store.documents import open_documents
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.proxies import proxy_at, proxy_for

SECTIONS = frozenset({"providers", "models", "aliases", "routing_rules", "verdicts"})
"""Parts of the file that are not settings."""
VERBATIM = frozenset({"providers", "aliases"})
"""Those whose keys are names."""
OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
_FOREIGN_REFERENCE = re.compile(r"os\.environ/.*|\$\w+|\$?\{+.*\}+|%\w+%|(?:env|secret)[:.]\w+")
"""How litellm, shells, templates, Windows and others name a variable."""
NO_FILE = Section("", Place("configuration"))


def load(
    environ: Mapping[str, str] | None = None,
    *,
    config_path: str | None = None,
    dotenv_path: str | None = ".env",
    overrides: Mapping[str, Any] | None = None,
    with_providers: bool = True,
    withheld: frozenset[str] = frozenset(),
) -> Settings:
    """All settings, from everywhere.

    ``environ`` None means the process's environment. ``config_path`` comes before ``OR_CONFIG``. ``overrides`` are
    settings by their names, None meaning that nothing is said. ``with_providers`` false is for a program that calls
    none: it looks for no key and keeps none. ``withheld`` are settings whose secrets this program is not given. Raises StartupProblem: one sentence with the file, the
    line, the key, what is wrong and the nearest valid name.
    """
    try:
        return _loaded(
            read_variables(environ, dotenv_path), config_path, overrides or {}, withheld, with_providers=with_providers
        )
    except OSError as fault:
        # A folder on the way that may not be entered: even whether the file is there cannot be known.
        raise StartupProblem(f"{fault.filename} cannot be read ({fault.strerror}).") from fault


def _loaded(
    variables: Variables,
    config_path: str | None,
    overrides: Mapping[str, Any],
    withheld: frozenset[str],
    *,
    with_providers: bool,
) -> Settings:
    spoken = given_by_variables(variables) | given_by_overrides({**overrides, "config": config_path})
    tree, written = _file(spoken, variables, withheld)
    given = usual_proxies(variables) | written | spoken
    documents = open_documents(_value(given, "state_dir"))
    added, added_notices = read_added(
        documents,
        private=_value(given, "added_providers_allow_private"),
        complaint=lambda provider: _own_address(given, provider),
    )
    choice = (
        choose_providers(variables, _section(tree, "providers"), given, added)
        if with_providers
        else no_providers(_section(tree, "providers"), added)
    )
    addresses = Addresses(choice.rows, {found.row.name: found.base_url for found in choice.providers})
    entries, list_notices = _entries(tree, given, variables, addresses)
    aliases = read_aliases(tree.nodes.get("aliases"), entries)
    _check(given, choice)
    named = tuple(with_entries(provider, entries) for provider in choice.providers)
    providers, probe_notices = with_probed_facts(named, documents)
    return Settings(
        **{name: found.value for name, found in given.items()},
        providers=providers,
        sandbox_fallback=choice.sandbox_fallback,
        models=entries,
        aliases=aliases,
        rules=tuple(read_rules(tree.nodes.get("routing_rules"), choice.rows)),
        verdicts=tuple(read_verdicts(tree.nodes.get("verdicts"), choice.rows)),
        not_yet=tuple(dict.fromkeys(_later(given))),
        notices=(
            *_misread(variables),
            *_lost_certificates(variables),
            *_foreign_references(given, choice),
            *choice.notices,
            *added_notices,
            *list_notices,
            *_notices(entries, choice),
            *probe_notices,
            *(alias_notices(aliases, providers) if with_providers else ()),
        ),
    )


def _file(spoken: Values, variables: Variables, withheld: frozenset[str]) -> tuple[Section, Values]:
    named = spoken.get("config")
    if named is None:
        return NO_FILE, {}
    path = Path(named.value)
    if not path.is_file():
        raise problem(named.place, named.key, f"names a file that does not exist: {path}")
    tree = read_yaml(path, variables, VERBATIM)
    written = given_by_file(tree, SECTIONS, withheld)
    if "models_file" in written and not is_address(written["models_file"].value):
        beside_file(path, written, "models_file")
    return tree, written


def _entries(
    tree: Section, given: Values, variables: Variables, addresses: Addresses
) -> tuple[tuple[ModelEntry, ...], tuple[str, ...]]:
    """The entries of the file, then those of the models file, and what there is to say about the latter."""

    def read(node: Node | None) -> tuple[ModelEntry, ...]:
        return tuple(read_entries(node, addresses))

    own = read(tree.nodes.get("models"))
    named = given.get("models_file")
    if named is None:
        return own, ()
    if not is_address(named.value):
        return (*own, *listed_in_file(named, variables, read)), ()
    general, spared = _value(given, "upstream_proxy").reveal(), _value(given, "upstream_no_proxy")
    listed, notices = listed_at_address(
        named,
        _value(given, "state_dir"),
        read,
        private=_value(given, "models_file_allow_private"),
        proxy_of=lambda origin: proxy_for(origin, own="", general=general, spared=spared),
    )
    return (*own, *listed), notices


def _value(given: Values, name: str) -> Any:
    """The value of a setting before there are settings."""
    return given[name].value if name in given else BY_NAME[name].default


def _section(tree: Section, name: str) -> Section | None:
    node = tree.nodes.get(name)
    if node is None or _is_null(node):
        return None
    if not isinstance(node, Section):
        raise problem(node.place, node.path, "must be a section")
    return node


def _is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.is_null


def _check(given: Values, choice: Choice) -> None:
    """What can be wrong only in connection with something else."""
    proxy = given.get("upstream_proxy")
    if proxy is not None and proxy.value:
        try:
            proxy_at(proxy.value.reveal())
        except ValueError as fault:
            raise problem(proxy.place, proxy.key, str(fault)) from fault
    _refuse_own_address(given, choice)
    named = given.get("fallback_provider")
    known = [row.name for row in choice.rows]
    if named is not None and named.value not in known:
        raise no_provider(named.place, named.key, named.value, known)


def _refuse_own_address(given: Values, choice: Choice) -> None:
    """A shell in which callers are pointed at us has OPENAI_BASE_URL, too: we must not become our own provider."""
    for provider in choice.providers:
        if complaint := _own_address(given, provider):
            raise StartupProblem(complaint)


def _own_address(given: Values, provider: ProviderSetting) -> str:
    """What is wrong with a provider that is at our own address, "" for any other.

    A worker of one provider does not listen on this port, and another program may.
    """
    only = given.get("only_providers")
    if only is not None and only.place == COMMAND_LINE:
        return ""
    origin, _ = Origin.from_url(provider.base_url)
    if origin.port != _value(given, "port") or origin.host not in OWN_HOSTS:
        return ""
    return (
        f"{provider.row.name}: {provider.base_url} is orcestator's own address; "
        f"change OR_PORT or {provider.row.base_url_env or 'its base_url'}."
    )


def _misread(variables: Variables) -> Iterator[str]:
    """Lines of ``.env`` that somebody wrote for a purpose and that say nothing."""
    for doubt in variables.doubts:
        yield f"{doubt.place}: {doubt.name} {doubt.complaint}."
    known = {name for row in ROWS for name in (row.key_env, row.also_key_env, row.token_env, row.base_url_env) if name}
    for variable in variables:
        meant = variable.name.upper()
        if variable.is_from_file and variable.name != meant and meant in known:
            yield f"{variable.place}: {variable.name} is not read: its name is {meant}, in capitals."


def _lost_certificates(variables: Variables) -> Iterator[str]:
    """Where there are none, OpenSSL says nothing and trusts nobody."""
    for name, is_there in (("SSL_CERT_FILE", Path.is_file), ("SSL_CERT_DIR", Path.is_dir)):
        variable = variables.get(name)
        if variable is not None and not any(is_there(Path(text)) for text in variable.text.split(os.pathsep)):
            kind = "file" if name.endswith("FILE") else "folder"
            yield f"{variable.place}: {name} names no {kind} that is there: no provider's certificate will be trusted."


def _foreign_references(given: Values, choice: Choice) -> Iterator[str]:
    """Secrets that are written as other programs refer to a variable; here they would be sent as they are."""
    named = {found.key: found.value for found in given.values()}
    named |= {f"the key of {provider.row.name}": provider.keys for provider in choice.providers}
    for name, value in named.items():
        for held in value if isinstance(value, tuple) else (value,):
            if isinstance(held, Secret) and _FOREIGN_REFERENCE.fullmatch(held.reveal()):
                yield (
                    f"{name} looks like another program's name of a variable and is taken as it is written:"
                    " a variable is named as ${NAME} here."
                )


def _later(given: Values) -> Iterator[str]:
    yield from (found.key for name, found in given.items() if BY_NAME[name].spec.group == FOR_LATER)


def _notices(entries: Sequence[ModelEntry], choice: Choice) -> Iterator[str]:
    on = {provider.row.name for provider in choice.providers}
    off: dict[str, list[str]] = {}
    for entry in entries:
        if entry.target.provider and entry.target.provider not in on:
            off.setdefault(entry.target.provider, []).append(entry.name)
    for name, models in off.items():
        yield f"The models {', '.join(dict.fromkeys(models))} have no provider: {name} is off."
