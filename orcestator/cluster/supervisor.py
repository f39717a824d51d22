"""``orcestator up --processes`` and ``--workers N``: the cluster as children of one process.

Split: a controller, one worker a provider and N API servers. Replicas: a controller and N API servers that call the providers
themselves. The supervisor starts them in order, restarts one that dies with back-off, reads the configuration for all of them,
passes the end on, and makes one page of all their metrics. It serves no request itself.
"""

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from orcestator.bridge.control import ControlClient
from orcestator.cluster import child_keeper, factory
from orcestator.cluster.banner import Facts, ProviderLine, banner
from orcestator.cluster.child import Child
from orcestator.cluster.child_keeper import ChildKeeper
from orcestator.cluster.child_programs import ChildPrograms
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.metrics import serve_metrics, start_metrics
from orcestator.cluster.ports import CallersPort, LoopbackPorts, controller_address, with_ports
from orcestator.cluster.recording import check_files, start_log
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.cluster.supervision import (
    METRICS,
    PREVIEW,
    RELOAD,
    RELOAD_SECONDS,
    RESET,
    SAY,
    SOON_SECONDS,
    prospect_for_children,
)
from orcestator.errors import StartupProblem
from orcestator.json_text import Json
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Offer
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.serving import reserve
from orcestator.settings import Settings, spoken_variables, when_still
from orcestator.settings.choices import ProviderSetting
from orcestator.telemetry.exposition import MergedExposition, ProcessPage, render
from orcestator.telemetry.metrics import Metrics
from orcestator.telemetry.redaction import Redactor
from orcestator.upstream.http.client import UpstreamClient

logger = logging.getLogger(__name__)
Announce = Callable[[str], None]
KNOWN_SECONDS = 10.0
"""How long the controller may take to know a worker that serves."""
METRICS_SECONDS = 2.0
"""How long a child may take for its metrics: a scraper waits ten seconds for all of them."""
KILL_AFTER_SECONDS = 5.0


class Source(NamedTuple):
    """Where the configuration comes from."""

    load: Callable[[], Settings]
    config: str | None
    env_file: str
    replicas: int = 0
    """How many complete processes serve callers; 0: the cluster is split."""


async def run_supervised(settings: Settings, source: Source, announce: Announce) -> None:
    """Serve until a signal; on SIGHUP, or asked by a child, load the settings again. Raises StartupProblem when a child cannot start."""
    servers = source.replicas or settings.api_workers
    if servers > 1 and sys.platform == "win32":
        flag = "--workers" if source.replicas else "--api-workers"
        raise StartupProblem(f"{flag} above 1 needs a system that shares sockets between processes, not Windows.")
    lifetime = Lifetime()
    lifetime.stopping.install()
    try:
        check_files(settings)
        log, redact = start_log(settings, lifetime)
        port = CallersPort(settings.host, settings.port, servers)
        lifetime.on_close(partial(_close, port))
        port.keep_for_callers(settings.controller_host, settings.controller_port, "OR_CONTROLLER_PORT")
        port.keep_for_callers(settings.metrics_host, settings.metrics_port, "OR_METRICS_PORT")
        ports = LoopbackPorts()
        lifetime.on_close(ports.close)
        # Here and not in the controller, which would fail again and again, and name a flag that is not the user's.
        reservation = reserve(settings.controller_host, settings.controller_port, "OR_CONTROLLER_PORT")
        settings = with_ports(settings, port.port, ports.hold(reservation))
        sandbox = EmbeddedSandbox(lifetime)
        settings = await sandbox.found_in(settings)
        client = UpstreamClient()
        lifetime.on_close(client.close)
        metrics = start_metrics(log, lifetime)
        supervisor = Supervisor(settings, source, sandbox, client, port, ports, redact, metrics, lifetime)
        await serve_metrics(settings, supervisor.exposition, lifetime)
        await supervisor.run(announce)
    finally:
        await lifetime.close()


