"""What is learned: the best is found, kept, left when it worsens, and found again; chance is a fixed one."""

from collections import Counter
from collections.abc import Mapping

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.adaptive import Adaptive
from orcestator.routing.reading.preferences import Preferences
from tests.routing.planning.strategies.situations import NOW, Scene, candidate, names

A, B, C = candidate("a"), candidate("b"), candidate("c")


def run(
    scene: Scene,
    candidates: list[Candidate],
    seconds: Mapping[str, float],
    start: float,
    count: int,
    failing: str = "",
    preferences: Preferences | None = None,
) -> Counter[str]:
    """So many requests, one a second: who served them first."""
    strategy, firsts = Adaptive(), Counter[str]()
    for number in range(count):
        now = start + number
        first = strategy.order(candidates, scene.at(now, preferences or Preferences()))[0].candidate
        provider = first.deployment.provider
        firsts[provider] += 1
        if provider in failing:
            scene.fail(first, now=now)
        else:
            scene.call(first, seconds[provider] * (0.8 + 0.4 * scene.rng()), now=now)
    return firsts  # fmt: skip


def test_the_best_is_found_and_the_others_are_rarely_tried() -> None:
    firsts = run(Scene(), [A, B, C], {"a": 3.0, "b": 1.0, "c": 2.0}, NOW, 2000)
    assert firsts["b"] > 1950


def test_what_worsens_is_left_and_what_recovers_is_found_again() -> None:
    scene = Scene()
    run(scene, [A, B], {"a": 1.0, "b": 2.0}, NOW, 600)
    worse = run(scene, [A, B], {"a": 8.0, "b": 2.0}, NOW + 600, 600)
    assert worse["b"] > 570
    better = run(scene, [A, B], {"a": 1.0, "b": 2.0}, NOW + 1200, 1200)
    assert better["a"] > 500


def test_failures_cost_time() -> None:
    firsts = run(Scene(), [A, B], {"a": 0.5, "b": 1.5}, NOW, 500, failing="a")
    assert firsts["b"] > 480


def test_equals_share() -> None:
    firsts = run(Scene(), [A, B], {"a": 1.0, "b": 1.0}, NOW, 1000)
    assert min(firsts.values()) > 200


def test_a_better_price_outweighs_a_little_time_and_urgency_turns_that() -> None:
    cheap, dear = candidate("c", input_price=0.1, output_price=0.4), candidate("d", input_price=2.0, output_price=6.0)
    seconds = {"c": 1.5, "d": 1.0}
    assert run(Scene(), [cheap, dear], seconds, NOW, 300)["c"] > 290
    assert run(Scene(), [cheap, dear], seconds, NOW, 300, preferences=Preferences(urgency="high"))["d"] > 250


def test_quality_counts_where_it_is_asked_for() -> None:
    plain, fine = candidate("p", quality=40.0), candidate("f", quality=90.0)
    scene = Scene()
    assert names(Adaptive().order([plain, fine], scene.at())) == "pf"
    assert names(Adaptive().order([plain, fine], scene.at(preferences=Preferences(quality="premium")))) == "fp"


def test_what_is_unknown_gets_its_chance() -> None:
    scene = Scene()
    scene.call(A, 1.0, times=50)
    firsts = Counter(names(Adaptive().order([A, B], scene.at()))[0] for _ in range(300))
    assert firsts["b"] > 60
