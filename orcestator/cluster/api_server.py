"""What serves callers, assembled once: its candidates may be in this process or behind a controller."""

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from orcestator.bridge.carrier import Carrier
from orcestator.bridge.directory import LocalDirectory, RemoteDirectory
from orcestator.bridge.ledgers import Ledgers
from orcestator.bridge.stock.api import StockApi
from orcestator.cluster import factory as parts
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.preview import Preview, prospect_of
from orcestator.cluster.recording import Recording
from orcestator.cluster.router import Router
from orcestator.cluster.worker_health import WorkerHealthFeed
from orcestator.gateway.cors import marks_for
from orcestator.routing.attempts.summary import OURS
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.asgi import Scope, header_map
from orcestator.server.drain import Drain
from orcestator.server.failed_logins import FailedLogins
from orcestator.server.serving import Server
from orcestator.settings import Settings
from orcestator.settings.changes import document_of
from orcestator.settings.management_token import made_token
from orcestator.telemetry.exposition import CONTENT_TYPE
from orcestator.telemetry.json_log import LogWriter
from orcestator.telemetry.metrics_server import MetricsServer
from orcestator.telemetry.notices import reloaded
from orcestator.telemetry.redaction import Redactor
from orcestator.upstream.health_checks import Check
from orcestator.web.admin.access import ManagementAccess
from orcestator.web.admin.admin_routes import AdminRoutes, Figures
from orcestator.web.admin.health import Component, Health
from orcestator.web.admin.management import management_routes
from orcestator.web.admin.orchestrator_routes import AddedProviders, OrchestratorRoutes
from orcestator.web.admin.overview import Overview
from orcestator.web.admin.rules_book import RULES_FILE, RulesBook
from orcestator.web.admin.status_routes import StatusRoutes
from orcestator.web.app import ApiApp, UnderBasePath

Json = dict[str, Any]
LOOK_SECONDS = 1.0


