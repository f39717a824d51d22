"""The wire between our API server and our workers: an order in one header, the caller's body as it came.

``POST /orcestator/attempt`` answers with the upstream's answer in the OpenAI dialect, or with a failure that keeps
its class, so that the verdict is the same on both sides of the border.
"""

import json
import re
from typing import Any

from orcestator.dialects.failures import FACTS
from orcestator.errors import InvalidRequest, QuotaUsedUp
from orcestator.json_text import Json
from orcestator.routing.offer import Deployment
from orcestator.upstream.call import COUNT, OPENAI, PATHS, UpstreamCall
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.ids import new_id

ATTEMPT_PATH = "/orcestator/attempt"
LIMITS_PATH, RESET_PATH = "/orcestator/limits", "/orcestator/reset"
"""At a worker: what its quota ledger knows, and to forget what is held against a model."""
ORDER_HEADER = "x-orcestator-order"
DROPPED_HEADER = "x-orcestator-dropped"

_NATIVE = ("chat", "count")
_DIALECTS = frozenset({OPENAI, *UPSTREAM_DIALECTS})
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_TEXT = re.compile(r"[\t -~\x80-\xff]{0,8192}")
_NOT_FORWARDED = frozenset(
    {
        *(
            "host",
            "connection",
            "content-length",
            "content-type",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "expect",
        ),
        *("authorization", "proxy-authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key"),
    }
)
"""Framing and addressing are of one connection, credentials are the worker's own: no order chooses them."""


def goes_native(deployment: Deployment, order: UpstreamCall) -> bool:
    """Whether the body crosses the border as the caller wrote it, because the upstream speaks its dialect."""
    return order.dialect != OPENAI and order.endpoint in _NATIVE and order.dialect in deployment.dialects


def order_to_wire(deployment: Deployment, order: UpstreamCall, seconds_left: float) -> str:
    """The header's text: ASCII JSON. Time left, not a deadline, since clocks differ between processes.

    A body in a dialect that the upstream does not speak crosses as the canonical call: only we write for the caller.
    """
    native = goes_native(deployment, order)
    return json.dumps(
        {
            "provider": deployment.provider,
            "model": deployment.model,
            "credential": deployment.credential,
            "endpoint": order.endpoint,
            "path": order.path,
            "shown_model": order.shown_model,
            "streamed": order.streamed,
            "request_id": order.request_id,
            "seconds": round(seconds_left, 3),
            "created": order.created,
            "dialect": order.dialect if native else OPENAI,
            "from": order.dialect,
            "headers": order.headers if native else (),
            "unread": () if native else order.unread,
            "owner": order.owner,
            "strict": order.is_strict,
            "last_resort": order.is_last_resort,
        }
    )


def order_from_wire(
    text: str, body: bytes, call: Json | None, content_type: str, now: float
) -> tuple[Deployment, UpstreamCall]:
    """(candidate, order). Raises InvalidRequest on a foreign header, and on one that would make more of a request than an attempt.

    The worker always asks for usage: who counts tokens is the API server.
    """
    try:
        wire = json.loads(text)
        if wire["path"] not in PATHS[wire["endpoint"]]:
            raise ValueError("path")
        if wire["dialect"] not in (UPSTREAM_DIALECTS if wire["endpoint"] == COUNT else _DIALECTS):
            raise ValueError("dialect")
        order = UpstreamCall(
            endpoint=str(wire["endpoint"]),
            path=str(wire["path"]),
            body=body,
            call=call,
            content_type=content_type,
            shown_model=str(wire["shown_model"]),
            streamed=bool(wire["streamed"]),
            include_usage=True,
            request_id=str(wire["request_id"]),
            deadline=now + float(wire["seconds"]),
            text_cap=0,
            created=int(wire["created"]),
            new_id=new_id,
            dialect=str(wire["dialect"]),
            own=call,
            headers=tuple(_header(name, text) for name, text in wire["headers"]),
            unread=tuple(map(str, wire["unread"])),
            owner=str(wire["owner"]),
            is_strict=bool(wire["strict"]),
            is_foreign=str(wire["from"]) != OPENAI,
            is_last_resort=bool(wire["last_resort"]),
            is_carried=True,
        )
        deployment = Deployment(
            str(wire["provider"]), str(wire["model"]), "", "proxy", credential=str(wire["credential"])
        )
        return deployment, order
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidRequest(f"The header {ORDER_HEADER} is not an order of this version.") from None


def quota_refusal_to_wire(refused: QuotaUsedUp) -> Json:
    """The error object by which a worker says that its quota ledger lets nobody ask."""
    facts = {"class": type(refused).__name__, "cause": refused.cause, "retry_after": refused.retry_after}
    return {**refused.body()["error"], FACTS: facts}


def quota_refusal_from_wire(facts: Json) -> QuotaUsedUp | None:
    """The refusal in the facts of a worker's error object; None where they are those of a failed attempt."""
    wait = facts.get("retry_after")
    if facts.get("class") != QuotaUsedUp.__name__ or not isinstance(wait, int | float):
        return None
    return QuotaUsedUp(str(facts.get("cause")), float(wait))


def _header(name: Any, text: Any) -> tuple[str, str]:
    """A caller's header for the upstream. Raises ValueError for one that would be more than that."""
    if not (_HEADER_NAME.fullmatch(name) and _HEADER_TEXT.fullmatch(text)) or name.lower() in _NOT_FORWARDED:
        raise ValueError("headers")
    return name, text
