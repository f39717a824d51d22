"""Real clusters for tests: the program as a process, the sandbox upstream in a thread, and how to ask them things."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
STOP_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
"""How long a test waits for what must come. It bounds a failing test; no test that passes waits for it."""
WIRINGS = ("one process", "split")
REPLICAS = "two complete processes"
EVERY_WIRING = (*WIRINGS, REPLICAS)
"""For what crosses processes; the rest behaves in complete processes as it does in one."""


class PortBlock:
    """A row of ports that only this process gives out, however many test runs and workers there are on the machine.

    Between choosing a port and listening on it anybody may take it, and who takes ports all the time is the kernel, for
    connections and for servers that leave the choice to it. So the row is below what it chooses from: 32768 and up on
    Linux, 49152 and up on macOS and Windows. It belongs to whoever has its first port bound, until that process ends.
    """

    FIRST, END, SIZE = 22_000, 32_500, 500

    def __init__(self) -> None:
        for first in range(self.FIRST, self.END, self.SIZE):
            if (claim := _bound(first)) is not None:
                self._claim = claim
                self._ports = cycle(range(first + 1, first + self.SIZE))
                return
        raise AssertionError(f"no row of {self.SIZE} ports is free between {self.FIRST} and {self.END}")

    def take(self) -> int:
        """The next port of the row that nobody has bound or has only just left."""
        for port in islice(self._ports, self.SIZE):
            if (probe := _bound(port)) is not None:
                probe.close()
                return port
        raise AssertionError("every port of the row is in use")

    def close(self) -> None:
        """Leave the row to others."""
        self._claim.close()


def _bound(port: int) -> socket.socket | None:
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    return probe


@cache
def _block() -> PortBlock:
    return PortBlock()


def free_port() -> int:
    """A port that nobody listens on, and that no other test is given."""
    return _block().take()


def local_request(method: str, url: str, **more: Any) -> httpx.Response:
    """A request to this machine, on a connection of its own.

    No proxy, and no TLS: reading the certificate authorities for it would take twenty times as long as the request.
    """
    return httpx.request(method, url, trust_env=False, verify=False, **{"timeout": PATIENCE_SECONDS, **more})


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition of another process, which no event of ours can tell."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s: {what}")
        time.sleep(0.01)


class SandboxThread:
    """A sandbox that serves while the test's own thread blocks."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.server = SandboxServer(settings or SandboxSettings())

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.server.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the sandbox's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE_SECONDS)

    def reset(self) -> None:
        """Forget what was received."""

        async def forget() -> None:
            self.server.reset()

        self.run(forget())

    def wait_for(self, condition: Callable[[list[Any]], bool], seconds: float = PATIENCE_SECONDS) -> list[Any]:
        """The records as soon as ``condition`` holds of them."""
        records: list[Any] = self.run(self.server.wait_for(condition, seconds))
        return records

    @property
    def records(self) -> list[Any]:
        """What was received so far."""
        return list(self.server.records)

    @property
    def last_call(self) -> Any:
        """The last request but for the lists of models, which a cluster reads of its own accord and when it likes."""
        return next(record for record in reversed(self.records) if record.method == "POST")

    @property
    def base_url(self) -> str:
        """The OpenAI base URL."""
        return self.server.base_url


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without anything that could change orcestator: no keys, no settings."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(("LC_", "PYTHON"))}
    # Compiling the package anew takes a program longer than all the rest of its start, and hundreds are started.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    # stock programs write log files into the working directory unless told not to
    return {**kept, "PYTHONPATH": str(ROOT), "LOGDIR": "", "PYTHONUNBUFFERED": "1", **more}


_KEPT = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "VIRTUAL_ENV"})


