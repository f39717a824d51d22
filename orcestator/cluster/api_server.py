"""What serves callers, assembled once: its candidates may be in this process or behind a controller."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orcestator.bridge.carrier import Carrier
from orcestator.bridge.directory import Names
from orcestator.bridge.ledgers import Ledgers
from orcestator.bridge.stock.api import StockApi
from orcestator.cluster import factory
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.preview import Preview, Prospect
from orcestator.cluster.recording import Recording
from orcestator.cluster.router import Router, wait_queue
from orcestator.cluster.worker_health import WorkerHealthFeed
from orcestator.gateway.cors import marks_for
from orcestator.json_text import Json
from orcestator.providers.secret import Secret
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.asgi import App, Scope, header_map
from orcestator.server.drain import Drain
from orcestator.server.failed_logins import FailedLogins
from orcestator.server.serving import Server
from orcestator.settings import Settings
from orcestator.settings.changes import document_of
from orcestator.settings.management_token import made_token
from orcestator.store.documents import Document, open_documents
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.exposition import CONTENT_TYPE
from orcestator.telemetry.json_log import LogWriter
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

Log = tuple[LogWriter, Redactor]
REFRESH_SECONDS = 1.0


class Directory(Protocol):
    """Where the candidates are found. ``bridge/directory.py`` has the kinds."""

    def catalog(self) -> Catalog:
        """The current catalog."""

    def rename(self, names: Names) -> None:
        """Use other public names from now on."""


@dataclass(frozen=True, slots=True)
class Management:
    """How a running API server is looked into and changed."""

    live: LiveSettings
    """The settings in use."""
    reload: Callable[[], Coroutine[Any, Any, Json]]
    """Reads the configuration again, here and in whatever other processes there are."""
    prospect: Callable[[], Awaitable[Prospect]]
    """What a reload would put in place."""
    components: Mapping[str, Component]
    """What ``/health`` looks at."""
    shows_providers: bool
    """Whether the settings of this process have providers in them: an API server in front of workers knows of none."""
    check: Callable[[str], Check] | None = None
    """What the background checks of this process know of a provider; without it workers tell."""
    added: AddedProviders | None = None
    """Keeps the providers that are added over HTTP."""
    ledgers: Ledgers | None = None
    """The quota ledgers, where they are not this process's own alone."""
    hidden: Collection[str] = ()
    """Settings that a supervisor chose for this process, and no person."""


