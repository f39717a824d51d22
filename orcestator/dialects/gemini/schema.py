"""Any JSON Schema as Gemini's ``parameters`` and ``responseSchema`` take it: a closed subset of OpenAPI 3.0.

https://ai.google.dev/api/caching#Schema and python-genai 3.4.0, types.Schema (checked 2026-11). One unknown keyword
makes Gemini refuse the whole request, so only what is listed here ever leaves: references are inlined, ``const`` is
an ``enum``, ``oneOf`` an ``anyOf`` that stands alone in its node ("when using any_of, it must be the only field
set"), a list of types a union, null is ``nullable``. Enums hold strings only ("only allowed for STRING type");
formats are those the API names.

``declared`` chooses between that subset and the fields that take JSON Schema itself (``parametersJsonSchema``,
``responseJsonSchema``). The subset is the default: every version and model takes it, and a test can prove that
nothing else is sent. Whole JSON Schema goes only where the subset would lose the shape (maps, tuples, numeric enums,
free values), to models that know it, and without references, which it takes under conditions that callers' schemas
break (no siblings, cycles only in optional properties).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from orcestator.dialects.gemini.schema_references import inlined
from orcestator.json_text import Json

MOST_NODES = 5_000
LONGEST_UNION = 32
_TYPES = ("string", "number", "integer", "boolean", "array", "object")
_FORMATS = {
    "string": frozenset({"date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_TEXTS = ("title", "description")
_COUNTS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_SHAPE = frozenset({"type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "prefixItems"})
_HINTS = {
    "object": frozenset({"properties", "required", "additionalProperties", "patternProperties", "minProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
_ANYTHING = ("string", "number", "boolean")
OBJECT_AS_TEXT = "A JSON object, written as text."
"""What an object is for a model that only takes objects whose properties it is told."""


_UNSAID = frozenset(
    {"not", "if", "then", "else", "contains", "propertyNames", "dependentRequired", "dependentSchemas", "dependencies"}
    | {"unevaluatedProperties", "unevaluatedItems", "multipleOf", "uniqueItems"}
)
"""Rules that neither field has a word for (https://ai.google.dev/gemini-api/docs/structured-output, checked 2026-11)."""


class Declared(NamedTuple):
    """A schema and the field it goes into. ``is_whole``: it allows no more than what was asked for."""

    field: str
    schema: Json
    is_whole: bool


def declared(schema: Any, plain_field: str, json_field: str, *, knows_json_schema: bool, is_object: bool) -> Declared:
    """A schema in the field that says most of it. ``is_object``: the root must describe an object."""
    whole, is_whole = inlined(schema)
    leveller = _Leveller()
    plain = leveller.node(whole, {})
    is_whole = is_whole and not _has_unsaid(whole)
    if leveller.lost_shape and knows_json_schema:
        return Declared(json_field, {**whole, "type": "object"} if is_object else whole, is_whole)
    return Declared(plain_field, _as_object(plain) if is_object else plain, is_whole and not leveller.lost_shape)


def _has_unsaid(schema: Any) -> bool:
    """Whether a rule of a node or of one below it is told to nobody. A property may have any name."""
    if isinstance(schema, list):
        return any(map(_has_unsaid, schema))
    if not isinstance(schema, dict):
        return False
    if any(schema.get(rule) not in (None, False, {}, []) for rule in _UNSAID.intersection(schema)):
        return True
    named = [schema[key].values() for key in ("properties", "patternProperties") if isinstance(schema.get(key), dict)]
    below = [
        schema[key]
        for key in ("items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf")
        if key in schema
    ]
    return any(map(_has_unsaid, [*below, *(child for children in named for child in children)]))


def levelled(schema: Any) -> Json:
    """A schema in the subset, whatever it was."""
    return _Leveller().node(inlined(schema).schema, {})


def _as_object(plain: Json) -> Json:
    """A root that describes an object: the properties of a union's branches together, or none."""
    if plain.get("type") == "object":
        return {key: value for key, value in plain.items() if key != "nullable"}
    branches = [branch for branch in plain.get("anyOf", []) if branch.get("type") == "object"]
    properties = {name: value for branch in branches for name, value in branch.get("properties", {}).items()}
    if not properties:
        return {"type": "object"}
    common = set.intersection(*(set(branch.get("required", ())) for branch in branches))
    required = [name for name in properties if name in common]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


class _Leveller:
    """One schema's way down. ``lost_shape`` turns true when the subset could not say which values are meant."""

    def __init__(self) -> None:
        self.lost_shape = False
        self._nodes = 0

    def node(self, schema: Any, inherited: Json) -> Json:
        """One node. ``inherited`` are texts and null of a union around it, which cannot stand there."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self.lost_shape = True
            return {"type": "string"}
        flat = _without_all_of(schema) if isinstance(schema, dict) else {}
        flat = {**{key: inherited[key] for key in _TEXTS if key in inherited}, **flat}
        branches = list(self._branches(flat))
        is_nullable = bool(inherited.get("nullable")) or _allows_null(flat)
        if branches:
            return self._union(flat, branches, is_nullable)
        types = _types_of(flat)
        if len(types) == 1:
            return self._typed(types[0], flat, is_nullable)
        if not types:
            self.lost_shape = True
        return self._union({}, [{**flat, "type": kind} for kind in types or _ANYTHING], is_nullable)

    def _branches(self, flat: Json) -> Iterator[Json]:
        """What a union is made of: with what stands beside it, or nothing where that already is the shape."""
        found = [branch for branch in _branches_of(flat) if isinstance(branch, dict) and not _is_null(branch)]
        beside = {key: value for key, value in flat.items() if key not in ("anyOf", "oneOf", "nullable", *_TEXTS)}
        if found and not _SHAPE.isdisjoint(beside) and all(_SHAPE.isdisjoint(branch) for branch in found):
            self.lost_shape = True
            return
        for branch in found:
            yield _merged(beside, branch) if beside else branch

    def _union(self, flat: Json, branches: list[Json], is_nullable: bool) -> Json:
        inherited = {key: flat[key] for key in _TEXTS if isinstance(flat.get(key), str)}
        inherited |= {"nullable": True} if is_nullable else {}
        made: list[Json] = []
        for branch in branches:
            node = self.node(branch, inherited)
            made += [part for part in node.get("anyOf", [node]) if part not in made]
        if len(made) > LONGEST_UNION:
            self.lost_shape = True
        return made[0] if len(made) == 1 else {"anyOf": made[:LONGEST_UNION]}

    def _typed(self, kind: str, flat: Json, is_nullable: bool) -> Json:
        details = self._details(kind, flat)
        if kind == "object" and not details:
            self.lost_shape = True
            kind, flat = "string", {"title": flat.get("title"), "description": _told(flat, OBJECT_AS_TEXT)}
        values = _values_of(flat)
        if values is not None:
            values = [value for value in values if _fits(value, kind)] or None
        node: Json = {"type": kind} | {key: flat[key] for key in _TEXTS if isinstance(flat.get(key), str)}
        if flat.get("format") in _FORMATS.get(kind, ()):
            node["format"] = flat["format"]
        node |= {key: flat[key] for key in _COUNTS.get(kind, ()) if _is_count(flat.get(key))}
        node |= details
        if values is not None:
            node |= self._enum(kind, values, node)
        if is_nullable:
            node["nullable"] = True
        return node

    def _details(self, kind: str, flat: Json) -> Json:
        if kind == "object":
            return self._object(flat)
        if kind == "array":
            return {"items": self._items(flat)}
        if kind in ("number", "integer"):
            return _limits(kind, flat)
        return {"pattern": flat["pattern"]} if kind == "string" and isinstance(flat.get("pattern"), str) else {}

    def _object(self, flat: Json) -> Json:
        given = flat.get("properties")
        given = given if isinstance(given, dict) else {}
        if flat.get("patternProperties") or (isinstance(flat.get("additionalProperties"), dict)):
            self.lost_shape = True
        properties = {name: self.node(value, {}) for name, value in given.items() if value is not False}
        if not properties:
            return {}
        required = [name for name in properties if name in _list(flat.get("required"))]
        order = [name for name in _list(flat.get("propertyOrdering")) if isinstance(name, str) and name in properties]
        made: Json = {"properties": properties}
        if required:
            made["required"] = required
        if order and sorted(order) == sorted(properties):
            made["propertyOrdering"] = order
        return made

    def _items(self, flat: Json) -> Json:
        items = flat.get("items")
        tuple_items = [*_list(flat.get("prefixItems")), *_list(items)]
        if not tuple_items:
            return self.node(items, {})
        self.lost_shape = True
        rest = [items] if isinstance(items, dict) else []
        return self._union({}, [item if isinstance(item, dict) else {} for item in tuple_items + rest], False)

    def _enum(self, kind: str, values: list[Any], node: Json) -> Json:
        """The enum of texts; for other types the values are told in the description, which the model reads."""
        if kind == "string":
            texts = list(dict.fromkeys(value for value in values if isinstance(value, str) and value))
            if "" in values:
                self.lost_shape = True
            return {"enum": texts} if texts else {}
        self.lost_shape = True
        return {"description": _told(node, f"One of: {', '.join(repr(value) for value in values)[:1024]}.")}


def _told(node: Json, more: str) -> str:
    """A node's description with something added."""
    given = node.get("description")
    return f"{given} {more}" if isinstance(given, str) and given else more


def _types_of(flat: Json) -> list[str]:
    """The types a node allows, null aside; those its other keywords are about when it does not say."""
    given = flat.get("type")
    types = [kind.lower() for kind in (given if isinstance(given, list) else [given]) if isinstance(kind, str)]
    known = list(dict.fromkeys(kind for kind in types if kind in _TYPES))
    if known:
        return known
    values = _values_of(flat)
    if values is not None:
        return list(dict.fromkeys(kind for kind in map(_type_of, values) if kind != "null")) or ["string"]
    if types == ["null"] or any(map(_is_null, _branches_of(flat))):
        return ["string"]
    return next(([kind] for kind, hints in _HINTS.items() if not hints.isdisjoint(flat)), [])


def _values_of(flat: Json) -> list[Any] | None:
    if isinstance(flat.get("enum"), list) and flat["enum"]:
        return list(flat["enum"])
    return [flat["const"]] if "const" in flat else None


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _fits(value: Any, kind: str) -> bool:
    return _type_of(value) == kind or (kind == "number" and _type_of(value) == "integer")


def _allows_null(flat: Json) -> bool:
    given = flat.get("type")
    return (
        flat.get("nullable") is True
        or given == "null"
        or (isinstance(given, list) and "null" in given)
        or (_values_of(flat) is not None and None in (_values_of(flat) or ()))
        or any(map(_is_null, _branches_of(flat)))
    )


def _branches_of(flat: Json) -> list[Any]:
    return _list(flat.get("anyOf")) + _list(flat.get("oneOf"))


def _is_null(branch: Any) -> bool:
    return isinstance(branch, dict) and branch.get("type") in ("null", ["null"])


def _limits(kind: str, flat: Json) -> Json:
    """Smallest and largest value; a limit that excludes itself moves by one where values are whole."""
    made: Json = {}
    for name, excluded, step in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        if _is_number(flat.get(name)):
            made[name] = flat[name]
        elif _is_number(flat.get(excluded)):
            made[name] = flat[excluded] + (step if kind == "integer" else 0)
    return made


def _without_all_of(schema: Json) -> Json:
    """A node with the parts of its ``allOf`` merged into it."""
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    for part in _list(schema.get("allOf")):
        if isinstance(part, dict):
            merged = _merged(merged, _without_all_of(part))
    return merged


def _merged(one: Json, other: Json) -> Json:
    """A node for values that fit both: properties and required names together, else what the second says."""
    merged = {**one, **other}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        merged["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        merged["required"] = one["required"] + other["required"]
    for key in ("anyOf", "oneOf"):
        if key in one and key in other:
            merged[key] = one[key]
    return merged


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
