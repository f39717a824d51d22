"""The whole cluster in one process: the same parts, with function calls in place of the HTTP hops."""

from collections.abc import Callable
from functools import partial

from orcestator.bridge.directory import LocalDirectory
from orcestator.cluster import factory
from orcestator.cluster.api_server import Management
from orcestator.cluster.banner import Facts, banner
from orcestator.cluster.complete_server import CompleteServer
from orcestator.cluster.lifetime import Lifetime, drain_exchanges
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.metrics import in_a_thread, serve_metrics
from orcestator.cluster.ports import controller_address, port_of, with_ports
from orcestator.cluster.preview import prospect_here
from orcestator.cluster.provider_admin import ProviderAdmin
from orcestator.cluster.recording import start_log
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.server.drain import Drain
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings

Announce = Callable[[str], None]


async def run_embedded(settings: Settings, announce: Announce, load_again: Callable[[], Settings]) -> None:
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
    settings: Settings, lifetime: Lifetime, announce: Announce, load_again: Callable[[], Settings]
) -> Drain:
    """Everything that can refuse to start comes before the banner."""
    log = start_log(settings, lifetime)
    api_socket = listen(settings.host, settings.port, "OR_PORT")
    controller_socket = listen(settings.controller_host, settings.controller_port, "OR_CONTROLLER_PORT")
    settings = with_ports(settings, port_of(api_socket), port_of(controller_socket))
    sandbox = EmbeddedSandbox(lifetime)
    settings = await sandbox.found_in(settings)
    client = factory.make_upstream_client(settings)
    lifetime.on_close(client.close)
    controller = factory.make_controller(settings, client, settings.controller_host, is_alone=True)
    controller.restore()
    names = factory.public_names(settings)
    server = CompleteServer(
        settings, log, client, lambda links: LocalDirectory(links, controller.registry, names), lifetime
    )
    live = LiveSettings(
        settings,
        _with_these_ports(load_again, settings),
        server.apply_settings,
        server.api.report_reload,
        sandbox.found_in,
    )
    control_server = Server(controller, controller_socket, factory.edge_limits(settings))
    await control_server.start()
    lifetime.on_close(control_server.close)
    await serve_metrics(settings, in_a_thread(server.api.recording.exposition), lifetime)
    await server.api.serve(api_socket, controller_address(settings), _management(server, live), lifetime)
    server.providers.run_beside(lifetime)
    lifetime.stopping.on_hangup(live.reload)
    lifetime.run_beside(controller.run_maintenance(lifetime.stopping.event))
    announce(banner(Facts.of(settings, server.links)))
    return server.api.drain


def _with_these_ports(load_again: Callable[[], Settings], running: Settings) -> Callable[[], Settings]:
    return lambda: with_ports(load_again(), running.port, running.controller_port)


def _management(server: CompleteServer, live: LiveSettings) -> Management:
    return Management(
        live=live,
        reload=live.reload,
        prospect=partial(prospect_here, live, server.offers_under),
        components={
            "providers": server.component(),
            "controller": lambda: (True, {"port": live.settings.controller_port}),
        },
        shows_providers=True,
        check=server.providers.check,
        added=ProviderAdmin(lambda: live.settings, live.reload, server.directory.catalog, patience_seconds=0.0),
    )
