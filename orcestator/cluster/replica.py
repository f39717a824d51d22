"""A replica, one of several complete processes on the same port: it serves callers and calls the providers itself.

What one process alone would keep to itself, its supervisor takes to the others: reloads, resets, added providers, metrics.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from orcestator.bridge.control import ControlClient
from orcestator.bridge.directory import JoinedDirectory, RemoteDirectory
from orcestator.cluster import factory
from orcestator.cluster.api_server import Management
from orcestator.cluster.complete_server import CompleteServer
from orcestator.cluster.lifetime import Lifetime, drain_exchanges
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.pipe_rpc import PipeChannel
from orcestator.cluster.provider_admin import ProviderAdmin
from orcestator.cluster.recording import start_log
from orcestator.cluster.split import controller_state
from orcestator.cluster.supervision import (
    CHOSEN_BY_SUPERVISOR,
    METRICS,
    RELOAD,
    RESET,
    SAY,
    LoadFrom,
    SupervisedLedgers,
    answer_supervisor,
    for_nobody,
    metrics_answer,
    prospect_everywhere,
    reload_answer,
    reload_everywhere,
    report_answer,
    reset_answer,
    say_ready,
)
from orcestator.errors import StartupProblem
from orcestator.server.drain import Drain
from orcestator.settings import Settings


class Part(NamedTuple):
    """Which of how many replicas a process is."""

    number: int
    """Counted from 1. It stays the same when the process is started again, and with it what the process has used of its quotas."""
    processes: int


async def run_replica(
    settings: Settings, controller: str, listener: Callable[[], socket.socket], load_from: LoadFrom, part: Part
) -> None:
    """Serve until a signal, or until the supervisor is gone. Raises StartupProblem when it cannot start."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=True)
    try:
        drain = await _start(settings, controller, listener, load_from, part, lifetime)
        await say_ready(lifetime.stopping.supervisor)
        await lifetime.wait(drain)
        await drain_exchanges(drain, settings.drain_seconds)
    finally:
        await lifetime.close()


async def _start(
    settings: Settings,
    controller: str,
    listener: Callable[[], socket.socket],
    load_from: LoadFrom,
    part: Part,
    lifetime: Lifetime,
) -> Drain:
    supervisor = lifetime.stopping.supervisor
    if supervisor is None:
        raise StartupProblem("--replica needs --supervised: orcestator up --workers N starts them.")
    log = start_log(settings, lifetime)
    bound = listener()
    client = factory.make_upstream_client(settings)
    lifetime.on_close(client.close)
    names = factory.public_names(settings)
    elsewhere = RemoteDirectory(ControlClient(client, settings.worker_secret), controller, names)
    await elsewhere.refresh()
    server = CompleteServer(
        settings, log, client, lambda links: JoinedDirectory(links, elsewhere, names), lifetime,
        processes=part.processes, process=part.number,
    )  # fmt: skip
    live = LiveSettings(settings, partial(load_from, None), server.apply_settings, for_nobody)
    answer_supervisor(
        supervisor,
        {
            RELOAD: reload_answer(live, load_from),
            SAY: report_answer(server.api.report_reload),
            METRICS: metrics_answer(server.api.recording.exposition),
            RESET: reset_answer(server.api.router),
        },
    )
    management = _management(server, live, elsewhere, controller, load_from, supervisor)
    await server.api.serve(bound, controller, management, lifetime)
    server.providers.run_beside(lifetime)
    lifetime.stopping.on_hangup(management.reload)
    lifetime.run_beside(elsewhere.run(lifetime.stopping.event))
    return server.api.drain


def _management(
    server: CompleteServer,
    live: LiveSettings,
    elsewhere: RemoteDirectory,
    controller: str,
    load_from: LoadFrom,
    supervisor: PipeChannel,
) -> Management:
    reload = partial(reload_everywhere, supervisor)
    catalog = server.directory.catalog
    return Management(
        live=live,
        reload=reload,
        prospect=partial(prospect_everywhere, supervisor, load_from, catalog),
        components={
            "providers": server.component(),
            # Without it the providers of this process are served all the same.
            "controller": lambda: (True, controller_state(elsewhere, controller)[1]),
        },
        shows_providers=True,
        check=server.providers.check,
        # By the time a reload is answered every process has it.
        added=ProviderAdmin(lambda: live.settings, reload, catalog, patience_seconds=0.0),
        ledgers=SupervisedLedgers(supervisor, server.api.router),
        hidden=CHOSEN_BY_SUPERVISOR,
    )
