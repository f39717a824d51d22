"""Hedging: a second candidate when the first is slower than it uses to be; one answer, one loser, and few of them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from orcestator.errors import AttemptsExhausted, Overloaded, UpstreamUnavailable
from orcestator.routing.attempts.hedging import HedgePolicy, Hedging, hedge_budget
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.planning.catalog import Candidate, HedgeLimit
from orcestator.routing.state.durations import ENOUGH_CALLS, Durations
from orcestator.routing.state.stats import DeploymentStats
from orcestator.simulator.virtual_loop import run_virtually
from tests.routing.failures import deployment, failure
from tests.routing.plans import candidate_of, plan_of
from tests.routing.virtual_world import Fate, VirtualWorld

A, B, C = (candidate_of(deployment(provider), place) for place, provider in enumerate("abc"))
USUAL = [0.5] * 40


def late() -> float:
    """Seconds after which a call is late where all others took 0.5."""
    spread = Durations()
    for seconds in USUAL:
        spread.add(seconds, 0.0)
    found = spread.anew_after(0.0, 0.5)
    assert found is not None
    return found


LATE = late()


def play(
    fates: dict[Candidate, Fate], scenario: Callable[[VirtualWorld], Awaitable[None]], hedging: Hedging | None = None
) -> None:
    """A scenario in virtual time, in which A was always quick; nothing is left behind."""

    async def whole() -> None:
        world = VirtualWorld(fates.__getitem__, hedging=hedging)
        world.learn(A, USUAL)
        await scenario(world)
        await asyncio.sleep(0)
        world.assert_nothing_leaks()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(whole())


def verdicts(world: VirtualWorld) -> list[tuple[int, str, str, str]]:
    return [(end.number, end.provider, end.error, end.verdict) for end in world.attempts]


def test_a_slow_first_loses_to_the_second() -> None:
    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()
        reply = await world.ask(plan_of([A, B]), tally)

        assert reply.candidate is B
        assert world.clock() == pytest.approx(LATE + 0.2)
        assert (tally.attempts, tally.hedges, tally.fallbacks, tally.retries) == (2, 1, 0, 0)
        assert verdicts(world) == [(1, "a", "", "hedge_lost"), (2, "b", "", "hedge_won")]
        assert [end.maybe_billed for end in world.attempts] == [True, False]
        assert [(note.verdict, note.kind == "hedge") for note in tally.made] == [
            ("hedge_lost", False),
            ("hedge_won", True),
        ]

    play({A: Fate(30.0), B: Fate(0.2)}, scenario)


def test_a_first_that_speaks_after_all_wins() -> None:
    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()

        assert (await world.ask(plan_of([A, B]), tally)).candidate is A
        assert verdicts(world) == [(1, "a", "", ""), (2, "b", "", "hedge_lost")]

    play({A: Fate(LATE + 0.1), B: Fate(5.0)}, scenario)


@pytest.mark.parametrize(("sooner", "winner", "answers"), [(0.0, A, 1), (1e-10, B, 2)], ids=["first", "second"])
def test_two_answers_in_the_same_turn_are_one(sooner: float, winner: Candidate, answers: int) -> None:
    """The second speaks a moment sooner, in the same turn of the event loop: the first has its answer before it can be cut."""

    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()

        assert (await world.ask(plan_of([A, B]), tally)).candidate is winner
        assert tally.served is winner
        assert len(world.replies) == answers
        won = "" if winner is A else "hedge_won"
        assert {end.verdict for end in world.attempts} == {won, "hedge_lost"}

    play({A: Fate(LATE + 0.2), B: Fate(0.2 - sooner)}, scenario)


def test_a_slow_loser_is_remembered_as_slow_and_a_quick_one_is_not_taken_for_quicker() -> None:
    async def scenario(world: VirtualWorld) -> None:
        world.learn(B, [3.0] * 40)
        await world.ask(plan_of([A, B]))
        measure_a, measure_b = world.loop.stats.of(A.deployment), world.loop.stats.of(B.deployment)

        assert measure_a is not None
        assert measure_b is not None
        assert measure_a.streamed.count == 41
        assert measure_a.streamed.mean > 0.5

        world.fate = {A: Fate(LATE + 0.1), B: Fate(5.0)}.__getitem__
        before = measure_b.streamed.mean
        await world.ask(plan_of([A, B]))
        assert measure_b.streamed.mean == before

    play({A: Fate(30.0), B: Fate(1.0)}, scenario)


def test_in_its_usual_time_nobody_is_hedged() -> None:
    async def scenario(world: VirtualWorld) -> None:
        for _ in range(50):
            await world.ask(plan_of([A, B]))
        assert {end.provider for end in world.attempts} == {"a"}

    play({A: Fate(0.4)}, scenario)


@pytest.mark.parametrize("slow_one_fails", [True, False])
def test_when_one_of_two_fails_the_other_goes_on(slow_one_fails: bool) -> None:
    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()
        reply = await world.ask(plan_of([A, B]), tally)

        assert reply.candidate is (B if slow_one_fails else A)
        assert len(tally.failures) == 1
        told = ["fall_back", "hedge_won"] if slow_one_fails else ["", "fall_back"]
        assert [end.verdict for end in world.attempts] == told
        assert (tally.attempts, tally.hedges) == (2, 1)

    failed, good = Fate(2.0, failure()), Fate(4.0)
    play({A: failed, B: good} if slow_one_fails else {A: good, B: failed}, scenario)


def test_when_both_fail_the_loop_goes_on_with_the_third() -> None:
    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()

        assert (await world.ask(plan_of([A, B, C]), tally)).candidate is C
        assert verdicts(world) == [
            (1, "a", "UpstreamUnavailable", "fall_back"),
            (2, "b", "UpstreamUnavailable", "fall_back"),
            (3, "c", "", ""),
        ]
        assert (tally.attempts, tally.hedges, tally.fallbacks) == (3, 1, 1)

    play({A: Fate(2.0, failure()), B: Fate(0.1, failure()), C: Fate(0.1)}, scenario)


def test_when_both_fail_and_nobody_is_left_both_failures_are_told() -> None:
    async def scenario(world: VirtualWorld) -> None:
        with pytest.raises(AttemptsExhausted) as caught:
            await world.ask(plan_of([A, B]))
        assert len(caught.value.failures) >= 2

    play(
        {A: Fate(2.0, UpstreamUnavailable("one", cause="x")), B: Fate(0.1, UpstreamUnavailable("two", cause="x"))},
        scenario,
    )


def test_a_hedge_without_a_free_connection_is_no_failure() -> None:
    async def scenario(world: VirtualWorld) -> None:
        tally = Tally()

        assert (await world.ask(plan_of([A, B]), tally)).candidate is A
        assert tally.failures == []

    play({A: Fate(2.0), B: Fate(0.0, Overloaded("full", code="pool_full"))}, scenario)


@pytest.mark.parametrize("leaves_after", [0.1, LATE, LATE + 0.1, LATE + 0.15, LATE + 0.2])
def test_a_caller_who_leaves_ends_both(leaves_after: float) -> None:
    async def scenario(world: VirtualWorld) -> None:
        asking = asyncio.create_task(world.ask(plan_of([A, B])))
        await asyncio.sleep(leaves_after)
        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0)
        assert world.open_attempts == []

    play({A: Fate(30.0), B: Fate(0.2)}, scenario)


def test_who_may_be_the_second() -> None:
    """Not the paid one, not one that is out, not one that is full; and never somewhere else than at chat."""
    paid, full = candidate_of(deployment("p"), is_paid_fallback=True), candidate_of(deployment("f"), max_concurrent=1)

    async def scenario(world: VirtualWorld) -> None:
        world.loop.line.permits.take(full)
        world.health.failed(C.deployment, failure(), world.loop.verdicts.judge(failure()), world.clock())
        for _ in range(4):
            world.health.failed(C.deployment, failure(), world.loop.verdicts.judge(failure()), world.clock())
        for plan in (plan_of([A, full, C, paid]), plan_of([A])):
            assert (await world.ask(plan)).candidate is A
        embedding = plan_of([A, B])
        embedding.ask = embedding.ask._replace(endpoint="embeddings")
        assert (await world.ask(embedding)).candidate is A
        assert {end.provider for end in world.attempts} == {"a"}
        world.loop.line.permits.give_back(full)

    play({A: Fate(3.0)}, scenario)


def test_it_can_be_switched_off() -> None:
    async def scenario(world: VirtualWorld) -> None:
        assert (await world.ask(plan_of([A, B]))).candidate is A

    play({A: Fate(30.0)}, scenario, hedging=Hedging(HedgePolicy(is_on=False)))


def test_hedges_are_few_however_slow_all_have_become() -> None:
    async def scenario(world: VirtualWorld) -> None:
        tallies = [Tally() for _ in range(1000)]
        for tally in tallies:
            world.learn(A, USUAL)
            await world.ask(plan_of([A, B]), tally)
        assert 0 < sum(tally.hedges for tally in tallies) <= 0.1 * len(tallies)

    play({A: Fate(5.0), B: Fate(5.0)}, scenario, hedging=Hedging())


def test_calls_after_a_failure_leave_less_for_hedges() -> None:
    """So that all second calls together stay within the share, whatever makes them."""

    async def scenario(world: VirtualWorld) -> None:
        world.learn(B, [0.2] * 40)
        for _ in range(50):
            await world.ask(plan_of([B, A]))
        world.fate = {A: Fate(5.0), B: Fate(0.1), C: Fate(0.1, failure())}.__getitem__
        for _ in range(3):
            await world.ask(plan_of([C, B]))
        tallies = [Tally() for _ in range(47)]
        for tally in tallies:
            world.learn(A, USUAL)
            await world.ask(plan_of([A, B]), tally)
        assert sum(tally.hedges for tally in tallies) == 7  # a tenth of a hundred, less three

    play({A: Fate(0.1), B: Fate(0.1)}, scenario, hedging=Hedging(budget=hedge_budget(10.0)))


def test_an_alias_with_its_own_limit_has_its_own_budget() -> None:
    hedging = Hedging(budget=hedge_budget(0.0))
    slow, never = HedgeLimit("slow", 50.0), HedgeLimit("never", 0.0)
    for limit in (None, slow, never):
        for _ in range(10):
            hedging.budget_of(limit).request(0.0)
    assert [sum(hedging.budget_of(limit).spend() for _ in range(10)) for limit in (None, slow, never)] == [0, 5, 0]
    assert hedging.budget_of(HedgeLimit("slow", 20.0)).percent == 20.0


def test_the_limit_of_an_alias_is_the_one_that_counts() -> None:
    async def scenario(world: VirtualWorld) -> None:
        plan = plan_of([A, B])
        plan.hedge_limit = HedgeLimit("mine", 0.0)
        assert (await world.ask(plan)).candidate is A
        plan.hedge_limit = None
        assert (await world.ask(plan)).candidate is B

    play({A: Fate(30.0), B: Fate(0.2)}, scenario)


def test_the_time_that_is_late_is_learned_of_the_deployment_itself() -> None:
    measure, hedging = DeploymentStats(), Hedging(HedgePolicy(least_seconds=0.2))
    assert hedging.delay(None, None, streamed=True) is None
    for _ in range(ENOUGH_CALLS):
        assert hedging.delay(measure, None, streamed=True) is None
        measure.streamed.spread.add(4.0, 0.0)

    assert 6.0 < (hedging.delay(measure, None, streamed=True) or 0.0) < 9.0
    assert hedging.delay(measure, None, streamed=False) is None
    for _ in range(1000):
        measure.streamed.spread.add(0.01, 0.0)
    assert hedging.delay(measure, None, streamed=True) == 0.2


def test_a_probe_has_its_usual_time_and_no_more() -> None:
    measure, hedging = DeploymentStats(), Hedging()
    for seconds in [0.5, 0.6, 0.7, 0.8, 8.0] * 20:
        measure.streamed.spread.add(seconds, 0.0)
    late = hedging.delay(measure, None, streamed=True)
    at_once = hedging.delay(measure, None, streamed=True, is_probe=True)
    assert late is not None
    assert at_once is not None
    assert 0.7 < at_once < late < 8.0


def test_the_cap_holds_from_the_first_request_on() -> None:
    budget = hedge_budget(5.0)
    for _ in range(19):
        budget.request(0.0)
    assert not budget.spend()
    budget.request(0.0)
    assert [budget.spend() for _ in range(2)] == [True, False]
