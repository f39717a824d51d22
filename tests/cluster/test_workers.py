"""``orcestator up --workers N``: complete processes on one port, with what they share and what a scraper sees of them."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.harness import (
    REPLICAS,
    Cluster,
    Program,
    SandboxThread,
    chat,
    clean_environment,
    free_port,
    local_request,
    until,
)
from tests.cluster.server_processes import connected, servers_of
from tests.cluster.test_startup import refusal, up
from tests.cluster.test_supervisor import children_of

CHAT = "/v1/chat/completions"
ADMIN = {"authorization": "Bearer admin-token-of-the-test"}
SECRET = "secret-of-the-cluster-0123456789"
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread() as running:
        yield running


def config(sandbox: SandboxThread, more: str = "") -> str:
    return f'providers:\n  alpha: {{base_url: "{sandbox.base_url}", api_key: k, default_model: echo{more}}}\n'


def cluster_in(directory: Path, text: str, **environment: str) -> Cluster:
    return Cluster(directory, text, REPLICAS, {"OR_ADMIN_TOKEN": "admin-token-of-the-test", **environment})


@contextmanager
def caller_at_each(cluster: Cluster) -> Iterator[list[httpx.Client]]:
    """A connection to each of the processes, and no other."""
    with ExitStack() as stack:
        yield [connected(cluster, pid, stack) for pid in servers_of(cluster)]


def ask(caller: httpx.Client, model: str = "alpha/echo") -> httpx.Response:
    return caller.post(CHAT, json=chat(model=model))


def sum_of(metrics: dict[str, float], name: str) -> float:
    return sum(value for sample, value in metrics.items() if sample.partition("{")[0] == name)


def of_processes(metrics: dict[str, float], name: str) -> dict[str, float]:
    """A metric's samples by the process that they are of."""
    found = {}
    for sample, value in metrics.items():
        family, _, labels = sample.partition("{")
        if family == name:
            found[labels.split('process="', 1)[1].split('"', 1)[0]] = value
    return found


