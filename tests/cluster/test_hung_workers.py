"""A worker process that is stopped holds nobody up for longer than one that is dead, with the settings as they come."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.sandbox.settings import SandboxSettings
from tests.cluster.harness import Cluster, SandboxThread, chat, until
from tests.cluster.test_supervisor import children_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CHAT = "/v1/chat/completions"
FAR_BELOW_THE_TIME_OUTS = 15.0
"""They are 100 s for a stream and 340 s for a whole answer; a worker that hangs is known in two."""


def worker_of(cluster: Cluster, provider: str) -> int:
    process = cluster.program.process
    assert process is not None
    told = f"orcestator.proxy_worker\0--provider\0{provider}\0".encode()
    (pid,) = [pid for pid in children_of(process.pid) if told in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


@contextmanager
def stopped(cluster: Cluster, provider: str) -> Iterator[None]:
    pid = worker_of(cluster, provider)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def config(address: str, *names: str) -> str:
    rows = (f'  {name}: {{base_url: "{address}", api_key: "k", models: [echo]}}\n' for name in names)
    targets = ", ".join(f"{name}/echo" for name in names)
    return f"providers:\n{''.join(rows)}aliases:\n  all: [{targets}]\n"


def timed(cluster: Cluster, **more: Any) -> tuple[Any, float]:
    started = time.monotonic()
    answer = cluster.post(CHAT, chat(model="all", **more), timeout=120)
    return answer, time.monotonic() - started


def test_the_next_provider_answers(alpha: SandboxThread, tmp_path: Path) -> None:
    with Cluster(tmp_path, config(alpha.base_url, "pa", "pb", "pc"), "split") as cluster:
        for streams in (False, True):
            assert timed(cluster, stream=streams)[0].headers["x-orcestator-provider"] == "pa"
            with stopped(cluster, "pa"):
                for _ in range(4):
                    answer, seconds = timed(cluster, stream=streams)
                    assert answer.status_code == 200, answer.text
                    assert answer.headers["x-orcestator-provider"] == "pb"
                    assert seconds < FAR_BELOW_THE_TIME_OUTS
            until(lambda: timed(cluster)[0].headers["x-orcestator-provider"] == "pa", "the first one is used again")
        assert "does not answer" in cluster.program.output()


def test_where_there_is_no_other_the_answer_says_so(alpha: SandboxThread, tmp_path: Path) -> None:
    with Cluster(tmp_path, config(alpha.base_url, "pa"), "split") as cluster:
        for streams in (True, False):
            with stopped(cluster, "pa"):
                answer, seconds = timed(cluster, stream=streams)
                assert answer.status_code == 503
                assert answer.json()["error"]["code"] == "worker_lost", answer.text
                assert "retry-after" in answer.headers
                assert seconds < FAR_BELOW_THE_TIME_OUTS
            until(lambda: timed(cluster)[0].status_code == 200, "it serves again")


def test_a_stream_that_began_is_ended_with_an_error(tmp_path: Path) -> None:
    slow = SandboxSettings(tokens_per_second=2.0, answer="word " * 200)
    with SandboxThread(slow) as sandbox, Cluster(tmp_path, config(sandbox.base_url, "pa"), "split") as cluster:
        started = time.monotonic()
        with local_stream(cluster, chat(model="all", stream=True)) as lines:
            assert any("word" in line for line in lines)
            with stopped(cluster, "pa"):
                rest = list(lines)
        assert time.monotonic() - started < FAR_BELOW_THE_TIME_OUTS
        assert any("worker_lost" in line for line in rest), rest


def test_a_stream_whose_worker_dies_is_told_so(tmp_path: Path) -> None:
    slow = SandboxSettings(tokens_per_second=2.0, answer="word " * 200)
    with SandboxThread(slow) as sandbox, Cluster(tmp_path, config(sandbox.base_url, "pa"), "split") as cluster:
        with local_stream(cluster, chat(model="all", stream=True)) as lines:
            assert any("word" in line for line in lines)
            os.kill(worker_of(cluster, "pa"), signal.SIGKILL)
            rest = list(lines)
        assert any("The worker of pa is gone" in line and "worker_lost" in line for line in rest), rest


@contextmanager
def local_stream(cluster: Cluster, call: Any) -> Iterator[Iterator[str]]:
    with (
        httpx.Client(timeout=60, trust_env=False, verify=False) as client,
        client.stream("POST", cluster.url + CHAT, json=call) as response,
    ):
        yield response.iter_lines()