@dataclass
class Program:
    """A program of ours (or a stock one) as a process."""

    arguments: Sequence[str]
    directory: Path
    environment: dict[str, str] = field(default_factory=clean_environment)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; its output goes to a file in its directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._output = (self.directory / f"output-{time.monotonic_ns()}.txt").open("wb+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        return self

    def output(self) -> str:
        """Everything it printed so far."""
        return Path(self._output.name).read_text("utf-8", "replace")

    def wait_ready(self, url: str) -> None:
        """Until ``url`` answers 200. Raises AssertionError with its output when it ends before."""
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
            with contextlib.suppress(httpx.HTTPError):
                if local_request("GET", url, timeout=2).status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_SECONDS:g} s:\n{self.output()}")

    def kill(self) -> None:
        """End it as the kernel would, with nothing said."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._output.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and wait; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"did not end after {STOP_SECONDS:g} s:\n{self.output()}") from None
        self._output.close()
        return self.process.returncode


@dataclass
class Cluster:
    """``orcestator up`` as a process, in one of the wirings.

    Hedging is off unless a test is about it: on a busy machine every call is slow now and then, and which upstream answers
    what must not depend on that.
    """

    directory: Path
    config: str = ""
    wiring: str = "one process"
    environment: dict[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        arguments = ["orcestator", "up", "--port", str(self.port), *self.arguments]
        if self.config:
            (self.directory / "config.yaml").write_text(self.config, "utf-8")
            arguments += ["--config", "config.yaml"]
        if self.wiring == "split":
            arguments.append("--processes")
        elif self.wiring == REPLICAS:
            arguments += ["--workers", "2"]
        environment = clean_environment(
            OR_METRICS_PORT=str(self.metrics_port),
            OR_CONTROLLER_PORT=str(self.controller_port),
            OR_HOST="127.0.0.1",
            **{"OR_HEDGING": "false", **self.environment},
        )
        self.program = Program(arguments, self.directory, environment).start()
        try:
            self._wait_until_it_serves()
        except BaseException:
            # Nobody leaves what was never entered: it would run on beside all tests that follow.
            self.program.kill()
            raise
        return self

    def _wait_until_it_serves(self) -> None:
        self.program.wait_ready(f"{self.url}/ready")
        until(lambda: bool(self.models()), "a model is listed")
        if self.wiring == "split":
            # A worker registers on its own when it serves, which may be after the API server first asked who is there.
            wanted = len((yaml.safe_load(self.config) or {}).get("providers") or ())
            until(lambda: self._offers() >= wanted, f"{wanted} workers are known")
        until(lambda: "point clients at" in self.program.output(), "the banner is printed")

    def __exit__(self, *_: object) -> None:
        status = self.program.stop()
        assert status == 0, f"ended with {status}:\n{self.program.output()}"

    def _offers(self) -> int:
        """How many providers the API server of a split cluster knows."""
        offers: int = self.get("/health").json()["components"]["controller"]["offers"]
        return offers

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET from the API server."""
        return local_request("GET", self.url + path, **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        """POST JSON to the API server."""
        return local_request("POST", self.url + path, json=body, **{"timeout": 60, **more})

    def models(self) -> list[dict[str, Any]]:
        """What it lists."""
        found: list[dict[str, Any]] = self.get("/v1/models").json()["data"]
        return found

    def metrics(self) -> dict[str, float]:
        """The samples of its metrics page."""
        text = local_request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics").text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def traffic(self) -> list[str]:
        """The lines of its traffic log."""
        path = self.directory / "logs" / "traffic.log"
        return path.read_text("utf-8").splitlines() if path.exists() else []


def chat(text: str = "hello", model: str = "orcestator", **more: Any) -> dict[str, Any]:
    """A chat call."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def events_of(response: httpx.Response) -> Iterator[str]:
    """The data of each event of a stream. Not by ``iter_lines``, which also splits at U+2028 inside a text."""
    tail = b""
    for piece in response.iter_bytes():
        *lines, tail = (tail + piece).split(b"\n")
        yield from (line.removeprefix(b"data: ").decode() for line in lines if line.startswith(b"data: "))


def streamed(cluster: Cluster, call: dict[str, Any]) -> tuple[int, list[str], bool]:
    """(status, data of every event, whether the body ended properly)."""
    events: list[str] = []
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client:
        try:
            with client.stream("POST", cluster.url + "/v1/chat/completions", json={**call, "stream": True}) as response:
                if response.status_code != 200:
                    return response.status_code, [response.read().decode()], True
                events.extend(events_of(response))
        except httpx.RemoteProtocolError:
            return 200, events, False
    return 200, events, True


def text_of(events: Sequence[str]) -> str:
    """The text of a stream's events."""
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", []))
