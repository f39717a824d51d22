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
from typing import Any

from orcestator.bridge.control import ControlClient
from orcestator.cluster import factory as parts
from orcestator.cluster.banner import Facts, ProviderLine, banner
from orcestator.cluster.child import Child
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.ports import controller_address, port_of, with_ports
from orcestator.cluster.recording import check_files, start_log
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.cluster.supervision import PREVIEW, RELOAD, SAY, prospect_for_children
from orcestator.errors import StartupProblem
from orcestator.providers.rows import SANDBOX
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Offer
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.serving import listen, reserve
from orcestator.settings import Settings, child_environment, spoken_variables, when_still
from orcestator.settings.choices import ProviderSetting
from orcestator.telemetry.exposition import merge
from orcestator.telemetry.metrics_server import MetricsServer
from orcestator.upstream.http.client import UpstreamClient

Json = dict[str, Any]
logger = logging.getLogger(__name__)
Announce = Callable[[str], None]
API_SERVER = "orcestator.api_server"
FIRST_WORKER_PORT = 8002
READY_SECONDS = 60.0
KNOWN_SECONDS = 10.0
"""How long the controller may take to know a worker that serves."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 1.0
"""A child that served this long was well: when something kills it, it is restarted at once. One that dies sooner may
be unable to live, and restarting it in a hurry would burn the machine."""
KILL_AFTER_SECONDS = 5.0
REFUSED_TO_START = 2
"""The status of a program of ours that printed one sentence about why it cannot start."""


async def run_supervised(
    settings: Settings, config: str | None, env_file: str, announce: Announce, load_now: Callable[[], Settings]
) -> None:
    """Serve until a signal; on SIGHUP, or asked by a child, ``load_now`` the settings again. Raises StartupProblem when a child cannot start."""
    if settings.api_workers > 1 and sys.platform == "win32":
        raise StartupProblem("--api-workers above 1 needs a system that shares sockets between processes, not Windows.")
    lifetime = Lifetime()
    lifetime.stopping.install()
    try:
        await _Supervisor(settings, config, env_file, lifetime, load_now).run(announce)
    finally:
        await lifetime.close()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        config: str | None,
        env_file: str,
        lifetime: Lifetime,
        load_now: Callable[[], Settings],
    ) -> None:
        self._settings = settings
        self._load_now = load_now
        self._env_file = env_file
        self._spoken: Mapping[str, str] = {}
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
        self._behind: list[Json] = []
        self._telling: set[asyncio.Task[Json | None]] = set()
        self._live: LiveSettings
        self._client: UpstreamClient

    async def run(self, announce: Announce) -> None:
        check_files(self._settings)
        _, self._redact = start_log(self._settings, self._lifetime)
        listener = listen(self._settings.host, self._settings.port, "OR_PORT")
        self._lifetime.on_close(lambda: _closed(listener))
        # Here and not in the controller, which would fail again and again, and name a flag that is not the user's.
        reservation = reserve(self._settings.controller_host, self._settings.controller_port, "OR_CONTROLLER_PORT")
        self._settings = with_ports(self._settings, port_of(listener), self._ports.hold(reservation))
        self._settings = await self._sandbox.found_in(self._settings)
        client = self._client = UpstreamClient()
        self._lifetime.on_close(client.close)
        control = ControlClient(client, self._secret)
        await self._serve_metrics(control, client)
        self._live = LiveSettings(
            self._settings, self._load_again, lambda taken: self._take(taken, control), self._tell
        )
        self._live.prepare = self._sandbox.found_in
        self._spoken = spoken_variables(self._env_file)
        controller = self._controller()
        self._workers = {provider.row.name: self._worker(provider) for provider in self._settings.providers}
        servers = self._servers(listener)
        self._others = [controller, *servers]
        self._lifetime.stopping.before_exit.append(lambda: _kill(self._children()))
        try:
            # Each finds what it needs already there.
            await self._start([controller], control)
            await self._start_workers(list(self._workers.values()), control)
            await self._start(servers, control)
            for child in self._children():
                self._keepers[child] = asyncio.create_task(self._keep(child, control))
            self._lifetime.stopping.on_hangup(self._reload)
            announce(banner(self._facts(self._children())))
            await self._lifetime.wait()
            await self._stop([servers, list(self._workers.values()), [controller]], listener)
        finally:
            # However this ends, a program without its supervisor would hold its port for ever.
            _kill(self._children())

    def _children(self) -> list[Child]:
        return [self._others[0], *self._workers.values(), *self._others[1:]]

    async def _asked(self, question: Json) -> Json:
        """What a child asks for: that everybody reads the configuration again, or what that would do."""
        if question["do"] == RELOAD:
            return await self._reload()
        if question["do"] == PREVIEW:
            async with self._reloading:
                return await prospect_for_children(self._live, self._environment_under, self._offers_under)
        return {}

    def _offers_under(self, settings: Settings) -> list[str | Offer]:
        running = {provider.row.name: provider for provider in self._settings.providers}
        make = parts.link_maker(settings, self._client, QuotaBook())
        return [
            name if running.get(name := provider.row.name) == provider else make(provider).offer
            for provider in settings.providers
        ]

    async def _reload(self) -> Json:
        """One after the other: what was applied, what waits for a restart, and what is wrong, as ``Live.reload``."""
        async with self._reloading:
            self._behind = []
            outcome = await self._live.reload()
            return {**outcome, "needs_restart": outcome["needs_restart"] + self._behind}

    def _load_again(self) -> Settings:
        settings, self._spoken = when_still(
            lambda: (self._load_now(), spoken_variables(self._env_file)), (self._settings.config, self._env_file)
        )
        return with_ports(settings, self._settings.port, self._settings.controller_port)

    def _tell(self, problem: str) -> None:
        """People hear of it once: the first API server tells them."""
        telling = asyncio.create_task(self._others[1].ask({"do": SAY, "problem": problem}))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _take(self, taken: Settings, control: ControlClient) -> None:
        """Start what is new, let all others read the configuration again, end what is gone. Raises StartupProblem when something
        new does not come up, and then nothing has changed."""
        before, self._settings = self._settings, taken
        try:
            fresh = await self._started(
                [provider for provider in taken.providers if provider.row.name not in self._workers], control
            )
        except BaseException:
            self._settings = before
            raise
        self._redact.learn(taken.secrets())
        kept = {provider.row.name for provider in taken.providers}
        gone = [child for name, child in self._workers.items() if name not in kept]
        self._workers = {name: child for name, child in (self._workers | fresh).items() if name in kept}
        for child in self._children():
            # Also for when it is started again.
            child.environment = self._environment(child)
        told = [child for name, child in self._workers.items() if name not in fresh]
        addresses = [_address(child) for child in gone]
        for group in (told, self._others[1:]):
            await asyncio.gather(*(self._told_to_reload(child, addresses) for child in group))
        for child in gone:
            # It lets its running attempts come to their end.
            self._keepers.pop(child).cancel()
            child.stop()

    async def _started(self, providers: Sequence[ProviderSetting], control: ControlClient) -> dict[str, Child]:
        workers = {provider.row.name: self._worker(provider) for provider in providers}
        try:
            await self._start_workers(list(workers.values()), control)
        except BaseException:
            _kill(list(workers.values()))
            raise
        for child in workers.values():
            self._keepers[child] = asyncio.create_task(self._keep(child, control))
        return workers

    async def _told_to_reload(self, child: Child, gone: Sequence[str]) -> None:
        """One that is dead reads it when it is started again. ``gone`` are workers that nobody is to be sent to from then on."""
        outcome = await child.ask({"do": RELOAD, "environment": dict(child.environment), "gone": gone})
        if outcome is None and not child.is_running:
            return
        problems = ["It did not answer."] if outcome is None else outcome["problems"]
        for problem in problems:
            logger.error("the %s keeps its old configuration: %s", child.name, problem)
            self._behind.append({"name": child.name, "old": "its old configuration", "new": f"not taken: {problem}"})

    async def _start(self, stage: Sequence[Child], control: ControlClient) -> None:
        for child in stage:
            await child.start()
        await asyncio.gather(*(self._until_ready(child, control) for child in stage))

    async def _start_workers(self, workers: Sequence[Child], control: ControlClient) -> None:
        """Return when the controller knows them, so that API servers find them there; not for long, as they register again and again."""
        await self._start(workers, control)
        addresses = set(map(_address, workers))
        deadline = time.monotonic() + KNOWN_SECONDS
        while addresses and time.monotonic() < deadline:
            _, answer = await control.get(f"{self._controller_address}/orcestator/workers")
            known = {row.get("worker_name") for row in answer.get("workers") or () if isinstance(row, dict)}
            if addresses <= known:
                return
            await asyncio.sleep(0.02)

    @property
    def _controller_address(self) -> str:
        return controller_address(self._settings)

    def _common(self) -> dict[str, str]:
        """What every child is told. By now the address of a sandbox that we started is in the settings, as any other's."""
        common = {"OR_WORKER_SECRET": self._secret.reveal(), "OR_METRICS_HOST": "127.0.0.1"}
        for provider in self._settings.providers:
            if provider.row.name == SANDBOX:
                common[provider.row.base_url_env] = provider.base_url
        return common

    def _controller(self) -> Child:
        return self._child(
            "controller",
            ["orcestator.controller", "--port", str(self._settings.controller_port), *self._config],
            f"{self._controller_address}/health",
        )

    def _worker(self, provider: ProviderSetting) -> Child:
        port = self._ports.take(FIRST_WORKER_PORT)
        return self._child(
            f"worker {provider.row.name}",
            [
                "orcestator.proxy_worker", "--provider", provider.row.name, "--controller", self._controller_address,
                "--port", str(port), *self._config,
            ],
            f"http://127.0.0.1:{port}/health",
            keys_of=provider.row.name,
        )  # fmt: skip

    def _servers(self, listener: socket.socket) -> list[Child]:
        settings, servers = self._settings, []
        for number in range(settings.api_workers):
            arguments = [
                API_SERVER, "--host", settings.host, "--port", str(settings.port),
                "--controller", self._controller_address, "--metrics-port", str(self._metrics_ports[number]),
            ]  # fmt: skip
            fds: tuple[int, ...] = ()
            if sys.platform != "win32":
                fds = (listener.fileno(),)
                arguments += ["--listen-fd", str(listener.fileno())]
            ready = f"http://127.0.0.1:{self._metrics_ports[number]}/metrics"
            servers.append(self._child(f"api server {number + 1}", [*arguments, *self._config], ready, pass_fds=fds))
        if sys.platform == "win32":
            listener.close()
        return servers

    def _child(
        self,
        name: str,
        arguments: list[str],
        ready_url: str,
        *,
        keys_of: str | None = None,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        child = Child(name, arguments, {}, ready_url, self._asked, keys_of, pass_fds)
        child.environment = self._environment(child)
        return child

    def _environment(self, child: Child) -> dict[str, str]:
        """The variables of a child, by the settings of now."""
        return child_environment(
            self._settings,
            self._spoken,
            self._common(),
            keys_of=child.keys_of,
            serves_callers=child.arguments[0] == API_SERVER,
        )

    def _environment_under(self, settings: Settings) -> dict[str, str]:
        """The variables of an API server, by other settings."""
        return child_environment(settings, self._spoken, self._common(), keys_of=None)

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
        if sys.platform == "linux":
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = self.hold(reservation)
        if first:
            self._next = port + 1
        return port

    def hold(self, reservation: socket.socket) -> int:
        """The port of a reservation, kept until the end."""
        port = port_of(reservation)
        if sys.platform == "linux":
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


def _address(worker: Child) -> str:
    return worker.ready_url.removesuffix("/health")


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
