"""Routes that are rows: a method, a path with at most one name in it, and what answers. For everything but model calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl

from orcestator.errors import InvalidRequest, MethodNotAllowed, OrcestatorError
from orcestator.json_text import Json
from orcestator.server.asgi import Headers, Receive, Scope, Send, header_map, send_bytes, send_json
from orcestator.server.json_body import parse_object, read_body

MOST_BODY_BYTES = 4 << 20
NAME = "{}"
"""Stands in a path for a name, which may have slashes in it."""


class Asked(NamedTuple):
    """A request to a row: ``name`` is what stood for ``{}``. ``body`` gives its JSON object, and raises InvalidRequest."""

    name: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: Callable[[], Awaitable[Json]]


class Reply(NamedTuple):
    """``body`` is JSON, or bytes of ``content_type``."""

    body: Json | bytes
    status: int = 200
    content_type: str = "application/json"


class Endpoint(NamedTuple):
    """One row; ``path`` may have ``{}`` once. ``only_asks``: it changes nothing although its method is not GET."""

    method: str
    path: str
    answer: Callable[[Asked], Awaitable[Reply]]
    only_asks: bool = False


class Change(NamedTuple):
    """Something that a row changed, or was asked to change: by whom (what the door says), from which peer, and the status of the answer.
    ``detail`` names what it was about; no secret is in it."""

    who: str
    peer: str
    method: str
    path: str
    status: int
    detail: str


class RouteGroup(Protocol):
    """Routes that the application offers beside the model routes."""

    def serves(self, path: str) -> bool:
        """Whether the path is one of these, whatever the method."""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises OrcestatorError."""


class RouteTable:
    """A group of rows behind one door. ``admit`` raises for who may not come in, and says who somebody is; ``audit`` is told of every
    change, also of one that was refused."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        admit: Callable[[Scope, Mapping[bytes, bytes]], object],
        audit: Callable[[Change], object] | None = None,
    ) -> None:
        self._admit = admit
        self._audit = audit
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._named: dict[tuple[str, str], dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            before, is_named, after = endpoint.path.partition(NAME)
            methods = self._named.setdefault((before, after), {}) if is_named else self._fixed.setdefault(before, {})
            methods[endpoint.method] = endpoint

    def serves(self, path: str) -> bool:
        """Whether the path is one of the table's, whatever the method."""
        return self._found(path) is not None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises OrcestatorError, MethodNotAllowed among them."""
        headers = header_map(scope["headers"])
        who = self._admit(scope, headers)
        path, method = scope["path"], scope["method"]
        methods, name = self._found(path) or ({}, "")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise _wrong_method(path, methods)

        async def body() -> Json:
            return parse_object(await read_body(receive, MOST_BODY_BYTES))

        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        asked = Asked(name, query, headers, body)
        if self._audit is None or method in ("GET", "HEAD") or endpoint.only_asks:
            reply = await endpoint.answer(asked)
        else:
            reply = await self._audited(endpoint, asked, scope, str(who), self._audit)
        await _send(send, reply)

    async def _audited(
        self, endpoint: Endpoint, asked: Asked, scope: Scope, who: str, audit: Callable[[Change], object]
    ) -> Reply:
        client = scope.get("client")
        told = Change(who, str(client[0]) if client else "", endpoint.method, scope["path"], 500, "")
        try:
            reply = await endpoint.answer(asked)
        except OrcestatorError as error:
            told = told._replace(status=error.http_status, detail=error.code or type(error).__name__)
            raise
        else:
            told = told._replace(status=reply.status, detail=_subject(reply.body))
            return reply
        finally:
            audit(told)

    def _found(self, path: str) -> tuple[dict[str, Endpoint], str] | None:
        """The rows of a path by method, and the name in it; a longer fixed part is the better match."""
        if path in self._fixed:
            return self._fixed[path], ""
        fitting = [
            (before, after)
            for before, after in self._named
            if path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after)
        ]
        if not fitting:
            return None
        before, after = max(fitting, key=lambda parts: len(parts[0]) + len(parts[1]))
        return self._named[before, after], path[len(before) : len(path) - len(after)]


def number_in(query: Mapping[str, str], field: str, *, default: int, most: int) -> int:
    """A whole number of a query string, from 1 to ``most``. Raises InvalidRequest."""
    text = query.get(field)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise InvalidRequest(f"'{field}' must be a whole number from 1 to {most}.", param=field)
    return int(text)


def _subject(body: Json | bytes) -> str:
    """What a change was about, by the answer to it: ids, and the names of the settings that are others now."""
    if isinstance(body, bytes):
        return ""
    inner = body.get("provider")
    row = inner if isinstance(inner, dict) else body
    names = [str(row[field]) for field in ("id", "url", "base_url") if isinstance(row.get(field), str)]
    names += [str(change["name"]) for part in ("applied", "needs_restart") for change in body.get(part) or ()]
    return ", ".join(names)


def _wrong_method(path: str, methods: Mapping[str, Endpoint]) -> MethodNotAllowed:
    allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
    return MethodNotAllowed(f"{path[:200]} takes {' or '.join(allowed)}.", headers={"allow": ", ".join(allowed)})


async def _send(send: Send, reply: Reply) -> None:
    if isinstance(reply.body, bytes):
        headers: Headers = [(b"content-type", reply.content_type.encode())]
        await send_bytes(send, reply.status, headers, reply.body)
    else:
        await send_json(send, reply.status, reply.body)
