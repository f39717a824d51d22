"""What is the caller's fault, what is the upstream's, and how each dialect says so."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cluster.harness import Cluster
from tests.crossing.asked import ANSWER, Ask
from tests.crossing.cells import CALLERS, Cell, cells
from tests.crossing.frames import Door, Wire
from tests.crossing.mutations import spoiled
from tests.crossing.upstreams import NATIVE, SLOW

MODEL = "plain-plain"
FULL = Ask(
    "Look nonce:full", system="Rules.", history=("One", "Two"), has_image=True, has_tools=True, schema=ANSWER, limit=99
)
REQUIRED = {
    "openai": ("messages",),
    "responses": ("model", "input"),
    "anthropic": ("model", "max_tokens", "messages"),
    "gemini": ("contents",),
    "ollama": ("model", "messages"),
}
WRONG: tuple[Any, ...] = (7, {"a": 1}, [3], "", False)
MAY_BE = {("responses", "input"): (str,), ("ollama", "messages"): ()}
callers = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.NAME)


def post(door: Door, caller: ModuleType, body: Any, model: str = MODEL, *, method: str = "POST") -> Wire:
    """The answer to a body on the dialect's own route."""
    return door.post(caller.path(model, streams=False), body, method=method)


def check_refused(caller: ModuleType, wire: Wire, status: int) -> str:
    """The message of an error answer in the dialect's envelope, with the request's id, that no retry will change."""
    assert wire.status == status, wire.body
    assert wire.headers[caller.ID_HEADER].startswith("req-")
    message: str = caller.refusal(wire)
    assert message
    return message


@callers
@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"null", b'{"model": NaN}', b"\xff\xfe{}"], ids=repr)
def test_what_is_no_json_object_is_refused(door: Door, caller: ModuleType, body: bytes) -> None:
    """With 400, in the dialect's envelope."""
    wire = post(door, caller, body)
    check_refused(caller, wire, 400)
    assert wire.headers["x-should-retry"] == "false"


def wrong_fields() -> list[Any]:
    """Every required field with a value of every wrong type, and without one."""
    return [
        pytest.param(caller, name, value, id=f"{caller.NAME}-{name}-{json.dumps(value)}")
        for caller in CALLERS
        for name in REQUIRED[caller.NAME]
        for value in (*WRONG, None)
        if not (name == "model" and value == "")
        and not ((caller.NAME, name) == ("responses", "input") and value == "")
        # Without messages Ollama only loads the model.
        and not ((caller.NAME, name) == ("ollama", "messages") and value in ("", None))
        and not (name == "max_tokens" and value == 7)
    ]


@pytest.mark.parametrize(("caller", "name", "value"), wrong_fields())
def test_a_required_field_of_a_wrong_type_is_named(door: Door, caller: ModuleType, name: str, value: Any) -> None:
    """None stands for a field that is missing."""
    body = caller.body(Ask("Hello"), MODEL, streams=False)
    body = {**body, name: value} if value is not None else {key: body[key] for key in body if key != name}
    message = check_refused(caller, post(door, caller, body), 400)
    assert name in message + json.dumps(post(door, caller, body).json)


@callers
def test_an_unknown_model_is_not_found(door: Door, caller: ModuleType) -> None:
    """With 404, and a word on where the known ones are."""
    model = "there-is-no-such-model"
    wire = post(door, caller, caller.body(Ask("Hello"), model, streams=False), model)
    assert model in check_refused(caller, wire, 404)


@callers
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(door: Door, caller: ModuleType, method: str) -> None:
    """With 405, which says what is allowed."""
    wire = post(door, caller, b"", method=method)
    check_refused(caller, wire, 405)
    assert wire.headers["allow"] == "POST"


@callers
def test_a_body_over_the_limit_is_refused(door: Door, caller: ModuleType) -> None:
    """With 413, whatever the dialect; the edge, which knows no dialects, may say it in OpenAI's words."""
    wire = post(door, caller, caller.body(Ask("x" * 1_100_000), MODEL, streams=False))
    door.close()
    assert wire.status == 413
    assert "1000000" in json.dumps(wire.json)


EXPECTED = {"e401": 424, "e429": 429, "e500": 503, "e529": 503}


def is_native(cell: Cell) -> bool:
    """The server's errors differ by dialect only in their words."""
    says_all = cell.case in ("e401", "e429") or cell.relays or cell.upstream.name == "plain"
    return cell.upstream in NATIVE and not cell.streams and says_all


@pytest.mark.parametrize("cell", cells(*EXPECTED, may=is_native))
def test_an_upstreams_status_becomes_one_that_helps(door: Door, cell: Cell) -> None:
    """A refused key is nobody's business, a rate limit comes with its pause, and the rest may be over soon."""
    model = f"{cell.upstream.name}-{cell.case}"
    wire = post(door, cell.caller, cell.caller.body(Ask("Hello"), model, streams=False), model)
    # A refused key is out for everybody for a minute, and what is out would fail whatever comes next.
    reset = door.post("/admin/state/reset", {})
    assert reset.status == 200, reset.body
    message = check_refused(cell.caller, wire, EXPECTED[cell.case])
    assert "the-key" not in message
    if cell.case == "e429":
        assert wire.headers["retry-after"] == "1"
        assert "x-should-retry" not in wire.headers
    else:
        assert wire.headers["x-should-retry"] == "false"


def test_a_silent_upstream_is_told_in_time(cluster: Cluster) -> None:
    """In every dialect, streaming or not, all at once: each takes as long as we wait for an upstream."""

    def asked(caller: ModuleType, streams: bool) -> Wire:
        door = Door(cluster.port)
        model = f"plain-{SLOW}"
        wire = door.post(caller.path(model, streams=streams), caller.body(Ask("Hello"), model, streams=streams))
        door.close()
        return wire

    each = [(caller, streams) for caller in CALLERS for streams in (False, True)]
    with ThreadPoolExecutor(len(each)) as pool:
        wires = list(pool.map(lambda one: asked(*one), each))
    for (caller, _), wire in zip(each, wires, strict=True):
        check_refused(caller, wire, 504)


@callers
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_body_makes_an_error_of_ours(door: Door, caller: ModuleType, data: st.DataObject) -> None:
    """A good body spoiled in random places is answered or refused, whichever the upstream; it is never our failure."""
    upstream, streams = data.draw(st.sampled_from(NATIVE)), data.draw(st.booleans())
    model = f"{upstream.name}-plain"
    body = data.draw(spoiled(caller.body(FULL, model, streams=streams), frozenset({"model"})))
    wire = door.post(caller.path(model, streams=streams), body)
    assert wire.status < 500, wire.body
    assert wire.is_whole
    if wire.status != 200:
        check_refused(caller, wire, wire.status)
