"""Routes as rows: which path is whose, names with slashes in them, methods, bodies, numbers in a query."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orcestator.errors import Forbidden, InvalidRequest, RouteNotFound
from orcestator.server.asgi import Message, Receive, Scope, Send, send_json
from orcestator.server.route_table import (
    ANY,
    PUBLIC,
    UPGRADE,
    Asked,
    Door,
    Endpoint,
    Group,
    Reply,
    RouteTable,
    Takeover,
    number_in,
)
from tests.web.admin.management_parts import ask


async def name(asked: Asked) -> Reply:
    """Says what the name was."""
    return Reply({"name": asked.name, "query": dict(asked.query)})


async def body(asked: Asked) -> Reply:
    """Says what the body was."""
    return Reply({"body": await asked.body()}, 201)


async def text(_asked: Asked) -> Reply:
    """Says something that is not JSON."""
    return Reply(b"a 1\n", content_type="text/plain")


async def pieces(_asked: Asked) -> Reply:
    """Says something piece by piece."""

    async def each() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            yield piece

    return Reply(each(), 202, "text/plain", [(b"x-more", b"yes")])


async def take_over(_scope: Scope, _receive: Receive, send: Send, found: str) -> None:
    """Answers in words of ASGI."""
    await send_json(send, 200, {"name": found})


async def other(_asked: Asked) -> Reply:
    """Says who it is."""
    return Reply({"other": True}, headers=[(b"x-more", b"yes")])


TABLE = RouteTable(
    [
        Group(
            PUBLIC,
            [
                Endpoint("GET", "/things", name),
                Endpoint("POST", "/things", body),
                Endpoint("GET", "/things/{}", name),
                Endpoint("GET", "/things/{}/status", name),
                Endpoint("GET", "/text", text),
                Endpoint("GET", "/pieces", pieces),
                Endpoint(UPGRADE, "/text", other),
                Takeover("POST", "/things/{}:run", take_over),
                Endpoint("POST", "/things/{}:*", other),
                Takeover(ANY, "/stock/{}", take_over),
            ],
        )
    ],
    " Look elsewhere.",
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/things", ""),
        ("/things/one", "one"),
        ("/things/vendor/one:free", "vendor/one:free"),
        ("/things/vendor/one/status", "vendor/one"),
        ("/things/status", "status"),
    ],
)
def test_the_name_in_a_path(path: str, found: str) -> None:
    """A name may have slashes; the row with more fixed text wins."""
    assert ask(TABLE, "GET", path).json["name"] == found


@pytest.mark.parametrize("path", ["/", "/thing", "/things/", "/things2", "/text/x"])
def test_other_paths_are_not_served(path: str) -> None:
    """An empty name is none."""
    assert not TABLE.serves(path)


def test_head_is_get_and_other_methods_are_told() -> None:
    """405 lists what the path takes."""
    assert ask(TABLE, "HEAD", "/things").status == 200
    refused = ask(TABLE, "DELETE", "/things")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_body_is_one_json_object() -> None:
    """What is none is a 400 with a sentence."""
    assert ask(TABLE, "POST", "/things", {"a": 1}).json == {"body": {"a": 1}}
    assert ask(TABLE, "POST", "/things", b"[1]").status == 400
    assert ask(TABLE, "POST", "/things", b"").status == 400


def test_a_body_that_is_not_json() -> None:
    """Prometheus's text."""
    answer = ask(TABLE, "GET", "/text")
    assert (answer.body, answer.headers["content-type"]) == (b"a 1\n", "text/plain")


def test_the_door_comes_before_everything() -> None:
    """Who may not come in does not learn which methods there are."""

    def refuse(*_: object) -> None:
        raise Forbidden("no")

    shut = Group(Door("shut", refuse), [Endpoint("GET", "/things", name)])
    assert ask(shut, "POST", "/things").status == 403
    assert ask(RouteTable([shut, Group(PUBLIC, [Endpoint("POST", "/things", name)])]), "POST", "/things").status == 200


def test_what_a_path_is_called_by_its_methods() -> None:
    """A row for any word that takes another method does not hide one that takes this; a row for this very word does."""
    assert ask(TABLE, "POST", "/things/a/b:run").json == {"name": "a/b"}
    assert ask(TABLE, "GET", "/things/a/b:run").headers["allow"] == "POST"
    assert ask(TABLE, "GET", "/things/a/b:walk").json["name"] == "a/b:walk"
    assert ask(TABLE, "POST", "/things/a:run:jump").json == {"other": True}
    assert ask(TABLE, "POST", "/things/a:no word").status == 405


def test_a_row_for_every_method() -> None:
    for method in ("GET", "POST", "PATCH"):
        assert ask(TABLE, method, "/stock/x/y").json == {"name": "x/y"}


def test_who_wants_a_websocket() -> None:
    """Is answered by a row of its own where there is one, and as anybody else otherwise. It is no method that 405 offers."""
    asks = {"sec-websocket-key": "x"}
    assert ask(TABLE, "GET", "/text", headers=asks).json == {"other": True}
    assert ask(TABLE, "GET", "/things", headers=asks).json["name"] == ""
    assert ask(TABLE, "PUT", "/text").headers["allow"] == "GET, HEAD"


def test_headers_and_pieces() -> None:
    answer = ask(TABLE, "GET", "/pieces")
    assert (answer.status, answer.headers, answer.body) == (
        202,
        {"content-type": "text/plain", "x-more": "yes"},
        b"abc",
    )
    assert ask(TABLE, "GET", "/text", headers={"sec-websocket-key": "x"}).headers["x-more"] == "yes"


def test_a_path_that_is_none_is_told_where_to_look() -> None:
    with pytest.raises(RouteNotFound, match=r"nothing at /nowhere\. Look elsewhere\."):
        asyncio.run(TABLE.serve({"path": "/nowhere", "method": "GET", "headers": []}, no_body, forget))


async def no_body() -> Message:
    """There is none."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def forget(_message: Message) -> None:
    """Nobody looks at what is sent."""


def test_a_table_lists_its_paths() -> None:
    assert TABLE.paths("public")[:3] == ["/pieces", "/stock/{}", "/text"]
    assert TABLE.paths("caller") == []


def test_numbers_in_a_query() -> None:
    """A default, a bound, and the field's name in the refusal."""
    assert number_in({}, "limit", default=5, most=10) == 5
    assert number_in({"limit": "10"}, "limit", default=5, most=10) == 10
    for wrong in ("0", "11", "-1", "x", "", "1.0", "9" * 5000, "٣"):
        with pytest.raises(InvalidRequest, match="limit"):
            number_in({"limit": wrong}, "limit", default=5, most=10)
