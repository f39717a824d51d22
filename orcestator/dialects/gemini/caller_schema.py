"""A schema in Gemini's subset of OpenAPI to JSON Schema.

https://ai.google.dev/api/caching#Schema (checked 2026-11): types in capitals, ``nullable``, counts as texts (they are
64 bits wide), enums of numbers as texts with the format ``enum``.
"""

from collections.abc import Callable
from typing import Any

from orcestator.dialects.gemini.fields import camel
from orcestator.json_text import Json

_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_READ: dict[str, Callable[[str], float]] = {"integer": int, "number": float}


def json_schema(wire: Any) -> Any:
    """The JSON Schema; what is no object stays what it is."""
    if not isinstance(wire, dict):
        return wire
    schema: Json = {}
    for given, value in wire.items():
        name = camel(given)
        if name not in ("nullable", "propertyOrdering") and value is not None:
            schema[name] = _value(name, value)
    if schema.get("format") == "enum":
        del schema["format"]
        schema["enum"] = _typed(schema.get("enum"), schema.get("type"))
    if "example" in schema:
        schema["examples"] = [schema.pop("example")]
    return _with_null(schema) if wire.get("nullable") is True else schema


def _value(name: str, value: Any) -> Any:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "properties" and isinstance(value, dict):
        return {key: json_schema(child) for key, child in value.items()}
    if name == "anyOf" and isinstance(value, list):
        return [json_schema(branch) for branch in value]
    if name == "items":
        return json_schema(value)
    return int(value) if name in _COUNTS and _is_count(value) else value


def _is_count(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19


def _typed(values: Any, kind: Any) -> Any:
    """Enum values in the type that they are texts of."""
    read = _READ.get(kind) if isinstance(kind, str) else None
    if read is None or not isinstance(values, list):
        return values
    try:
        return [read(value[:32]) if isinstance(value, str) else value for value in values]
    except ValueError:
        return values


def _with_null(schema: Json) -> Json:
    if isinstance(schema.get("anyOf"), list):
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(schema.get("enum"), list):
        schema = {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else schema
