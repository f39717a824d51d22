"""``orcestator up --processes``: controller, one worker a provider and N API servers as children of one process.

It starts them in order, restarts one that dies with back-off, passes the end on to all of them, and merges the
metrics of the API servers into one page. It serves no request itself.
"""

import asyncio
import logging
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orcestator.bridge.control import ControlClient
from orcestator.cluster.banner import Facts, ProviderLine, banner
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.recording import check_files, start_log
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.errors import StartupProblem
from orcestator.providers.rows import SANDBOX
from orcestator.providers.secret import Secret
from orcestator.settings import Settings, child_environment
from orcestator.settings.choices import ProviderSetting
from orcestator.telemetry.exposition import merge
from orcestator.telemetry.metrics_server import MetricsServer
from orcestator.upstream.client import UpstreamClient
from orcestator.web.serving import listen

logger = logging.getLogger(__name__)
Announce = Callable[[str], None]
FIRST_WORKER_PORT = 8002
READY_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 1.0
"""A child that served this long was well: when something kills it, it is restarted at once. One that dies sooner may
be unable to live, and restarting it in a hurry would burn the machine."""
KILL_AFTER_SECONDS = 5.0
REFUSED_TO_START = 2
"""The status of a program of ours that printed one sentence about why it cannot start."""


@dataclass(slots=True, eq=False)
class Child:
    """One supervised program. ``ready_url`` answers 200 when it serves."""

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    ready_url: str
    pass_fds: Sequence[int] = ()
    process: asyncio.subprocess.Process | None = None
    failures: int = field(default=0)

    async def start(self) -> None:
        """Start the program."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *self.arguments,
            env=dict(self.environment),
            # Held open as long as we live: a child that sees it close has lost its supervisor and ends.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=self.pass_fds if sys.platform != "win32" else (),
            # A Ctrl-C at the terminal reaches the supervisor alone; it tells the children itself.
            start_new_session=sys.platform != "win32",
        )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Pass a signal on."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.returncode is None

    async def wait(self) -> int:
        """Until it ends; its status."""
        return await self.process.wait() if self.process is not None else 0


async def run_supervised(
    settings: Settings, config: str | None, env_file: str, announce: Announce, load_again: Callable[[], Settings]
) -> None:
    """Serve until a signal; on SIGHUP read the settings again. Raises StartupProblem when a child cannot start."""
    if settings.api_workers > 1 and sys.platform == "win32":
        raise StartupProblem("--api-workers above 1 needs a system that shares sockets between processes, not Windows.")
    lifetime = Lifetime()
    lifetime.stopping.install()
    try:
        await _Supervisor(settings, config, env_file, lifetime, load_again).run(announce)
    finally:
        await lifetime.close()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        config: str | None,
        env_file: str,
        lifetime: Lifetime,
        load_again: Callable[[], Settings],
    ) -> None:
        self._settings = settings
        self._load_again = load_again
        self._env_file = env_file
        # The children get the variables of the file in their environment, each without the others' keys.
        self._config = ["--supervised", "--env-file", "", *(["--config", config] if config else [])]
        self._lifetime = lifetime
        # A cluster of one machine needs no secret of the user's: its parts share one made here.
        self._secret = settings.worker_secret or Secret(secrets.token_urlsafe(32))
        self._ports = LoopbackPorts()
        lifetime.on_close(self._ports.close)
        self._metrics_ports: list[int] = []
        self._sandbox = EmbeddedSandbox(lifetime)
        self._others: list[Child] = []
        self._workers: dict[str, Child] = {}
        self._keepers: dict[Child, asyncio.Task[None]] = {}
        self._reloading = asyncio.Lock()

    async def run(self, announce: Announce) -> None:
        check_files(self._settings)
        start_log(self._settings, self._lifetime)
        listener = listen(self._settings.host, self._settings.port, "OR_PORT")
        self._lifetime.on_close(lambda: _closed(listener))
        self._settings = await self._sandbox.found_in(self._settings)
        client = UpstreamClient()
        self._lifetime.on_close(client.close)
        control = ControlClient(client, self._secret)
        await self._serve_metrics(control, client)
        controller = self._controller()
        self._workers = {provider.row.name: self._worker(provider) for provider in self._settings.providers}
        servers = self._servers(listener)
        self._others = [controller, *servers]
        self._lifetime.stopping.before_exit.append(lambda: _kill(self._children()))
        try:
            # Each finds what it needs already there.
            for stage in ([controller], list(self._workers.values()), servers):
                await self._start(stage, control)
            for child in self._children():
                self._keepers[child] = asyncio.create_task(self._keep(child, control))
            self._lifetime.stopping.on_hangup(lambda: self._reload(control))
            announce(banner(self._facts(self._children())))
            await self._lifetime.wait()
            await self._stop([servers, list(self._workers.values()), [controller]], listener)
        finally:
            # However this ends, a program without its supervisor would hold its port for ever.
            _kill(self._children())

    def _children(self) -> list[Child]:
        return [self._others[0], *self._workers.values(), *self._others[1:]]

    async def _reload(self, control: ControlClient) -> None:
        """Replace the workers whose provider changed, a new one before the old one ends, and let the others read again."""
        async with self._reloading:
            try:
                wanted = await asyncio.to_thread(self._load_again)
                await self._take_providers(wanted, control)
            except StartupProblem as problem:
                logger.error("the configuration was not reloaded: %s", problem.message)
                return
            for child in self._others[1:]:
                child.stop(signal.SIGHUP)

    async def _take_providers(self, wanted: Settings, control: ControlClient) -> None:
        running = {provider.row.name: provider for provider in self._settings.providers}
        wanted = await self._sandbox.found_in(wanted)
        self._settings = replace(self._settings, providers=wanted.providers)
        fresh = {
            provider.row.name: self._worker(provider)
            for provider in wanted.providers
            if running.get(provider.row.name) != provider
        }
        await self._start(list(fresh.values()), control)
        names = {provider.row.name for provider in wanted.providers}
        gone = [child for name, child in self._workers.items() if name in fresh or name not in names]
        self._workers = {name: child for name, child in (self._workers | fresh).items() if name in names}
        for child in fresh.values():
            self._keepers[child] = asyncio.create_task(self._keep(child, control))
        for child in gone:
            # It lets its running attempts come to their end.
            self._keepers.pop(child).cancel()
            child.stop()

    async def _start(self, stage: Sequence[Child], control: ControlClient) -> None:
        for child in stage:
            await child.start()
        await asyncio.gather(*(self._until_ready(child, control) for child in stage))

    @property
    def _controller_address(self) -> str:
        return f"http://127.0.0.1:{self._settings.controller_port}"

    def _common(self) -> dict[str, str]:
        """What every child is told. By now the address of a sandbox that we started is in the settings, as any other's."""
        common = {"OR_WORKER_SECRET": self._secret.reveal()}
        for provider in self._settings.providers:
            if provider.row.name == SANDBOX:
                common[provider.row.base_url_env] = provider.base_url
        return common

    def _controller(self) -> Child:
        return Child(
            "controller",
            ["orcestator.controller", "--port", str(self._settings.controller_port), *self._config],
            self._environment(self._common(), None),
            f"{self._controller_address}/health",
        )

    def _worker(self, provider: ProviderSetting) -> Child:
        port = self._ports.take(FIRST_WORKER_PORT)
        return Child(
            f"worker {provider.row.name}",
            [
                "orcestator.proxy_worker", "--provider", provider.row.name, "--controller", self._controller_address,
                "--port", str(port), *self._config,
            ],
            self._environment(self._common(), provider.row.name),
            f"http://127.0.0.1:{port}/health",
        )  # fmt: skip

    def _servers(self, listener: socket.socket) -> list[Child]:
        settings, servers = self._settings, []
        for number in range(settings.api_workers):
            arguments = [
                "orcestator.api_server", "--host", settings.host, "--port", str(settings.port),
                "--controller", self._controller_address, "--metrics-port", str(self._metrics_ports[number]),
            ]  # fmt: skip
            fds: tuple[int, ...] = ()
            if sys.platform != "win32":
                fds = (listener.fileno(),)
                arguments += ["--listen-fd", str(listener.fileno())]
            environment = self._environment({**self._common(), "OR_METRICS_HOST": "127.0.0.1"}, None)
            ready = f"http://127.0.0.1:{self._metrics_ports[number]}/metrics"
            servers.append(Child(f"api server {number + 1}", [*arguments, *self._config], environment, ready, fds))
        if sys.platform == "win32":
            listener.close()
        return servers

    def _environment(self, more: Mapping[str, str], keys_of: str | None) -> dict[str, str]:
        return child_environment(self._settings, more, keys_of=keys_of, dotenv_path=self._env_file)

    async def _until_ready(self, child: Child, control: ControlClient) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if not child.is_running:
                raise _why_it_ended(child)
            if await control.is_up(child.ready_url):
                return
            await asyncio.sleep(0.02)
        raise StartupProblem(f"The {child.name} was not ready within {READY_SECONDS:g} seconds.")

    async def _keep(self, child: Child, control: ControlClient) -> None:
        """Restart the child whenever it dies, more slowly the more often it does."""
        serving_since: float | None = time.monotonic()
        while True:
            status = await child.wait()
            if self._lifetime.stopping.event.is_set():
                return
            was_well = serving_since is not None and time.monotonic() - serving_since > CALM_SECONDS
            child.failures = 1 if was_well else child.failures + 1
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (child.failures - 1))
            logger.error("%s ended with status %s; starting it again in %g s", child.name, status, pause)
            await asyncio.sleep(pause)
            await child.start()
            serving_since = await self._served_since(child, control)

    async def _served_since(self, child: Child, control: ControlClient) -> float | None:
        """When a restarted child began to serve; None when it ended before."""
        while child.is_running:
            if await control.is_up(child.ready_url):
                return time.monotonic()
            await asyncio.sleep(0.05)
        return None

    async def _stop(self, stages: list[list[Child]], listener: socket.socket) -> None:
        """API servers drain first: their running requests still need the workers."""
        for keeper in self._keepers.values():
            keeper.cancel()
        patience = self._settings.drain_seconds + KILL_AFTER_SECONDS
        for stage in stages:
            for child in stage:
                child.stop()
            await asyncio.gather(*(_ended(child, patience) for child in stage))
            # Once nobody accepts any more, a new caller must be refused and not left waiting.
            listener.close()

    async def _serve_metrics(self, control: ControlClient, client: UpstreamClient) -> None:
        settings = self._settings
        self._metrics_ports = [self._ports.take(0) for _ in range(settings.api_workers)]
        if not settings.metrics_port:
            return

        async def pages() -> bytes:
            texts = [await control.text(f"http://127.0.0.1:{port}/metrics") for port in self._metrics_ports]
            return merge(text for text in texts if text)

        server = MetricsServer(settings.metrics_host, settings.metrics_port, pages)
        await server.start()
        self._lifetime.on_close(server.close)

    def _facts(self, children: list[Child]) -> Facts:
        providers = tuple(
            ProviderLine(provider.row.name, provider.row.default_model, provider.base_url)
            for provider in self._settings.providers
        )
        processes = tuple(
            (child.name, str(child.process.pid if child.process else ""), f"python -m {child.arguments[0]}")
            for child in children
        )
        return Facts(self._settings, providers, processes)


