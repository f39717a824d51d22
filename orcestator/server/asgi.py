"""The few ASGI words the hot path needs. Raw ASGI: a framework's request object costs more than the whole gateway."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from orcestator.errors import OrcestatorError
from orcestator.json_text import dumps
from orcestator.server.request_cycle import cycle_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_TYPE = (b"content-type", b"application/json")


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by lower-case name; the edge refuses repeated security headers, so the last one is the only one."""
    return dict(raw)


async def send_bytes(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """A whole answer."""
    cycle = cycle_of(send)
    if cycle is not None and cycle.is_writable and not cycle.response_started:
        cycle.send_whole(status, headers, body)
        return
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, body: Any, headers: Headers | None = None) -> None:
    """A JSON answer."""
    await send_bytes(send, status, [JSON_TYPE, *(headers or [])], dumps(body))


async def send_error(send: Send, error: OrcestatorError, request_id: str, headers: Headers | None = None) -> None:
    """The error in OpenAI's shape, with the headers that it asks for."""
    await send_json(send, error.http_status, error.body(), error_headers(error, b"x-request-id", request_id, headers))


def error_headers(error: OrcestatorError, id_header: bytes, request_id: str, headers: Headers | None = None) -> Headers:
    """The request's id, ``headers``, and those that the error asks for."""
    asked = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    return [(id_header, request_id.encode()), *(headers or []), *asked]
