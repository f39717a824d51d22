"""Canonical calls to every upstream's wire: nothing is lost in silence, nothing raises, and what is sent is taken."""

import copy
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.canonical import Target, UpstreamDialect, WireCall
from orcestator.dialects.openai.foreign import to_openai
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.routes import find
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.http import Request
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from tests.crossing.canonical_calls import PARTS, calls, feature_sets, garbage_calls, lost, marked

DIALECTS = tuple(UPSTREAM_DIALECTS.values())
MODELS = {
    "anthropic": ("echo", "claude-sonnet-4-5", "claude-3-5-haiku", "claude-opus-5-5"),
    "gemini": ("gemini-1.5-pro", "gemini-2.5-flash", "gemini-3-pro", "gemma-3"),
    "responses": ("gpt-4o", "gpt-5", "o3", "echo"),
}
SPEAKABLE = {
    "anthropic": ("echo", "agent"),
    "gemini": ("gemini-1.5-echo", "gemini-2.5-echo", "gemini-3-agent"),
    "responses": ("echo", "agent"),
    "yandex": ("gpt://folder/agent/latest",),
    "cohere": ("echo",),
    "ollama": ("agent",),
}
"""Models that the sandbox has and whose names say as much as those of real ones."""
PATHS = {
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "responses": "/v1",
    "yandex": "/foundationModels/v1",
    "cohere": "",
    "ollama": "",
    "openai": "/v1",
}
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01", "x-goog-api-key": "k", "authorization": "Bearer k"}


def refusal_of(dialect: str, wire: WireCall) -> str:
    """Why the sandbox refuses a request; "" when it takes it."""
    path, _, query = (PATHS[dialect] + wire.path).partition("?")
    route = find(path)
    assert route is not None, path
    headers = HEADERS if dialect not in ("yandex", "cohere") else {"authorization": HEADERS["authorization"]}
    target = quote(path, safe="/:") + (f"?{query}" if query else "")
    try:
        call = route.call(Request("POST", target, headers, json.dumps(wire.body).encode(), True), 1, SandboxSettings())
        route.answer(call)
    except Refused as refused:
        return f"{refused.message} for {wire.body}"
    return ""


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_there_is_sent_or_named(dialect: UpstreamDialect, data: st.DataObject) -> None:
    """Every feature of a call is in the body, or its name is in what was dropped."""
    features = data.draw(feature_sets())
    parts = data.draw(feature_sets(tuple(PARTS)))
    model = data.draw(st.sampled_from(MODELS.get(dialect.name, ("m",))))
    made = dialect.request(marked(features, parts), Target("prov", model, data.draw(st.booleans())))
    assert lost(features, parts, made.body, made.dropped) == []


@settings(max_examples=30, deadline=None)
@given(features=feature_sets(), parts=feature_sets(tuple(PARTS)))
def test_what_is_there_is_sent_to_openai_or_named(features: frozenset[str], parts: frozenset[str]) -> None:
    """The same for a foreign caller's call to an upstream of OpenAI's dialect."""
    made, dropped = to_openai(marked(features, parts), (), {})
    assert lost(features, parts, made, dropped) == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@settings(max_examples=20, deadline=None)
@given(call=garbage_calls(), data=st.data())
def test_no_call_breaks_a_translator(dialect: UpstreamDialect, call: Json, data: st.DataObject) -> None:
    """Whatever the types: a wire call of JSON or InvalidRequest, and the call is as it was."""
    model = data.draw(st.sampled_from(MODELS.get(dialect.name, ("m",))))
    before = copy.deepcopy(call)
    try:
        made = dialect.request(call, Target("prov", model))
    except InvalidRequest:
        pass
    else:
        json.dumps(made.body, allow_nan=False)
        assert all(isinstance(name, str) and name for name in made.dropped)
    assert call == before


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@settings(max_examples=30, deadline=None)
@given(call=calls(), data=st.data())
def test_a_good_call_is_taken(dialect: UpstreamDialect, call: Json, data: st.DataObject) -> None:
    """The sandbox, which refuses what the real API refuses, takes what is made of a well-formed call."""
    before = copy.deepcopy(call)
    model = data.draw(st.sampled_from(SPEAKABLE[dialect.name]))
    made = dialect.request(call, Target("prov", model, data.draw(st.booleans())))
    assert call == before
    assert refusal_of(dialect.name, made) == ""


@settings(max_examples=30, deadline=None)
@given(call=calls())
def test_a_good_call_is_taken_by_openai(call: Json) -> None:
    """The same for a foreign caller's call to an upstream of OpenAI's dialect, at its strictest."""
    call = {name: value for name, value in call.items() if name != "min_p"}
    # No foreign dialect has that one.
    made, _ = to_openai({**call, "model": "strict"}, (), {})
    assert refusal_of("openai", WireCall("/chat/completions", made)) == ""
