"""Schemas as structured outputs take them."""

import pytest

from orcestator.dialects.anthropic.output_schema import output_schema
from orcestator.json_text import Json


@pytest.mark.parametrize(
    ("given", "expected", "is_whole"),
    [
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, True),
        ({"type": "string", "format": "zip"}, {"type": "string", "description": '{format: "zip"}'}, False),
        ({"type": "array", "items": {"type": "null"}, "minItems": 1}, {"type": "array", "items": {"type": "null"}, "minItems": 1}, True),
        ({"type": "array", "maxItems": 3}, {"type": "array", "description": "{maxItems: 3}"}, False),
        ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}, True),
        ({"enum": [1, "a"], "$schema": "x"}, {"enum": [1, "a"]}, True),
        ({"type": "object"}, {"type": "object", "additionalProperties": False}, True),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": False}, False),
        ({"description": "A", "minimum": 1}, {"description": "A\n\n{minimum: 1}"}, False),
        ({"$defs": {"a": {"pattern": "x"}}, "$ref": "#/$defs/a"}, {"$defs": {"a": {"description": '{pattern: "x"}'}}, "$ref": "#/$defs/a"}, False),
    ],
)  # fmt: skip
def test_what_cannot_be_enforced_is_told_instead(given: Json, expected: Json, is_whole: bool) -> None:
    """And whether anything was loosened."""
    taken = output_schema(given)

    assert (taken.schema, taken.is_whole) == (expected, is_whole)


def test_a_schema_of_endless_depth_ends() -> None:
    """Loosened below some level."""
    schema: Json = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}

    assert not output_schema(schema).is_whole
