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
from typing import TYPE_CHECKING, Any

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.control import NO_ANSWER, ControlClient
from orcestator.bridge.controller_app import LEAVE_PATH
from orcestator.bridge.directory import LocalDirectory, Names
from orcestator.bridge.ledgers import limits_in
from orcestator.bridge.registration_policy import is_loopback
from orcestator.bridge.stock.gates import StockGates
from orcestator.bridge.stock.prompt import MARKER
from orcestator.cluster import factory as parts
from orcestator.cluster.embedded import discover_models
from orcestator.cluster.health_watch import HealthWatch
from orcestator.cluster.heartbeat_report import LOOK_SECONDS, HeartbeatReport
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.links import Links
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.quota import limit, open_quota
from orcestator.cluster.recording import start_log
from orcestator.cluster.router import Router
from orcestator.cluster.supervision import LoadFrom, obey, reload_everywhere
from orcestator.errors import StartupProblem
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Offer
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.upstream.health_checks import Check
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient
from orcestator.web.stock_routes import stock_routes
from orcestator.web.worker_app import WorkerApp

if TYPE_CHECKING:
    from orcestator.bridge.stock.fastchat import ProxyModelWorker

Json = dict[str, Any]
Post = Callable[[str, Json, Mapping[str, str]], Awaitable[tuple[int, Any]]]
Announce = Callable[[str], None]
MOST_REGISTERED_NAMES = 200
"""Model names a worker tells a stock controller; ours learns all of them from the offer."""
MOST_RESETS = 64
"""Models of a provider of which the last reset is told."""
WORKER_CONTEXT_LENGTH = 128_000
"""What a stock API server is told; it only bounds how long an answer it asks for."""


