"""Every path of a server as a row of one table: a method, a path with at most one name in it, who may come in, and what answers."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl

from orcestator.errors import InvalidRequest, MethodNotAllowed, OrcestatorError, RouteNotFound
from orcestator.json_text import Json
from orcestator.server.asgi import Headers, Receive, Scope, Send, header_map, send_bytes, send_json
from orcestator.server.json_body import parse_object, read_body

MOST_BODY_BYTES = 4 << 20
NAME = "{}"
"""Stands in a path for a name, which may have slashes in it."""
WORD = "*"
"""Stands in a path, behind a name, for any word of letters, digits and underscores."""
ANY = "*"
"""The method of a row that takes every one."""
UPGRADE = "UPGRADE"
"""The method of a row for those who ask for a WebSocket, by whichever method of HTTP."""


class Asked(NamedTuple):
    """A request to a row."""

    name: str
    """What stood for ``{}``."""
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: Callable[[], Awaitable[Json]]
    """Gives its JSON object. Raises InvalidRequest."""
    read: Callable[[int], Awaitable[bytes]]
    """Gives its body, of at most so many bytes. Raises BodyTooLarge."""
    who: Any
    """What the door says of who asks."""
    scope: Scope


class Reply(NamedTuple):
    """What a row answers."""

    body: Json | bytes | AsyncIterator[bytes]
    """JSON; or bytes of ``content_type``, whole or as they come."""
    status: int = 200
    content_type: str = "application/json"
    headers: Sequence[tuple[bytes, bytes]] = ()


class Endpoint(NamedTuple):
    """One row. ``only_asks``: it changes nothing although its method is not GET."""

    method: str
    path: str
    answer: Callable[[Asked], Awaitable[Reply]]
    only_asks: bool = False


class Takeover(NamedTuple):
    """One row whose handler has the connection to itself: it reads and sends in words of ASGI. It is given the name in the path."""

    method: str
    path: str
    app: Callable[[Scope, Receive, Send, str], Awaitable[None]]


Row = Endpoint | Takeover


class Change(NamedTuple):
    """Something that a row changed, or was asked to change: by whom (what the door says), from which peer, and the status of the answer.
    ``detail`` names what it was about; no secret is in it."""

    who: str
    peer: str
    method: str
    path: str
    status: int
    detail: str


def _anyone(_scope: Scope, _headers: Mapping[bytes, bytes]) -> object:
    return ""


class Door(NamedTuple):
    """Who may use a row: the access that its rows have in common."""

    name: str
    admit: Callable[[Scope, Mapping[bytes, bytes]], object] = _anyone
    """Raises for who may not come in, and says who somebody is."""
    audit: Callable[[Change], object] | None = None
    """Is told of every change, also of one that was refused."""


PUBLIC = Door("public")


class Group(NamedTuple):
    """Rows behind one door."""

    door: Door
    rows: Sequence[Row]


class Found(NamedTuple):
    """The row of a request: what it is called there, and its door."""

    row: Row
    door: Door
    name: str


class _Place:
    """One path of the table, with what answers there by method."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.by_method: dict[str, tuple[Row, Door]] = {}
        self._before, _, self._after = path.partition(NAME)
        self.literal = len(path.replace(NAME, "").replace(WORD, ""))
        """So many characters of it are fixed: of two that fit, the one with more is meant."""
        pattern = re.escape(path).replace(re.escape(NAME), "(.+)").replace(re.escape(WORD), r"\w+")
        self._pattern = re.compile(pattern, re.DOTALL) if WORD in path else None

    def name_in(self, path: str) -> str | None:
        """What stands for the name in a path; None where it is another path."""
        if self._pattern is not None:
            found = self._pattern.fullmatch(path)
            return found[1] if found else None
        before, after = self._before, self._after
        if not (path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after)):
            return None
        return path[len(before) : len(path) - len(after)]


