"""2,000 requests while worker processes are killed at random: each gets a whole answer or a well-formed error."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.harness import Cluster, SandboxThread, chat, local_request, until
from tests.dialects.client_rules import SHOWN, assert_client_safe

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("ps") is None, reason="finds the worker processes with ps, kills by SIGKILL"
)

REQUESTS = 2_000
CONCURRENT = 16
STREAMED_SHARE = 0.7
SECONDS_BETWEEN_KILLS = 0.3
REQUESTS_BETWEEN_KILLS = 100
"""On a slow machine as many requests share a kill as on a fast one: the retries that a kill costs are bounded by a share of
the requests."""
SEED = 20_261_121
ALIASES = ("both", "paced-alpha", "paced-beta")
"""Most answers are over at once; the paced ones take a third of a second, so that a kill hits work that runs."""
WEIGHTS = (4, 1, 1)
ERROR_STATUSES = {502, 503, 504}


def config(alpha: str, beta: str) -> str:
    """Two providers, each of which is the other's fallback."""
    pace = "echo?ttft=0.1&tps=40&tokens=8"
    return f"""
providers:
  alpha: {{base_url: "{alpha}", api_key: "a-key", default_model: echo, order: 1}}
  beta: {{base_url: "{beta}", api_key: "b-key", default_model: echo, order: 2}}
aliases:
  both: [alpha/echo, beta/echo]
  paced-alpha: ["alpha/{pace}", "beta/{pace}"]
  paced-beta: ["beta/{pace}", "alpha/{pace}"]
"""