class Supervisor:
    """The children, and what they have in common."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        sandbox: EmbeddedSandbox,
        client: UpstreamClient,
        port: CallersPort,
        ports: LoopbackPorts,
        redact: Redactor,
        metrics: Metrics,
        lifetime: Lifetime,
    ) -> None:
        self._settings = settings
        self._source = source
        self._client = client
        self._port = port
        self._ports = ports
        self._redact = redact
        self._metrics = metrics
        self._lifetime = lifetime
        # A cluster of one machine needs no secret of the user's: its parts share one made here.
        secret = settings.worker_secret or Secret(secrets.token_urlsafe(32))
        self._control = ControlClient(client, secret)
        self._spoken: Mapping[str, str] = spoken_variables(source.env_file)
        self._programs = ChildPrograms(lambda: self._settings, source.replicas, secret, source.config, self._asked)
        self._live = LiveSettings(
            settings, self._load_again, self._apply_settings, self._report_reload, sandbox.found_in
        )
        self._controller = self._programs.controller(self._spoken)
        self._workers = {} if source.replicas else self._make_workers(settings.providers)
        self._servers = [
            self._programs.api_server(number, port, self._spoken)
            for number in range(1, 1 + (source.replicas or settings.api_workers))
        ]
        self._keeper = ChildKeeper(lifetime.stopping.event)
        self._reloading = asyncio.Lock()
        self._behind: list[Json] = []
        """What the reload that runs has not reached, as changes that wait for a restart."""
        self._reporting: set[asyncio.Task[Json | None]] = set()
        self._merged = MergedExposition()
        self._scraping = asyncio.Lock()

    async def run(self, announce: Announce) -> None:
        """Start everything, keep it alive until a signal, and end it in order."""
        self._lifetime.stopping.before_exit.append(lambda: child_keeper.kill(self._children()))
        try:
            # Each finds what it needs already there.
            await child_keeper.start([self._controller])
            await self._start_workers(list(self._workers.values()))
            await child_keeper.start(self._servers)
            for child in self._children():
                self._keeper.keep(child)
            self._lifetime.stopping.on_hangup(self._reload)
            announce(banner(self._facts()))
            await self._lifetime.wait()
            await self._stop()
        finally:
            # However this ends, a program without its supervisor would hold its port for ever.
            child_keeper.kill(self._children())

    async def exposition(self) -> bytes:
        """The metrics of all processes on one page."""
        async with self._scraping:
            own = await asyncio.to_thread(render, self._metrics.registry)
            pages = await asyncio.gather(*map(_page_of, self._children()))
            return await asyncio.to_thread(self._merged.page, [ProcessPage("supervisor", 0, 0, own), *pages])

    def _children(self) -> list[Child]:
        return [self._controller, *self._workers.values(), *self._servers]

    async def _asked(self, question: Json) -> Json:
        """What a child asks for: that everybody reads the configuration again or forgets something, or what a reload would do."""
        if question["do"] == RELOAD:
            return await self._reload()
        if question["do"] == RESET:
            answers = await asyncio.gather(*(child.ask(question, SOON_SECONDS) for child in self._servers))
            # Whoever is dead has forgotten it.
            return {"heard": all(map(_has_heard, self._servers, answers))}
        if question["do"] == PREVIEW:
            async with self._reloading:
                return await prospect_for_children(
                    self._live, partial(self._programs.api_environment, spoken=self._spoken), self._offers_under
                )
        return {}

    def _offers_under(self, settings: Settings) -> list[str | Offer]:
        running = {provider.row.name: provider for provider in self._settings.providers}
        make = factory.provider_client_maker(settings, self._client, QuotaBook())
        return [
            name if running.get(name := provider.row.name) == provider else make(provider).offer
            for provider in settings.providers
        ]

    async def _reload(self) -> Json:
        """One after the other: what was applied, what waits for a restart, and what is wrong, as ``LiveSettings.reload``."""
        async with self._reloading:
            self._behind = []
            outcome = await self._live.reload()
            return {**outcome, "needs_restart": outcome["needs_restart"] + self._behind}

    def _load_again(self) -> Settings:
        env_file = self._source.env_file
        settings, self._spoken = when_still(
            lambda: (self._source.load(), spoken_variables(env_file)), (self._settings.config, env_file)
        )
        return with_ports(settings, self._settings.port, self._settings.controller_port)

    def _report_reload(self, problem: str) -> None:
        """People hear of it once: the first API server tells them."""
        reporting = asyncio.create_task(self._servers[0].ask({"do": SAY, "problem": problem}, SOON_SECONDS))
        self._reporting.add(reporting)
        reporting.add_done_callback(self._reporting.discard)

    async def _apply_settings(self, settings: Settings) -> None:
        """Start what is new, let all others read the configuration again, end what is gone. Raises StartupProblem when something
        new does not come up, and then nothing has changed."""
        before, self._settings = self._settings, settings
        try:
            fresh = await self._started([] if self._source.replicas else settings.providers)
        except BaseException:
            self._settings = before
            raise
        self._redact.learn(settings.secrets())
        kept = {provider.row.name for provider in settings.providers}
        gone = [child for name, child in self._workers.items() if name not in kept]
        self._workers = {name: child for name, child in (self._workers | fresh).items() if name in kept}
        for child in self._children():
            # Also for when it is started again.
            child.environment = self._programs.environment_of(child, self._spoken)
        known = [child for name, child in self._workers.items() if name not in fresh]
        for group in (known, self._servers):
            await asyncio.gather(*(self._let_reload(child, [one.address for one in gone]) for child in group))
        for child in gone:
            # It lets its running attempts come to their end.
            self._keeper.let_go(child)
            child.stop()

    def _make_workers(self, providers: Sequence[ProviderSetting]) -> dict[str, Child]:
        return {provider.row.name: self._programs.worker(provider, self._ports, self._spoken) for provider in providers}

    async def _started(self, wanted: Sequence[ProviderSetting]) -> dict[str, Child]:
        """The workers of those among these that have none yet."""
        workers = self._make_workers([provider for provider in wanted if provider.row.name not in self._workers])
        try:
            await self._start_workers(list(workers.values()))
        except BaseException:
            child_keeper.kill(list(workers.values()))
            raise
        for child in workers.values():
            self._keeper.keep(child)
        return workers

    async def _let_reload(self, child: Child, gone: Sequence[str]) -> None:
        """One that is dead reads it when it is started again. ``gone`` are workers that nobody is to be sent to from then on."""
        question = {"do": RELOAD, "environment": dict(child.environment), "gone": gone}
        outcome = await child.ask(question, RELOAD_SECONDS)
        if outcome is None and not child.is_running:
            return
        problems = ["It did not answer."] if outcome is None else outcome["problems"]
        for problem in problems:
            logger.error("the %s keeps its old configuration: %s", child.name, problem)
            self._behind.append({"name": child.name, "old": "its old configuration", "new": f"not taken: {problem}"})

    async def _start_workers(self, workers: Sequence[Child]) -> None:
        """Return when the controller knows them, so that API servers find them there; not for long, as they register again and again."""
        await child_keeper.start(workers)
        addresses = {worker.address for worker in workers}
        deadline = time.monotonic() + KNOWN_SECONDS
        while addresses and time.monotonic() < deadline:
            _, answer = await self._control.get(f"{controller_address(self._settings)}/orcestator/workers")
            known = {row.get("worker_name") for row in answer.get("workers") or () if isinstance(row, dict)}
            if addresses <= known:
                return
            await asyncio.sleep(0.02)

    async def _stop(self) -> None:
        """API servers drain first: their running requests still need the workers."""
        self._keeper.let_all_go()
        patience = self._settings.drain_seconds + KILL_AFTER_SECONDS
        await child_keeper.end(self._servers, patience)
        # Once nobody accepts any more, a new caller must be refused and not left waiting.
        self._port.close()
        await child_keeper.end(list(self._workers.values()), patience)
        await child_keeper.end([self._controller], patience)

    def _facts(self) -> Facts:
        providers = tuple(
            ProviderLine(provider.row.name, provider.row.default_model, provider.base_url)
            for provider in self._settings.providers
        )
        processes = tuple((child.name, str(child.pid), f"python -m {child.arguments[0]}") for child in self._children())
        return Facts(self._settings, providers, processes, self._source.replicas)


async def _page_of(child: Child) -> ProcessPage:
    pid, restarts = child.pid, child.restarts
    answer = await child.ask({"do": METRICS}, METRICS_SECONDS)
    return ProcessPage(child.name, pid, restarts, answer["page"].encode() if answer else None)


def _has_heard(child: Child, answer: Json | None) -> bool:
    return answer is not None or not child.is_running


async def _close(port: CallersPort) -> None:
    port.close()
