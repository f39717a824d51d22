"""What a person found by trying: one caller's haste is not everybody's outage, and a person's word on a failure is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.harness import Cluster, SandboxThread, chat, streamed, until

HASTE = {"x-orcestator-timeout": "0.3"}
FAILURES = 2


def config(slow: SandboxThread, quick: SandboxThread) -> str:
    return f"""
hedging: false
idle_timeout_seconds: 0.5
breaker_consecutive_failures: {FAILURES}
strategy: priority
providers:
  slow: {{base_url: "{slow.base_url}", api_key: "a", order: 1}}
  quick: {{base_url: "{quick.base_url}", api_key: "b", order: 2}}
  paid: {{base_url: "{quick.base_url}", api_key: "c", order: 3}}
models:
  - {{provider: slow, model: "echo?ttft=30", name: patient}}
  - {{provider: slow, model: "tools?ttft=30", name: narrow, max_concurrent: 1}}
  - {{provider: quick, model: "fault:H1:500", name: failing}}
  - {{provider: quick, model: "fault:H1:503", name: resting}}
  - {{provider: quick, model: "fault:S5:stall?after=2", name: breaking}}
  - {{provider: quick, model: "fault:S5:stall", name: cut-here, supported_parameters: [prefill]}}
  - {{provider: slow, model: "fault:S5:stall", name: cut-there, supported_parameters: [prefill]}}
aliases:
  cut-everywhere: ["quick/fault:S5:stall", "slow/fault:S5:stall"]
  failing-then-narrow: ["quick/fault:H1:500", "slow/tools?ttft=30"]
routing:
  fallback: {{enabled: true, provider: paid, model: echo}}
verdicts:
  - when: {{status: 503}}
    then: {{cooldown_seconds: 600}}
"""


class House(NamedTuple):
    """A cluster and its upstreams."""

    cluster: Cluster
    slow: SandboxThread
    quick: SandboxThread


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory: Path = tmp_path_factory.mktemp("trial")
    with (
        SandboxThread() as slow,
        SandboxThread() as quick,
        Cluster(directory, config(slow, quick)) as started,
    ):
        yield House(started, slow, quick)


@pytest.fixture
def cluster(house: House) -> Cluster:
    return house.cluster


def state_of(cluster: Cluster, name: str) -> dict[str, object]:
    """The line of a model on the status page."""
    models = cluster.get("/admin/state").json()["models"]
    return next(model for model in models if name in (model["name"], model["modelName"]))


def test_impatient_callers_open_nobodys_breaker(cluster: Cluster) -> None:
    for _ in range(FAILURES + 1):
        answer = cluster.post("/v1/chat/completions", chat(model="slow/echo?ttft=30"), headers=HASTE)
        assert answer.status_code == 504
        assert answer.headers["x-orcestator-errors"] == "UpstreamTimeout:total_timeout"

    found = state_of(cluster, "slow/echo?ttft=30")
    assert (found["circuitState"], found["activeRequests"]) == ("CLOSED", 0)


def test_a_pause_that_a_person_wants_after_a_failure_is_made(cluster: Cluster) -> None:
    assert cluster.post("/v1/chat/completions", chat(model="quick/fault:H1:503")).status_code == 200

    found = state_of(cluster, "quick/fault:H1:503")
    assert found["state"] == "cooldown"


def test_streams_that_break_off_take_a_model_out(cluster: Cluster) -> None:
    for _ in range(FAILURES):
        _, events, _ = streamed(cluster, chat(model="quick/fault:S5:stall?after=2"))
        assert "error" in events[-2]

    assert state_of(cluster, "quick/fault:S5:stall?after=2")["circuitState"] == "OPEN"


def test_who_broke_a_stream_is_not_asked_to_go_on_with_it(house: House) -> None:
    """It would break again, and be paid, until the deadline."""
    call = chat(model="cut-everywhere", stream=True)
    answer = house.cluster.post("/v1/chat/completions", call, headers={"x-orcestator-continue": "true"})

    assert '"partial":true' in answer.text
    for upstream in (house.slow, house.quick):
        assert sum(record.model == "fault:S5:stall" for record in upstream.records) == 1
    until(lambda: "cut-everywhere" in "".join(house.cluster.traffic()), "the request is logged")
    line = next(line for line in house.cluster.traffic() if "cut-everywhere" in line)
    assert line.endswith("slow/fault:S5:stall")


def test_the_paid_model_answers_rather_than_a_place_in_the_line(cluster: Cluster) -> None:
    with ThreadPoolExecutor(1) as callers:
        holding = callers.submit(
            cluster.post,
            "/v1/chat/completions",
            chat(model="slow/tools?ttft=30"),
            headers={"x-orcestator-timeout": "8"},
        )
        while state_of(cluster, "slow/tools?ttft=30")["activeRequests"] != 1 and not holding.done():
            pass

        answer = cluster.post("/v1/chat/completions", chat(model="failing-then-narrow"))

        assert not holding.done()
        holding.result()
    assert answer.status_code == 200
    assert answer.headers["x-orcestator-fallback-used"] == "true"
    assert answer.headers["x-orcestator-provider"] == "paid"
