"""An order over the border between our API server and a worker, in whichever dialect it came."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.bridge.protocol import goes_native, order_from_wire, order_to_wire
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json
from orcestator.routing.offer import Deployment
from orcestator.upstream.call import PATHS, UpstreamCall
from orcestator.web.routes import MODEL_ROUTES

CALL: Json = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
OWN: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
CLAUDE = Deployment("claude", "agent", "http://w:1", "proxy", ("anthropic", "openai"))
PLAIN = Deployment("plain", "agent?x=1", "http://w:2", "proxy", ("openai",))


def order(**more: Any) -> UpstreamCall:
    """A request of an Anthropic caller unless told otherwise."""
    given_fields: Json = {
        "endpoint": "chat",
        "path": "/chat/completions",
        "body": b'{"model" : "m"}',
        "call": CALL,
        "content_type": "application/json",
        "shown_model": "claude/agent",
        "streamed": True,
        "include_usage": False,
        "request_id": "req-1",
        "deadline": 100.0,
        "text_cap": 500,
        "created": 7,
        "new_id": str,
        "dialect": "anthropic",
        "own": OWN,
        "headers": (("anthropic-beta", "a,b"), ("anthropic-version", "2023-06-01")),
        "unread": ("top_k", "options.num_ctx"),
        "owner": "caller-2",
        "is_strict": True,
        "is_foreign": True,
        **more,
    }
    return UpstreamCall(**given_fields)


def crossed(deployment: Deployment, sent: UpstreamCall) -> tuple[Deployment, UpstreamCall]:
    """What the worker makes of it."""
    native = goes_native(deployment, sent)
    body = sent.body if native else sent.canonical_body()
    call = sent.own if native else sent.call
    return order_from_wire(order_to_wire(deployment, sent, 12.5), body, call, sent.content_type, now=1000.0)


def test_a_body_in_the_upstreams_dialect_crosses_as_it_came() -> None:
    """With the headers that go to such an upstream; nothing of it was lost in translation."""
    deployment, made = crossed(CLAUDE, order())
    assert (deployment.provider, deployment.model) == ("claude", "agent")
    assert (made.dialect, made.body, made.own) == ("anthropic", b'{"model" : "m"}', OWN)
    assert made.headers == order().headers
    assert made.unread == ()


@pytest.mark.parametrize("endpoint", ["chat", "embeddings"])
def test_any_other_crosses_as_the_canonical_call(endpoint: str) -> None:
    """With what it could not hold, and as one that a foreign caller made."""
    path = "/embeddings" if endpoint == "embeddings" else "/chat/completions"
    deployment, made = crossed(PLAIN, order(endpoint=endpoint, path=path))
    assert deployment.model == "agent?x=1"
    assert (made.dialect, made.call, json.loads(made.body)) == ("openai", CALL, CALL)
    assert (made.headers, made.unread, made.is_foreign) == ((), ("top_k", "options.num_ctx"), True)


def test_a_body_of_openais_crosses_as_it_came() -> None:
    """Whatever the upstream speaks best."""
    _, made = crossed(CLAUDE, order(dialect="openai", is_foreign=False, headers=(), unread=(), body=b'{ "model":"m"}'))
    assert (made.dialect, made.body, made.is_foreign) == ("openai", b'{ "model":"m"}', False)


def test_what_both_sides_know_is_the_same() -> None:
    """All but what belongs to one process: its clock, its log, its caller's writer."""
    sent = order()
    _, made = crossed(CLAUDE, sent)
    own = {
        "deadline",
        "text_cap",
        "include_usage",
        "new_id",
        "call",
        "unread",
        "caller",
        "asked",
        "is_carried",
        "_canonical_body",
    }
    for field in fields(UpstreamCall):
        if field.name not in own:
            assert getattr(made, field.name) == getattr(sent, field.name), field.name
    assert made.deadline == 1012.5
    assert made.include_usage
    assert made.is_carried
    assert made.caller is None


@pytest.mark.parametrize("name", ["shown_model", "owner", "unread"])
def test_no_text_ends_the_header(name: str) -> None:
    """Names that callers make up are inside of JSON, in ASCII."""
    bad = "a\r\nx-evil: 1\u2028ä"
    value: Any = (bad,) if name == "unread" else bad
    sent = order(**{name: value})
    text = order_to_wire(PLAIN, sent, 1.0)
    assert text.isascii()
    assert text.isprintable()
    _, made = crossed(PLAIN, sent)
    assert getattr(made, name) == value


@pytest.mark.parametrize(
    "spoiled",
    [
        {"path": "/files"},
        {"path": "/embeddings"},
        {"path": "/chat/completions/../files"},
        {"endpoint": "files", "path": "/files"},
        {"endpoint": ["chat"]},
        {"dialect": "klingon"},
        {"endpoint": "count", "path": "/count", "dialect": "openai"},
        {"headers": [["x-a", "1\r\nX-Injected: yes"]]},
        {"headers": [["x-a", "1\nX-Injected: yes"]]},
        {"headers": [["x-a", "\u0000"]]},
        {"headers": [["x-a\r\nX-Injected", "yes"]]},
        {"headers": [["x-a: 1", "yes"]]},
        {"headers": [["Host", "elsewhere.example"]]},
        {"headers": [["transfer-encoding", "chunked"]]},
        {"headers": [["Authorization", "Bearer another"]]},
        {"headers": [[1, 2]]},
    ],
    ids=str,
)
def test_an_order_is_an_attempt_and_nothing_else(spoiled: Json) -> None:
    """Only the paths that we call, and headers that are one header each."""
    wire = json.loads(order_to_wire(CLAUDE, order(), 1.0))
    with pytest.raises(InvalidRequest):
        order_from_wire(json.dumps({**wire, **spoiled}), b"{}", {}, "application/json", 0.0)


def test_every_model_route_can_be_ordered() -> None:
    """A new route needs its path in the table, or the split cluster would refuse it."""
    assert all(route.path in PATHS[route.endpoint] for route in MODEL_ROUTES.values())


@pytest.mark.parametrize("name", list(json.loads(order_to_wire(CLAUDE, order(), 1.0))))
def test_an_order_of_another_version_is_refused(name: str) -> None:
    """A field that is missing is not guessed."""
    wire = json.loads(order_to_wire(CLAUDE, order(), 1.0))
    del wire[name]
    with pytest.raises(InvalidRequest):
        order_from_wire(json.dumps(wire), b"{}", {}, "application/json", 0.0)


WIRES = st.dictionaries(
    st.sampled_from(list(json.loads(order_to_wire(CLAUDE, order(), 1.0)))),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(more=WIRES)
def test_any_header_is_an_order_or_refused(more: Json) -> None:
    """Whatever types it holds."""
    text = json.dumps(json.loads(order_to_wire(CLAUDE, order(), 1.0)) | more)
    try:
        _, made = order_from_wire(text, b"{}", {}, "application/json", 0.0)
    except InvalidRequest:
        return
    assert isinstance(made.dialect, str)
