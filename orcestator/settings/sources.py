"""Collects the values of settings from their sources. What is not a setting is refused with the nearest name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orcestator.settings.choices import FURTHER_KEYS
from orcestator.settings.environment import Variable, Variables
from orcestator.settings.problems import COMMAND_LINE, Place, problem, unknown
from orcestator.settings.spec import Also, Setting, table_of
from orcestator.settings.table import Settings
from orcestator.settings.values import AS_IT_IS, Raw, converted
from orcestator.settings.yaml_file import Items, Leaf, Node, Section

TABLE = table_of(Settings)
BY_NAME: Mapping[str, Setting] = {row.name: row for row in TABLE}
BY_VARIABLE: Mapping[str, Setting] = {row.variable: row for row in TABLE}
NOT_IN_TABLE = frozenset({"OR_API_KEY", *(f"OR_API_KEY_{place}" for place in FURTHER_KEYS)})
"""Variables with our prefix that are a provider's."""


def _paths() -> Iterator[tuple[str, tuple[Setting, Also]]]:
    for row in TABLE:
        if row.spec.in_file:
            yield row.name, (row, AS_IT_IS)
        yield from ((also.name, (row, also)) for also in row.spec.also if not also.is_variable)


BY_PATH: Mapping[str, tuple[Setting, Also]] = dict(_paths())


@dataclass(frozen=True, slots=True)
class Given:
    """A value, the name it was given under, and where."""

    value: Any
    key: str
    place: Place


Values = dict[str, Given]


def given_by_overrides(overrides: Mapping[str, Any]) -> Values:
    """What the command line says; None means that it says nothing."""
    given: Values = {}
    for name, value in overrides.items():
        if name not in BY_NAME:
            raise unknown(COMMAND_LINE, name, "a setting", BY_NAME)
        if value is not None:
            raw = list(map(str, value)) if isinstance(value, list | tuple) else str(value)
            given[name] = _given(BY_NAME[name], raw, AS_IT_IS, name, COMMAND_LINE)
    return given


USUAL_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""In their order: providers beyond private networks are https. HTTP_PROXY is for plain http, which is never sent beyond them."""
USUAL_NO_PROXIES = ("no_proxy", "NO_PROXY")


def usual_proxies(variables: Variables) -> Values:
    """What the variables that other programs read say of proxies; our own settings come before them."""
    given: Values = {}
    for setting, names in (("upstream_proxy", USUAL_PROXIES), ("upstream_no_proxy", USUAL_NO_PROXIES)):
        variable = next(filter(None, map(variables.get, names)), None)
        if variable is not None:
            given[setting] = _given(BY_NAME[setting], variable.text, AS_IT_IS, variable.name, variable.place)
    return given


def given_by_variables(variables: Variables) -> Values:
    """What the environment and ``.env`` say; our own name of a setting comes before its other names."""
    for variable in variables:
        # In the environment of a person other programs may have such names; a line of .env is meant for us.
        begins = variable.name.upper() if variable.is_from_file else variable.name
        if begins.startswith("OR_") and variable.name not in BY_VARIABLE and variable.name not in NOT_IN_TABLE:
            raise unknown(variable.place, variable.name, "a setting", [*BY_VARIABLE, *NOT_IN_TABLE])
    for doubt in variables.doubts:
        # Without it the default would hold in silence; a key that is missing is told by its provider.
        if doubt.name in BY_VARIABLE and "$" in doubt.complaint:
            raise problem(doubt.place, doubt.name, doubt.complaint)
    given: Values = {}
    for row in TABLE:
        found = next(_variables_of(row, variables), None)
        if found is not None:
            variable, also = found
            given[row.name] = _given(row, variable.text, also, variable.name, variable.place)
    return given


def given_by_file(tree: Section, elsewhere: frozenset[str], withheld: frozenset[str] = frozenset()) -> Values:
    """What a configuration file says; the top-level keys in ``elsewhere`` are read by others. Of settings that are ``withheld``
    a reference to a variable that is not set says nothing."""
    given: Values = {}
    for node in _leaves(tree, "", elsewhere):
        path, leaf = node
        row, also = BY_PATH[path]
        if row.name in given:
            first = given[row.name]
            raise problem(leaf.place, leaf.path, f"says the same as {first.key} in line {first.place.line}; keep one")
        is_withheld = row.name in withheld and _is_missing(leaf)
        if not is_withheld and not (isinstance(leaf, Leaf) and leaf.is_null):
            given[row.name] = _given(row, _raw(leaf), also, leaf.path, leaf.place)
    return given


def beside_file(file: Path, given: Values, name: str) -> None:
    """Make a relative path that the file gives relative to the file."""
    found = given.get(name)
    if found is not None:
        given[name] = Given(str(file.parent / found.value), found.key, found.place)


def _variables_of(row: Setting, variables: Variables) -> Iterator[tuple[Variable, Also]]:
    own = variables.get(row.variable)
    if own is not None:
        yield own, AS_IT_IS
    for also in row.spec.also:
        variable = variables.get(also.name) if also.is_variable else None
        if variable is not None and (variable.is_from_file or not also.only_in_file):
            yield variable, also


def _leaves(section: Section, prefix: str, elsewhere: frozenset[str]) -> Iterator[tuple[str, Node]]:
    for name, node in section.nodes.items():
        path = prefix + name
        if path in BY_PATH:
            yield path, node
        elif isinstance(node, Section) and _is_prefix(path):
            yield from _leaves(node, path + ".", frozenset())
        elif name not in elsewhere and not (_is_prefix(path) and isinstance(node, Leaf) and node.is_null):
            raise unknown(node.place, node.path, "a setting", [*_names_at(prefix), *elsewhere])


def _is_prefix(path: str) -> bool:
    return any(known.startswith(path + ".") for known in BY_PATH)


def _names_at(prefix: str) -> Iterable[str]:
    return {known[len(prefix) :].partition(".")[0] for known in BY_PATH if known.startswith(prefix)}


def _is_missing(node: Node) -> bool:
    if isinstance(node, Items):
        return any(map(_is_missing, node.nodes))
    return isinstance(node, Leaf) and bool(node.missing)


def _raw(node: Node) -> Raw:
    if isinstance(node, Section):
        raise problem(node.place, node.path, "must be a value, not a section")
    if isinstance(node, Items):
        return [text_in(item) for item in node.nodes]
    return node.value()


def text_in(node: Node) -> str:
    """The text of a node that must be a single value. Raises StartupProblem."""
    if not isinstance(node, Leaf) or node.is_null:
        raise problem(node.place, node.path, "must be a single value")
    return node.value()


def _given(row: Setting, raw: Raw, also: Also, key: str, place: Place) -> Given:
    try:
        return Given(converted(row, raw, also), key, place)
    except ValueError as fault:
        raise problem(place, key, str(fault)) from fault
