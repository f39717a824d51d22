"""Routing as an API server has it, over two providers that nobody calls, and a way to ask a group of routes."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from orcestator.errors import OrcestatorError
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.routing.planning.plan import Planner
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.server.route_table import Group, RouteTable
from orcestator.web.admin.overview import Overview

NOW = 1000.0
WALL = 1_790_000_000.0
BIG = {
    "context_length": 128_000,
    "max_output_tokens": 4096,
    "pricing": {"input": 30.0, "output": 60.0},
    "supported_parameters": ["tools"],
    "input_modalities": ["text", "image"],
}
FAST = {
    "context_length": 32_000,
    "type": "fast",
    "tags": ["code"],
    "capabilities": ["text-generation"],
    "max_concurrent": 4,
}
OFFERS = (
    Offer("openai", 1, frozenset({"chat", "embeddings"}), {"gpt-4": BIG, "small": {}}, default_model="gpt-4"),
    Offer("openrouter", 2, frozenset({"chat"}), {"gpt-4": BIG, "llama": FAST}, default_model="llama"),
)
GPT_AT_OPENAI = Deployment("openai", "gpt-4", "", "proxy")
LLAMA = Deployment("openrouter", "llama", "", "proxy")


class Answer(NamedTuple):
    """What came back; ``json`` is None for a body of another type."""

    status: int
    json: Any
    headers: dict[str, str]
    body: bytes


def overview() -> Overview:
    """Everything at rest."""
    catalog = Catalog(OFFERS, {"quick": Alias.in_turn(["openrouter/llama", "openai/small"])}, ["openai/gpt-4"])
    health = CircuitBreakers(BreakerPolicy(), lambda _event: None, lambda: 0.5)
    planner = Planner(lambda: catalog, health, Stats(), QuotaBook(), lambda: 0.5)
    return Overview(planner, lambda: NOW, lambda: WALL)


def ask(
    group: Group | RouteTable,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    peer: str = "127.0.0.1",
) -> Answer:
    """One request, answered as the application would, with an error's body for an error."""
    raw = [(b"host", b"localhost:8000")]
    raw += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    path, _, query = path.partition("?")
    scope = {"method": method, "path": path, "query_string": query.encode(), "headers": raw, "client": (peer, 5000)}
    sent: list[Any] = []
    data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)

    async def receive() -> Any:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    table = group if isinstance(group, RouteTable) else RouteTable([group])
    assert table.serves(path), f"nobody serves {path}"
    try:
        asyncio.run(table.serve(scope, receive, send))
    except OrcestatorError as error:
        return Answer(error.http_status, error.body(), error.headers, b"")
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message["body"] for message in sent[1:])
    is_json = answered["content-type"] == "application/json"
    return Answer(sent[0]["status"], orjson.loads(content) if is_json else None, answered, content)
