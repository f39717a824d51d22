"""Background checks against upstreams over real sockets; the clock is handed in."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.providers.rows import NO_MODELS_LIST, Provider, find_row
from orcestator.upstream.health_checks import (
    BUCKET_SECONDS,
    NO_CALLS,
    UNKNOWN,
    Calls,
    Check,
    CheckPolicy,
    HealthChecks,
    Probe,
    Uptime,
    probe_of,
)
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts
from tests.upstream.scripted_upstream import (
    Run,
    Script,
    ScriptedUpstream,
    answers,
    plain,
    silent,
    upstream_client,
)

MODELS = plain(json.dumps({"object": "list", "data": [{"id": "echo"}]}).encode())
FAILING = plain(b"{}", status=b"500 Internal Server Error")
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "h"}, "finish_reason": "length"}
REPLY = plain(
    json.dumps({"id": "c", "object": "chat.completion", "choices": [CHOICE]}).encode(),
    headers=b"Content-Type: application/json\r\n",
)
ALWAYS = CheckPolicy(interval=60.0, timeout=5.0, most_failures=3)


def row() -> Provider:
    found = find_row("sandbox")
    assert found is not None
    return found


class Bench:
    """Checks with a clock, a routing and callers that a test moves by hand."""

    def __init__(self, policy: CheckPolicy = ALWAYS) -> None:
        self.time = 1000.0
        self.unwell: set[str] = set()
        self.calls: dict[str, Calls] = {}
        self.told: list[tuple[str, Check]] = []
        self.checks = HealthChecks(
            policy,
            is_unwell=self.unwell.__contains__,
            calls=lambda provider: self.calls.get(provider, NO_CALLS),
            tell=lambda provider, check: self.told.append((provider, check)),
            now=lambda: self.time,
            wall=lambda: 1_790_000_000.0 + self.time,
            rng=lambda: 0.5,
        )

    async def turns(self, count: int, seconds: float = 60.0) -> Check:
        """So many looks, this long apart; what is known of ``p`` then."""
        for _ in range(count):
            self.time += seconds
            await self.checks.turn()
        return self.checks.status("p")

    async def asking(self, script: Script, use: Callable[[ScriptedUpstream], Any], *, by_chat: bool = False) -> Any:
        """Watch a provider ``p`` at an upstream that plays ``script``."""
        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            link = ProviderClient(row(), f"http://127.0.0.1:{upstream.port}/v1", (), 1, client, ProviderTimeouts())
            self.checks.watch("p", probe_of(link, by_chat=by_chat))
            return await use(upstream)


def test_a_provider_that_answers_is_operational(run: Run) -> None:
    bench = Bench()

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            assert bench.checks.status("p") == UNKNOWN
            check = await bench.turns(1)
            assert (check.status, check.source, check.failures) == ("operational", "check", 0)
            assert check.checked_at == 1_790_001_060.0
            assert check.response_ms >= 0
            assert check.uptime_percent == 100.0
            assert bench.checks.all() == {"p": check}
            assert upstream.requests[0].startswith(b"GET /v1/models"), "a check costs no tokens"

        await bench.asking(answers(MODELS), use)

    run(scenario)


def test_failures_in_a_row_make_it_down_and_one_answer_makes_it_well(run: Run) -> None:
    bench = Bench()

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            assert [(await bench.turns(1)).status for _ in range(4)] == ["degraded", "degraded", "down", "operational"]
            assert [check.failures for _, check in bench.told] == [1, 2, 3, 0]
            assert bench.told[0][1].message == "UpstreamUnavailable: http_500"
            assert bench.checks.status("p").uptime_percent == pytest.approx(200 / 3), "a minute of three it was down"

        await bench.asking(answers(FAILING, FAILING, FAILING, REPLY), use, by_chat=True)

    run(scenario)


def test_silence_is_a_failure_that_names_the_time(run: Run) -> None:
    bench = Bench(CheckPolicy(interval=60.0, timeout=0.05))

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            check = await bench.turns(1)
            assert (check.status, check.message) == ("degraded", "No answer within 0.05 s.")

        await bench.asking(silent, use, by_chat=True)

    run(scenario)


def test_by_default_nobody_is_asked_while_all_is_well(run: Run) -> None:
    bench = Bench(CheckPolicy())

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            assert await bench.turns(3) == UNKNOWN
            assert upstream.requests == []
            bench.unwell.add("p")
            assert (await bench.turns(1)).status == "degraded", "it answers, but a part of it is out"
            bench.unwell.clear()
            await bench.turns(3)
            assert len(upstream.requests) == 1

        await bench.asking(answers(MODELS), use)

    run(scenario)


def test_a_failed_check_is_followed_by_others_until_one_goes_well(run: Run) -> None:
    bench = Bench(CheckPolicy())

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            bench.unwell.add("p")
            await bench.turns(1)
            bench.unwell.clear()  # the routing lets it in again, but the check had failed
            await bench.turns(5)
            assert len(upstream.requests) == 2
            assert bench.checks.status("p").status == "operational"

        await bench.asking(answers(FAILING, MODELS), use)

    run(scenario)


def test_an_interval_is_kept_between_the_looks(run: Run) -> None:
    bench = Bench(CheckPolicy(interval=100.0, unwell_interval=10.0))

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            await bench.turns(21, seconds=10.0)
            assert 2 <= len(upstream.requests) <= 3

        await bench.asking(answers(MODELS), use)

    run(scenario)


def test_a_good_answer_lets_a_provider_in_once_until_something_fails_again(run: Run) -> None:
    """Its list of models may answer while its chats do not: that must not undo the breaker's patience each time."""
    bench = Bench()

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            bench.unwell.add("p")
            assert [(await bench.turns(1)).is_recovery for _ in range(3)] == [True, False, False]
            await bench.turns(1)
            assert bench.checks.status("p").status == "down"
            assert (await bench.turns(1)).is_recovery, "a failure between them"
            bench.unwell.clear()
            await bench.turns(1)
            bench.unwell.add("p")
            assert (await bench.turns(1)).is_recovery, "it had been well between them"

        await bench.asking(answers(MODELS, MODELS, MODELS, FAILING, MODELS), use)

    run(scenario)


