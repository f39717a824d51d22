"""A value that a JSON schema allows: the sandbox's answer in JSON mode and its tool arguments. Pure.

It covers what schemas of tools and answers use in practice; ``pattern`` and cross-field rules are not covered.
"""

from typing import Any

from orcestator.json_text import Json

DEEPEST = 8
"""Beyond this depth only what is required is filled in, so that a recursive schema ends."""

MOST_ITEMS = 100
LONGEST = 10_000

FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Any, text: str) -> Any:
    """A value for ``schema``; free strings hold ``text``."""
    return _value(schema if isinstance(schema, dict) else {}, text, schema, 0)


def _value(schema: Any, text: str, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > DEEPEST * 4:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for several in ("anyOf", "oneOf"):
        if schema.get(several):
            options = schema[several]
            return _value(options[-1 if depth > DEEPEST else 0], text, root, depth + 1)
    return _typed(_merged(schema, root), text, root, depth)


def _typed(schema: Json, text: str, root: Any, depth: int) -> Any:
    kind = _type_of(schema)
    if kind == "object":
        return _object(schema, text, root, depth)
    if kind == "array":
        count = min(schema.get("minItems", 0 if depth > DEEPEST else 1), MOST_ITEMS)
        return [_value(schema.get("items", {"type": "string"}), text, root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "null":
        return None
    return True if kind == "boolean" else _string(schema, text)


def _object(schema: Json, text: str, root: Any, depth: int) -> Json:
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    names = [name for name in properties if depth <= DEEPEST or name in required]
    names += [name for name in required if name not in properties]
    return {name: _value(properties.get(name, {}), text, root, depth + 1) for name in names}


def _number(schema: Json, kind: str) -> float:
    smallest = schema.get("minimum", schema.get("exclusiveMinimum"))
    largest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if smallest is not None:
        above = smallest + (1 if "exclusiveMinimum" in schema else 0)
        return int(-(-above // 1)) if kind == "integer" else above
    if largest is not None:
        return min(1, int(largest // 1) - 1)
    return 1


def _string(schema: Json, text: str) -> str:
    value: str = FORMATS.get(str(schema.get("format")), text)
    shortest = min(int(schema.get("minLength", 0)), LONGEST)
    longest = int(schema.get("maxLength", max(len(value), shortest)))
    return (value + "." * (shortest - len(value)))[:longest]


def _type_of(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _merged(schema: Json, root: Any) -> Json:
    """The schema with the parts of ``allOf`` laid over each other."""
    if not schema.get("allOf"):
        return schema
    merged = dict(schema)
    for part in (_resolved(part, root) for part in schema["allOf"]):
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged |= part
        if properties:
            merged["properties"] = properties
    return merged


def _resolved(schema: Json, root: Any) -> Json:
    """What a local ``$ref`` points at; an unknown one allows anything."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and found is not schema else {}
