"""The wire between our API server and our workers: an order in one header, the caller's body as it came.

``POST /orcestator/attempt`` answers with the upstream's answer in the OpenAI dialect, or with a failure that keeps
its class, so that the verdict is the same on both sides of the border.
"""

import json
import re
from typing import Any

from orcestator.errors import InvalidRequest
from orcestator.routing.offer import Candidate
from orcestator.upstream.ids import new_id
from orcestator.upstream.order import OPENAI, Order

Json = dict[str, Any]
ATTEMPT_PATH = "/orcestator/attempt"
ORDER_HEADER = "x-orcestator-order"
DROPPED_HEADER = "x-orcestator-dropped"

_NATIVE = ("chat", "count")
_PATH = re.compile(r"(?:/[a-z_]{1,32}){1,4}")


def goes_native(candidate: Candidate, order: Order) -> bool:
    """Whether the body crosses the border as the caller wrote it, because the upstream speaks its dialect."""
    return order.dialect != OPENAI and order.endpoint in _NATIVE and order.dialect in candidate.dialects


def order_to_wire(candidate: Candidate, order: Order, seconds_left: float) -> str:
    """The header's text: ASCII JSON. Time left, not a deadline, since clocks differ between processes.

    A body in a dialect that the upstream does not speak crosses as the canonical call: only we write for the caller.
    """
    native = goes_native(candidate, order)
    return json.dumps(
        {
            "provider": candidate.provider,
            "model": candidate.model,
            "credential": candidate.credential,
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
        }
    )


def order_from_wire(
    text: str, body: bytes, call: Json | None, content_type: str, now: float
) -> tuple[Candidate, Order]:
    """(candidate, order). Raises InvalidRequest on a foreign header.

    The worker always asks for usage: who counts tokens is the API server.
    """
    try:
        wire = json.loads(text)
        if not _PATH.fullmatch(wire["path"]):
            raise ValueError("path")
        order = Order(
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
            headers=tuple((str(name), str(text)) for name, text in wire["headers"]),
            unread=tuple(map(str, wire["unread"])),
            owner=str(wire["owner"]),
            is_strict=bool(wire["strict"]),
            is_foreign=str(wire["from"]) != OPENAI,
            is_carried=True,
        )
        candidate = Candidate(
            str(wire["provider"]), str(wire["model"]), "", "proxy", credential=str(wire["credential"])
        )
        return candidate, order
    except (ValueError, KeyError, TypeError):
        raise InvalidRequest(f"The header {ORDER_HEADER} is not an order of this version.") from None