PARTS = {"supervisor", "controller", "api server 1", "api server 2"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "2", "--processes"), ["--workers", "--processes", "choose"]),
        (("--workers", "2", "--api-workers", "2"), ["--api-workers", "--workers"]),
        (("--workers", "0"), ["--workers", "1 to 256"]),
        (("--workers", "257"), ["--workers", "1 to 256"]),
    ],
)
def test_two_kinds_of_cluster_at_once(tmp_path: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    sentence = refusal(up(tmp_path, "one process", *arguments))
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("setting", ["OR_METRICS_PORT", "OR_CONTROLLER_PORT"])
def test_the_callers_port_is_for_callers_alone(tmp_path: Path, setting: str) -> None:
    """One sentence, about the setting that a person can change."""
    port = str(free_port())
    sentence = refusal(up(tmp_path, "one process", "--workers", "2", **{"OR_PORT": port, setting: port}))
    assert port in sentence
    assert setting in sentence


@linux_only
def test_one_port_one_banner_one_page(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each process serves; the page is the sum of them, and not of what cannot be added up."""
    with cluster_in(tmp_path, config(sandbox)) as cluster, caller_at_each(cluster) as callers:
        banner = cluster.program.output()
        assert "2 processes" in banner
        assert banner.count("point clients at") == 1
        assert all(f" {pid} " in banner for pid in servers_of(cluster))
        for place, caller in enumerate(callers):
            for _ in range(place + 2):
                assert ask(caller).status_code == 200
            assert caller.get("/health").json()["components"]["providers"]["names"] == ["alpha"]
        until(lambda: sum_of(cluster.metrics(), "orcestator_requests_total") == 5, "all are counted")
        metrics = cluster.metrics()
        assert of_processes(metrics, "orcestator_process_up") == dict.fromkeys(PARTS, 1)
        assert of_processes(metrics, "process_max_fds").keys() == PARTS
        assert len(set(of_processes(metrics, "process_start_time_seconds").values())) > 1
        assert sum_of(metrics, "orcestator_build_info") == 1
        assert metrics['orcestator_failed_writes_total{sink="quota"}'] == 0
        assert sum_of(metrics, "orcestator_request_latency_seconds_count") == 5
        until(lambda: len(cluster.traffic()) == 5, "each has its line")


@linux_only
def test_connections_are_spread(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each process gets some of them. By chance all 40 go to one of two once in 2 to the 39th."""
    with cluster_in(tmp_path, config(sandbox)) as cluster:
        before = of_processes(cluster.metrics(), "process_open_fds")
        with ExitStack() as stack:
            for _ in range(40):
                caller = stack.enter_context(httpx.Client(base_url=cluster.url, trust_env=False, verify=False))
                assert caller.get("/ready").status_code == 200
            during = of_processes(cluster.metrics(), "process_open_fds")
        assert all(during[name] > before[name] for name in ("api server 1", "api server 2")), (before, during)


@linux_only
def test_one_that_dies_is_started_again_and_what_it_counted_stays(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Meanwhile the other serves whoever comes."""
    with cluster_in(tmp_path, config(sandbox)) as cluster, caller_at_each(cluster) as callers:
        for caller in callers:
            assert ask(caller).status_code == 200
        until(lambda: sum_of(cluster.metrics(), "orcestator_requests_total") == 2, "both are counted")
        dead, _ = servers_of(cluster)
        os.kill(dead, signal.SIGKILL)
        assert ask(callers[1]).status_code == 200
        # What is in its queue in the moment of its death is reset with it, so nobody new comes until then.
        until(lambda: _restarts(cluster) == 1, "it is started again")
        assert cluster.get("/ready").status_code == 200
        until(lambda: all(of_processes(cluster.metrics(), "orcestator_process_up").values()), "it is back")
        assert sum_of(cluster.metrics(), "orcestator_requests_total") == 3


def _restarts(cluster: Cluster) -> float:
    return sum_of(cluster.metrics(), "orcestator_process_restarts_total")


@linux_only
def test_one_that_hangs_is_left_out_of_the_page(sandbox: SandboxThread, tmp_path: Path) -> None:
    """And seen there; its counters stand."""
    with cluster_in(tmp_path, config(sandbox)) as cluster, caller_at_each(cluster) as callers:
        for caller in callers:
            assert ask(caller).status_code == 200
        until(lambda: sum_of(cluster.metrics(), "orcestator_requests_total") == 2, "both are counted")
        hung = servers_of(cluster)[0]
        os.kill(hung, signal.SIGSTOP)
        try:
            metrics = cluster.metrics()
        finally:
            os.kill(hung, signal.SIGCONT)
        up = of_processes(metrics, "orcestator_process_up")
        assert sorted(up.values()) == [0, 1, 1, 1]
        assert of_processes(metrics, "process_open_fds").keys() == {name for name, is_up in up.items() if is_up}
        assert sum_of(metrics, "orcestator_requests_total") == 2
        until(lambda: all(of_processes(cluster.metrics(), "orcestator_process_up").values()), "it is back")


@linux_only
def test_a_reload_and_a_reset_reach_every_process(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Whichever of them was asked: in each of them nothing is left of what was held against the model."""
    text = config(sandbox)
    environment = {"OR_BREAKER_CONSECUTIVE_FAILURES": "1", "OR_ATTEMPTS": "1", "OR_BREAKER_OPEN_SECONDS": "300"}
    with cluster_in(tmp_path, text, **environment) as cluster, caller_at_each(cluster) as callers:
        for caller in callers:
            assert ask(caller, "alpha/fault:H1:500").status_code >= 500
        assert [states(caller) for caller in callers] == [{"OPEN"}] * 2
        assert callers[0].post("/admin/state/reset", json={}, headers=ADMIN).status_code == 200
        assert [states(caller) for caller in callers] == [set()] * 2

        (cluster.directory / "config.yaml").write_text(f"{text}attempts: 7\naliases: {{twin: alpha/echo}}\n", "utf-8")
        assert callers[1].post("/admin/reload", json={}, headers=ADMIN).status_code == 200
        for caller in callers:
            shown: dict[str, Any] = caller.get("/admin/config", headers=ADMIN).json()
            assert "twin" in shown["aliases"]
            assert "alpha" in shown["providers"]
            assert ask(caller, "twin").status_code == 200


def states(caller: httpx.Client) -> set[str]:
    """The states of the models that were asked for."""
    models = caller.get("/admin/state", headers=ADMIN).json()["models"]
    return {model["circuitState"] for model in models if "fault" in str(model)}


@linux_only
def test_a_configured_quota_is_for_all_of_them_together(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Each has its part of it, since nobody counts for all."""
    text = config(sandbox, ", limits: {rpd: 4}")
    with cluster_in(tmp_path, text, OR_ATTEMPTS="1") as cluster, caller_at_each(cluster) as callers:
        answered = [ask(caller).status_code for caller in callers for _ in range(4)]
        assert answered.count(200) == 4, answered
        assert answered[:2] == answered[4:6] == [200, 200]
        for caller in callers:
            (limit,) = caller.get("/admin/rate-limits", headers=ADMIN).json()["limits"]
            assert (limit["limit"], limit["remaining"]) == (2, 0)


@linux_only
def test_what_each_has_used_is_known_after_a_restart(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Of its own part: with another's count in its place they would use more than the whole together."""
    text = config(sandbox, ", limits: {rpd: 4}")
    with cluster_in(tmp_path, text, OR_ATTEMPTS="1") as cluster, caller_at_each(cluster) as callers:
        assert [ask(callers[0]).status_code for _ in range(3)] == [200, 200, 429]
        assert ask(callers[1]).status_code == 200
    with cluster_in(tmp_path, text, OR_ATTEMPTS="1") as cluster, caller_at_each(cluster) as callers:
        left = [caller.get("/admin/rate-limits", headers=ADMIN).json()["limits"][0]["remaining"] for caller in callers]
        assert left == [0, 1]
        assert [ask(caller).status_code for caller in callers for _ in range(2)] == [429, 429, 200, 429]


@linux_only
def test_a_worker_that_registers_is_used_by_all(sandbox: SandboxThread, tmp_path: Path) -> None:
    """They share a controller, as stock workers expect one; without it each still serves its own providers."""
    with cluster_in(tmp_path, config(sandbox), OR_WORKER_SECRET=SECRET) as cluster, caller_at_each(cluster) as callers:
        port = free_port()
        arguments = [
            "orcestator.proxy_worker", "--provider", "sandbox", "--port", str(port),
            "--controller", f"http://127.0.0.1:{cluster.controller_port}",
        ]  # fmt: skip
        environment = clean_environment(SANDBOX_BASE_URL=sandbox.base_url, OR_WORKER_SECRET=SECRET)
        worker = Program(arguments, tmp_path / "worker", environment).start()
        try:
            worker.wait_ready(f"http://127.0.0.1:{port}/health")
            for caller in callers:
                until(lambda caller=caller: "sandbox/echo" in str(caller.get("/v1/models").text), "it is known")  # type: ignore[misc]
                answer = ask(caller, "sandbox/echo")
                assert answer.headers["x-orcestator-provider"] == "sandbox", answer.text
        finally:
            worker.stop()
        (controller,) = [pid for pid in _family(cluster) if b"orcestator.controller" in _command(pid)]
        os.kill(controller, signal.SIGSTOP)
        try:
            assert {ask(caller).status_code for caller in callers} == {200}
        finally:
            os.kill(controller, signal.SIGCONT)


def _family(cluster: Cluster) -> list[int]:
    assert cluster.program.process is not None
    return children_of(cluster.program.process.pid)


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@linux_only
def test_another_program_has_the_port(sandbox: SandboxThread, tmp_path: Path) -> None:
    """Sharing is among the processes of one cluster: a second one is told that the port is taken."""
    with cluster_in(tmp_path, config(sandbox)) as cluster:
        (tmp_path / "second").mkdir()
        second = up(tmp_path / "second", "one process", "--workers", "2", OR_PORT=str(cluster.port))
        assert str(cluster.port) in refusal(second)
        assert "OR_PORT" in refusal(second)
        assert local_request("GET", f"{cluster.url}/ready").status_code == 200
