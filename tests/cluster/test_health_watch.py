"""What follows from background checks, with a real board, real links and an upstream over a socket."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from orcestator.cluster.health_watch import (
    CHECKS_FAILED,
    HealthWatch,
    make_notices,
    metrics_of,
    notice_writers,
    notices_of,
    policy,
)
from orcestator.errors import StartupProblem, UpstreamUnavailable
from orcestator.providers.rows import find_row
from orcestator.providers.secret import Secret
from orcestator.routing.events import Event, HealthChanged
from orcestator.routing.offer import Deployment
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import judge
from orcestator.settings import Settings
from orcestator.telemetry.metrics import Metrics
from orcestator.telemetry.notices import Notices
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts
from tests.upstream.scripted_upstream import ScriptedUpstream, answers, plain, silent, upstream_client

MODELS = plain(json.dumps({"object": "list", "data": [{"id": "echo"}]}).encode())
FAILING = plain(b"{}", status=b"500 Internal Server Error")
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "h"}, "finish_reason": "length"}
REPLY = plain(
    json.dumps({"id": "c", "object": "chat.completion", "choices": [CHOICE]}).encode(),
    headers=b"Content-Type: application/json\r\n",
)
ECHO = Deployment("sandbox", "echo", "", "proxy")
SETTINGS = Settings(health_check_interval_seconds=60.0, breaker_consecutive_failures=2)


class House:
    """A board, its measures and everybody who is told, around one provider."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.metrics = Metrics({"echo"}.__contains__)
        self.events: list[HealthChanged] = []
        self.notices: Notices = make_notices(settings, [], self.metrics, str, {"echo"}.__contains__)
        self.board = CircuitBreakers(
            BreakerPolicy(consecutive_failures=2, open_seconds=100.0), self.emit, random.random
        )
        self.stats = Stats()
        self.watch = HealthWatch(settings, self.board, self.stats, [metrics_of(self.metrics), notices_of(self.notices)])

    def emit(self, event: Event) -> None:
        assert isinstance(event, HealthChanged)
        self.events.append(event)
        self.metrics(event)
        self.notices(event)

    def fail_twice(self) -> None:
        error = UpstreamUnavailable("no", cause="http_500")
        for _ in range(2):
            self.board.failed(ECHO, error, judge(error), time.monotonic())

    @property
    def is_in(self) -> bool:
        return self.board.allows(ECHO, time.monotonic())

    def told(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value("orcestator_notices_total", {"kind": kind, "outcome": "told"})


def play(house: House, replies: list[bytes], use: Callable[[], Awaitable[None]]) -> None:
    async def scenario() -> None:
        row = find_row("sandbox")
        assert row is not None
        async with ScriptedUpstream(answers(*replies)) as upstream, upstream_client() as client:
            address = f"http://127.0.0.1:{upstream.port}/v1"
            house.watch.watch([ProviderClient(row, address, (), 1, client, ProviderTimeouts())])
            async with asyncio.timeout(20):
                await use()

    asyncio.run(scenario())


def test_a_good_check_lets_the_next_request_be_the_probe_at_once() -> None:
    house = House()
    house.fail_twice()
    assert not house.is_in

    async def use() -> None:
        await house.watch.checks.turn()
        assert house.is_in
        assert house.watch.checks.status("sandbox").status == "degraded", "it is not proved yet"
        house.board.started(ECHO, time.monotonic())
        assert not house.is_in, "one probe at a time"
        house.board.succeeded(ECHO, time.monotonic())

    play(house, [MODELS], use)
    assert house.events[-1].state == "closed"
    assert house.told("deployment_out") == house.told("deployment_back") == 1


def test_one_failed_check_takes_nobody_out_and_as_many_as_requests_may_do() -> None:
    house = House(replace(SETTINGS, health_check_chat=True))

    async def use() -> None:
        await house.watch.checks.turn()
        assert house.is_in
        await house.watch.checks.turn()
        assert not house.is_in
        standing = house.board.standing(ECHO, time.monotonic())
        assert standing is not None
        assert (standing.reason, standing.is_final) == (CHECKS_FAILED, False)
        assert house.watch.checks.status("sandbox").status == "down"
        await house.watch.checks.turn()
        assert house.is_in
        assert house.watch.checks.status("sandbox").status != "down"

    play(house, [FAILING, FAILING, REPLY], use)
    assert [event.state for event in house.events] == ["open", "closed"]
    value = house.metrics.registry.get_sample_value
    assert value("orcestator_health_checks_total", {"provider": "sandbox", "outcome": "down"}) == 2
    assert value("orcestator_provider_up", {"provider": "sandbox"}) == 1


def test_requests_tell_of_a_provider_that_cannot_be_asked() -> None:
    house = House()

    async def use() -> None:
        house.watch.checks.watch("sandbox", None)
        house.stats.started(ECHO)
        house.stats.answered(ECHO, 0.25, time.monotonic(), streamed=True)
        await house.watch.checks.turn()
        check = house.watch.checks.status("sandbox")
        assert (check.status, check.source, check.response_ms) == ("operational", "requests", 250.0)

    play(house, [MODELS], use)


def test_a_provider_that_is_gone_from_the_configuration_is_forgotten() -> None:
    house = House()

    async def use() -> None:
        await house.watch.checks.turn()
        house.watch.watch([])
        assert house.watch.checks.all() == {}

    play(house, [MODELS], use)


def test_settings_become_a_policy() -> None:
    found = policy(Settings(health_check_interval_seconds=0.0, health_check_timeout_seconds=3.0))
    assert (found.interval, found.timeout, found.turn_seconds) == (0.0, 3.0, 30.0)


def test_an_impossible_address_stops_the_start() -> None:
    assert notice_writers(Settings()) == []
    assert [one.name for one in notice_writers(Settings(webhook_url=Secret("http://127.0.0.1:1/x")))] == ["webhook"]
    with pytest.raises(StartupProblem, match="OR_WEBHOOK_URL"):
        notice_writers(Settings(webhook_url=Secret("gopher://x")))


@pytest.mark.parametrize(
    "reply",
    [
        *(plain(b"{}", status=f"{status} No".encode()) for status in (404, 405, 401, 403, 429, 302, 501)),
        plain(b"<html>hello</html>"),
        plain(b'{"object": "list", "data": []}'),
        plain(b'{"detail": "no"}'),
    ],
)
def test_a_provider_without_a_list_is_not_down(reply: bytes) -> None:
    house = House()

    async def use() -> None:
        for _ in range(4):
            await house.watch.checks.turn()
            check = house.watch.checks.status("sandbox")
            assert (check.status, check.failures) == ("unknown", 0)
            assert house.is_in

    play(house, [reply] * 4, use)


def test_a_list_that_always_fails_takes_no_idle_provider_out() -> None:
    """Its chats may work; where they do not, the first request finds it out and goes elsewhere."""
    house = House()

    async def use() -> None:
        for _ in range(5):
            await house.watch.checks.turn()
            assert house.watch.checks.status("sandbox").status == "degraded"
            assert house.is_in

    play(house, [FAILING] * 5, use)
    assert house.events == []


def test_nor_does_one_that_is_slow() -> None:
    house = House(replace(SETTINGS, health_check_timeout_seconds=0.2))

    async def scenario() -> None:
        row = find_row("sandbox")
        assert row is not None
        async with ScriptedUpstream(silent) as upstream, upstream_client() as client:
            address = f"http://127.0.0.1:{upstream.port}/v1"
            house.watch.watch([ProviderClient(row, address, (), 1, client, ProviderTimeouts())])
            for _ in range(4):
                await house.watch.checks.turn()
                check = house.watch.checks.status("sandbox")
                assert (check.status, check.message) == ("degraded", "Its list of models did not come within 0.18 s.")
                assert house.is_in

    asyncio.run(scenario())


def test_a_request_that_is_served_is_worth_more_than_a_list_that_fails() -> None:
    house = House()

    async def use() -> None:
        (link,) = house.watch._links.values()
        for _ in range(6):
            await house.watch.checks.turn()
            assert house.is_in
            link.served += 1

    play(house, [FAILING] * 6, use)
