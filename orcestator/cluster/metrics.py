"""The metrics of a process, and the port on which they are served."""

import asyncio
from collections.abc import Awaitable, Callable

from orcestator.cluster.lifetime import Lifetime
from orcestator.server.edge import EdgeLimits
from orcestator.server.local_names import is_loopback
from orcestator.server.serving import Server, listen
from orcestator.settings import Settings
from orcestator.telemetry.exposition import CONTENT_TYPE
from orcestator.telemetry.json_log import LogWriter
from orcestator.telemetry.loop_lag import LoopLag
from orcestator.telemetry.metrics import Metrics
from orcestator.web.metrics_app import MetricsApp

LIMITS = EdgeLimits(
    max_header_bytes=16 * 1024,
    max_body_bytes=1024,
    header_timeout=5.0,
    body_timeout=5.0,
    write_stall_seconds=10.0,
    keep_alive_seconds=5,
    max_connections=32,
    max_connections_per_peer=32,
)
"""A scraper asks every few seconds, and there are few of them."""


def start_metrics(log: LogWriter, lifetime: Lifetime, knows: Callable[[str], bool] = lambda _model: False) -> Metrics:
    """The metrics of a program that serves no callers: its own health, and whatever its parts count in them."""
    metrics = Metrics(knows)
    metrics.watch(log)
    lag = LoopLag(metrics.observe_lag)
    lag.start()

    async def stop() -> None:
        lag.stop()

    lifetime.on_close(stop)
    return metrics


async def serve_metrics(settings: Settings, render: Callable[[], Awaitable[bytes]], lifetime: Lifetime) -> None:
    """Serve what ``render`` gives on the metrics port, if there is to be one. Raises StartupProblem when it cannot be had."""
    if not settings.metrics_port:
        return
    host = settings.metrics_host
    app = MetricsApp(render, CONTENT_TYPE, is_local=host == "localhost" or is_loopback(host))
    server = Server(app, listen(host, settings.metrics_port, "OR_METRICS_PORT"), LIMITS)
    await server.start()
    lifetime.on_close(server.close)


def in_a_thread(render: Callable[[], bytes]) -> Callable[[], Awaitable[bytes]]:
    """Render beside the event loop: thousands of series take milliseconds."""
    return lambda: asyncio.to_thread(render)
