"""The end of a request and the end of the server, in both wirings: who leaves, who is told, and what is left behind."""

import json
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.cluster.harness import (
    EVERY_WIRING,
    PATIENCE_SECONDS,
    WIRINGS,
    Cluster,
    SandboxThread,
    chat,
    events_of,
    until,
)

CHAT = "/v1/chat/completions"
LEAVES_WITHIN_SECONDS = 10.0
"""The promise is half a second; a loaded machine gets more, and is still nowhere near any time-out of ours."""
MOST_GROWTH_BYTES = 64 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def config_for(upstream: SandboxThread) -> str:
    """A configuration with one provider."""
    return f"""
providers:
  alpha: {{base_url: "{upstream.base_url}", api_key: "alpha-key", default_model: echo}}
"""


class Doomed(Cluster):
    """A cluster whose end is brought about by the test itself."""

    def __exit__(self, *_: object) -> None:
        process = self.program.process
        assert process is not None
        if process.poll() is None:
            for pid in [*family(process.pid), process.pid]:
                kill(pid)
            process.wait(PATIENCE_SECONDS)
        self.program.stop()


def cluster_over(upstream: SandboxThread, directory: Path, wiring: str, **environment: str) -> Doomed:
    """A cluster over one upstream, with rows."""
    return Doomed(directory, config_for(upstream), wiring, {"OR_DB_PATH": "rows.db", **environment})


def kill(pid: int) -> None:
    """SIGKILL, to who is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


def family(pid: int) -> list[int]:
    """The processes that descend from ``pid``."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for parent in found:
        found.extend(child for child, its_parent in parents.items() if its_parent == parent)
    return found[1:]


def resident_bytes(pid: int) -> int:
    """The memory of a process and its descendants."""
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in [pid, *family(pid)]]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rows(cluster: Cluster) -> list[dict[str, Any]]:
    """The rows of requests written so far."""
    path = cluster.directory / "rows.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in database.execute("SELECT * FROM request_row ORDER BY id")]
        except sqlite3.OperationalError:  # no table yet
            return []


@dataclass
class Asked:
    """A request in a thread of its own: what it got so far, and how it ended."""

    cluster: Cluster
    call: dict[str, Any]
    events: list[str] = field(default_factory=list)
    status: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    failure: BaseException | None = None
    began: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Self:
        """Send it."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def end(self) -> Self:
        """Wait for its end."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure
        return self

    def _run(self) -> None:
        try:
            with (
                httpx.Client(timeout=60, trust_env=False, verify=False) as client,
                client.stream("POST", self.cluster.url + CHAT, json=self.call) as answer,
            ):
                self.status, self.headers = answer.status_code, dict(answer.headers)
                if answer.headers["content-type"].startswith("text/event-stream"):
                    for event in events_of(answer):
                        self.events.append(event)
                        self.began.set()
                else:
                    self.body = answer.read().decode()
        except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
            self.failure = failure
        finally:
            self.began.set()


# The server leaves


@pytest.mark.parametrize("wiring", EVERY_WIRING)
def test_sigterm(alpha: SandboxThread, tmp_path: Path, wiring: str) -> None:
    """Not ready at once, new ones refused, running ones finished in time, the rest told, nothing lost, status 0."""
    alpha.reset()
    with cluster_over(alpha, tmp_path, wiring, OR_DRAIN_SECONDS="3") as cluster:
        brief = Asked(cluster, chat("x", "alpha/echo?tps=40&tokens=20", stream=True)).start()
        endless = Asked(cluster, chat("x", "alpha/echo?tps=5&tokens=100000", stream=True)).start()
        waiting = Asked(cluster, chat("x", "alpha/echo?ttft=60")).start()
        silent = Asked(cluster, chat("x", "alpha/echo?ttft=25", stream=True)).start()
        assert brief.began.wait(PATIENCE_SECONDS)
        assert endless.began.wait(PATIENCE_SECONDS)
        alpha.wait_for(lambda records: len([r for r in records if r.path == CHAT]) == 4)
        process = cluster.program.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        until(lambda: cluster.get("/ready").status_code == 503, "it is not ready")
        refused = cluster.post(CHAT, chat("x"))
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.json()["error"]["code"] == "shutting_down"
        assert cluster.get("/health").json()["draining"] is True

        assert "error" not in json.loads(brief.end().events[-2])
        assert brief.events[-1] == "[DONE]"
        check_told_in_stream(endless.end())
        for other in (waiting.end(), silent.end()):
            assert other.status == 503
            assert json.loads(other.body)["error"]["code"] == "shutting_down"
            assert other.headers["retry-after"]
        assert process.wait(PATIENCE_SECONDS) == 0, cluster.program.output()
        assert sorted(row["outcome"] for row in rows(cluster)) == ["ok", "shed", "shed", "shed", "shed"]
        assert len(cluster.traffic()) == 5


