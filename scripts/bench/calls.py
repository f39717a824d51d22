"""``python3 scripts/bench/calls.py [--write]``: how many Python calls a request costs, held to ``calls.json``.

Microseconds differ by the machine and by what else it does; a count of calls is the same everywhere. The product runs
with everything on (caller key, traffic log, JSON log, metrics, a row of SQLite for each request) in one process, and
what its event loop calls is counted between two requests; what other threads do is not, for nobody waits for it. A
coroutine that goes on counts as a call. It must never count the upstream or the caller: they are other processes.
"""

import argparse
import contextlib
import json
import socket
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from callers import CALLERS, http_request
from gateways import (
    CALLER_KEY,
    ROOT,
    answering,
    clean_environment,
    configuration,
    free_ports,
    provider_name,
    upstream,
)
from load import Target

COUNTS = Path(__file__).resolve().parent / "calls.json"
MOST_MORE = {"event": 1.0}
"""By how much a count may rise before it fails, where that is not three."""
WARM_UP = 40
"""Requests before the first that counts: connections are made, plans kept and paths learned."""
REQUESTS = 10
ROUNDS = 5
FEW, MANY = 10, 70
"""Events of the two streams whose difference is what an event costs."""
EVENTS_PER_SECOND = 200
PATIENCE_SECONDS = 30.0


class Product:
    """A running orcestator whose calls are counted, and one connection to it."""

    def __init__(self, port: int, counting_port: int) -> None:
        self._port, self._counting_port = port, counting_port
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def calls(self) -> int:
        """What its event loop has called since it started."""
        with socket.create_connection(("127.0.0.1", self._counting_port), timeout=PATIENCE_SECONDS) as asked:
            return int(asked.makefile("rb").read())

    def ask(self, model: str, text: str, *, stream: bool) -> None:
        """One request, read to its end. Raises AssertionError when it is not answered well."""
        base = (f"127.0.0.1:{self._port}", "/v1")
        self._connection.sendall(http_request(CALLERS["openai"], base, CALLER_KEY, (model, text, stream)))
        received = b""
        while not _is_whole(received, stream=stream):
            piece = self._connection.recv(65536)
            assert piece, f"the connection was closed after {received[:500]!r}"
            received += piece
        assert received.startswith(b"HTTP/1.1 200"), received[:500]


def _is_whole(received: bytes, *, stream: bool) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    if stream and b" 200 " in head[:20]:
        return received.endswith(b"0\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.split(b":")[1])


@contextlib.contextmanager
def product() -> Iterator[Product]:
    """The product over the benchmark's upstream, in OpenAI's dialect and in Anthropic's."""
    port, metrics_port, controller_port, counting_port, upstream_port = free_ports(5)
    with tempfile.TemporaryDirectory() as name, upstream(upstream_port, Path(name)):
        folder = Path(name)
        (folder / "config.yaml").write_text(
            configuration(f"http://127.0.0.1:{upstream_port}/v1", ("openai", "anthropic")), "utf-8"
        )
        environment = clean_environment(
            OR_CALLER_KEYS=CALLER_KEY,
            OR_CONTROLLER_PORT=str(controller_port),
            OR_DB_PATH="ledger.db",
            OR_DEFAULT_MODEL=f"{provider_name('openai')}/bench-model",
            OR_LOG_FILE="traffic.log",
            OR_METRICS_PORT=str(metrics_port),
        )
        command = [sys.executable, str(Path(__file__).resolve()), "--count-at", str(counting_port)]
        command += ["up", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        target = Target(f"http://127.0.0.1:{port}/v1", CALLER_KEY, "orcestator")
        with answering("counted", target, command, folder, environment):
            running = Product(port, counting_port)
            yield running
            running.close()


def count(running: Product, ask: Callable[[], None]) -> float:
    """Calls of one request: the median of some rounds, in some of which a timer of the product ran, too."""
    for _ in range(WARM_UP):
        ask()
    rounds = []
    for _ in range(ROUNDS):
        before = running.calls()
        for _ in range(REQUESTS):
            ask()
        rounds.append((running.calls() - before) / REQUESTS)
    return statistics.median(rounds)


def counted(running: Product) -> dict[str, float]:
    """The calls of a plain chat, of one that is translated, and of an event that is relayed alone."""

    def streamed(events: int) -> float:
        text = f"bench pace={EVENTS_PER_SECOND} events={events}"
        rounds = []
        for _ in range(ROUNDS):
            before = running.calls()
            running.ask(openai, text, stream=True)
            rounds.append(running.calls() - before)
        return statistics.median(rounds)

    openai, anthropic = (f"{provider_name(dialect)}/bench-model" for dialect in ("openai", "anthropic"))
    chat = count(running, lambda: running.ask(openai, "hello", stream=False))
    translated = count(running, lambda: running.ask(anthropic, "hello", stream=False))
    running.ask(openai, "hello", stream=True)
    event = (streamed(MANY) - streamed(FEW)) / (MANY - FEW)
    return {"chat": round(chat, 1), "translated chat": round(translated, 1), "event": round(event, 1)}


def risen(found: dict[str, float], kept: dict[str, float]) -> list[str]:
    """A sentence for each count that rose by more than it may."""
    return [
        f"{name}: {calls:g} calls, {calls - kept[name]:+g}"
        for name, calls in found.items()
        if calls - kept[name] > MOST_MORE.get(name, 3.0)
    ]


def serve_counted(port: int, arguments: list[str]) -> int:
    """Run the product in this process, and tell whoever connects to the port how often its thread has called."""
    sys.path.insert(0, str(ROOT))
    from orcestator.cli import main as orcestator  # noqa: PLC0415 - only this process needs it

    calls = 0

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        if event == "call":
            calls += 1

    def tell() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(str(calls).encode())

    listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=tell, daemon=True).start()
    sys.setprofile(note)
    return orcestator(arguments)


def main() -> None:
    """Count, show, and exit with 1 when a count rose; with ``--write`` keep the counts as the new ones."""
    if sys.argv[1:2] == ["--count-at"]:
        sys.exit(serve_counted(int(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description="How many Python calls a request costs.")
    parser.add_argument("--write", action="store_true", help=f"keep what is counted in {COUNTS.name}")
    asked = parser.parse_args()
    with product() as running:
        found = counted(running)
    if asked.write:
        COUNTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    kept = json.loads(COUNTS.read_text("utf-8"))
    for name, calls in found.items():
        print(f"{name:<16}{calls:8.1f}  kept {kept[name]:8.1f}")
    sys.exit("\n".join(risen(found, kept)) or 0)


if __name__ == "__main__":
    main()
