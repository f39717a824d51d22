"""Tool and answer schemas as callers write them, on their way to an API that takes only a part of JSON Schema."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import Target
from orcestator.json_text import Json
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from tests.crossing.test_crossing_requests import refusal_of

GEMINI = UPSTREAM_DIALECTS["gemini"]
NAMES = ("city", "when", "items", "kind", "nested")
TEXTS = st.sampled_from(("", "a", "b c", "ünï", "0"))
"""Enough for two of a kind to be told apart; an empty one is refused by Gemini in an enum."""


def leaves() -> st.SearchStrategy[Json]:
    """Schemas without schemas inside."""
    return st.one_of(
        st.just({"type": "string"}),
        st.builds(lambda kind: {"type": kind}, st.sampled_from(("integer", "number", "boolean", "null"))),
        st.builds(lambda values: {"enum": values}, st.lists(TEXTS, min_size=1, max_size=3, unique=True)),
        st.builds(
            lambda values: {"type": "integer", "enum": values}, st.lists(st.integers(0, 9), min_size=1, max_size=3)
        ),
        st.builds(lambda value: {"const": value}, TEXTS | st.integers(0, 5) | st.booleans()),
        st.just({"type": ["string", "null"], "maxLength": 20, "pattern": "^a"}),
        st.just({"type": "string", "format": "email"}),
        st.just({"type": "integer", "exclusiveMinimum": 0, "multipleOf": 5}),
        st.just({"$ref": "#/$defs/shared"}),
        st.just({"$ref": "#/$defs/tree"}),
        st.just({}),
        st.just({"type": "object"}),
        st.just({"type": "array"}),
        st.just({"type": "object", "additionalProperties": {"type": "string"}}),
    )


def deeper(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Schemas with schemas inside."""
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}, inner),
        st.builds(lambda items: {"type": "array", "prefixItems": items}, several),
        *(st.builds(lambda options, word=word: {word: options}, several) for word in ("oneOf", "anyOf", "allOf")),
        st.builds(lambda options: {"type": "object", "anyOf": options, "description": "d"}, several),
        objects(inner),
    )


def objects(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """An object with properties, some of them required; one may be that is not described."""
    return st.builds(
        lambda properties, required, more: {
            "type": "object",
            "properties": properties,
            "required": [*list(properties)[:required], *more],
            "additionalProperties": False,
        },
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        st.integers(0, 3),
        st.sampled_from(([], ["unknown"])),
    )


SHARED = {"type": "object", "properties": {"x": {"type": "number"}}, "title": "Shared"}
TREE = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "value": {"const": "v"}}}
SCHEMAS = objects(st.recursive(leaves(), deeper, max_leaves=6)).map(
    lambda schema: {
        **schema,
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$defs": {"shared": SHARED, "tree": TREE},
    }
)


@pytest.mark.parametrize("model", ["gemini-1.5-echo", "gemini-2.5-echo", "gemini-3-echo"])
@settings(max_examples=30, deadline=None)
@given(schema=SCHEMAS, is_answer=st.booleans())
def test_a_schema_reaches_gemini_in_a_form_it_takes(model: str, schema: Json, is_answer: bool) -> None:
    """``$ref``, unions, constants, enums, arrays of arrays: as a tool's parameters and as the answer's form."""
    call: Json = {"model": "m", "messages": [{"role": "user", "content": "Go."}]}
    if is_answer:
        call["response_format"] = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    else:
        call["tools"] = [{"type": "function", "function": {"name": "tool", "parameters": schema}}]
    before = json.dumps(schema)
    assert refusal_of("gemini", GEMINI.request(call, Target("gemini", model))) == ""
    assert json.dumps(schema) == before


@pytest.mark.parametrize("dialect", sorted(UPSTREAM_DIALECTS))
@settings(max_examples=10, deadline=None)
@given(schema=SCHEMAS)
def test_a_schema_reaches_the_others_too(dialect: str, schema: Json) -> None:
    """The same for every dialect's tools, by its usual model."""
    model = "gpt://folder/echo/latest" if dialect == "yandex" else "echo"
    call = {
        "model": "m",
        "messages": [{"role": "user", "content": "Go."}],
        "tools": [{"type": "function", "function": {"name": "tool", "parameters": schema}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}},
    }
    made = UPSTREAM_DIALECTS[dialect].request(call, Target("prov", quote(model, safe=":/")))
    assert refusal_of(dialect, made) == ""