def check_told_in_stream(asked: Asked) -> None:
    """The three frames, the second one saying that the server is shutting down."""
    last, error = (json.loads(event) for event in asked.events[-3:-1])
    assert last["choices"][0]["finish_reason"] == "error"
    assert error["error"]["code"] == "shutting_down"
    assert "shutting down" in error["error"]["message"]
    assert asked.events[-1] == "[DONE]"


@linux_only
@pytest.mark.parametrize("wiring", EVERY_WIRING)
def test_a_second_signal_ends_at_once(alpha: SandboxThread, tmp_path: Path, wiring: str) -> None:
    """Whatever still runs, and no process of the cluster stays behind."""
    with cluster_over(alpha, tmp_path, wiring, OR_DRAIN_SECONDS="300") as cluster:
        endless = Asked(cluster, chat("x", "alpha/echo?tps=5&tokens=100000", stream=True)).start()
        assert endless.began.wait(PATIENCE_SECONDS)
        process = cluster.program.process
        assert process is not None
        everyone = [process.pid, *family(process.pid)]
        process.send_signal(signal.SIGTERM)
        until(lambda: cluster.get("/ready").status_code == 503, "it is draining")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 130
        until(lambda: not any(map(is_alive, everyone)), "every process is gone")
        with pytest.raises(httpx.RemoteProtocolError):
            endless.end()


@pytest.mark.parametrize("wiring", EVERY_WIRING)
def test_no_row_is_lost_on_sigterm(alpha: SandboxThread, tmp_path: Path, wiring: str) -> None:
    """A signal right after the last answer: as many rows and lines as requests."""
    with cluster_over(alpha, tmp_path, wiring) as cluster:
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            for _ in range(100):
                assert client.post(cluster.url + CHAT, json=chat()).status_code == 200
        assert cluster.program.stop() == 0
        assert len(rows(cluster)) == 100
        assert len(cluster.traffic()) == 100


