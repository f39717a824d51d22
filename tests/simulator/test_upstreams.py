"""Upstreams that are models: each call ends as its throw says, in the time that it says."""

import asyncio

import pytest

from orcestator.errors import UpstreamError
from orcestator.routing.verdict import VERDICTS, judge
from orcestator.simulator.failures import CUT, KINDS
from orcestator.simulator.scenario import Condition, Limits, LogNormal, Scenario
from orcestator.simulator.upstreams import Answer, Trace, Upstreams
from orcestator.simulator.virtual_loop import run_virtually
from tests.simulator.scenarios import condition, deployment, request, scenario


def one(first: Condition) -> Scenario:
    return scenario(deployment("a", first=first))


def called(upstreams: Upstreams, trace: Trace, *, streamed: bool = True) -> tuple[Answer | UpstreamError, float]:
    async def main() -> tuple[Answer | UpstreamError, float]:
        try:
            answer: Answer | UpstreamError = await upstreams.call(0, request(streamed=streamed), trace)
        except UpstreamError as error:
            answer = error
        return answer, asyncio.get_running_loop().time()

    return run_virtually(main())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != CUT])
def test_every_kind_of_failure_is_one_that_the_verdict_table_knows(kind: str) -> None:
    trace = Trace()
    error, seconds = called(Upstreams(one(condition(**{kind: 1.0})), 1), trace)
    assert isinstance(error, UpstreamError)
    assert judge(error) in VERDICTS.values()
    expected = KINDS[kind].seconds
    assert expected is None or seconds == pytest.approx(expected)
    assert (trace.calls, trace.wasted) == (1, 1)
    assert (trace.dollars > 0.0) is KINDS[kind].is_billed


def test_a_stream_begins_when_its_first_content_comes_and_a_whole_reply_at_its_end() -> None:
    streamed, first_at = called(Upstreams(one(condition()), 1), Trace())
    whole, whole_at = called(Upstreams(one(condition()), 1), Trace(), streamed=False)
    assert isinstance(streamed, Answer)
    assert isinstance(whole, Answer)
    assert (streamed.seconds_left, whole.seconds_left) == (2.0, 0.0)  # 200 tokens, 100 a second
    assert whole_at == pytest.approx(first_at + 2.0)


def test_a_call_has_the_same_fate_whoever_makes_it_and_another_number_has_another() -> None:
    upstreams, again = Upstreams(one(condition()), 1), Upstreams(one(condition()), 1)
    assert upstreams.fate(0, request(5), 0, 0.0) == again.fate(0, request(5), 0, 99.0)
    assert upstreams.fate(0, request(5), 0, 0.0) != upstreams.fate(0, request(5), 1, 0.0)
    assert upstreams.fate(0, request(5), 0, 0.0) != upstreams.fate(0, request(6), 0, 0.0)


def test_a_cut_stream_breaks_after_its_first_content() -> None:
    upstreams, trace = Upstreams(one(condition(cut=1.0)), 1), Trace()
    answer, _ = called(upstreams, trace)
    assert isinstance(answer, Answer)
    broke = run_virtually(upstreams.finish(answer, trace))
    assert broke is not None
    assert (trace.wasted, upstreams.meters[0].in_flight) == (1, 0)
    assert isinstance(called(upstreams, Trace(), streamed=False)[0], UpstreamError)


def test_a_call_that_is_given_up_frees_its_place_and_costs_its_prompt() -> None:
    upstreams, trace = Upstreams(one(condition(price=2.0)), 1), Trace()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await upstreams.call(0, request(), trace)

    run_virtually(main())
    assert (upstreams.meters[0].in_flight, trace.wasted) == (0, 1)
    assert trace.dollars == pytest.approx(0.002)


@pytest.mark.parametrize("says", [True, False])
def test_a_hidden_limit_answers_429_and_tells_when_only_if_it_is_one_that_tells(says: bool) -> None:
    upstreams = Upstreams(one(condition(limits=Limits(1, "sliding", says))), 1)

    async def main() -> UpstreamError:
        await upstreams.finish(await upstreams.call(0, request(), Trace()), Trace())
        with pytest.raises(UpstreamError) as caught:
            await upstreams.call(0, request(1), Trace())
        return caught.value

    error = run_virtually(main())
    assert (error.cause, error.upstream_status) == ("http_429", 429)
    assert (error.retry_after is not None) is says


def test_too_slow_is_a_timeout() -> None:
    error, seconds = called(Upstreams(one(condition(first_content=LogNormal(1000.0, 1000.0))), 1), Trace())
    assert isinstance(error, UpstreamError)
    assert (error.cause, seconds) == ("first_byte_timeout", 30.0)


def test_who_is_down_or_full_is_not_healthy() -> None:
    later = (100.0, condition(unavailable=1.0))
    upstreams = Upstreams(scenario(deployment("a", later, first=condition(limits=Limits(1)))), 1)
    assert upstreams.is_healthy(0, 0.0)
    assert not upstreams.is_healthy(0, 100.0)
    run_virtually(upstreams.call(0, request(), Trace()))
    assert not upstreams.is_healthy(0, 1.0)
