"""The openai SDK's own types as the judge of what we send in the Responses dialect."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from orcestator.dialects.canonical import ReadTerms, Target, WriteTerms
from orcestator.json_text import Json

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_LAST = ("response.completed", "response.incomplete", "response.failed")


def counted() -> Callable[[str], str]:
    """Ids that anybody can foresee."""
    numbers = count(1)
    return lambda prefix: f"{prefix}{next(numbers)}"


def write_terms(call: Json | None = None) -> WriteTerms:
    """Terms of an answer."""
    return WriteTerms("orcestator", 1_700_000_000, counted(), "request-1", call=call or {})


def read_terms() -> ReadTerms:
    """Terms under which ids and time are foreseen."""
    return ReadTerms("prov", counted(), 1_700_000_000)


def target(model: str = "gpt-5.1", **more: Any) -> Target:
    """A deployment of a model."""
    return Target("openai", model, **more)


def checked_response(response: Json) -> Response:
    """The response as the SDK reads it, with nothing converted."""
    return Response.model_validate_json(json.dumps(response), strict=True)


def checked_events(output: bytes) -> list[Any]:
    """The events as the SDK reads them, up to the one with the whole response, after checks of everything that clients rely
    on. A failed response is followed by an error of its own.
    """
    assert output.endswith(b"\n\n")
    assert b"[DONE]" not in output
    bodies = []
    for frame in output.decode("utf-8", "strict").split("\n\n")[:-1]:
        event, data = frame.split("\n")
        body = json.loads(data.removeprefix("data: "))
        assert event == f"event: {body['type']}"
        bodies.append(body)
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    assert [body["type"] for body in bodies[:2]] == ["response.created", "response.in_progress"]
    if bodies[-1]["type"] == "error":
        error = bodies.pop()
        _EVENTS.validate_json(json.dumps(error), strict=True)
        assert (error["code"], error["message"]) == tuple(
            bodies[-1]["response"]["error"][k] for k in ("code", "message")
        )
        assert error["error"]["type"]
        assert {**error["error"], "type": "error", "sequence_number": len(bodies)} == {
            name: value for name, value in error.items() if name != "error"
        }
        assert bodies[-1]["type"] == "response.failed"
    else:
        assert bodies[-1]["type"] != "response.failed"
    assert [body["type"] for body in bodies if body["type"] in _LAST] == [bodies[-1]["type"]]
    _check_items(bodies[2:-1], bodies[-1]["response"])
    return [_EVENTS.validate_json(json.dumps(body), strict=True) for body in bodies]


def _check_items(bodies: list[Json], last: Json) -> None:
    """Items are added, filled and done one after another, and the last event has them all."""
    done: list[Json] = []
    item: Json | None = None
    deltas: dict[str, str] = {}
    for body in bodies:
        assert body["output_index"] == len(done)
        if body["type"] == "response.output_item.added":
            assert item is None, "one item at a time"
            item, deltas = body["item"], {}
            continue
        assert item is not None, f"{body['type']} outside of an item"
        assert body.get("item_id", item["id"]) == item["id"]
        name = body["type"].rpartition(".")[0]
        if body["type"].endswith(".delta"):
            deltas[name] = deltas.get(name, "") + body["delta"]
        elif body["type"] == "response.output_item.done":
            assert body["item"]["id"] == item["id"]
            done.append(body["item"])
            item = None
        elif name in deltas:
            whole = next(body[field] for field in ("text", "refusal", "arguments", "input") if field in body)
            assert deltas.pop(name) == whole
    assert item is None or last["status"] == "failed"
    assert last["output"] == done
