"""Reads the keys of a section that stands for one thing (a provider, a model) rather than for settings."""

from collections.abc import Callable
from typing import TypeVar

from orcestator.settings.problems import problem
from orcestator.settings.sources import text_in
from orcestator.settings.values import Raw
from orcestator.settings.yaml_file import Items, Leaf, Node, Section

Value = TypeVar("Value")


def field(section: Section, name: str, convert: Callable[[Raw], Value], default: Value) -> Value:
    """A key's value, ``default`` when it is not there. Raises StartupProblem."""
    node = present(section, name)
    if node is None:
        return default
    raw: Raw = [text_in(item) for item in node.nodes] if isinstance(node, Items) else text_in(node)
    try:
        return convert(raw)
    except ValueError as fault:
        raise problem(node.place, node.path, str(fault)) from fault


def present(section: Section, name: str) -> Node | None:
    """The node under a key; a null or an empty text is not there."""
    node = section.nodes.get(name)
    if isinstance(node, Leaf) and (node.is_null or not (node.text.strip() or node.missing)):
        return None
    return node


def sections_in(node: Node | None, what: str) -> list[Section]:
    """The entries of a list of sections. Raises StartupProblem."""
    if node is None or (isinstance(node, Leaf) and node.is_null):
        return []
    if not isinstance(node, Items):
        raise problem(node.place, node.path, f"must be a list of {what}")
    for item in node.nodes:
        if not isinstance(item, Section):
            raise problem(item.place, item.path, f"must be one of the {what}: keys with values")
    return [item for item in node.nodes if isinstance(item, Section)]
