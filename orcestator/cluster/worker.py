"""The worker program: one provider's key, dialect and connections (or every provider that is on), behind a controller."""

import asyncio
import contextlib
import hashlib
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.control import NO_ANSWER, ControlClient
from orcestator.bridge.controller_app import LEAVE_PATH
from orcestator.bridge.directory import LocalDirectory, Names
from orcestator.bridge.stock_gates import StockGates
from orcestator.bridge.stock_prompt import MARKER
from orcestator.cluster import parts
from orcestator.cluster.brain import Brain
from orcestator.cluster.embedded import discover_models
from orcestator.cluster.health_watch import HealthWatch
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.links import Links
from orcestator.cluster.quota import open_quota
from orcestator.cluster.recording import start_log
from orcestator.errors import StartupProblem
from orcestator.providers.secret import Secret
from orcestator.settings import Settings
from orcestator.upstream.health_checks import Check
from orcestator.upstream.provider_link import ProviderLink
from orcestator.web.serving import Server, listen
from orcestator.web.stock_routes import stock_routes
from orcestator.web.worker_app import WorkerApp

if TYPE_CHECKING:
    from orcestator.bridge.fastchat_stock import ProxyModelWorker

Json = dict[str, Any]
Post = Callable[[str, Json, Mapping[str, str]], Awaitable[tuple[int, Any]]]
Announce = Callable[[str], None]
MOST_REGISTERED_NAMES = 200
"""Model names a worker tells a stock controller; ours learns all of them from the offer."""
WORKER_CONTEXT_LENGTH = 128_000
"""What a stock API server is told; it only bounds how long an answer it asks for."""