class LoopbackPorts:
    """Free loopback ports for the children, each given once.

    On Linux a port stays reserved by a bound socket that does not listen: nobody else is given it, the child can still
    listen on it, and while the child is dead a caller is refused at once. Elsewhere two clusters that start in the same
    second may choose the same port, and one of them says so.
    """

    def __init__(self) -> None:
        self._reserved: list[socket.socket] = []
        self._next = 0

    def take(self, first: int) -> int:
        """The next free port from ``first`` up, or any when it is 0."""
        port = max(first, self._next) if first else 0
        reservation = _bound(port)
        while reservation is None:
            port += bool(first)
            reservation = _bound(port)
        port = int(reservation.getsockname()[1])
        if first:
            self._next = port + 1
        if sys.platform == "linux":
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.append(reservation)
        else:
            reservation.close()
        return port

    async def close(self) -> None:
        """Let others have the ports."""
        for reservation in self._reserved:
            reservation.close()


def _bound(port: int) -> socket.socket | None:
    reservation = socket.socket()
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return None
    return reservation


def _why_it_ended(child: Child) -> StartupProblem:
    """A program that refused to start has said why on our standard error: a second sentence would only hide it."""
    status = child.process.returncode if child.process is not None else None
    if status == REFUSED_TO_START:
        return StartupProblem("")
    return StartupProblem(f"The {child.name} ended with status {status} while starting.")


def _kill(children: Sequence[Child]) -> None:
    # The API servers first: one that outlived its workers would tell its callers of an upstream that failed.
    for child in reversed(children):
        child.stop(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


async def _ended(child: Child, patience: float) -> None:
    try:
        await asyncio.wait_for(child.wait(), patience)
    except TimeoutError:
        child.stop(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        await child.wait()


async def _closed(listener: socket.socket) -> None:
    listener.close()
