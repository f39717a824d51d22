"""Schemas: whatever a caller declares, only the documented subset leaves."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import Target
from orcestator.dialects.gemini.caller_schema import json_schema
from orcestator.dialects.gemini.schema import OBJECT_AS_TEXT, declared, levelled
from orcestator.dialects.gemini.schema_references import inlined
from orcestator.dialects.gemini.upstream import UPSTREAM
from orcestator.json_text import Json, dumps

ANYWHERE = {"title", "description", "nullable", "type"}
BY_TYPE = {
    "string": {"format", "enum", "pattern", "minLength", "maxLength"},
    "number": {"format", "minimum", "maximum"},
    "integer": {"format", "minimum", "maximum"},
    "boolean": set(),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "propertyOrdering", "minProperties", "maxProperties"},
}
FORMATS = {"string": {"date-time"}, "number": {"float", "double"}, "integer": {"int32", "int64"}}


def assert_subset(node: Any) -> None:
    """Fail on anything that Gemini's Schema does not have, at any depth."""
    assert isinstance(node, dict)
    if "anyOf" in node:
        assert set(node) == {"anyOf"}, "a union stands alone"
        assert 2 <= len(node["anyOf"]) <= 32
        for branch in node["anyOf"]:
            assert "anyOf" not in branch, "unions are flat"
            assert_subset(branch)
        return
    kind = node["type"]
    assert set(node) <= ANYWHERE | BY_TYPE[kind], node
    assert all(isinstance(node[name], str) for name in ("title", "description", "format", "pattern") if name in node)
    assert node.get("format") in {None, *FORMATS.get(kind, set())}
    assert node.get("nullable") in (None, True)
    if "enum" in node:
        assert node["enum"]
        assert all(isinstance(value, str) and value for value in node["enum"])
        assert len(set(node["enum"])) == len(node["enum"])
    if kind == "array":
        assert_subset(node["items"])
    for child in node.get("properties", {}).values():
        assert_subset(child)
    assert kind != "object" or node.get("properties"), "should be non-empty for OBJECT type"
    names = set(node.get("properties", {}))
    assert set(node.get("required", ())) <= names
    assert "propertyOrdering" not in node or set(node["propertyOrdering"]) == names


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "b", 0.5])
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object", "STRING", "what"])
REFERENCES = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/definitions/c", "#/properties/p", "http://x/y", "#/no/0"]
)


def extended(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["p", "q", "$ref", "enum"]), children, max_size=3)
    several = st.lists(children, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, max_size=3),
            "properties": named,
            "items": children | several,
            "prefixItems": several,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "required": st.lists(st.sampled_from(["p", "q", 1])),
            "additionalProperties": children,
            "patternProperties": named,
            "$defs": named,
            "not": children,
            "$ref": REFERENCES,
            "const": SCALARS,
            "enum": st.lists(SCALARS, max_size=4),
            "format": st.sampled_from(["uuid", "int32"]),
            "minimum": SCALARS,
            "exclusiveMaximum": SCALARS,
            "minLength": SCALARS,
            "maxItems": SCALARS,
            "nullable": SCALARS,
            "description": SCALARS,
            "uniqueItems": SCALARS,
            "default": SCALARS,
            "propertyOrdering": several,
        },
    )


SCHEMAS = st.recursive(st.booleans() | st.just({}) | SCALARS, extended, max_leaves=12)


@given(SCHEMAS, st.dictionaries(st.sampled_from(["a", "b"]), SCHEMAS, max_size=2))
@settings(max_examples=60, deadline=None)
def test_any_schema_ends_in_the_subset(schema: Any, definitions: Json) -> None:
    """References in circles, unions in unions, nonsense in every keyword."""
    whole = {**schema, "$defs": definitions} if isinstance(schema, dict) else schema
    before = repr(whole)

    made = levelled(whole)

    assert_subset(made)
    assert dumps(made)
    assert repr(whole) == before, "the caller's schema was changed"


@given(SCHEMAS)
@settings(max_examples=60, deadline=None)
def test_parameters_always_describe_an_object(schema: Any) -> None:
    """In either field, and the plain one in the subset; one without properties is never sent."""
    for knows in (True, False):
        made = declared(schema, "plain", "json", knows_json_schema=knows, is_object=True)
        assert made.schema["type"] == "object"
        assert b'"$ref":"' not in dumps(made.schema)
        if made.field == "plain" and made.schema != {"type": "object"}:
            assert_subset(made.schema)
        assert made.field == "plain" or knows