@dataclass
class Outcomes:
    """What the callers got, by class; ``lost`` and ``cut`` must stay empty."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


async def plain(client: httpx.AsyncClient, call: dict[str, Any]) -> str:
    """The class of a whole answer; AssertionError when it is neither whole nor a well-formed error."""
    answer = await client.post("/v1/chat/completions", json=call)
    if answer.status_code != 200:
        return refusal(answer)
    reply = answer.json()
    assert reply["model"] == call["model"]
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert nonce_of(call) in reply["choices"][0]["message"]["content"]
    return "ok plain"


async def streamed(client: httpx.AsyncClient, call: dict[str, Any]) -> str:
    """The class of a stream; AssertionError when it is neither whole nor ends in the three frames of an error."""
    async with client.stream("POST", "/v1/chat/completions", json={**call, "stream": True}) as answer:
        body = await answer.aread()
    if answer.status_code != 200:
        return refusal(answer)
    named = json.dumps(call["model"]).encode()
    seen = assert_client_safe(body.replace(b'"model":' + named, b'"model":"%b"' % SHOWN.encode()))
    if seen.error is not None:
        assert seen.finish == "error"
        return f"error in stream {seen.error['code']}"
    assert seen.finish == "stop"
    assert nonce_of(call) in seen.text
    return "ok stream"


def refusal(answer: httpx.Response) -> str:
    """The class of a well-formed error whose status tells of the upstream."""
    assert answer.status_code in ERROR_STATUSES, answer.text
    error = answer.json()["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert {"type", "param", "code"} <= error.keys()
    return f"error {answer.status_code} {error['code']} after {answer.headers['x-orcestator-attempts']}"


def nonce_of(call: dict[str, Any]) -> str:
    """The word that only this request asked for."""
    text: str = call["messages"][0]["content"]
    return text.removeprefix("nonce:")


async def load(url: str, requests: int, outcomes: Outcomes) -> None:
    """All requests, a fixed number of them at a time."""
    rng = random.Random(SEED)
    left = iter(range(requests))

    async def lane(client: httpx.AsyncClient) -> None:
        for number in left:
            call = chat(f"nonce:n{number}x", rng.choices(ALIASES, WEIGHTS)[0])
            ask = streamed if rng.random() < STREAMED_SHARE else plain
            try:
                outcomes.counts[await ask(client, call)] += 1
            except AssertionError as complaint:
                outcomes.cut.append(f"{number}: {complaint!r}"[:2000])
            except httpx.HTTPError as failure:
                outcomes.lost.append(f"{number}: {failure!r}")

    limits = httpx.Limits(max_connections=CONCURRENT)
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False, limits=limits) as client:
        await asyncio.gather(*(lane(client) for _ in range(CONCURRENT)))


def workers_of(cluster: Cluster) -> dict[int, str]:
    """The process id of each worker, and its address."""
    assert cluster.program.process is not None
    listed = subprocess.run(["ps", "-axwwo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listed.splitlines():
        pid, parent, *arguments = line.split()
        if int(parent) == cluster.program.process.pid and "orcestator.proxy_worker" in arguments:
            found[int(pid)] = f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}"
    return found


def serving_workers(cluster: Cluster) -> list[int]:
    """The process ids of the workers that answer just now."""
    return sorted(pid for pid, address in workers_of(cluster).items() if is_healthy(address))


def is_healthy(url: str) -> bool:
    """Whether a worker answers."""
    try:
        return local_request("GET", f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def killing(cluster: Cluster, outcomes: Outcomes) -> Iterator[list[int]]:
    """Kill a random worker, over and over, while another one serves; gives the list of those killed."""
    rng = random.Random(SEED)
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        due = REQUESTS_BETWEEN_KILLS
        while not stop.wait(SECONDS_BETWEEN_KILLS):
            if outcomes.counts.total() >= due and len(serving := serving_workers(cluster)) > 1:
                due = outcomes.counts.total() + REQUESTS_BETWEEN_KILLS
                killed.append(rng.choice(serving))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()


@contextmanager
def split_cluster(directory: Path, **environment: str) -> Iterator[Cluster]:
    """A split cluster over two sandboxes, both of whose workers serve."""
    with (
        SandboxThread() as alpha,
        SandboxThread() as beta,
        Cluster(
            directory, config(alpha.base_url, beta.base_url), "split", {"OR_HEDGING": "true", **environment}
        ) as running,
    ):
        until(lambda: len(serving_workers(running)) == 2, "both workers serve")
        yield running


def check(cluster: Cluster, outcomes: Outcomes, requests: int) -> None:
    """No request without an answer, no clean truncation, one line a request, and the cluster is well afterwards."""
    assert outcomes.lost == []
    assert outcomes.cut == []
    assert outcomes.counts.total() == requests
    until(lambda: cluster.metrics()["orcestator_active_requests"] == 0, "no request is active")
    until(lambda: len(cluster.traffic()) >= requests, "as many lines as requests")
    assert len(cluster.traffic()) == requests
    until(lambda: len(serving_workers(cluster)) == 2, "both workers are back")
    until(lambda: cluster.post("/v1/chat/completions", chat("nonce:again", "both")).status_code == 200, "it serves")


@pytest.mark.timeout(240)
def test_only_streams_of_a_killed_worker_fail(tmp_path: Path) -> None:
    """Workers die at random, one at a time: a request is served, unless three workers died under it in a row.

    A stream that was cut after its first content cannot be served elsewhere, and says so.
    """
    with split_cluster(tmp_path) as cluster:
        outcomes = Outcomes()
        with killing(cluster, outcomes) as killed:
            asyncio.run(load(cluster.url, REQUESTS, outcomes))
        print(f"{len(killed)} kills", dict(sorted(outcomes.counts.items())))
        assert len(killed) > 1, "the workers were killed while they served"
        refused = {outcome for outcome in outcomes.counts if outcome.startswith("error 5")}
        assert refused <= {"error 503 worker_lost after 3"}
        assert sum(outcomes.counts[outcome] for outcome in refused) <= REQUESTS / 200
        check(cluster, outcomes, REQUESTS)


@pytest.mark.timeout(240)
def test_with_every_worker_dead_each_request_gets_a_well_formed_error(tmp_path: Path) -> None:
    """All workers die at once under load, and no retry waits for them: what cannot be served is told so."""
    requests = 600
    with split_cluster(tmp_path, OR_RETRY_BUDGET_PERCENT="0", OR_RETRY_FLOOR="0") as cluster:
        outcomes = Outcomes()
        workers = workers_of(cluster)
        assert len(workers) == 2

        def kill_all() -> None:
            until(lambda: outcomes.counts.total() > 50, "the load runs")
            for pid in workers:
                os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_all)
        killer.start()
        asyncio.run(load(cluster.url, requests, outcomes))
        killer.join()
        print(dict(sorted(outcomes.counts.items())))
        assert any(outcome.startswith("error 503") for outcome in outcomes.counts)
        check(cluster, outcomes, requests)
