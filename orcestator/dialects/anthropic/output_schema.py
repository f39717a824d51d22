"""A JSON schema as structured outputs take it: what they cannot enforce is told to the model in the description.

platform.claude.com/docs/en/build-with-claude/structured-outputs (JSON Schema limitations) and ``transform_schema`` of
anthropic-sdk-python 2.12 (checked 2026-11): objects are closed, ``minItems`` is 0 or 1, of the numeric and length
limits there are none; anything else is a 400.
"""

from typing import Any, NamedTuple

from orcestator.json_text import Json, dumps

_KEPT = frozenset({"$ref", "type", "enum", "const", "title", "description", "required", "default"})
_SCHEMA_MAPS = ("properties", "$defs", "definitions")
_SCHEMA_LISTS = ("anyOf", "allOf")
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)  # fmt: skip
_SAYS_NOTHING = frozenset({"$schema", "$id", "$comment", "additionalProperties", "examples"})
DEEPEST = 64


class TakenSchema(NamedTuple):
    """A schema that the API takes, and whether it is as strict as the one that was given."""

    schema: Json
    is_whole: bool


def output_schema(given: Json) -> TakenSchema:
    """The schema as the API takes it; the given one is not changed."""
    loosened: list[str] = []
    return TakenSchema(_taken(given, loosened, 0), not loosened)


def _taken(given: Json, loosened: list[str], depth: int) -> Json:
    if depth > DEEPEST:
        loosened.append("depth")
        return {}
    made: Json = {}
    hints: Json = {}
    for name, value in given.items():
        if name in _KEPT or _is_taken(name, value):
            made[name] = value
        elif (inner := _inner(name, value, loosened, depth)) is not None:
            made["anyOf" if name == "oneOf" else name] = inner
        elif name not in _SAYS_NOTHING:
            hints[name] = value
    if _is_object(given):
        made["additionalProperties"] = False
        if given.get("additionalProperties"):
            loosened.append("additionalProperties")
    if hints:
        loosened.extend(hints)
        made["description"] = _with_hints(made.get("description"), hints)
    return made


def _is_taken(name: str, value: Any) -> bool:
    return (name == "format" and isinstance(value, str) and value in _FORMATS) or (
        name == "minItems" and type(value) is int and value in (0, 1)
    )


def _inner(name: str, value: Any, loosened: list[str], depth: int) -> Any:
    """The value of a keyword that holds schemas; None for any other keyword."""
    if name in _SCHEMA_MAPS and isinstance(value, dict):
        return {key: _taken(one, loosened, depth + 1) for key, one in value.items() if isinstance(one, dict)}
    if name in (*_SCHEMA_LISTS, "oneOf") and isinstance(value, list):
        return [_taken(one, loosened, depth + 1) for one in value if isinstance(one, dict)]
    if name == "items" and isinstance(value, dict):
        return _taken(value, loosened, depth + 1)
    return None


def _is_object(schema: Json) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _with_hints(description: Any, hints: Json) -> str:
    told = "{" + ", ".join(f"{name}: {dumps(value).decode()}" for name, value in hints.items()) + "}"
    return f"{description}\n\n{told}" if isinstance(description, str) and description else told