class RouteTable:
    """All rows of a server. ``hint`` ends the answer to a path that is none of them."""

    def __init__(self, groups: Iterable[Group], hint: str = "") -> None:
        self._hint = hint
        self._fixed: dict[str, _Place] = {}
        self._named: dict[str, list[_Place]] = {}
        """By the first part of their paths."""
        for door, rows in groups:
            for row in rows:
                places = self._named.setdefault(_first_part(row.path), []) if NAME in row.path else None
                self._place(row.path, places).by_method[row.method] = row, door
        for places in self._named.values():
            places.sort(key=lambda place: -place.literal)

    def _place(self, path: str, places: list[_Place] | None) -> _Place:
        if places is None:
            return self._fixed.setdefault(path, _Place(path))
        found = next((place for place in places if place.path == path), None)
        if found is None:
            places.append(found := _Place(path))
        return found

    def paths(self, *doors: str) -> list[str]:
        """The paths behind these doors, in order."""
        places = [*self._fixed.values(), *(place for places in self._named.values() for place in places)]
        return sorted(place.path for place in places if any(door.name in doors for _, door in place.by_method.values()))

    def rows(self) -> Iterable[Row]:
        """All of them."""
        places = [*self._fixed.values(), *(place for places in self._named.values() for place in places)]
        return [row for place in places for row, _ in place.by_method.values()]

    def serves(self, path: str) -> bool:
        """Whether the path is one of the table's, whatever the method."""
        return bool(self._places(path))

    def door_of(self, path: str) -> Door | None:
        """The door that the path is behind; None where it is no path of the table."""
        places = self._places(path)
        return _first(places[0][0])[1] if places else None

    def found(self, path: str, method: str, headers: Mapping[bytes, bytes]) -> Found | None:
        """The row that answers a request, None where none does."""
        methods = [method]
        if b"sec-websocket-key" in headers:
            methods.insert(0, UPGRADE)
        elif method == "HEAD":
            methods.append("GET")
        methods.append(ANY)
        for place, name in self._places(path):
            for wanted in methods:
                if wanted in place.by_method:
                    row, door = place.by_method[wanted]
                    return Found(row, door, name)
        return None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises OrcestatorError, RouteNotFound and MethodNotAllowed among them."""
        headers = header_map(scope["headers"])
        path, method = scope["path"], scope["method"]
        found = self.found(path, method, headers)
        if found is None:
            self._refuse(scope, headers)
        row, door, name = found
        who = door.admit(scope, headers)
        if isinstance(row, Takeover):
            await row.app(scope, receive, send, name)
            return

        async def body() -> Json:
            return parse_object(await read_body(receive, MOST_BODY_BYTES))

        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        asked = Asked(name, query, headers, body, partial(read_body, receive), who, scope)
        if door.audit is None or method in ("GET", "HEAD") or row.only_asks:
            reply = await row.answer(asked)
        else:
            reply = await _audited(row, asked, door.audit)
        await _send(send, reply)

    def _places(self, path: str) -> list[tuple[_Place, str]]:
        """The places that a path may be, the best first, with the name in it.

        The first whose words are all known is the last: what stands in a path for any word may as well be a part of a name.
        """
        fixed = self._fixed.get(path)
        if fixed is not None:
            return [(fixed, "")]
        fitting: list[tuple[_Place, str]] = []
        for place in self._named.get(_first_part(path), ()):
            name = place.name_in(path)
            if name is not None:
                fitting.append((place, name))
                if WORD not in place.path:
                    break
        return fitting

    def _refuse(self, scope: Scope, headers: Mapping[bytes, bytes]) -> NoReturn:
        """Raises for a request that no row answers; who may not come in learns nothing of the methods."""
        path, places = scope["path"], self._places(scope["path"])
        if not places:
            raise RouteNotFound(f"There is nothing at {path[:200]}.{self._hint}")
        _first(places[0][0])[1].admit(scope, headers)
        methods = {method for place, _ in places for method in place.by_method} - {UPGRADE}
        allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
        raise MethodNotAllowed(f"{path[:200]} takes {' or '.join(allowed)}.", headers={"allow": ", ".join(allowed)})


def _first(place: _Place) -> tuple[Row, Door]:
    return next(iter(place.by_method.values()))


def _first_part(path: str) -> str:
    return path[1:].partition("/")[0]


async def _audited(endpoint: Endpoint, asked: Asked, audit: Callable[[Change], object]) -> Reply:
    scope = asked.scope
    client = scope.get("client")
    told = Change(str(asked.who), str(client[0]) if client else "", endpoint.method, scope["path"], 500, "")
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


def number_in(query: Mapping[str, str], field: str, *, default: int, most: int) -> int:
    """A whole number of a query string, from 1 to ``most``. Raises InvalidRequest."""
    text = query.get(field)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise InvalidRequest(f"'{field}' must be a whole number from 1 to {most}.", param=field)
    return int(text)


def _subject(body: Json | bytes | AsyncIterator[bytes]) -> str:
    """What a change was about, by the answer to it: ids, and the names of the settings that are others now."""
    if not isinstance(body, dict):
        return ""
    inner = body.get("provider")
    row = inner if isinstance(inner, dict) else body
    names = [str(row[field]) for field in ("id", "url", "base_url") if isinstance(row.get(field), str)]
    names += [str(change["name"]) for part in ("applied", "needs_restart") for change in body.get(part) or ()]
    return ", ".join(names)


async def _send(send: Send, reply: Reply) -> None:
    if isinstance(reply.body, dict):
        await send_json(send, reply.status, reply.body, list(reply.headers))
        return
    headers: Headers = [(b"content-type", reply.content_type.encode()), *reply.headers]
    if isinstance(reply.body, bytes):
        await send_bytes(send, reply.status, headers, reply.body)
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    try:
        async for piece in reply.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        if isinstance(reply.body, AsyncGenerator):
            await reply.body.aclose()
    await send({"type": "http.response.body", "body": b""})
