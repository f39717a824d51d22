"""The five factors, and what weighs more when."""

import pytest

from orcestator.routing.planning.strategies.score import WEIGHTS, Score, factors_of
from orcestator.routing.reading.preferences import Preferences
from tests.routing.planning.strategies.situations import Scene, candidate, names

CHEAP = candidate("c", input_price=0.1, output_price=0.4, quality=50.0, speed_tier="medium")
GOOD = candidate("g", input_price=5.0, output_price=15.0, quality=95.0, speed_tier="medium")
QUICK = candidate("q", input_price=2.0, output_price=6.0, quality=50.0, speed_tier="fast")


@pytest.mark.parametrize(
    ("preferences", "first"),
    [
        (Preferences(), "c"),
        (Preferences(quality="premium"), "g"),
        (Preferences(urgency="high"), "q"),
        (Preferences(urgency="low"), "c"),
        (Preferences(budget=0.002), "c"),
    ],
)
def test_urgency_quality_and_budget_decide(preferences: Preferences, first: str) -> None:
    assert names(Score().order([GOOD, QUICK, CHEAP], Scene().at(preferences=preferences)))[0] == first


def test_the_weights_make_one_and_the_score_is_their_mean() -> None:
    assert all(sum(weights) == pytest.approx(1.0) for weights in WEIGHTS.values())
    (scored,) = Score().order([GOOD], Scene().at())
    assert scored.factors is not None
    mean = sum(weight * factor for weight, factor in zip(WEIGHTS[None, None, False], scored.factors, strict=True))
    assert scored.score == pytest.approx(mean)


def test_what_each_factor_says() -> None:
    scene, one = Scene(), candidate("a", max_concurrent=4, input_price=2.0, output_price=16.0)
    unknown = factors_of(candidate("u"), None, scene.at())
    assert (unknown.cost, unknown.quality, unknown.availability, unknown.reliability) == (50.0, 50.0, 100.0, 100.0)
    scene.call(one, seconds=2.0, times=40)
    scene.fail(one, times=10)
    scene.hold(one, 1)
    found = factors_of(one, scene.stats.of(one.deployment), scene.at(tokens=1000, output_tokens=500))
    assert found.cost == 50.0  # exactly the middling price
    assert 50.0 < found.speed < 52.0
    assert found.availability == 75.0
    assert 84.0 < found.reliability < 88.0  # 40 of 47: the first three failures of a row are not held against it yet
    budget = factors_of(one, None, scene.at(preferences=Preferences(budget=0.1), output_tokens=500))
    assert budget.cost > 90.0