@linux_only
@pytest.mark.parametrize("wiring", EVERY_WIRING)
def test_rows_survive_a_kill(alpha: SandboxThread, tmp_path: Path, wiring: str) -> None:
    """What was written once is there after kill -9, and the file is whole."""
    with cluster_over(alpha, tmp_path, wiring) as cluster:
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            for _ in range(50):
                assert client.post(cluster.url + CHAT, json=chat()).status_code == 200
        until(lambda: len(rows(cluster)) == 50, "every row is written")
        process = cluster.program.process
        assert process is not None
        for pid in [*family(process.pid), process.pid]:
            kill(pid)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        assert len(rows(cluster)) == 50
        with closing(sqlite3.connect(cluster.directory / "rows.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# The caller leaves


@pytest.fixture(scope="module", params=WIRINGS)
def served(
    request: pytest.FixtureRequest, alpha: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster that goes on, with rows."""
    environment = {"OR_DB_PATH": "rows.db", "OR_KEEPALIVE_INTERVAL_SECONDS": "15"}
    directory = tmp_path_factory.mktemp("served")
    with Cluster(directory, config_for(alpha), request.param, environment) as running:
        yield running


def request_bytes(cluster: Cluster, call: dict[str, Any], request_id: str = "") -> bytes:
    """A chat request as it stands on the wire."""
    body = json.dumps(call).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    )
    named = f"x-request-id: {request_id}\r\n" if request_id else ""
    return f"{head}{named}\r\n".encode() + body


def row_of(cluster: Cluster, request_id: str) -> dict[str, Any]:
    """The row of a request, as soon as it is written: others may be written late, those of a test before."""
    found: list[dict[str, Any]] = []

    def is_written() -> bool:
        found[:] = [row for row in rows(cluster) if row["request_id"].startswith(request_id)]
        return bool(found)

    until(is_written, f"a row tells of {request_id}")
    (row,) = found
    return row


def connected(cluster: Cluster) -> socket.socket:
    """A connection that the test can leave as it likes."""
    return socket.create_connection(("127.0.0.1", cluster.port), timeout=PATIENCE_SECONDS)


def read_until(caller: socket.socket, needle: bytes) -> bytes:
    """What came, up to the needle or a bit more."""
    got = b""
    while needle not in got:
        piece = caller.recv(65536)
        assert piece, got
        got += piece
    return got


def hang_up(caller: socket.socket) -> None:
    """FIN, as a program that ends does."""
    caller.close()


def reset(caller: socket.socket) -> None:
    """RST, as a program that ends with unread bytes does."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()


SITUATIONS: dict[str, dict[str, Any]] = {
    "before the first byte": chat("x", "alpha/echo?ttft=20&answer=a1", stream=True),
    "mid-stream": chat("x", "alpha/echo?tps=50&tokens=100000&answer=a2", stream=True),
    "waiting for a whole answer": chat("x", "alpha/echo?ttft=20&answer=a3"),
    "waiting for a slow body": chat("x", "alpha/fault:U8:body?interval=2"),
}


@pytest.mark.parametrize("leave", [hang_up, reset], ids=["fin", "rst"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_caller_that_leaves_frees_the_upstream(
    served: Cluster, alpha: SandboxThread, situation: str, leave: Callable[[socket.socket], None]
) -> None:
    """The upstream sees its peer close, the request ends as cancelled, and nothing runs on."""
    alpha.reset()
    caller = connected(served)
    request_id = f"left-{situation}-{leave.__name__}".replace(" ", "-")
    caller.sendall(request_bytes(served, SITUATIONS[situation], request_id))
    alpha.wait_for(lambda records: any(r.path == CHAT for r in records))
    if situation == "mid-stream":
        read_until(caller, b'"content":"a2')
    left_at = time.monotonic()
    leave(caller)
    record = alpha.last_call
    alpha.wait_for(lambda _: record.peer_closed_at is not None, LEAVES_WITHIN_SECONDS)
    print(f"{situation}: upstream saw it after {(record.peer_closed_at - left_at) * 1000:.0f} ms")
    row = row_of(served, request_id)
    assert row["outcome"] == "cancelled"
    assert row["status"] == (200 if situation == "mid-stream" else 499)
    assert (row["completion_tokens"] > 0) is (situation == "mid-stream")
    until(lambda: served.metrics()["orcestator_active_requests"] == 0, "nothing is active")


def test_a_caller_that_leaves_during_back_off(served: Cluster, alpha: SandboxThread) -> None:
    """No second attempt is made for nobody."""
    alpha.reset()
    model = "fault:H2:1"
    caller = connected(served)
    caller.sendall(request_bytes(served, chat("x", f"alpha/{model}"), "left-during-back-off"))
    alpha.wait_for(lambda records: any(r.model == model and r.finished for r in records))
    hang_up(caller)
    assert row_of(served, "left-during-back-off")["outcome"] == "cancelled"
    assert len([record for record in alpha.records if record.model == model]) == 1


def test_many_callers_that_leave_leave_nothing_behind(served: Cluster, alpha: SandboxThread) -> None:
    """After two hundred of them every permit is back, and the next caller is served."""
    alpha.reset()
    for number in range(200):
        with closing(connected(served)) as caller:
            call = chat("x", f"alpha/echo?ttft=20&answer={number % 3}", stream=True)
            caller.sendall(request_bytes(served, call, f"crowd-{number}"))

    def crowd() -> list[str]:
        return [row["outcome"] for row in rows(served) if row["request_id"].startswith("crowd-")]

    until(lambda: len(crowd()) == 200, "each has a row")
    assert set(crowd()) == {"cancelled"}
    until(lambda: all(r.peer_closed_at or r.finished for r in alpha.records), "the upstream is free")
    until(lambda: served.metrics()["orcestator_active_requests"] == 0, "nothing is active")
    assert served.get("/health").json()["active_requests"] == 0
    assert served.post(CHAT, chat()).status_code == 200


@pytest.mark.parametrize("wiring", WIRINGS)
def test_the_end_does_not_wait_for_callers_that_left_while_we_connected(
    alpha: SandboxThread, tmp_path: Path, wiring: str
) -> None:
    """They leave within a millisecond or two, many in the very moment in which the connection to their upstream is made."""
    cluster = cluster_over(alpha, tmp_path, wiring)
    with cluster:
        call = request_bytes(cluster, chat("x", "alpha/echo?ttft=20", stream=True))
        for number in range(1000):
            with closing(connected(cluster)) as caller:
                caller.sendall(call)
                leaves_at = time.perf_counter() + number % 100 * 0.00002
                while time.perf_counter() < leaves_at:
                    pass
        until(lambda: cluster.metrics()["orcestator_active_requests"] == 0, "nothing is active")
        assert cluster.program.stop() == 0, cluster.program.output()


@linux_only
def test_a_slow_reader_is_bounded(served: Cluster, alpha: SandboxThread) -> None:
    """A caller that reads nothing of a stream of 100 MB: it is read no faster, and not kept in memory."""
    process = served.program.process
    assert process is not None
    alpha.reset()
    before = resident_bytes(process.pid)
    call = chat("x", "alpha/fault:S12:flood?bytes=100000000", stream=True)
    with closing(connected(served)) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        caller.sendall(request_bytes(served, call))
        read_until(caller, b"200 OK")
        record = alpha.wait_for(lambda records: any(r.sent_bytes for r in records))[-1]
        until(_settled(lambda: record.sent_bytes), "nothing more is read of the upstream")
        growth = resident_bytes(process.pid) - before
        print(f"slow reader: {growth / (1 << 20):.1f} MiB more, {record.sent_bytes / (1 << 20):.1f} MiB sent")
        assert growth < MOST_GROWTH_BYTES
        assert record.sent_bytes < MOST_GROWTH_BYTES
        assert not record.finished
        assert served.post(CHAT, chat()).status_code == 200
    alpha.wait_for(lambda _: record.peer_closed_at is not None, LEAVES_WITHIN_SECONDS)


def _settled(measure: Callable[[], int]) -> Callable[[], bool]:
    """Whether a number has stood still for half a second."""
    last, since = measure(), time.monotonic()

    def settled() -> bool:
        nonlocal last, since
        now = measure()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    return settled
