"""Faults that one HTTP address cannot give: closed ports, black holes, names, certificates, redirects, full pools.

Each against a whole cluster, streamed and not, alone and with a healthy upstream next in line.
"""

import asyncio
import contextlib
import json
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings
from tests.cluster.harness import Cluster, SandboxThread, chat, free_port, streamed, text_of

TIMES = {
    "OR_CONNECT_TIMEOUT_SECONDS": "1",
    "OR_TLS_TIMEOUT_SECONDS": "1",
    "OR_BREAKER_OPEN_SECONDS": "300",
    "OR_CONNECTIONS_PER_PROVIDER": "4",
}
CONNECTIONS = 4


@dataclass(frozen=True)
class Faulty:
    """An upstream that fails before it is asked anything: what the metrics call it, and words of its message."""

    cause: str
    words: tuple[str, ...] = ()


FAULTY = {
    "closed": Faulty("refused"),
    "hole": Faulty("connect_timeout"),
    "nameless": Faulty("dns"),
    "inward": Faulty("private_address", ("private or special address",)),
    "metadata": Faulty("private_address", ("private or special address",)),
    "self-signed": Faulty("tls", ("self-signed certificate", "TLS")),
    "wrong-host": Faulty("tls", ("Hostname mismatch", "TLS")),
    "expired": Faulty("tls", ("certificate has expired", "TLS")),
    "stalled": Faulty("tls", ("TLS handshake",)),
}
SPLIT = ("closed", "hole", "self-signed")
"""Each provider is a process of its own there, so these stand for all: the code that connects is the same."""
CASES = [("one process", name) for name in FAULTY] + [("split", name) for name in SPLIT]


class Listener:
    """Counts connections and cuts each once it was asked something, or (``is_hole``) takes none at all.

    ``calls`` are the connections over which something was sent that is not a look at the list of models: those the cluster
    takes of its own accord and when it likes.
    """

    def __init__(self, *, is_hole: bool = False) -> None:
        self.connections = self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=0 if is_hole else 64)
        self._fill: list[socket.socket] = []
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        for each in (self._socket, self._stopped, *self._fill):
            each.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def fill(self) -> "Listener":
        """Fill the backlog of a listener that does not accept, until a connection hangs."""
        self._stop.close()
        self._thread.join()
        while True:
            filler = socket.socket()
            self._fill.append(filler)
            filler.settimeout(0.2)
            try:
                filler.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return self

    def _accept(self) -> None:
        while self._stopped not in select.select([self._socket, self._stopped], [], [])[0]:
            connection, _ = self._socket.accept()
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self.calls += connection.recv(65536).startswith(b"POST ")


class SecureSandbox(SandboxThread):
    """A sandbox that speaks TLS, or only pretends to."""

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        super().__init__()
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        self.server = SandboxServer(SandboxSettings(stall_handshake=certificate is None), ssl=context)

    @property
    def named_url(self) -> str:
        """Its base URL by the name that certificates are for."""
        return f"https://localhost:{self.server.port}/v1"