class ApiServer:
    """An API server with its records, its brain and its metrics.

    ``is_shared``: other processes keep responses beside it. ``quota`` is that of the links in this process, ``ledgers`` are
    those of the workers where it has none. ``load_again`` reads the configuration for a reload.
    """

    def __init__(
        self,
        settings: Settings,
        lifetime: Lifetime,
        log: tuple[LogWriter, Redactor],
        directory: LocalDirectory | RemoteDirectory,
        carrier: Callable[[Settings], Carrier],
        quota: QuotaBook,
        load_again: Callable[[], Settings],
        *,
        is_shared: bool,
        ledgers: Ledgers | None = None,
    ) -> None:
        self._settings = settings
        self._lifetime = lifetime
        self._directory = directory
        self._carrier = carrier
        self._is_shared = is_shared
        self._ledgers = ledgers
        self.chosen_for_us: Collection[str] = ()
        """Settings that a supervisor chose for this process."""
        self.redact = log[1]
        self.recording = Recording(settings, *log, lambda name: directory.catalog().knows(name))
        lifetime.on_close(lambda: asyncio.to_thread(self.recording.close))
        self.drain = Drain()
        self.recording.active = lambda: len(self.drain.active)
        self.brain = Router.of(settings, directory.catalog, self.recording.emit, quota)
        self.recording.waiting = lambda: len(self.brain.attempts.line)
        shelf = parts.shelf(settings, self.recording, is_shared=is_shared)
        self._refusals = FailedLogins(self.recording.metrics.count_refusal)
        self.gateway = parts.gateway(
            settings, self.brain, carrier(settings), self.recording.emit, self.drain, shelf, self._refusals
        )
        self._access = ManagementAccess(None, wants_token=True, refusals=self._refusals)
        self.rules = RulesBook(Path(settings.state_dir) / RULES_FILE, settings.rules, self.brain.use_rules)
        self.live = LiveSettings(
            settings, load_again, self.take, lambda problem: self.recording.notices.tell(reloaded(problem))
        )
        self.reload: Callable[[], Coroutine[Any, Any, Json]] = self.live.reload
        offers_now = partial(prospect_of, self.live, lambda _settings: directory.catalog().offers)
        self.preview = Preview(self.brain, self.rules, offers_now)

    async def take(self, settings: Settings) -> None:
        """Serve by these settings from now on; what runs goes on by the old ones."""
        self.redact.learn(settings.secrets())
        await self._take_access(settings)
        self.gateway.policy = parts.exchange_policy(settings)
        self.gateway.carry = self._carrier(settings).attempt
        self.brain.retune(settings)
        # What a ledger refused by the old limits it may take by the new ones; asking it calls nobody.
        self.brain.attempts.health.forget_causes(OURS)
        self.rules.configure(settings.rules)
        self._directory.rename(parts.names(settings))

    async def _take_access(self, settings: Settings) -> None:
        """Caller keys and tokens that are gone open nothing from here on; what was let in by them comes to its end."""
        token = None if settings.admin_token else await asyncio.to_thread(made_token, settings.state_dir)
        if token is not None:
            self.redact.learn([token.reveal()])
        self.gateway.admission.use(parts.admission_policy(settings))
        self._access.use(
            settings.admin_token or None, local_token=token, wants_token=parts.is_reached_by_others(settings)
        )

    async def start(
        self,
        listener: socket.socket,
        controller: str,
        components: dict[str, Component],
        *,
        check: Callable[[str], Check] | None = None,
        added: AddedProviders | None = None,
    ) -> Server:
        """Serve on ``listener``. ``controller`` is its address, for the stock routes; ``components`` are shown in ``/health``;
        ``check`` gives what the background checks of this process know of a provider; without it workers tell; ``added`` keeps what is added over HTTP."""
        settings = self._settings
        await self._take_access(settings)
        told = WorkerHealthFeed(
            self.brain.attempts.health, self.brain.planner.catalog, settings.breaker_longest_open_seconds
        )
        overview = Overview(self.brain.planner, time.monotonic, time.time, check or told.status)
        app = ApiApp(
            self.gateway,
            Health(self.drain, components, {"records": self.recording.state}, self._is_insider),
            # Behind our own door, whose keys may change: it asks for none itself.
            StockApi(controller, ()).app,
            StatusRoutes(overview),
            management_routes(
                self._access,
                OrchestratorRoutes(overview, self.rules, self.brain.decisions, parts.call_limits(settings), added),
                AdminRoutes(overview, self._figures(), self._document, self.reload, self.preview.look, self._ledgers),
            ),
        )
        door = UnderBasePath(app, settings.api_base_path) if settings.api_base_path else app
        server = Server(
            door,
            listener,
            parts.edge_limits(settings),
            self.recording.rejected,
            lambda origin: marks_for(origin, self.gateway.admission),
        )
        if settings.metrics_port:
            metrics = MetricsServer(settings.metrics_host, settings.metrics_port, self.recording.exposition)
            await metrics.start()
            self._lifetime.on_close(metrics.close)
        await self.recording.start()
        await server.start()
        self._lifetime.on_close(server.close)
        self._lifetime.run_beside(self._look_around(told))
        self._lifetime.run_beside(self.recording.notices.run(self._lifetime.stopping.event))
        return server

    def _is_insider(self, scope: Scope) -> bool:
        return self.gateway.admission.is_insider(scope, header_map(scope["headers"]))

    def _document(self) -> Json:
        # An API server in front of workers knows of no provider: their settings are the workers'.
        return document_of(self.live.settings, with_providers=not self._is_shared, without=self.chosen_for_us)

    def _figures(self) -> Figures:
        return Figures(self._totals, self.recording.exposition, CONTENT_TYPE)

    def _totals(self) -> Json:
        return {**self.recording.metrics.summary(), "paid_fallbacks": self.brain.decisions.paid_fallbacks}

    async def _look_around(self, told: WorkerHealthFeed) -> None:
        """Take over what another API server was told, and what workers tell."""
        while True:
            self.rules.poll()
            told.look()
            await asyncio.sleep(LOOK_SECONDS)
