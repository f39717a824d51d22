"""Pauses and quotas of a real cluster: told to callers, shown truly, ended by a person or by a configuration without them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.cluster.answering_upstream import AnsweringUpstream, Said
from tests.cluster.harness import WIRINGS, Cluster, chat

DAY = 86_400
BARE = Said(429, {"error": {"message": "Too many requests"}})
MODELS = ("stray", "told", "bare", "waits", "mixed", "limited", "judged", "restarted", "moment", "streams")


class House(NamedTuple):
    cluster: Cluster
    upstream: AnsweringUpstream
    other: AnsweringUpstream

    def ask(self, model: str) -> httpx.Response:
        return self.cluster.post("/v1/chat/completions", chat(model=model if "/" in model else f"alpha/{model}"))

    def state(self, model: str) -> dict[str, Any]:
        models = self.cluster.get("/admin/state").json()["models"]
        return next(row for row in models if row["name"] == f"alpha/{model}")

    def pauses(self, model: str) -> list[dict[str, Any]]:
        limits = self.cluster.get("/admin/rate-limits").json()["limits"]
        return [row for row in limits if row["model"] == model and row["source"] in ("paused", "guessed")]


def config(upstream: AnsweringUpstream, other: AnsweringUpstream, limits: str = "") -> str:
    return f"""
strategy: priority
providers:
  alpha: {{base_url: "{upstream.base_url}", api_key: "key", order: 1{limits}}}
  beta: {{base_url: "{other.base_url}", api_key: "key", order: 2}}
aliases:
  either: [alpha/mixed, beta/mixed]
verdicts:
  - when: {{code: judged}}
    then: {{action: fall_back, cooldown_seconds: 0}}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[AnsweringUpstream]:
    with AnsweringUpstream(*MODELS) as started:
        yield started


@pytest.fixture(scope="module")
def other() -> Iterator[AnsweringUpstream]:
    with AnsweringUpstream("mixed") as started:
        yield started


@pytest.fixture(scope="module", params=WIRINGS)
def house(
    request: pytest.FixtureRequest,
    upstream: AnsweringUpstream,
    other: AnsweringUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    with Cluster(tmp_path_factory.mktemp("pauses"), config(upstream, other), request.param) as cluster:
        yield House(cluster, upstream, other)


def test_one_stray_429_costs_nobody_anything(house: House) -> None:
    """The request itself is tried again, and the next ones are served as before."""
    for _ in range(6):
        assert house.ask("stray").status_code == 200
    house.upstream.says("stray", BARE)
    assert house.ask("stray").status_code == 200
    assert [house.ask("stray").status_code for _ in range(12)] == [200] * 12


def test_the_first_answer_already_tells_when_to_come_back(house: House) -> None:
    house.upstream.always["bare"] = BARE
    asked = house.upstream.asked("bare")
    for _ in range(3):
        before = house.upstream.asked("bare")
        refused = house.ask("bare")
        calls = house.upstream.asked("bare") - before
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 15
        assert "x-should-retry" not in refused.headers
        assert int(refused.headers.get("x-orcestator-attempts", "0")) == calls
        message = refused.json()["error"]["message"]
        assert " 0 s" not in message
        assert message.count("Too many requests") <= 1
        assert calls < 2 or f"All {calls} attempts failed" in message
    assert house.state("bare")["stats"]["totalRequests"] == house.upstream.asked("bare") - asked


def test_a_wait_beside_another_failure_is_told(house: House) -> None:
    house.upstream.always["mixed"] = Said(429, BARE.body, {"retry-after": "3"})
    house.other.always["mixed"] = Said(500, {"error": {"message": "broken"}})
    try:
        refused = house.cluster.post("/v1/chat/completions", chat(model="either"))
    finally:
        del house.upstream.always["mixed"], house.other.always["mixed"]
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) <= 3
    assert "x-should-retry" not in refused.headers


