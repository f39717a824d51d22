"""The controller and the API server of the split cluster: the same parts as in one process, with HTTP between them."""

import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from orcestator.bridge.carrier import Carriers
from orcestator.bridge.control import ControlClient
from orcestator.bridge.directory import RemoteDirectory
from orcestator.bridge.ledgers import WorkerLedgers
from orcestator.bridge.worker_ping import WorkerPing
from orcestator.cluster import factory
from orcestator.cluster.api_server import ApiServer, Log, Management, local_token_of
from orcestator.cluster.lifetime import Lifetime, drain_exchanges
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.metrics import in_a_thread, serve_metrics, start_metrics
from orcestator.cluster.pipe_rpc import PipeChannel
from orcestator.cluster.preview import prospect_here
from orcestator.cluster.provider_admin import ProviderAdmin
from orcestator.cluster.recording import start_log
from orcestator.cluster.supervision import (
    CHOSEN_BY_SUPERVISOR,
    METRICS,
    RELOAD,
    SAY,
    LoadFrom,
    answer_supervisor,
    for_nobody,
    metrics_answer,
    prospect_everywhere,
    reload_answer,
    reload_everywhere,
    report_answer,
    say_ready,
)
from orcestator.json_text import Json
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings
from orcestator.telemetry.exposition import render
from orcestator.upstream.http.client import UpstreamClient

WORKER_SECONDS = 25.0
"""How long a worker may take until its offer is here; the supervisor itself gives it 20."""
Announce = Callable[[str], None]


async def run_controller(
    settings: Settings, host: str, port: int, announce: Announce, *, supervised: bool = False
) -> None:
    """The controller program."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        log, _ = start_log(settings, lifetime)
        client = factory.make_upstream_client(settings)
        lifetime.on_close(client.close)
        app = factory.make_controller(settings, client, host)
        app.restore()
        listener = listen(host, port, "OR_CONTROLLER_PORT" if supervised else "--port")
        server = Server(app, listener, factory.edge_limits(settings))
        await server.start()
        lifetime.on_close(server.close)
        lifetime.run_beside(app.run_maintenance(lifetime.stopping.event))
        if lifetime.stopping.supervisor is not None:
            metrics = start_metrics(log, lifetime)
            answer_supervisor(
                lifetime.stopping.supervisor, {METRICS: metrics_answer(partial(render, metrics.registry))}
            )
        announce(f"orcestator controller listens on {host}:{server.port}\n")
        await say_ready(lifetime.stopping.supervisor)
        await lifetime.wait()
    finally:
        await lifetime.close()


async def run_api_server(
    settings: Settings,
    controller: str,
    listener: Callable[[], socket.socket],
    announce: Announce,
    load_from: LoadFrom,
    *,
    supervised: bool = False,
) -> None:
    """The API server program, in front of workers. ``listener`` opens its socket, or gives the one that a supervisor opened for several
    of us. Raises StartupProblem when it cannot start."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        api = await _start_api_server(settings, controller, listener, announce, load_from, lifetime)
        await say_ready(lifetime.stopping.supervisor)
        await lifetime.wait(api.drain)
        await drain_exchanges(api.drain, settings.drain_seconds)
    finally:
        await lifetime.close()


async def _start_api_server(
    settings: Settings,
    controller: str,
    listener: Callable[[], socket.socket],
    announce: Announce,
    load_from: LoadFrom,
    lifetime: Lifetime,
) -> ApiServer:
    log = start_log(settings, lifetime)
    bound = listener()
    client = factory.make_upstream_client(settings)
    lifetime.on_close(client.close)
    control = ControlClient(client, settings.worker_secret)
    directory = RemoteDirectory(control, controller, factory.public_names(settings))
    api = _api_server(settings, log, client, directory, lifetime)
    supervisor = lifetime.stopping.supervisor
    report = api.report_reload if supervisor is None else for_nobody
    live = LiveSettings(settings, partial(load_from, None), api.apply_settings, report)
    if supervisor is None:
        await serve_metrics(settings, in_a_thread(api.recording.exposition), lifetime)
    else:
        # The new names may be those of workers that were started for them.
        reload = reload_answer(live, load_from, before=directory.refresh, leave=directory.leave)
        report_here, metrics = report_answer(api.report_reload), metrics_answer(api.recording.exposition)
        answer_supervisor(supervisor, {RELOAD: reload, SAY: report_here, METRICS: metrics})
    await directory.refresh()
    management = _management(
        live, directory, controller, WorkerLedgers(control, directory.catalog), load_from, supervisor
    )
    lifetime.stopping.on_hangup(management.reload)
    server = await api.serve(bound, controller, management, lifetime)
    lifetime.run_beside(directory.run(lifetime.stopping.event))
    announce(f"orcestator API server listens on {settings.host}:{server.port}, controller {controller}\n")
    return api


def _api_server(
    settings: Settings, log: Log, client: UpstreamClient, directory: RemoteDirectory, lifetime: Lifetime
) -> ApiServer:
    pulse = WorkerPing(client)
    lifetime.run_beside(pulse.run())

    def carriers(now: Settings) -> Carriers:
        return factory.make_carriers(now, client, _no_link, pulse)

    token = local_token_of(settings)
    return ApiServer(settings, log, directory, carriers, QuotaBook(), is_shared=True, local_token=token)


def _no_link(_provider: str) -> None:
    """An API server in front of workers holds no key, and so no link."""


def _management(
    live: LiveSettings,
    directory: RemoteDirectory,
    controller: str,
    ledgers: WorkerLedgers,
    load_from: LoadFrom,
    supervisor: PipeChannel | None,
) -> Management:
    alone = Management(
        live=live,
        reload=live.reload,
        prospect=partial(prospect_here, live, lambda _settings: directory.catalog().offers),
        components={"controller": lambda: controller_state(directory, controller)},
        shows_providers=False,
        ledgers=ledgers,
    )
    if supervisor is None:
        return alone
    reload = partial(reload_everywhere, supervisor)
    return replace(
        alone,
        reload=reload,
        prospect=partial(prospect_everywhere, supervisor, load_from, directory.catalog),
        # Only a supervisor starts workers.
        added=ProviderAdmin(lambda: live.settings, reload, directory.catalog, patience_seconds=WORKER_SECONDS),
        hidden=CHOSEN_BY_SUPERVISOR,
    )


def controller_state(directory: RemoteDirectory, controller: str) -> tuple[bool, Json]:
    """What ``/health`` says of the controller. A lost one is no reason to send requests elsewhere: the last plan still works."""
    reached = directory.reaches_controller
    works = bool(directory.catalog().offers)
    return works, {"address": controller, "reached": reached, "offers": len(directory.catalog().offers)}
