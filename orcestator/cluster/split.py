"""The controller and the API server of the split cluster: the same parts as in one process, with HTTP between them."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from orcestator.bridge.control import ControlClient
from orcestator.bridge.directory import RemoteDirectory
from orcestator.bridge.ledgers import WorkerLedgers
from orcestator.bridge.worker_ping import WorkerPing
from orcestator.cluster import factory as parts
from orcestator.cluster.api_server import ApiServer
from orcestator.cluster.lifetime import Lifetime, drain_exchanges
from orcestator.cluster.provider_admin import ProviderAdmin
from orcestator.cluster.recording import start_log
from orcestator.cluster.supervision import LoadFrom, obey, prospect_everywhere, reload_everywhere
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings

Json = dict[str, Any]
WORKER_SECONDS = 25.0
"""How long a worker may take until its offer is here; the supervisor itself gives it 20."""
CHOSEN_BY_SUPERVISOR = frozenset({"worker_secret", "metrics_host", "metrics_port"})
"""Settings of a supervised API server that are the supervisor's: its secret where a person gave none, and a port to read from."""
Announce = Callable[[str], None]


async def run_controller(
    settings: Settings, host: str, port: int, announce: Announce, *, supervised: bool = False
) -> None:
    """The controller program."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        start_log(settings, lifetime)
        client = parts.upstream_client(settings)
        lifetime.on_close(client.close)
        app = parts.controller(settings, client, host)
        app.restore()
        server = Server(
            app, listen(host, port, "OR_CONTROLLER_PORT" if supervised else "--port"), parts.edge_limits(settings)
        )
        await server.start()
        lifetime.on_close(server.close)
        lifetime.run_beside(app.run_maintenance(lifetime.stopping.event))
        announce(f"orcestator controller listens on {host}:{server.port}\n")
        await lifetime.wait()
    finally:
        await lifetime.close()


async def run_api_server(
    settings: Settings,
    controller: str,
    listener: socket.socket | None,
    announce: Announce,
    load_from: LoadFrom,
    *,
    supervised: bool = False,
) -> None:
    """The API server program. ``listener`` is a socket that a supervisor opened for several of us."""
    lifetime = Lifetime()
    lifetime.stopping.install(supervised=supervised)
    try:
        log = start_log(settings, lifetime)
        if listener is None:
            listener = listen(settings.host, settings.port, "--port")
        client = parts.upstream_client(settings)
        lifetime.on_close(client.close)
        control = ControlClient(client, settings.worker_secret)
        directory = RemoteDirectory(control, controller, parts.names(settings))
        pulse = WorkerPing(client)
        lifetime.run_beside(pulse.run())
        front = ApiServer(
            settings, lifetime, log, directory, lambda now: parts.carriers(now, client, _no_link, pulse), QuotaBook(),
            partial(load_from, None), is_shared=True, ledgers=WorkerLedgers(control, directory.catalog),
        )  # fmt: skip
        supervisor = lifetime.stopping.supervisor
        if supervisor is not None:
            front.reload = partial(reload_everywhere, supervisor)
            front.chosen_for_us = CHOSEN_BY_SUPERVISOR
            front.preview.prospect = partial(prospect_everywhere, supervisor, load_from, directory.catalog)
            # The new names may be those of workers that were started for them.
            obey(supervisor, front.live, load_from, before=directory.refresh, leave=directory.leave)
        lifetime.stopping.on_hangup(front.reload)
        await directory.refresh()
        server = await front.start(
            listener,
            controller,
            {"controller": lambda: _controller_state(directory, controller)},
            added=ProviderAdmin(
                lambda: front.live.settings, front.reload, directory.catalog, patience_seconds=WORKER_SECONDS
            )
            # Only a supervisor starts workers.
            if supervisor is not None
            else None,
        )
        lifetime.run_beside(directory.run(lifetime.stopping.event))
        announce(f"orcestator API server listens on {settings.host}:{server.port}, controller {controller}\n")
        await lifetime.wait(front.drain)
        await drain_exchanges(front.drain, settings.drain_seconds)
    finally:
        await lifetime.close()


def _no_link(_provider: str) -> None:
    """An API server holds no key, and so no link."""


def _controller_state(directory: RemoteDirectory, controller: str) -> tuple[bool, Json]:
    """A lost controller is no reason to send requests elsewhere: the last plan still works."""
    reached = directory.reaches_controller
    works = bool(directory.catalog().offers)
    return works, {"address": controller, "reached": reached, "offers": len(directory.catalog().offers)}
