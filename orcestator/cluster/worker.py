"""The worker program: one provider's key, dialect and connections (or every provider that is on), behind a controller."""

import asyncio
import contextlib
import hashlib
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.control import NO_ANSWER, ControlClient
from orcestator.bridge.controller_app import LEAVE_PATH
from orcestator.bridge.directory import LocalDirectory, Names
from orcestator.bridge.ledgers import limits_in
from orcestator.bridge.registration_policy import is_loopback
from orcestator.bridge.stock.gates import StockGates
from orcestator.bridge.stock.prompt import MARKER
from orcestator.cluster import factory
from orcestator.cluster.api_server import Log
from orcestator.cluster.health_watch import metrics_of
from orcestator.cluster.heartbeat_report import LOOK_SECONDS, HeartbeatReport
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.links import Links
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.local_providers import LocalProviders
from orcestator.cluster.metrics import start_metrics
from orcestator.cluster.ports import port_of
from orcestator.cluster.quota import open_quota
from orcestator.cluster.recording import start_log
from orcestator.cluster.router import Router
from orcestator.cluster.supervision import (
    METRICS,
    RELOAD,
    LoadFrom,
    answer_supervisor,
    for_nobody,
    metrics_answer,
    reload_answer,
    reload_everywhere,
    say_ready,
)
from orcestator.errors import StartupProblem
from orcestator.json_text import Json
from orcestator.providers.secret import Secret
from orcestator.routing.events import Event, EventSink
from orcestator.routing.offer import Offer
from orcestator.server.in_flight import InFlight
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.telemetry.exposition import render
from orcestator.upstream.health_checks import Check
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient
from orcestator.web.stock_routes import stock_routes
from orcestator.web.worker_app import WorkerApp

if TYPE_CHECKING:
    from orcestator.bridge.stock.fastchat import ProxyModelWorker

Post = Callable[[str, Json, Mapping[str, str]], Awaitable[tuple[int, Any]]]
Announce = Callable[[str], None]
MOST_REGISTERED_NAMES = 200
"""Model names a worker tells a stock controller; ours learns all of them from the offer."""
MOST_RESETS = 64
"""Models of a provider of which the last reset is told."""
WORKER_CONTEXT_LENGTH = 128_000
"""What a stock API server is told; it only bounds how long an answer it asks for."""


class Place(NamedTuple):
    """What a worker is called, and where."""

    model_id: str
    """The model name that it registers first."""
    controller: str
    host: str
    port: int
    address: str
    """The address that others reach it by, "" for the one it listens on."""
    only: str | None
    """The one provider that it serves, None for every one that is switched on."""


async def run_worker(
    settings: Settings, place: Place, announce: Announce, load_from: LoadFrom, *, supervised: bool = False
) -> None:
    """Serve until a signal; on SIGHUP, or told by a supervisor, read the settings again. Raises StartupProblem when it cannot start."""
    _require_safe(settings, place.host)
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        log = start_log(settings, lifetime)
        listener = listen(place.host, place.port, "--port")
        client = factory.make_upstream_client(settings)
        lifetime.on_close(client.close)
        place = place._replace(address=place.address or f"http://{_reachable(place.host)}:{port_of(listener)}")
        worker = Worker(settings, place, log, client, lifetime)
        await worker.serve(listener)
        live = LiveSettings(settings, partial(load_from, None), worker.apply_settings, for_nobody)
        _follow(lifetime, live, worker, load_from)
        announce(f"orcestator worker for {worker.serves} listens on {place.host}:{port_of(listener)}\n")
        await say_ready(lifetime.stopping.supervisor)
        await lifetime.wait()
        await worker.leave()
        await worker.in_flight.emptied(settings.drain_seconds)
    finally:
        await lifetime.close()


def _follow(lifetime: Lifetime, live: LiveSettings, worker: "Worker", load_from: LoadFrom) -> None:
    """Reload when somebody says so."""
    supervisor = lifetime.stopping.supervisor
    if supervisor is None:
        lifetime.stopping.on_hangup(live.reload)
        return
    # The API servers, which are told next, have to find there what is new.
    reload = reload_answer(live, load_from, after=worker.register)
    metrics = metrics_answer(partial(render, worker.metrics.registry))
    answer_supervisor(supervisor, {RELOAD: reload, METRICS: metrics})
    lifetime.stopping.on_hangup(partial(reload_everywhere, supervisor))


