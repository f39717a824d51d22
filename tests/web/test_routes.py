"""Which path is which route, in whose dialect."""

from functools import partial

import pytest

from orcestator.gateway.gateway import Route
from orcestator.json_text import Json
from orcestator.server.route_table import PUBLIC, Group, RouteTable, Takeover
from orcestator.web.routes import (
    ANTHROPIC,
    GEMINI,
    GEMINI_ARRAY,
    MODEL_ROUTES,
    MODEL_ROWS,
    OLLAMA,
    RESPONSES,
    caller_at,
)


async def _call(_row: object, *_: object) -> None:
    """Nobody is called here."""


TABLE = RouteTable([Group(PUBLIC, [Takeover("POST", row.path, partial(_call, row)) for row in MODEL_ROWS])])


def match(path: str, query: bytes) -> tuple[Route, Json | None] | None:
    """The route of a path, and the fields of the body that are in it."""
    found = TABLE.found(path, "POST", {})
    if found is None:
        return None
    assert isinstance(found.row, Takeover)
    row = found.row.app.args[0]  # type: ignore[attr-defined]
    return row.route_for(query), row.body_fields(found.name)


@pytest.mark.parametrize("path", list(MODEL_ROUTES))
def test_a_path_of_its_own(path: str) -> None:
    """Is found by its name, whatever its query is."""
    found = match(path, b"beta=true")
    assert found is not None
    assert found == (MODEL_ROUTES[path], None)


@pytest.mark.parametrize(
    ("path", "query", "caller", "model", "streams"),
    [
        ("/v1beta/models/m:generateContent", b"", GEMINI, "m", False),
        ("/v1beta/models/prov/m:generateContent", b"key=k", GEMINI, "prov/m", False),
        ("/v1beta/models/prov/llama3:8b:generateContent", b"", GEMINI, "prov/llama3:8b", False),
        ("/v1alpha/models/m:streamGenerateContent", b"alt=sse", GEMINI, "m", True),
        ("/v1beta/models/m:streamGenerateContent", b"key=k&alt=sse", GEMINI, "m", True),
        ("/v1beta/models/m:streamGenerateContent", b"", GEMINI_ARRAY, "m", True),
        ("/v1beta/m:generateContent", b"", GEMINI, "m", False),
    ],
)
def test_geminis_paths_hold_the_model(path: str, query: bytes, caller: object, model: str, streams: bool) -> None:
    """And whether it streams; without ``alt=sse`` a stream is one array, which is no upstream's."""
    found = match(path, query)
    assert found is not None
    route, fields = found
    assert (route.caller, fields) == (caller, {"model": model, "stream": streams})
    assert route.endpoint == "chat"


def test_an_array_is_never_relayed() -> None:
    """No upstream is asked for one."""
    assert GEMINI_ARRAY.name != GEMINI.name


@pytest.mark.parametrize("model", ["gpt", "prov/gpt", "prov/gpt:8b"])
def test_an_engines_path_holds_the_model(model: str) -> None:
    """Whatever it is called."""
    found = match(f"/v1/engines/{model}/completions", b"")
    assert found is not None
    assert found == (MODEL_ROUTES["/v1/completions"], {"model": model})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/models",
        "/v1/engines/completions",
        "/v1/engines/gpt/embeddings",
        "/v1beta/models",
        "/v1beta/models/m",
        "/v1beta/models/m:countTokens",
        "/v1beta/models/m:predict",
        "/v1/responses/resp_1",
        "/v1/messages/count_tokens",
        "/api/tags",
        "/v1/chat/completions/",
    ],
)
def test_what_is_no_model_route(path: str) -> None:
    """Lists, counts, and what is not offered."""
    assert match(path, b"alt=sse") is None


def test_only_the_routes_of_other_routers_tell_the_cost() -> None:
    """Each route of OpenAI's is there twice."""
    telling = {path for path, route in MODEL_ROUTES.items() if route.tells_cost}
    assert telling == {f"/api{path}" for path, route in MODEL_ROUTES.items() if f"/api{path}" in MODEL_ROUTES}
    assert telling == {path for path in MODEL_ROUTES if path.startswith("/api/v1/")}


def test_only_responses_are_kept() -> None:
    """No other API refers to earlier turns."""
    assert [path for path, route in MODEL_ROUTES.items() if route.keeps] == ["/v1/responses"]


@pytest.mark.parametrize(
    ("path", "caller"),
    [
        ("/v1/messages", ANTHROPIC),
        ("/v1/messages/count_tokens", ANTHROPIC),
        ("/v1beta/models", GEMINI),
        ("/v1alpha/models/m:generateContent", GEMINI),
        ("/api/chat", OLLAMA),
        ("/api/nothing", OLLAMA),
        ("/api/v1/chat/completions", None),
        ("/v1/chat/completions", None),
        ("/v1/responses", None),
        ("/nothing", None),
    ],
)
def test_whose_errors_a_path_has(path: str, caller: object) -> None:
    """The Responses API has OpenAI's."""
    assert caller_at(path) is caller


def test_every_dialect_has_a_route() -> None:
    """At least one."""
    callers = {route.caller.name for route in MODEL_ROUTES.values() if route.caller is not None}
    assert {ANTHROPIC.name, RESPONSES.name, OLLAMA.name} <= callers
