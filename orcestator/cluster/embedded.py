"""The whole cluster in one process: the same parts, with function calls in place of the HTTP hops."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from orcestator.bridge.directory import LocalDirectory
from orcestator.bridge.worker_ping import WorkerPing
from orcestator.cluster import factory as parts
from orcestator.cluster.api_server import ApiServer
from orcestator.cluster.banner import Facts, banner
from orcestator.cluster.health_watch import HealthWatch, metrics_of, notices_of
from orcestator.cluster.lifetime import Lifetime, drain_exchanges
from orcestator.cluster.links import Links
from orcestator.cluster.ports import controller_address, port_of, with_ports
from orcestator.cluster.preview import prospect_of
from orcestator.cluster.provider_admin import ProviderAdmin
from orcestator.cluster.quota import limit, open_quota
from orcestator.cluster.recording import start_log
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.routing.offer import Offer
from orcestator.server.drain import Drain
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings
from orcestator.upstream.provider_client import ProviderClient
from orcestator.web.admin.health import Component

logger = logging.getLogger(__name__)
DISCOVER_SECONDS = 600.0
RETRY_DISCOVERY_SECONDS = 30.0


async def run_embedded(settings: Settings, announce: Callable[[str], None], load_again: Callable[[], Settings]) -> None:
    """Serve until a signal; on SIGHUP read the settings again. Raises StartupProblem when it cannot start."""
    lifetime = Lifetime()
    lifetime.stopping.install()
    try:
        drain = await _start(settings, lifetime, announce, load_again)
        await lifetime.wait(drain)
        await drain_exchanges(drain, settings.drain_seconds)
    finally:
        await lifetime.close()


async def _start(
    settings: Settings, lifetime: Lifetime, announce: Callable[[str], None], load_again: Callable[[], Settings]
) -> Drain:
    """Everything that can refuse to start comes before the banner."""
    log = start_log(settings, lifetime)
    api_socket = listen(settings.host, settings.port, "OR_PORT")
    controller_socket = listen(settings.controller_host, settings.controller_port, "OR_CONTROLLER_PORT")
    settings = with_ports(settings, port_of(api_socket), port_of(controller_socket))
    load_again = _with_these_ports(load_again, settings)
    sandbox = EmbeddedSandbox(lifetime)
    settings = await sandbox.found_in(settings)
    client = parts.upstream_client(settings)
    lifetime.on_close(client.close)
    quota, quota_writer = open_quota(settings, lifetime)
    links = Links(parts.link_maker(settings, client, quota), settings.providers)
    controller = parts.controller(settings, client, settings.controller_host, is_alone=True)
    controller.restore()
    directory = LocalDirectory(links.current, controller.registry, parts.names(settings))
    pulse = WorkerPing(client)
    lifetime.run_beside(pulse.run())
    front = ApiServer(
        settings, lifetime, log, directory, lambda now: parts.carriers(now, client, links.named, pulse), quota, load_again,
        is_shared=False,
    )  # fmt: skip
    front.recording.others.append(quota_writer)

    watch = HealthWatch(
        settings,
        front.brain.attempts.health,
        front.brain.planner.stats,
        [metrics_of(front.recording.metrics), notices_of(front.recording.notices)],
    )
    watch.watch(links.current)

    async def take(wanted: Settings) -> None:
        has_other_times = parts.patience(wanted) != parts.patience(front.live.settings)
        make = parts.link_maker(wanted, client, quota) if has_other_times else None
        fresh = links.take(wanted.providers, make, front.brain.attempts.health.has_other_keys)
        limit(quota, wanted)
        await front.take(wanted)
        watch.watch(links.current)
        await asyncio.gather(*(link.discover() for link in fresh if link.lists_models))
        directory.refresh()

    def offers_under(wanted: Settings) -> list[Offer]:
        elsewhere = [offer for offer in directory.catalog().offers if offer.worker]
        return links.offers_under(wanted.providers, parts.link_maker(wanted, client, quota)) + elsewhere

    front.preview.prospect = partial(prospect_of, front.live, offers_under)
    front.live.prepare = sandbox.found_in
    front.live.put_in_place = take
    control_server = Server(controller, controller_socket, parts.edge_limits(settings))
    await control_server.start()
    lifetime.on_close(control_server.close)
    await front.start(
        api_socket,
        controller_address(settings),
        components(settings, links.current),
        check=watch.checks.status,
        added=ProviderAdmin(lambda: front.live.settings, front.reload, directory.catalog, patience_seconds=0.0),
    )
    lifetime.run_beside(watch.checks.run(lifetime.stopping.event))
    lifetime.stopping.on_hangup(front.reload)
    lifetime.run_beside(controller.run_maintenance(lifetime.stopping.event))
    lifetime.run_beside(discover_models(links.current, directory.refresh, lifetime.stopping.event))
    announce(banner(Facts.of(settings, links.current)))
    return front.drain


def _with_these_ports(load_again: Callable[[], Settings], running: Settings) -> Callable[[], Settings]:
    return lambda: with_ports(load_again(), running.port, running.controller_port)


async def discover_models(links: list[ProviderClient], refresh: Callable[[], None], stop: asyncio.Event) -> None:
    """Read every provider's model list now and then; what cannot be read now is read again soon."""
    while not stop.is_set():
        found = await asyncio.gather(*(link.discover() for link in links if link.lists_models))
        refresh()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), DISCOVER_SECONDS if all(found) else RETRY_DISCOVERY_SECONDS)


def components(settings: Settings, links: list[ProviderClient]) -> dict[str, Component]:
    """What ``/health`` looks at."""

    def providers() -> tuple[bool, dict[str, object]]:
        return bool(links), {"names": [link.row.name for link in links]}

    return {"providers": providers, "controller": lambda: (True, {"port": settings.controller_port})}