class WorkerOffer:
    """What a worker tells of itself: the models that its links offer, what its checks found of them, and what a person reset."""

    def __init__(self, model_id: str, links: Sequence[ProviderClient]) -> None:
        self._model_id = model_id
        self._links = links
        self._checks: dict[str, Check] = {}
        self._resets: dict[str, dict[str, float]] = {}

    def names(self) -> list[str]:
        """The model names that it registers."""
        names = [self._model_id, *(f"{link.row.name}/{model}" for link in self._links for model in link.offer.models)]
        return list(dict.fromkeys(names))[:MOST_REGISTERED_NAMES]

    def to_wire(self) -> Json:
        """The offer as JSON."""
        return {"offers": [self._offer_of(link).to_wire() for link in self._links]}

    def note_check(self, provider: str, check: Check) -> bool:
        """Keep what a background check found; whether that is worth telling: an offer has all the models in it."""
        before = self._checks.get(provider)
        self._checks[provider] = check
        return before is None or before.status != check.status

    def note_reset(self, provider: str, model: str, at: float) -> None:
        """Keep when a person had something forgotten, so that every API server hears of it."""
        marks = self._resets.setdefault(provider, {})
        marks.pop(model, None)
        marks[model] = at
        if len(marks) > MOST_RESETS:
            del marks[next(iter(marks))]

    def _offer_of(self, link: ProviderClient) -> Offer:
        name = link.row.name
        check = self._checks[name].to_wire() if name in self._checks else link.offer.check
        return replace(link.offer, check=check, resets=self._resets.get(name, {}))


