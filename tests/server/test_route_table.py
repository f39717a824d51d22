"""Routes as rows: which path is whose, names with slashes in them, methods, bodies, numbers in a query."""

import pytest

from orcestator.errors import Forbidden, InvalidRequest
from orcestator.server.route_table import Asked, Endpoint, Reply, RouteTable, number_in
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


TABLE = RouteTable(
    [
        Endpoint("GET", "/things", name),
        Endpoint("POST", "/things", body),
        Endpoint("GET", "/things/{}", name),
        Endpoint("GET", "/things/{}/status", name),
        Endpoint("GET", "/text", text),
    ],
    lambda _scope, _headers: None,
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

    assert ask(RouteTable([Endpoint("GET", "/things", name)], refuse), "POST", "/things").status == 403


def test_numbers_in_a_query() -> None:
    """A default, a bound, and the field's name in the refusal."""
    assert number_in({}, "limit", default=5, most=10) == 5
    assert number_in({"limit": "10"}, "limit", default=5, most=10) == 10
    for wrong in ("0", "11", "-1", "x", "", "1.0", "9" * 5000, "٣"):
        with pytest.raises(InvalidRequest, match="limit"):
            number_in({"limit": wrong}, "limit", default=5, most=10)