class ApiServer:
    """An API server: its records, its routing, its gateway and its rules. ``serve`` opens it to callers.

    ``carrier`` makes the ways that an attempt can go; ``quota`` is the ledger of the providers in this process. ``is_shared``:
    other processes keep responses beside it. ``local_token`` opens its management where there is no admin token. ``writers``
    belong to somebody else, and are looked at with its own.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        directory: Directory,
        carrier: Callable[[Settings], Carrier],
        quota: QuotaBook,
        *,
        is_shared: bool,
        local_token: Secret | None,
        writers: Sequence[BackgroundWriter[Any]] = (),
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._carrier = carrier
        writer, self._redact = log
        self._redact.learn([local_token.reveal()] if local_token else [])
        self.drain = Drain()
        line = wait_queue(settings)
        self.recording = Recording(
            settings, writer, self._redact, lambda name: directory.catalog().knows(name),
            active=lambda: len(self.drain.active), waiting=lambda: len(line), others=writers,
        )  # fmt: skip
        self.router = Router.of(settings, directory.catalog, self.recording.emit, quota, line)
        self.recording.subscribe(self.router.decisions)
        refusals = FailedLogins(self.recording.metrics.count_refusal)
        self._gateway = factory.make_gateway(
            settings,
            self.router,
            carrier(settings),
            self.recording.emit,
            self.drain,
            factory.make_kept_responses(settings, self.recording, is_shared=is_shared),
            refusals,
        )
        self._access = ManagementAccess(
            settings.admin_token or None,
            local_token=local_token,
            wants_token=factory.is_reached_by_others(settings),
            refusals=refusals,
        )
        self.rules = RulesBook(
            Document(open_documents(settings.state_dir), RULES_FILE), settings.rules, self.router.use_rules
        )
        self._worker_health = WorkerHealthFeed(
            self.router.planner.health, quota, directory.catalog, settings.breaker_longest_open_seconds
        )

    async def apply_settings(self, settings: Settings) -> None:
        """Serve by these settings from now on; what runs goes on by the old ones."""
        self._redact.learn(settings.secrets())
        await self._apply_access(settings)
        self._gateway.policy = factory.exchange_policy(settings)
        self._gateway.carry = self._carrier(settings).attempt
        self.router.apply_settings(settings)
        # What a worker's ledger refused by the old limits it may take by the new ones; asking it calls nobody.
        self.router.planner.quota.forget_elsewhere()
        self.rules.configure(settings.rules)
        self._directory.rename(factory.public_names(settings))

    async def _apply_access(self, settings: Settings) -> None:
        """Caller keys and tokens that are gone open nothing from here on; what was let in by them comes to its end."""
        token = await asyncio.to_thread(local_token_of, settings)
        self._redact.learn([token.reveal()] if token else [])
        self._gateway.admission.use(factory.admission_policy(settings))
        self._access.use(
            settings.admin_token or None, local_token=token, wants_token=factory.is_reached_by_others(settings)
        )

    def report_reload(self, problem: str) -> None:
        """Tell people what became of a reload: what was wrong, "" when nothing was."""
        self.recording.notices.tell(reloaded(problem))

    async def serve(
        self, listener: socket.socket, controller: str, management: Management, lifetime: Lifetime
    ) -> Server:
        """Serve on ``listener``. ``controller`` is its address, for the stock routes."""
        server = Server(
            self._app(controller, management),
            listener,
            factory.edge_limits(self._settings),
            self.recording.rejected,
            lambda origin: marks_for(origin, self._gateway.admission),
        )
        lifetime.on_close(lambda: asyncio.to_thread(self.recording.close))
        await self.recording.start()
        await server.start()
        lifetime.on_close(server.close)
        lifetime.run_beside(self._refresh_often())
        lifetime.run_beside(self.recording.notices.run(lifetime.stopping.event))
        return server

    def _app(self, controller: str, management: Management) -> App:
        settings, planner = self._settings, self.router.planner
        overview = Overview(planner, time.monotonic, time.time, management.check or self._worker_health.status)
        preview = Preview(self.router, self.rules, management.prospect)

        def document() -> Json:
            shows, hidden = management.shows_providers, management.hidden
            return document_of(management.live.settings, with_providers=shows, without=hidden)

        routes = management_routes(
            self._access,
            OrchestratorRoutes(
                overview, self.rules, self.router.decisions, factory.call_limits(settings), management.added
            ),
            AdminRoutes(overview, self._figures(), document, management.reload, preview.preview, management.ledgers),
        )
        app = ApiApp(
            self._gateway,
            Health(self.drain, management.components, {"records": self.recording.state}, self._is_insider),
            # Behind our own door, whose keys may change: it asks for none itself.
            StockApi(controller, ()).app,
            StatusRoutes(overview),
            routes,
        )
        return UnderBasePath(app, settings.api_base_path) if settings.api_base_path else app

    def _is_insider(self, scope: Scope) -> bool:
        return self._gateway.admission.is_insider(scope, header_map(scope["headers"]))

    def _figures(self) -> Figures:
        return Figures(self._totals, self.recording.exposition, CONTENT_TYPE)

    def _totals(self) -> Json:
        return {**self.recording.metrics.summary(), "paid_fallbacks": self.router.decisions.paid_fallbacks}

    async def _refresh_often(self) -> None:
        """Take over what another API server was told, and what workers tell."""
        while True:
            self.rules.poll()
            self._worker_health.refresh()
            await asyncio.sleep(REFRESH_SECONDS)


def local_token_of(settings: Settings) -> Secret | None:
    """The token that the program keeps for commands of this machine, made if need be; None where a person gave one. Reads a file."""
    return None if settings.admin_token else made_token(settings.state_dir)
