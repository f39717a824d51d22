"""A JSON Schema with every reference replaced by what it refers to: a tree of a bounded size, come what may."""

from typing import Any, NamedTuple
from urllib.parse import unquote

from orcestator.json_text import Json

MOST_NODES = 5_000
DEEPEST = 48
"""Levels of nodes; beyond, a node may be anything."""
MOST_TURNS = 2
"""How often a definition may appear inside itself before it is cut."""
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
_VALUES = frozenset({"enum", "const", "default", "example", "examples", "required"})
_LEFT_OUT = frozenset({"$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "$ref"})


class Tree(NamedTuple):
    """A schema without references. ``is_whole``: nothing had to be cut off."""

    schema: Json
    is_whole: bool


def inlined(schema: Any) -> Tree:
    """The schema as a tree; where it contains itself or grows too large, a node may be any object, or anything."""
    if not isinstance(schema, dict):
        return Tree({}, True)
    walk = _Walk(schema)
    tree = walk.node(schema, (), 0)
    return Tree(tree if isinstance(tree, dict) else {}, walk.is_whole)


class _Walk:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._nodes = 0
        self.is_whole = True

    def node(self, schema: Any, path: tuple[str, ...], depth: int) -> Any:
        """One node; ``path`` are the references that led to it."""
        if isinstance(schema, list):
            return [self.node(item, path, depth + 1) for item in schema]
        if not isinstance(schema, dict):
            return schema
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            self.is_whole = False
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._referred(schema, reference, path, depth)
        return {key: self._value(key, value, path, depth) for key, value in schema.items() if key not in _LEFT_OUT}

    def _value(self, key: str, value: Any, path: tuple[str, ...], depth: int) -> Any:
        if key in _VALUES:
            return value
        if key in _NAMED and isinstance(value, dict):
            children = {name: child if isinstance(child, dict | bool) else {} for name, child in value.items()}
            return {name: self.node(child, path, depth + 1) for name, child in children.items()}
        return self.node(value, path, depth + 1)

    def _referred(self, schema: Json, reference: str, path: tuple[str, ...], depth: int) -> Any:
        """What a reference means, with what stands beside it laid over."""
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if path.count(reference) >= MOST_TURNS:
            self.is_whole = False
            return {"type": "object"} | {key: beside[key] for key in ("description",) if key in beside}
        target = self._target(reference)
        if not isinstance(target, dict):
            self.is_whole = self.is_whole and target is True
            target = {}
        return self.node({**target, **beside}, (*path, reference), depth + 1)

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return {}
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = dict(zip(map(str, range(len(found))), found, strict=True)).get(name)
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found