def as_property(schema: Any, **definitions: Any) -> Any:
    """The schema of one property after the way down."""
    return levelled({"type": "object", "properties": {"p": schema}, "$defs": definitions})["properties"]["p"]


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"const": "x"}, {"type": "string", "enum": ["x"]}),
        ({"type": ["string", "null"], "format": "uuid"}, {"type": "string", "nullable": True}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        (
            {"description": "d", "oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
            {
                "anyOf": [
                    {"type": "integer", "description": "d", "nullable": True},
                    {"type": "string", "description": "d", "nullable": True},
                ]
            },
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "One of: 1, 2."}),
        ({"enum": ["a", "", "a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "null"}, {"type": "string", "nullable": True}),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "boolean"}}, "required": ["b", "zzz"]},
                ]
            },
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}},
                "required": ["a", "b"],
            },
        ),
        (
            {"type": "array", "uniqueItems": True, "minItems": 1, "items": {"$ref": "#/$defs/T", "description": "d"}},
            {"type": "array", "minItems": 1, "items": {"type": "string", "description": "d"}},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {"type": "object", "properties": {"a": {"type": "string"}}},
        ),
    ],
)
def test_each_keyword_on_its_way(schema: Json, made: Json) -> None:
    """What becomes of what."""
    assert as_property(schema, T={"type": "string"}) == made


def test_a_schema_that_contains_itself_is_unrolled_and_cut() -> None:
    """Two levels deep; the last is any object, which only whole JSON Schema can say."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
    schema = {"type": "object", "properties": {"head": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}}

    whole = declared(schema, "plain", "json", knows_json_schema=True, is_object=True)
    plain = declared(schema, "plain", "json", knows_json_schema=False, is_object=True)

    inner = {"type": "object", "properties": {"next": {"type": "object"}}}
    assert (whole.field, whole.schema["properties"]["head"]["properties"]["next"]) == ("json", inner)
    text = {"type": "string", "description": OBJECT_AS_TEXT}
    assert plain.schema["properties"]["head"]["properties"]["next"]["properties"]["next"] == text


def test_references_that_double_at_every_step_end() -> None:
    """The size is bounded, not only the depth."""
    doubling = {
        f"d{n}": {"type": "object", "properties": {x: {"$ref": f"#/$defs/d{n + 1}"} for x in "ab"}} for n in range(40)
    }

    tree, is_whole = inlined({"$ref": "#/$defs/d0", "$defs": doubling})
    assert not is_whole

    assert 10_000 < len(dumps(tree)) < 1_000_000
    assert_subset(levelled({"$ref": "#/$defs/d0", "$defs": doubling}))


@pytest.mark.parametrize(
    "loses",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"enum": [1, 2]},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
        {"description": "anything"},
    ],
)
def test_what_the_subset_cannot_say_goes_whole_to_who_knows_json_schema(loses: Json) -> None:
    """Without references, siblings of which it refuses."""
    schema = {"type": "object", "properties": {"p": {"$ref": "#/$defs/P", "title": "t"}}, "$defs": {"P": loses}}

    whole = declared(schema, "plain", "json", knows_json_schema=True, is_object=True)

    assert (whole.field, whole.schema["properties"]["p"]) == ("json", {**loses, "title": "t"})
    assert declared(schema, "plain", "json", knows_json_schema=False, is_object=True).field == "plain"


def test_a_union_at_the_root_of_parameters_is_one_object() -> None:
    """All properties of its branches, and the required names that they share."""
    branches = [
        {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string"}}, "required": ["a", "c"]},
        {"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "required": ["c"]},
    ]

    made = declared({"anyOf": branches}, "plain", "json", knows_json_schema=True, is_object=True)

    assert made.schema["required"] == ["c"]
    assert sorted(made.schema["properties"]) == ["a", "b", "c"]


@given(SCHEMAS)
@settings(max_examples=60, deadline=None)
def test_a_callers_schema_is_read_whatever_it_is(schema: Any) -> None:
    """Reading never fails, and a schema in the subset survives the way up and down."""
    json_schema(schema)
    made = levelled(schema)
    assert_subset(levelled(json_schema(made)))


NODE = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}, "next": {"$ref": "#/$defs/node"}}}


@pytest.mark.parametrize(
    ("schema", "is_whole"),
    [
        ({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, False),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/gone"}}}, False),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}}}, False),
        ({"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 5}}}, False),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string", "not": {"const": "x"}}]}}}, False),
        ({"type": "object", "properties": {"not": {"type": "string"}, "multipleOf": {"type": "string"}}}, True),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}}, True),
        ({"type": "object", "properties": {"a": {"type": "string", "format": "email"}}, "additionalProperties": False}, True),
    ],
)  # fmt: skip
def test_a_schema_that_becomes_looser_is_named(schema: Json, is_whole: bool) -> None:
    """As parameters and as the answer's shape, for every generation."""
    for knows in (True, False):
        assert declared(schema, "plain", "json", knows_json_schema=knows, is_object=True).is_whole is is_whole
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    call = {"messages": [{"role": "user", "content": "x"}], "response_format": form, "tools": tools}
    dropped = UPSTREAM.request(call, Target("gemini", "gemini-3-flash-preview")).dropped
    wanted = set() if is_whole else {"tools.function.parameters", "response_format.json_schema.schema"}
    assert set(dropped) == wanted
