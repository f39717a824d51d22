"""Chance that depends on its seeds only."""

from statistics import mean, pstdev

import pytest

from orcestator.simulator.dice import Dice
from orcestator.simulator.scenario import LogNormal


def test_the_same_seeds_give_the_same_draws_and_others_give_others() -> None:
    first, again, other = Dice(1, 2, 3), Dice(1, 2, 3), Dice(1, 2, 4)
    drawn = [first() for _ in range(5)]
    assert drawn == [again() for _ in range(5)]
    assert drawn != [other() for _ in range(5)]


def test_the_draws_are_known_figures_on_every_machine() -> None:
    dice = Dice(1)
    assert [round(dice(), 12) for _ in range(3)] == KNOWN


KNOWN = [0.368189515652, 0.943564230865, 0.045256997737]


def test_draws_fill_the_unit_interval_evenly() -> None:
    drawn = [Dice(7, number)() for number in range(20_000)]
    assert min(drawn) >= 0.0
    assert max(drawn) < 1.0
    assert mean(drawn) == pytest.approx(0.5, abs=0.01)
    assert pstdev(drawn) == pytest.approx(12**-0.5, abs=0.01)


def test_a_log_normal_has_the_median_the_percentile_and_the_mean_it_says() -> None:
    told = LogNormal(0.5, 1.5)
    drawn = sorted(told.draw(Dice(3, number)) for number in range(20_000))
    assert drawn[10_000] == pytest.approx(0.5, rel=0.05)
    assert drawn[19_000] == pytest.approx(1.5, rel=0.05)
    assert mean(drawn) == pytest.approx(told.mean(), rel=0.05)


def test_the_tail_comes_as_often_as_it_says() -> None:
    told = LogNormal(0.5, 0.6, tail_share=0.03, tail_median=50.0)
    slow = sum(told.draw(Dice(3, number)) > 10.0 for number in range(20_000))
    assert slow / 20_000 == pytest.approx(0.03, abs=0.005)
