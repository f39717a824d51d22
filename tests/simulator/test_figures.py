"""The figures of a run, and the routers that a strategy is compared with."""

from dataclasses import replace

import pytest

from orcestator.settings import Settings
from orcestator.simulator.arrivals import requests_of
from orcestator.simulator.figures import figures
from orcestator.simulator.objective import BALANCED, HASTY, THRIFTY, objective_of
from orcestator.simulator.run import Outcome, run_omniscient
from orcestator.simulator.scenario import LogNormal
from orcestator.simulator.trial import hold_trial
from tests.simulator.scenarios import condition, deployment, scenario

CHEAP_AND_SLOW = deployment("slow", first=condition(price=0.1, first_content=LogNormal(4.0, 6.0)))
DEAR_AND_QUICK = deployment("quick", first=condition(price=9.0, first_content=LogNormal(0.3, 0.5)))


def outcome(first_content: float = 1.0, error: str = "", **more: object) -> Outcome:
    usual = Outcome(0.0, True, True, error, first_content, 0.002, 1, 0, 0)
    return usual._replace(**more)  # type: ignore[arg-type]


def test_the_figures_are_those_of_the_outcomes() -> None:
    outcomes = [outcome(number / 100.0) for number in range(1, 101)]
    found = figures(outcomes, BALANCED)
    assert (found.p50, found.p95, found.p99) == (0.51, 0.96, 1.0)
    assert (found.requests, found.success, found.calls, found.wasted) == (100, 1.0, 1.0, 0.0)
    assert found.dollars == pytest.approx(2.0)
    assert found.loss == pytest.approx(1000.0 * (0.002 + 0.002 * 0.505))


def test_only_requests_that_came_while_somebody_was_well_count_against_a_router() -> None:
    lost, hopeless = outcome(error="AttemptsExhausted"), outcome(error="NothingLeft", is_healthy=False)
    found = figures([outcome(), outcome(), outcome(), lost, hopeless], BALANCED)
    assert (found.success, found.success_of_all) == (0.75, 0.6)


def test_whole_replies_do_not_count_as_first_contents_beside_streams() -> None:
    assert figures([outcome(1.0), outcome(30.0, streamed=False)], BALANCED).p99 == 1.0
    assert figures([outcome(30.0, streamed=False)], BALANCED).p99 == 30.0


def test_wasted_calls_are_a_share_of_calls_and_hedges_of_requests() -> None:
    found = figures([outcome(calls=3, wasted=2, hedges=1), outcome()], BALANCED)
    assert (found.calls, found.wasted, found.hedges) == (2.0, 0.5, 0.5)


@pytest.mark.parametrize(("objective", "expected"), [(THRIFTY, 0.1), (HASTY, 9.0)])
def test_the_omniscient_router_takes_what_its_objective_wants(objective: object, expected: float) -> None:
    both = scenario(CHEAP_AND_SLOW, DEAR_AND_QUICK)
    requests = requests_of(both, 1, 50)
    outcomes = run_omniscient(both, requests, objective, 1)  # type: ignore[arg-type]
    told = sum(condition(price=expected).price.dollars(each.prompt_tokens, each.output_tokens) for each in requests)
    assert sum(each.dollars for each in outcomes) == pytest.approx(told)


def test_the_omniscient_router_leaves_what_is_down_in_the_same_moment() -> None:
    away = (300.0, condition(price=0.1, refused=1.0))
    both = scenario(
        deployment("best", away, first=condition(price=0.1)), deployment("other", first=condition(price=2.0))
    )
    outcomes = run_omniscient(both, requests_of(both, 1), BALANCED, 1)
    assert all(not each.error and each.calls == 1 for each in outcomes)


def test_it_calls_nobody_where_all_are_down() -> None:
    dead = scenario(deployment("a", first=condition(refused=1.0)), deployment("b", first=condition(unavailable=1.0)))
    outcomes = run_omniscient(dead, requests_of(dead, 1, 20), BALANCED, 1)
    assert all(each.error == "NothingLeft" and each.calls == 0 and not each.is_healthy for each in outcomes)


def test_a_strategy_is_compared_with_who_wants_the_same() -> None:
    assert (objective_of("cheapest"), objective_of("fastest"), objective_of("adaptive")) == (THRIFTY, HASTY, BALANCED)
    unhedged = replace(Settings(), hedging=False)
    trial = hold_trial(scenario(DEAR_AND_QUICK, CHEAP_AND_SLOW), ["cheapest", "priority"], unhedged, 1, 100)
    compared = {each.strategy: each for each in trial.compared()}
    assert compared["cheapest"].regret == pytest.approx(0.0, abs=0.02)
    assert compared["cheapest"].objective == "thrifty"
    assert compared["priority"].regret > 0.0


def test_nobody_does_better_than_the_clairvoyant_bound() -> None:
    trial = hold_trial(scenario(DEAR_AND_QUICK, CHEAP_AND_SLOW), ["priority"], Settings(), 1, 200)
    bound = figures(trial.clairvoyant[BALANCED], BALANCED)
    known = figures(trial.omniscient[BALANCED], BALANCED)
    assert bound.loss < known.loss < trial.compared()[0].figures.loss


def test_the_same_seed_gives_the_same_figures() -> None:
    both = scenario(CHEAP_AND_SLOW, DEAR_AND_QUICK, deployment("third"))
    first, again, other = (hold_trial(both, ["adaptive"], Settings(), seed, 300).to_wire() for seed in (5, 5, 6))
    assert first == again
    assert first["strategies"] != other["strategies"]