async def run_worker(
    settings: Settings, model_id: str, controller: str, host: str, port: int, address: str, only: str | None,
    announce: Announce, load_from: LoadFrom, *, supervised: bool = False,
) -> None:  # fmt: skip
    """Serve until a signal; on SIGHUP, or told by a supervisor, read the settings again. Raises StartupProblem when it cannot start."""
    _require_safe(settings, host)
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        log, redact = start_log(settings, lifetime)
        listener = listen(host, port, "--port")
        client = parts.upstream_client(settings)
        lifetime.on_close(client.close)
        # Others keep the accounts of the other providers in the same file.
        quota, _ = open_quota(replace(settings, providers=tuple(_served(settings, only))), lifetime)
        held = Links(parts.link_maker(settings, client, quota), _served(settings, only))
        directory = LocalDirectory(held.current, None, Names({}, settings.default_targets()), model_id)
        brain = Router.of(settings, directory.catalog, log, quota)
        control = ControlClient(client, settings.worker_secret)
        address = address or f"http://{_reachable(host)}:{listener.getsockname()[1]}"
        worker = _Worker(settings, brain, held, directory, lifetime)
        await worker.serve(model_id, controller, address, only, listener)
        worker.run_beside(control)

        async def take(wanted: Settings) -> None:
            redact.learn(wanted.secrets())
            await worker.take(wanted, _served(wanted, only), client, quota)

        live = LiveSettings(settings, partial(load_from, None), take, lambda _problem: None)
        supervisor = lifetime.stopping.supervisor
        if supervisor is not None:
            # The API servers, which are told next, have to find there what is new.
            obey(supervisor, live, load_from, after=partial(worker.register, control))
        lifetime.stopping.on_hangup(live.reload if supervisor is None else partial(reload_everywhere, supervisor))
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
    _gates: StockGates
    _watch: HealthWatch
    _model_id: str
    _registering: asyncio.Task[Any]

    def __init__(
        self, settings: Settings, brain: Router, held: Links, directory: LocalDirectory, lifetime: Lifetime
    ) -> None:
        self._settings = settings
        self._brain = brain
        self._held = held
        self._links = held.current
        self._carrier = LocalCarrier(held.named)
        self._directory = directory
        self._lifetime = lifetime
        self._changed = asyncio.Event()
        self._checks: dict[str, Check] = {}
        self._resets: dict[str, dict[str, float]] = {}
        self._reports = HeartbeatReport(brain.planner, self._names)

    async def serve(
        self, model_id: str, controller: str, address: str, only: str | None, listener: socket.socket
    ) -> None:
        """Take attempts, of our API servers and of stock ones."""
        # The stock class behind our worker takes half a second to import: only this program pays for it.
        from orcestator.bridge.stock.fastchat import Gates, ProxyModelWorker  # noqa: PLC0415

        settings = self._settings
        self._model_id = model_id
        marker = separator_marker(settings.worker_secret)
        self._gates = gates = StockGates(
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
            model_names=self._names(),
            permits=settings.connections_per_provider,
            context_length=WORKER_CONTEXT_LENGTH,
            gates=Gates(gates.stream, gates.generate, gates.embed, gates.count_tokens, lambda: self.app.in_flight),
            offer=self._offer(),
            reporter=self._reports,
            marker=marker,
        )
        routes = stock_routes(self.model_worker, settings.connections_per_provider)
        self.app = WorkerApp(
            self._carrier, routes, settings.worker_secret, settings.max_body_bytes,
            limits=lambda: limits_in(self._brain.planner.quota, time.monotonic()), reset=self._reset,
            quota=self._brain.planner.quota, on_loopback=is_loopback(listener.getsockname()[0]),
        )  # fmt: skip
        server = Server(self.app, listener, parts.edge_limits(settings))
        await server.start()
        self._lifetime.on_close(server.close)

    def run_beside(self, control: ControlClient) -> None:
        """Look after the upstream, and tell the controller of every change."""
        from orcestator.bridge.stock.fastchat import keep_registered  # noqa: PLC0415 - imported by now

        stop = self._lifetime.stopping.event
        self._watch = HealthWatch(
            self._settings, self._brain.planner.health, self._brain.planner.stats, [self._note_check]
        )
        self._watch.watch(self._links)
        self._lifetime.run_beside(self._watch.checks.run(stop))
        self._lifetime.run_beside(self._look_for_news())
        self._lifetime.run_beside(discover_models(self._links, self._refreshed, stop))
        self._registering = self._lifetime.run_beside(
            keep_registered(self.model_worker, poster(control), draw=random.random, sleep=self._until_next_beat)
        )

    async def take(
        self, settings: Settings, providers: Sequence[ProviderSetting], client: UpstreamClient, quota: QuotaBook
    ) -> None:
        """Serve by these settings from now on; what runs goes on by the old ones."""
        running, self._settings = self._settings, settings
        has_other_times = parts.patience(settings) != parts.patience(running)
        make = parts.link_maker(settings, client, quota) if has_other_times else None
        fresh = self._held.take(providers, make, self._brain.attempts.health.has_other_keys)
        limit(quota, replace(settings, providers=tuple(providers)))
        self._brain.retune(settings)
        self._gates.total_timeout = settings.total_timeout_seconds
        self._directory.rename(Names({}, settings.default_targets()))
        self._watch.watch(self._links)
        await asyncio.gather(*(link.discover() for link in fresh if link.lists_models))
        self._refreshed()

    def _reset(self, provider: str, model: str) -> None:
        """Forget what is held against a model here, and let every API server know."""
        self._brain.planner.quota.reset(provider, model)
        for link in self._links:
            if provider in ("", link.row.name):
                self._brain.planner.health.reset(link.row.name, model)
                marks = self._resets.setdefault(link.row.name, {})
                marks.pop(model, None)
                marks[model] = time.time()
                if len(marks) > MOST_RESETS:
                    del marks[next(iter(marks))]
        self._refreshed()

    async def register(self, control: ControlClient) -> None:
        """Tell the controller of the offer of now, and return when it knows."""
        from orcestator.bridge.stock.fastchat import register  # noqa: PLC0415 - imported by now

        await register(self.model_worker, poster(control))

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
        self.model_worker.model_names = self._names()
        self.model_worker.offer = self._offer()
        self._changed.set()

    def _offer(self) -> Json:
        return {"offers": [self._offer_of(link).to_wire() for link in self._links]}

    def _offer_of(self, link: ProviderClient) -> Offer:
        name = link.row.name
        check = self._checks[name].to_wire() if name in self._checks else link.offer.check
        return replace(link.offer, check=check, resets=self._resets.get(name, {}))

    async def _look_for_news(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._reports.has_news():
                self._changed.set()

    def _names(self) -> list[str]:
        names = [self._model_id, *(f"{link.row.name}/{model}" for link in self._links for model in link.offer.models)]
        return list(dict.fromkeys(names))[:MOST_REGISTERED_NAMES]

    async def _until_next_beat(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()


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