def test_a_chat_is_asked_for_only_on_wish_and_has_one_token(run: Run) -> None:
    bench = Bench()

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            assert (await bench.turns(1)).status == "operational"
            head, _, body = upstream.requests[0].partition(b"\r\n\r\n")
            assert head.startswith(b"POST /v1/chat/completions")
            assert json.loads(body)["max_tokens"] == 1
            assert (await bench.turns(1)).message == "UpstreamUnavailable: http_500"

        await bench.asking(answers(REPLY, FAILING), use, by_chat=True)

    run(scenario)


def test_a_provider_that_cannot_be_asked_is_known_by_its_requests(run: Run) -> None:
    bench = Bench()
    bench.checks.watch("p", None)
    seen: list[tuple[str, float]] = []

    async def scenario() -> None:
        for calls in (Calls(10, 1, 0.2), Calls(20, 8, 0.2), Calls(24, 12, 0.2), Calls(24, 12, 0.2)):
            bench.calls["p"] = calls
            check = await bench.turns(1)
            seen.append((check.status, check.response_ms))

    run(scenario)
    assert seen == [("operational", 200.0), ("degraded", 200.0), ("down", -1.0), ("down", -1.0)]
    assert len(bench.told) == 3, "no news without requests"
    assert bench.told[0][1].message == "9 of the last 10 attempts went well."


def test_one_slow_provider_keeps_nobody_from_being_checked(run: Run) -> None:
    bench = Bench()
    done: list[str] = []

    def probe(name: str, other: asyncio.Event, own: asyncio.Event) -> Probe:
        async def ask(seconds: float) -> None:
            own.set()
            await other.wait()
            done.append(name)

        return ask

    async def scenario() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        bench.checks.watch("a", probe("a", second, first))
        bench.checks.watch("b", probe("b", first, second))
        await bench.checks.turn()

    run(scenario)
    assert sorted(done) == ["a", "b"]


def test_stopping_cuts_what_is_under_way(run: Run) -> None:
    bench = Bench(CheckPolicy(interval=0.01))

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            running = asyncio.create_task(bench.checks.run(asyncio.Event()))
            while not upstream.requests:  # noqa: ASYNC110  it is the upstream's state
                await asyncio.sleep(0.001)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        await bench.asking(silent, use)

    run(scenario)
    assert bench.told == []


def test_no_interval_at_all_means_never(run: Run) -> None:
    bench = Bench(CheckPolicy(interval=0.0, unwell_interval=0.0))
    run(lambda: bench.checks.run(asyncio.Event()))


def test_a_provider_that_is_reached_in_another_way_keeps_what_is_known_of_it(run: Run) -> None:
    bench = Bench()

    async def scenario() -> None:
        async def use(upstream: ScriptedUpstream) -> None:
            known = await bench.turns(1)
            bench.checks.watch("p", None)
            assert bench.checks.status("p") == known
            await bench.turns(3)
            assert len(upstream.requests) == 1

        await bench.asking(answers(MODELS), use)

    run(scenario)


def test_what_is_forgotten_is_unknown() -> None:
    bench = Bench()
    bench.checks.watch("p", None)
    bench.checks.forget("p")
    assert bench.checks.status("p") == UNKNOWN
    assert bench.checks.all() == {}


def test_a_provider_without_a_list_has_no_probe(run: Run) -> None:
    async def scenario() -> None:
        listless = replace(row(), quirks=frozenset({NO_MODELS_LIST}))
        async with upstream_client() as client:
            link = ProviderClient(listless, "http://127.0.0.1:9/v1", (), 1, client, ProviderTimeouts())
            assert probe_of(link, by_chat=False) is None
            assert probe_of(link, by_chat=True) is not None

    run(scenario)


def test_uptime_is_a_share_of_the_known_time() -> None:
    uptime = Uptime()
    assert uptime.percent(50.0) == -1.0
    uptime.note(100.0, is_up=True)
    assert uptime.percent(100.0) == 100.0
    uptime.note(400.0, is_up=False)
    assert uptime.percent(500.0) == 75.0
    later = 500.0 + 25 * BUCKET_SECONDS
    uptime.note(later, is_up=True)
    assert uptime.percent(later) == 0.0, "a day later nothing but the outage is left"


@given(st.lists(st.tuples(st.floats(0.0, 200_000.0), st.booleans()), min_size=1, max_size=30))
def test_uptime_agrees_with_a_plain_sum(steps: list[tuple[float, bool]]) -> None:
    uptime, now, spans = Uptime(), 0.0, []
    for seconds, is_up in steps:
        uptime.note(now, is_up=is_up)
        spans.append((now, now + seconds, is_up))
        now += seconds
    oldest = (int(now // BUCKET_SECONDS) - 23) * BUCKET_SECONDS
    known = sum(max(0.0, end - max(start, oldest)) for start, end, _ in spans)
    up = sum(max(0.0, end - max(start, oldest)) for start, end, is_up in spans if is_up)
    percent = uptime.percent(now)
    assert len(uptime.buckets) <= 24
    if known > 1e-6:
        assert percent == pytest.approx(100.0 * up / known, abs=1e-3)
    else:
        assert percent >= -1.0
