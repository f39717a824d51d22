"""Values after a schema: what the tools model puts into arguments, and JSON mode into answers."""

from typing import Any

import pytest

from orcestator.sandbox.rules.schema import example


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        (None, "text"),
        ({"type": "null"}, None),
        ({"type": "boolean"}, True),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "number", "maximum": 0}, -1),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"items": {"type": "integer"}}, [1]),
        ({"type": "array", "minItems": 0}, []),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"properties": {"a": {}}, "required": ["b"]}, {"a": "text", "b": "text"}),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"const": "found"}}}, "found"),
        ({"$ref": "#/$defs/missing"}, "text"),
    ],
)
def test_example(schema: Any, value: Any) -> None:
    assert example(schema, "text") == value


def test_a_recursive_schema_ends_where_it_may() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["name", "next"],
    }
    value = example(schema, "text")
    depth = 0
    while value:
        assert value["name"] == "text"
        value, depth = value["next"], depth + 1
    assert 1 < depth < 20


def test_a_required_loop_ends_too() -> None:
    assert example({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "text")


def test_sizes_are_bounded() -> None:
    assert len(example({"type": "array", "minItems": 10**9}, "text")) == 100
    assert len(example({"type": "string", "minLength": 10**9}, "text")) == 10_000