async def run_worker(
    settings: Settings, model_id: str, controller: str, host: str, port: int, address: str, only: str | None,
    announce: Announce, *, supervised: bool = False,
) -> None:  # fmt: skip
    """Serve until a signal. Raises StartupProblem when it cannot start."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        log, _ = start_log(settings, lifetime)
        listener = listen(host, port, "--port")
        client = parts.upstream_client(settings)
        lifetime.on_close(client.close)
        providers = [provider for provider in settings.providers if only in (None, provider.row.name)]
        if not providers:
            raise StartupProblem(f"The provider '{only}' is not switched on: set its key or its base URL.")
        quota = open_quota(settings, lifetime)
        held = Links(parts.link_maker(settings, client, quota), providers)
        directory = LocalDirectory(held.current, None, Names({}, settings.default_targets()), model_id)
        brain = Brain.of(settings, directory.catalog, log, quota)
        control = ControlClient(client, settings.worker_secret)
        address = address or f"http://{_reachable(host)}:{listener.getsockname()[1]}"
        worker = _Worker(settings, brain, held, directory, lifetime)
        await worker.serve(model_id, controller, address, only, listener)
        worker.run_beside(control)
        names = ", ".join(link.row.name for link in held.current)
        announce(f"orcestator worker for {names} listens on {host}:{listener.getsockname()[1]}\n")
        await lifetime.wait()
        await worker.leave(control, controller)
        await worker.app.emptied(settings.drain_seconds)
    finally:
        await lifetime.close()


class _Worker:
    """The worker's own parts: what it serves, and what it tells its controller."""

    app: WorkerApp
    model_worker: "ProxyModelWorker"
    _registering: asyncio.Task[Any]

    def __init__(
        self, settings: Settings, brain: Brain, held: Links, directory: LocalDirectory, lifetime: Lifetime
    ) -> None:
        self._settings = settings
        self._brain = brain
        self._links = held.current
        self._carrier = LocalCarrier(held.named)
        self._directory = directory
        self._lifetime = lifetime
        self._changed = asyncio.Event()
        self._checks: dict[str, Check] = {}

    async def serve(
        self, model_id: str, controller: str, address: str, only: str | None, listener: socket.socket
    ) -> None:
        """Take attempts, of our API servers and of stock ones."""
        # The stock class behind our worker takes half a second to import: only this program pays for it.
        from orcestator.bridge.fastchat_stock import Gates, ProxyModelWorker  # noqa: PLC0415

        settings = self._settings
        marker = separator_marker(settings.worker_secret)
        gates = StockGates(
            self._brain.attempts,
            self._carrier,
            self._brain.planner,
            context_length=WORKER_CONTEXT_LENGTH,
            total_timeout=settings.total_timeout_seconds,
            marker=marker,
        )
        self.model_worker = ProxyModelWorker(
            controller_address=controller,
            worker_address=address,
            worker_id=f"{only or 'all'}-{random.randrange(16**6):06x}",
            model_names=_registered_names(model_id, self._links),
            permits=settings.connections_per_provider,
            context_length=WORKER_CONTEXT_LENGTH,
            gates=Gates(gates.stream, gates.generate, gates.embed, gates.count_tokens, lambda: self.app.in_flight),
            offer=self._offer(),
            marker=marker,
        )
        routes = stock_routes(self.model_worker, settings.connections_per_provider)
        self.app = WorkerApp(self._carrier, routes, settings.worker_secret, settings.max_body_bytes)
        server = Server(self.app, listener, parts.edge_limits(settings))
        await server.start()
        self._lifetime.on_close(server.close)

    def run_beside(self, control: ControlClient) -> None:
        """Look after the upstream, and tell the controller of every change."""
        from orcestator.bridge.fastchat_stock import keep_registered  # noqa: PLC0415 - imported by now

        stop = self._lifetime.stopping.event
        watch = HealthWatch(
            self._settings, self._brain.planner.health, self._brain.planner.measures, [self._note_check]
        )
        watch.watch(self._links)
        self._lifetime.run_beside(watch.checks.run(stop))
        self._lifetime.run_beside(discover_models(self._links, self._refreshed, stop))
        self._registering = self._lifetime.run_beside(
            keep_registered(self.model_worker, poster(control), draw=random.random, sleep=self._until_next_beat)
        )

    async def leave(self, control: ControlClient, controller: str) -> None:
        """New attempts go elsewhere; the API servers that wait for those that run may be draining, too."""
        self._registering.cancel()
        await asyncio.wait([self._registering])
        await control.post(f"{controller.rstrip('/')}{LEAVE_PATH}", {"worker_name": self.model_worker.worker_addr})

    def _note_check(self, provider: str, check: Check) -> None:
        """Only another status is worth telling: an offer has all the models in it."""
        before = self._checks.get(provider)
        self._checks[provider] = check
        if before is None or before.status != check.status:
            self._refreshed()

    def _refreshed(self) -> None:
        self._directory.refresh()
        self.model_worker.offer = self._offer()
        self._changed.set()

    def _offer(self) -> Json:
        offers = [
            replace(link.offer, check=self._checks[link.row.name].to_wire())
            if link.row.name in self._checks
            else link.offer
            for link in self._links
        ]
        return {"offers": [offer.to_wire() for offer in offers]}

    async def _until_next_beat(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()


def separator_marker(secret: Secret | None) -> str:
    """What begins every separator of our prompt template: with a secret, one that no caller can forge."""
    if not secret:
        return MARKER
    return "\x1e" + hashlib.sha256(f"template {secret.reveal()}".encode()).hexdigest()[:16]


def poster(control: ControlClient) -> Post:
    """The control client as registration wants it: no answer is an OSError."""

    async def post(url: str, body: Json, headers: Mapping[str, str]) -> tuple[int, Any]:
        status, answer = await control.post(url, body, headers)
        if status == NO_ANSWER:
            raise OSError("no answer")
        return status, answer

    return post


def _registered_names(model_id: str, links: list[ProviderLink]) -> list[str]:
    names = [model_id, *(f"{link.row.name}/{model}" for link in links for model in link.offer.models)]
    return list(dict.fromkeys(names))[:MOST_REGISTERED_NAMES]


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host