def certificate(folder: Path, name: str, host: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    openssl(*made, "-addext", f"subjectAltName=DNS:{host}", "-out", paths[0], "-keyout", paths[1])
    return paths


def expired(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that was good until yesterday."""
    fresh, key = certificate(folder, "fresh", "localhost")
    openssl("x509", "-in", fresh, "-signkey", key, "-days", "-1", "-out", folder / "expired.pem")
    return folder / "expired.pem", key


def openssl(*arguments: str | Path) -> None:
    """Run the openssl program, or skip the tests."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program makes the certificates, and it is not here")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@dataclass
class Upstreams:
    """Everything the clusters of this module call."""

    alpha: SandboxThread
    beta: SandboxThread
    inward: Listener
    resetting: dict[str, Listener]
    trusted: Path
    urls: dict[str, str] = field(default_factory=dict)

    def config(self, names: tuple[str, ...], wiring: str) -> str:
        """A configuration with these providers, each with beta as its fallback."""
        urls = {
            "alpha": self.alpha.base_url,
            "resetting": f"http://127.0.0.1:{self.resetting[wiring].port}/v1",
            **{name: self.urls[name] for name in names},
            "beta": self.beta.base_url,
        }
        rows = [
            f'  {name}: {{base_url: "{url}", api_key: "a-key", default_model: echo, order: {order}}}'
            for order, (name, url) in enumerate(urls.items(), 1)
        ]
        aliases = [f'  then-{name}: ["{name}/echo", "beta/echo"]' for name in urls if name != "beta"]
        return "\n".join(["providers:", *rows, "aliases:", *aliases]) + "\n"


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    """All upstreams, good and bad."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates = {
        "good": certificate(folder, "good", "localhost"),
        "self-signed": certificate(folder, "self-signed", "localhost"),
        "wrong-host": certificate(folder, "wrong-host", "elsewhere.example"),
        "expired": expired(folder),
    }
    trusted = folder / "trusted.pem"
    # all but one are trusted, so that each fails for its own reason
    trusted.write_text("".join(certificates[name][0].read_text() for name in ("good", "wrong-host", "expired")))
    with ExitStack() as running:
        listeners = {wiring: running.enter_context(Listener()) for wiring in ("one process", "split")}
        inward = running.enter_context(Listener())
        hole = running.enter_context(Listener(is_hole=True))
        secure = {name: running.enter_context(SecureSandbox(paths)) for name, paths in certificates.items()}
        stalled = running.enter_context(SecureSandbox(None))
        alpha, beta = (running.enter_context(SandboxThread()) for _ in range(2))
        yield Upstreams(
            alpha, beta, inward, listeners, trusted,
            {
                "closed": f"http://127.0.0.1:{free_port()}/v1",
                "hole": f"http://127.0.0.1:{hole.fill().port if sys.platform == 'linux' else hole.port}/v1",
                "nameless": "https://no-such-host.invalid/v1",
                # looks like a public name, and leads to this machine: the way a name of an attacker would
                "inward": f"https://127.1:{inward.port}/v1",
                "metadata": "http://169.254.169.254/v1",
                "stalled": stalled.named_url,
                **{name: sandbox.named_url for name, sandbox in secure.items()},
            },
        )  # fmt: skip


@contextmanager
def cluster_of(upstreams: Upstreams, wiring: str, names: tuple[str, ...], directory: Path) -> Iterator[Cluster]:
    """A cluster with these providers, which trusts the certificates of the module."""
    environment = {**TIMES, "SSL_CERT_FILE": str(upstreams.trusted)}
    with Cluster(directory, upstreams.config(names, wiring), wiring, environment) as running:
        yield running


@pytest.fixture(scope="module")
def clusters(upstreams: Upstreams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cluster]]:
    """One cluster for each wiring."""
    with (
        cluster_of(upstreams, "one process", (*FAULTY, "good"), tmp_path_factory.mktemp("one")) as one,
        cluster_of(upstreams, "split", SPLIT, tmp_path_factory.mktemp("split")) as split,
    ):
        yield {"one process": one, "split": split}


def skip_if_impossible(name: str) -> None:
    """Not every system gives every fault."""
    if name == "hole" and sys.platform != "linux":
        pytest.skip("a full backlog drops connections silently on Linux only")


@pytest.mark.parametrize(("wiring", "name"), CASES)
def test_alone_it_is_a_well_formed_error(clusters: dict[str, Cluster], wiring: str, name: str) -> None:
    """Plain and streamed: a status that tells of the upstream, a message that tells what is wrong, no key in it."""
    skip_if_impossible(name)
    cluster, fault = clusters[wiring], FAULTY[name]
    plain = cluster.post("/v1/chat/completions", chat(model=f"{name}/echo"))
    status, events, whole = streamed(cluster, chat(model=f"{name}/echo"))
    assert {plain.status_code, status} <= {503, 504}
    assert whole
    for text in (plain.text, events[0]):
        error = json.loads(text)["error"]
        assert all(word in error["message"] for word in fault.words), error["message"]
        assert {"type", "param", "code"} <= error.keys()
        assert "a-key" not in text
    assert any(f'cause="{fault.cause}"' in line for line in cluster.metrics() if line.startswith("orcestator_errors"))


@pytest.mark.parametrize(("wiring", "name"), CASES)
def test_the_next_upstream_answers_unseen(clusters: dict[str, Cluster], wiring: str, name: str) -> None:
    """Plain and streamed: beta's answer."""
    skip_if_impossible(name)
    cluster = clusters[wiring]
    plain = cluster.post("/v1/chat/completions", chat("nonce:walnut", f"then-{name}"))
    assert plain.status_code == 200, plain.text
    assert plain.headers["x-orcestator-provider"] == "beta"
    status, events, whole = streamed(cluster, chat("nonce:walnut", f"then-{name}"))
    assert (status, whole, events[-1]) == (200, True, "[DONE]")
    assert "walnut" in text_of(events)


def test_a_certificate_that_is_right_is_accepted(clusters: dict[str, Cluster]) -> None:
    """The certificates of the other tests fail for what is wrong with them."""
    answer = clusters["one process"].post("/v1/chat/completions", chat("nonce:kiwi", "good/echo"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-orcestator-provider"] == "good"


def test_a_name_that_leads_inward_is_never_connected_to(clusters: dict[str, Cluster], upstreams: Upstreams) -> None:
    """U5: whatever a public-looking name resolves to, this machine is not called for it."""
    clusters["one process"].post("/v1/chat/completions", chat(model="inward/echo"))
    assert upstreams.inward.connections == 0


@pytest.mark.parametrize("wiring", ["one process", "split"])
def test_after_three_failures_nobody_connects_any_more(
    clusters: dict[str, Cluster], upstreams: Upstreams, wiring: str
) -> None:
    """U1: the breaker opens, and with a healthy upstream next its pause costs the caller nothing."""
    cluster, listener = clusters[wiring], upstreams.resetting[wiring]
    at_start = listener.calls
    attempts = []
    for _ in range(12):
        answer = cluster.post("/v1/chat/completions", chat(model="then-resetting"))
        assert answer.status_code == 200, answer.text
        attempts.append(answer.headers["x-orcestator-attempts"])
    assert attempts == ["2"] * 3 + ["1"] * 9
    assert listener.calls - at_start == 3


@pytest.mark.parametrize("wiring", ["one process", "split"])
@pytest.mark.parametrize("variant", ["fin", "rst", "idle"])
def test_a_kept_connection_that_died_costs_no_attempt(clusters: dict[str, Cluster], wiring: str, variant: str) -> None:
    """U7: the request is sent once more on a fresh connection, and nobody notices."""
    for _ in range(6):
        answer = clusters[wiring].post("/v1/chat/completions", chat(model=f"alpha/fault:U7:{variant}"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-orcestator-attempts"] == "1"


@pytest.mark.parametrize("wiring", ["one process", "split"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(
    clusters: dict[str, Cluster], upstreams: Upstreams, wiring: str, status: int
) -> None:
    """U10: 502, and whoever the redirect points at hears nothing."""
    for stream in (False, True):
        answer = clusters[wiring].post("/v1/chat/completions", chat(model=f"alpha/fault:U10:{status}", stream=stream))
        assert answer.status_code == 502, answer.text
        assert "redirect" in answer.json()["error"]["message"]
    redirected = [record for record in upstreams.alpha.records if record.port != upstreams.alpha.server.port]
    assert redirected == []
    assert any(record.model == f"fault:U10:{status}" for record in upstreams.alpha.records)


@pytest.mark.parametrize("wiring", ["one process", "split"])
def test_one_slow_upstream_does_not_hinder_the_other(
    clusters: dict[str, Cluster], upstreams: Upstreams, wiring: str
) -> None:
    """U11: with every connection to alpha in use, beta answers, alpha's fallback answers, and alpha alone says when."""
    cluster = clusters[wiring]
    upstreams.alpha.reset()
    slow = "echo?ttft=25"

    def all_in_use(records: list[Any]) -> bool:
        return sum(record.model == slow for record in records) == CONNECTIONS

    async def scenario() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        async with httpx.AsyncClient(base_url=cluster.url, timeout=60, trust_env=False, verify=False) as client:

            def ask(model: str) -> Any:
                return client.post("/v1/chat/completions", json=chat(model=model))

            running = [asyncio.create_task(ask(f"alpha/{slow}")) for _ in range(CONNECTIONS)]
            await asyncio.to_thread(upstreams.alpha.wait_for, all_in_use)
            try:
                return await asyncio.gather(ask("beta/echo"), ask("then-alpha"), ask("alpha/echo"))
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    other, fallback, alone = asyncio.run(scenario())
    assert other.status_code == 200, other.text
    assert fallback.status_code == 200, fallback.text
    assert fallback.headers["x-orcestator-provider"] == "beta"
    assert alone.status_code == 503
    assert alone.json()["error"]["code"] == "pool_full"
    assert int(alone.headers["retry-after-ms"]) > 0
    upstreams.alpha.wait_for(lambda records: all(r.peer_closed_at for r in records if r.model == slow))
    again = cluster.post("/v1/chat/completions", chat(model="alpha/echo"))
    assert again.status_code == 200, again.text
