"""What the default strategy has to reach, in virtual time and with a fixed seed: the same figures on every machine.

Only requests that come while at least one deployment is well count for success. The omniscient router, which everything else is
held against, is defined in ``orcestator/simulator/omniscient.py``.
"""

from dataclasses import replace
from functools import cache

import pytest

from orcestator.routing.plan import DEFAULT_STRATEGY
from orcestator.settings import Settings
from orcestator.simulator.scenario_file import find_scenario, known_scenarios
from orcestator.simulator.trial import Compared, hold_trial

SEED = 1
SCENARIOS = sorted(known_scenarios())
HIDDEN = "rate_limits"
"""Where limits are hidden, never a second 429 costs more than the omniscient router pays: see docs/simulation.md."""


@cache
def compared(name: str, *, hedging: bool = True) -> Compared:
    settings = replace(Settings(), hedging=hedging)
    (found,) = hold_trial(find_scenario(name), [DEFAULT_STRATEGY], settings, SEED).compared()
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_whoever_can_be_served_is_served(name: str) -> None:
    assert compared(name).figures.success >= 0.999


@pytest.mark.parametrize("name", SCENARIOS)
def test_first_contents_come_nearly_as_soon_as_with_full_knowledge(name: str) -> None:
    assert compared(name).p95_ratio <= 1.15


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {HIDDEN}))
def test_it_costs_little_more_than_with_full_knowledge(name: str) -> None:
    assert compared(name).cost_ratio <= 1.10


def test_where_limits_are_hidden_it_costs_what_half_of_the_silent_ones_costs() -> None:
    assert compared(HIDDEN).cost_ratio <= 1.55
    assert compared(HIDDEN).regret <= 0.16


@pytest.mark.parametrize("name", SCENARIOS)
def test_failures_are_not_multiplied(name: str) -> None:
    found = compared(name).figures
    assert found.calls <= 1.2
    assert found.hedges <= 0.05


def test_limits_are_hit_hardly_ever() -> None:
    assert compared(HIDDEN).figures.wasted <= 0.015
    assert compared("told_limits").figures.wasted <= 0.015


def test_hedging_takes_the_slow_tail_away() -> None:
    assert compared("slow_tail").figures.p99 <= compared("slow_tail", hedging=False).figures.p99 / 2.0