@pytest.mark.parametrize(
    ("model", "refusal"),
    [
        ("told", Said(429, BARE.body, {"retry-after": str(DAY)})),
        ("waits", Said(429, {"error": {"message": "slow down", "resets_in_seconds": DAY}})),
    ],
)
def test_a_person_ends_a_pause_and_sees_it_as_it_is(house: House, model: str, refusal: Said) -> None:
    house.upstream.says(model, refusal)
    refused = house.ask(model)
    assert (refused.status_code, int(refused.headers["retry-after"])) == (429, DAY)
    asked = house.upstream.asked(model)
    assert house.ask(model).status_code == 429
    assert house.upstream.asked(model) == asked
    assert [(row["source"], row["secondsLeft"] > DAY - 60) for row in house.pauses(model)] == [("paused", True)]
    assert house.state(model)["secondsLeft"] > DAY - 60

    reset = house.cluster.post(f"/admin/state/{model}/reset", {}).json()
    assert (reset["success"], reset["reset"]) == (True, [f"alpha/{model}"])
    assert house.pauses(model) == []
    assert house.state(model)["circuitState"] == "CLOSED"
    assert house.ask(model).status_code == 200


@pytest.mark.parametrize("streamed", [False, True])
def test_a_moment_inside_an_answer_is_read(house: House, streamed: bool) -> None:
    """Some answer 200, or begin a stream, and then say until when they refuse."""
    model = "streams" if streamed else "moment"
    error = {"message": "usage limit reached", "code": "rate_limit_exceeded", "resets_at": int(time.time()) + 7200}
    raw = f"data: {json.dumps({'error': error})}\n\n".encode() if streamed else {"error": error}
    kind = "text/event-stream" if streamed else "application/json"
    house.upstream.says(model, Said(200, raw, {"content-type": kind}))
    call = chat(model=f"alpha/{model}", stream=streamed)
    for _ in range(2):
        refused = house.cluster.post("/v1/chat/completions", call)
        assert refused.status_code == 429
        assert 7200 - 120 <= int(refused.headers["retry-after"]) <= 7200
    house.cluster.post(f"/admin/state/{model}/reset", {})


def test_a_whole_provider_is_reset(house: House) -> None:
    house.upstream.says("limited", Said(429, BARE.body, {"retry-after": str(DAY)}))
    assert house.ask("limited").status_code == 429
    assert house.cluster.post("/admin/state/reset?provider=nobody", {}).status_code == 404
    assert house.cluster.post("/admin/state/reset?provider=beta", {}).json()["success"] is True
    assert house.ask("limited").status_code == 429
    assert "alpha/limited" in house.cluster.post("/admin/state/reset?provider=alpha", {}).json()["reset"]
    assert house.ask("limited").status_code == 200


def test_a_persons_verdict_is_not_second_guessed(house: House) -> None:
    refusal = Said(429, {"error": {"message": "no", "code": "judged"}})
    for _ in range(3):
        assert house.ask("judged").status_code == 200
        house.upstream.says("judged", refusal)
        assert house.ask("judged").status_code == 429
    assert house.ask("judged").status_code == 200
    assert house.pauses("judged") == []


@pytest.mark.parametrize("wiring", WIRINGS)
def test_what_is_reset_or_no_longer_configured_stays_so_over_restarts(
    wiring: str, upstream: AnsweringUpstream, other: AnsweringUpstream, tmp_path: Path
) -> None:
    limited, free = config(upstream, other, ", limits: {rpd: 3}"), config(upstream, other)
    with Cluster(tmp_path, limited, wiring) as cluster:
        house = House(cluster, upstream, other)
        upstream.says("restarted", Said(429, BARE.body, {"retry-after": str(DAY)}))
        assert house.ask("restarted").status_code == 429
        house.cluster.post("/admin/state/restarted/reset", {})
        assert [house.ask("limited").status_code for _ in range(3)] == [200, 200, 429]
        assert "used up" in house.ask("limited").json()["error"]["message"]

        (tmp_path / "config.yaml").write_text(free, "utf-8")
        assert cluster.post("/admin/reload", {}).status_code == 200
        assert house.ask("limited").status_code == 200
        assert cluster.get("/admin/rate-limits").json()["limits"] == []
    with Cluster(tmp_path, free, wiring) as cluster:
        house = House(cluster, upstream, other)
        assert [house.ask(model).status_code for model in ("limited", "restarted")] == [200, 200]
