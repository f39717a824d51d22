"""A gateway with the sandbox behind it, on real sockets and in the test's own event loop, so that a test can give it parts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.directory import LocalDirectory
from orcestator.cluster import factory
from orcestator.cluster.router import Router
from orcestator.gateway.exchange import Exchange
from orcestator.gateway.gateway import Gateway
from orcestator.json_text import Json
from orcestator.routing.events import Event, RequestEnded
from orcestator.routing.state.quota import QuotaBook
from orcestator.sandbox.server import SandboxServer
from orcestator.server.asgi import Receive, Scope, Send
from orcestator.server.drain import Drain
from orcestator.server.route_table import PUBLIC, Group, RouteTable, Takeover
from orcestator.server.serving import Server, listen
from orcestator.settings.loading import load
from orcestator.web.routes import MODEL_ROWS, ModelRow
from tests.cluster.harness import PATIENCE_SECONDS

KEY, OTHER_KEY = "first-caller-key-1", "second-caller-key-2"
DOLLARS_PER_TOKEN = 0.000002
CONFIG = """
providers:
  plain: {{base_url: "{root}/v1", api_key: key-of-plain, models: [echo, agent, tools]}}
  claude: {{base_url: "{root}/v1", api_key: key-of-claude, dialect: anthropic, models: [agent]}}
models:
  - {{name: paid, provider: plain, model: echo, cost_per_token: {price:f}}}
  - {{name: paid-and-silent, provider: plain, model: "echo?ttft=600", cost_per_token: {price:f}}}
"""


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test with a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await work()

    asyncio.run(bounded())


@dataclass
class Served:
    """A gateway that serves, and what is known of it."""

    gateway: Gateway
    url: str
    http: httpx.AsyncClient
    sandbox: SandboxServer
    ended: list[RequestEnded]
    news: asyncio.Event
    """There is a new record."""
    kept: list[asyncio.StreamReader] = field(default_factory=list)
    """Of connections that tests opened by hand: a reader that nobody holds is closed."""

    async def post(
        self, body: Json, path: str = "/v1/chat/completions", key: str = KEY, **headers: str
    ) -> httpx.Response:
        """A request and its whole answer."""
        return await self.http.post(path, json=body, headers={"authorization": f"Bearer {key}", **headers})

    async def record(self, number: int) -> RequestEnded:
        """The record of a request that has ended, or is about to."""
        while len(self.ended) < number:
            self.news.clear()
            await self.news.wait()
        return self.ended[number - 1]

    @property
    def calls(self) -> list[Json]:
        """The bodies of the attempts that reached the upstream."""
        return [json.loads(record.body) for record in self.sandbox.records if record.method == "POST"]


def chat(model: str, text: str = "hello there", *, stream: bool = False, **more: Any) -> Json:
    """An OpenAI chat."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}


def text_in(body: str) -> str:
    """The text of an OpenAI stream."""
    choices = [event["choices"][0] for event in events_in(body) if event.get("choices")]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def events_in(body: str) -> list[Json]:
    """The JSON events of a stream."""
    lines = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@asynccontextmanager
async def served(**parts: Any) -> AsyncIterator[Served]:
    """Serve with these parts of ``Gateway``."""
    with TemporaryDirectory() as directory:
        async with SandboxServer() as sandbox:
            config = Path(directory) / "config.yaml"
            root = sandbox.base_url.removesuffix("/v1")
            config.write_text(CONFIG.format(root=root, price=DOLLARS_PER_TOKEN))
            async with (
                _gateway(str(config), parts) as (gateway, ended, news, url),
                httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=PATIENCE_SECONDS) as http,
            ):
                yield Served(gateway, url, http, sandbox, ended, news)


@asynccontextmanager
async def _gateway(config: str, parts: Json) -> AsyncIterator[tuple[Gateway, list[RequestEnded], asyncio.Event, str]]:
    settings = load({"OR_CALLER_KEYS": f"{KEY},{OTHER_KEY}"}, dotenv_path=None, config_path=config)
    ended: list[RequestEnded] = []
    news = asyncio.Event()

    def emit(event: Event) -> None:
        if isinstance(event, RequestEnded):
            ended.append(event)
            news.set()

    client = factory.make_upstream_client(settings)
    quota = QuotaBook(time.time() - time.monotonic())
    make = factory.provider_client_maker(settings, client, quota)
    links = {provider.row.name: make(provider) for provider in settings.providers}
    catalog = LocalDirectory(list(links.values()), None, factory.public_names(settings)).catalog
    router = Router.of(settings, catalog, emit, quota)
    gateway = factory.make_gateway(settings, router, LocalCarrier(links.get), emit, Drain())
    for name, part in parts.items():
        setattr(gateway, name, part)

    async def call(row: ModelRow, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        route = row.route_for(scope["query_string"])
        await Exchange(gateway, route, scope, send, row.body_fields(name)).serve(receive)

    rows = [Takeover("POST", row.path, partial(call, row)) for row in MODEL_ROWS]
    table = RouteTable([Group(PUBLIC, rows)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await table.serve(scope, receive, send)

    server = Server(app, listen("127.0.0.1", 0, "port"), factory.edge_limits(settings))
    await server.start()
    try:
        yield gateway, ended, news, f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()
        await client.close()