class Worker:
    """A proxy worker: it makes attempts for our API servers, runs the loop for stock ones, and stays registered at its controller."""

    def __init__(self, settings: Settings, place: Place, log: Log, client: UpstreamClient, lifetime: Lifetime) -> None:
        writer, self._redact = log
        self._settings = settings
        self._place = place
        self._lifetime = lifetime
        self._control = ControlClient(client, settings.worker_secret)
        self._changed = asyncio.Event()
        self.in_flight = InFlight()
        providers = _served(settings, place.only)
        # Others keep the accounts of the other providers in the same file.
        quota, quota_writer = open_quota(replace(settings, providers=tuple(providers)), lifetime)
        links = Links(factory.provider_client_maker(settings, client, quota), providers)
        self._links: Sequence[ProviderClient] = links.current
        self._directory = LocalDirectory(links.current, None, Names({}, settings.default_targets()), place.model_id)
        self.metrics = start_metrics(writer, lifetime, lambda name: self._directory.catalog().knows(name))
        self.metrics.watch(quota_writer)
        self._router = Router.of(settings, self._directory.catalog, both(writer, self.metrics), quota)
        self._offer = WorkerOffer(place.model_id, links.current)
        self._reports = HeartbeatReport(self._router.planner, self._offer.names)
        self._carrier = LocalCarrier(links.named)
        marker = separator_marker(settings.worker_secret)
        self._gates = StockGates(
            self._router.attempts,
            self._carrier,
            self._router.planner,
            context_length=WORKER_CONTEXT_LENGTH,
            total_timeout=settings.total_timeout_seconds,
            marker=marker,
        )
        self._model_worker = self._make_model_worker(marker)
        tell = [self._note_check, metrics_of(self.metrics)]
        self._providers = LocalProviders(settings, client, quota, links, self._router, self._refresh, tell)
        self._registering: asyncio.Task[Any] | None = None

    def _make_model_worker(self, marker: str) -> "ProxyModelWorker":
        # The stock class behind our worker takes half a second to import: only this program pays for it.
        from orcestator.bridge.stock.fastchat import Gates, ProxyModelWorker  # noqa: PLC0415

        gates, place = self._gates, self._place
        return ProxyModelWorker(
            controller_address=place.controller,
            worker_address=place.address,
            worker_id=f"{place.only or 'all'}-{random.randrange(16**6):06x}",
            model_names=self._offer.names(),
            permits=self._settings.connections_per_provider,
            context_length=WORKER_CONTEXT_LENGTH,
            gates=Gates(gates.stream, gates.generate, gates.embed, gates.count_tokens, lambda: self.in_flight.count),
            offer=self._offer.to_wire(),
            reporter=self._reports,
            marker=marker,
        )

    @property
    def serves(self) -> str:
        """The names of its providers, for people."""
        return ", ".join(link.row.name for link in self._links)

    async def serve(self, listener: socket.socket) -> None:
        """Take attempts, look after the upstream, and tell the controller of every change."""
        from orcestator.bridge.stock.fastchat import keep_registered  # noqa: PLC0415 - imported by now

        settings, quota = self._settings, self._router.planner.quota
        app = WorkerApp(
            self._carrier, stock_routes(self._model_worker, settings.connections_per_provider), settings.worker_secret,
            settings.max_body_bytes, self.in_flight,
            limits=lambda: limits_in(quota, time.monotonic()), reset=self._reset, quota=quota,
            on_loopback=is_loopback(listener.getsockname()[0]),
        )  # fmt: skip
        server = Server(app, listener, factory.edge_limits(settings))
        await server.start()
        self._lifetime.on_close(server.close)
        self._providers.run_beside(self._lifetime)
        self._lifetime.run_beside(self._look_for_news())
        self._registering = self._lifetime.run_beside(
            keep_registered(self._model_worker, poster(self._control), draw=random.random, sleep=self._until_next_beat)
        )

    async def apply_settings(self, settings: Settings) -> None:
        """Serve by these settings from now on; what runs goes on by the old ones."""
        self._redact.learn(settings.secrets())
        fresh = self._providers.apply_settings(settings, _served(settings, self._place.only))
        self._settings = settings
        self._router.apply_settings(settings)
        self._gates.total_timeout = settings.total_timeout_seconds
        self._directory.rename(Names({}, settings.default_targets()))
        await self._providers.begin(fresh)

    async def register(self) -> None:
        """Tell the controller of the offer of now, and return when it knows."""
        from orcestator.bridge.stock.fastchat import register  # noqa: PLC0415 - imported by now

        await register(self._model_worker, poster(self._control))

    async def leave(self) -> None:
        """New attempts go elsewhere; the API servers that wait for those that run may be draining, too."""
        if self._registering is not None:
            self._registering.cancel()
            await asyncio.wait([self._registering])
        address = f"{self._place.controller.rstrip('/')}{LEAVE_PATH}"
        await self._control.post(address, {"worker_name": self._model_worker.worker_addr})

    def _reset(self, provider: str, model: str) -> None:
        """Forget what is held against a model here, and let every API server know."""
        self._router.planner.quota.reset(provider, model)
        for link in self._links:
            if provider in ("", link.row.name):
                self._router.planner.health.reset(link.row.name, model)
                self._offer.note_reset(link.row.name, model, time.time())
        self._refresh()

    def _note_check(self, provider: str, check: Check) -> None:
        if self._offer.note_check(provider, check):
            self._refresh()

    def _refresh(self) -> None:
        """Show what the links offer now, here and at the controller."""
        self._directory.refresh()
        self._model_worker.model_names = self._offer.names()
        self._model_worker.offer = self._offer.to_wire()
        self._changed.set()

    async def _look_for_news(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._reports.has_news():
                self._changed.set()

    async def _until_next_beat(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()


def both(first: EventSink, second: EventSink) -> EventSink:
    """Hand each event to two."""

    def emit(event: Event) -> None:
        first(event)
        second(event)

    return emit


def _require_safe(settings: Settings, host: str) -> None:
    """Raise StartupProblem when whoever reaches the port could spend the keys."""
    if not (is_loopback(host) or settings.worker_secret or settings.insecure_open_registration):
        raise StartupProblem(
            "The worker listens beyond this machine and has no worker secret: set OR_WORKER_SECRET, or bind it to 127.0.0.1."
        )


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


def _served(settings: Settings, only: str | None) -> list[ProviderSetting]:
    """The providers of this worker. Raises StartupProblem when there is none."""
    providers = [provider for provider in settings.providers if only in (None, provider.row.name)]
    if not providers:
        raise StartupProblem(f"The provider '{only}' is not switched on: set its key or its base URL.")
    return providers


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host
