"""What strategies have to reach, in virtual time and with fixed seeds: the same figures on every machine.

Each promise is tried here with one seed, and held by every seed from 1 to 20 in docs/simulation/seeds.json, which
``made_sweep`` makes anew. Only requests that come while at least one deployment is well count for success. The omniscient router, which
everything else is held against, is defined in ``orcestator/simulator/omniscient.py``.
"""

from dataclasses import replace
from functools import cache
from math import inf
from typing import NamedTuple

import pytest

from orcestator.routing.planning.plan import DEFAULT_STRATEGY
from orcestator.settings import Settings
from orcestator.simulator.scenario_file import find_scenario, known_scenarios
from orcestator.simulator.sweep import Swept, compared, sweep
from orcestator.simulator.trial import Compared
from tests.simulator.made_sweep import SEEDS, read

SEED = 1
SCENARIOS = sorted(known_scenarios())
HIDDEN = "rate_limits"
"""Where limits are hidden, never a second 429 costs more than the omniscient router pays: see docs/simulation.md."""
ENOUGH_SUCCESS = 0.999
"""Or as much as the omniscient router's, where streams break that nobody could have known of."""
MOST_CALLS = 1.15
MIXED = "mixed_troubles"
"""Nobody holds its 95th percentile and its success with every seed: see docs/simulation.md."""


class Promise(NamedTuple):
    """At most so many times the omniscient router's figures; None where nothing is promised."""

    p95_ratio: float | None
    cost_ratio: float | None


PROMISES = {DEFAULT_STRATEGY: Promise(1.25, 1.10), "score": Promise(1.25, None), "smart": Promise(None, None)}
"""The same that docs/simulation.md states, under 'What has to hold'."""
EXCEPTIONS = {
    (MIXED, DEFAULT_STRATEGY): Promise(2.5, 1.10),
    (HIDDEN, DEFAULT_STRATEGY): Promise(1.25, 1.60),
    ("tail_30", DEFAULT_STRATEGY): Promise(1.25, 1.105),
}
"""What is held where a promise is not: told on the same page."""


HALF_USED = 1.05
"""Where the best of three is the cheapest and well half of the time, the cost tells how much of its good half was missed: all of it
would cost a twelfth more."""
MOST_COST = {HIDDEN: 1.55, "half_down_15s": HALF_USED, "half_down_600s": HALF_USED}
MOST_WASTED = {HIDDEN: 0.015, "told_limits": 0.015}
MOST_REGRET = {HIDDEN: 0.16}


@cache
def found(name: str, *, hedging: bool = True) -> Compared:
    settings = replace(Settings(), hedging=hedging)
    (one,) = compared(find_scenario(name), [DEFAULT_STRATEGY], settings, SEED)
    return one


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_promises_are_kept(name: str) -> None:
    """All of one scenario in one test: two workers of a test run would play it twice."""
    one = found(name)
    assert one.figures.success >= min(ENOUGH_SUCCESS, one.omniscient.success), "whoever can be served is served"
    assert one.p95_ratio <= 1.25, "first contents come nearly as soon as with full knowledge"
    assert one.cost_ratio <= MOST_COST.get(name, 1.10), "it costs little more"
    assert one.figures.calls <= MOST_CALLS, "failures are not multiplied"
    assert one.figures.hedges <= 0.1
    assert one.figures.wasted <= MOST_WASTED.get(name, 1.0), "limits are hit hardly ever"
    assert one.regret <= MOST_REGRET.get(name, inf)


def test_hedging_takes_the_slow_tail_away() -> None:
    assert found("slow_tail").figures.p99 <= found("slow_tail", hedging=False).figures.p99 / 2.0


def test_where_a_tenth_of_all_calls_is_slow_no_tenth_of_all_callers_waits() -> None:
    """Everybody else's median is 0.1 s, the slow ones take 4."""
    assert found("tail_10").figures.p95 <= 0.4
    assert found("tail_10", hedging=False).figures.p95 >= 2.0


def test_who_is_slow_in_its_tail_is_the_worse_choice() -> None:
    """The quickest in the median has the tail: the share of callers who wait for it is small."""
    assert found("tail_of_one").figures.p99 <= 1.0


@pytest.mark.parametrize("line", read().values(), ids=lambda line: f"{line.scenario}-{line.strategy}")
def test_with_every_seed_the_promises_are_kept(line: Swept) -> None:
    promise = EXCEPTIONS.get((line.scenario, line.strategy), PROMISES[line.strategy])
    assert line.seeds == len(SEEDS)
    assert line.success >= (0.995 if line.scenario == MIXED else min(ENOUGH_SUCCESS, line.omniscient_success))
    assert line.most_calls <= MOST_CALLS
    assert promise.p95_ratio is None or line.most_p95_ratio <= promise.p95_ratio
    assert promise.cost_ratio is None or line.most_cost_ratio <= promise.cost_ratio


def test_a_sweep_is_the_worst_and_the_middle_of_its_seeds() -> None:
    scenario, seeds = find_scenario("mixed_troubles"), (1, 2, 3)
    (line,) = sweep(scenario, ["score"], Settings(), seeds, 100)
    runs = [one for seed in seeds for one in compared(scenario, ["score"], Settings(), seed, 100)]
    ratios = sorted(run.p95_ratio for run in runs)
    assert (line.seeds, line.strategy) == (3, "score")
    assert (line.p95_ratio, line.most_p95_ratio) == (ratios[1], ratios[2])
    assert line.success == min(run.figures.success for run in runs)
    assert line.most_calls == max(run.figures.calls for run in runs)
