"""Round robin, shortest queue, lottery, smart, cheapest and fastest: what each puts first."""

from collections import Counter
from collections.abc import Callable

from orcestator.routing.planning.key_rotation import MOST_REMEMBERED, KeyRotation
from orcestator.routing.planning.strategies.cheapest import Cheapest
from orcestator.routing.planning.strategies.fastest import Fastest
from orcestator.routing.planning.strategies.lottery import Lottery
from orcestator.routing.planning.strategies.round_robin import RoundRobin
from orcestator.routing.planning.strategies.shortest_queue import ShortestQueue
from orcestator.routing.planning.strategies.smart import Smart
from tests.routing.planning.strategies.situations import Scene, candidate, names

A, B, C = candidate("a"), candidate("b"), candidate("c")


def shares(order: Callable[[], str], count: int = 4000) -> dict[str, float]:
    """How often each comes first."""
    firsts = Counter(order()[0] for _ in range(count))
    return {name: firsts[name] / count for name in firsts}


def test_round_robin_takes_turns_also_where_one_is_out_for_a_while() -> None:
    strategy, scene = RoundRobin(), Scene()
    assert [names(strategy.order([A, B, C], scene.at()))[0] for _ in range(4)] == ["a", "b", "c", "a"]
    assert [names(strategy.order([A, C], scene.at()))[0] for _ in range(2)] == ["c", "a"]
    assert names(strategy.order([A, B, C], scene.at())) == "bca"


def test_the_memory_of_turns_is_bounded() -> None:
    turns = KeyRotation()
    for number in range(MOST_REMEMBERED + 10):
        turns.in_turn([candidate(str(number))])
    assert len(turns._last) == MOST_REMEMBERED


def test_the_shortest_queue_for_its_speed() -> None:
    scene = Scene()
    strong = candidate("s", weight=3)
    assert names(ShortestQueue().order([A, strong], scene.at())) == "sa"
    scene.hold(strong, 3)
    assert names(ShortestQueue().order([A, strong], scene.at())) == "as"
    scene.hold(A, 1)
    assert names(ShortestQueue().order([A, strong], scene.at())) == "sa"
    quick, slow = candidate("q"), candidate("w")
    scene.call(quick, rate=90.0)
    scene.call(slow, rate=30.0)
    assert names(ShortestQueue().order([slow, quick], scene.at())) == "qw"


def test_the_lottery_is_in_proportion_to_speed() -> None:
    scene, candidates = Scene(), [candidate("a", weight=1), candidate("b", weight=3)]
    found = shares(lambda: names(Lottery().order(candidates, scene.at())))
    assert 0.72 < found["b"] < 0.78
    scene.call(candidates[0], rate=90.0)
    scene.call(candidates[1], rate=30.0)
    found = shares(lambda: names(Lottery().order(candidates, scene.at())))
    assert 0.47 < found["b"] < 0.53


def test_smart_is_in_proportion_to_weight_success_and_latency() -> None:
    scene, candidates = Scene(), [candidate("a", weight=1), candidate("b", weight=4)]
    found = shares(lambda: names(Smart().order(candidates, scene.at())))
    assert 0.77 < found["b"] < 0.83
    scene.call(candidates[0], seconds=1.0, times=500)
    scene.call(candidates[1], seconds=1.0, times=250)
    scene.fail(candidates[1], times=250)
    halved = shares(lambda: names(Smart().order(candidates, scene.at())))
    assert 0.62 < halved["b"] < 0.72  # four times about a half, against 1
    scene.call(candidates[0], seconds=9.0, times=100)
    assert shares(lambda: names(Smart().order(candidates, scene.at())))["b"] > 0.85


def test_the_second_of_a_draw_is_drawn_like_the_first() -> None:
    scene, candidates = Scene(), [candidate("a", weight=8), candidate("b", weight=1), candidate("c", weight=3)]
    seconds = Counter(
        order[1] for _ in range(4000) if (order := names(Smart().order(candidates, scene.at())))[0] == "a"
    )
    assert 0.7 < seconds["c"] / seconds.total() < 0.8


def test_the_cheapest_for_this_request() -> None:
    reader, writer = (
        candidate("r", input_price=1.0, output_price=9.0),
        candidate("w", input_price=3.0, output_price=1.0),
    )
    free, unknown = candidate("f", is_free=True), candidate("u")
    scene = Scene()
    assert names(Cheapest().order([unknown, reader, writer, free], scene.at(tokens=100, output_tokens=1000))) == "fwru"
    assert names(Cheapest().order([unknown, reader, writer, free], scene.at(tokens=9000, output_tokens=10))) == "frwu"


def test_the_fastest_as_measured_failures_counted_in() -> None:
    scene = Scene()
    scene.call(A, seconds=2.0, times=20)
    scene.call(B, seconds=0.9, times=20)
    assert names(Fastest().order([A, B], scene.at())) == "ba"
    scene.fail(B, times=30)
    assert names(Fastest().order([A, B], scene.at())) == "ab"
    assert (
        names(Fastest().order([candidate("s", speed_tier="slow"), candidate("q", speed_tier="fast")], scene.at()))
        == "qs"
    )


def test_who_was_slow_once_is_forgiven() -> None:
    scene = Scene()
    scene.call(A, seconds=60.0)
    scene.call(B, seconds=1.5)
    assert names(Fastest().order([A, B], scene.at())) == "ba"
    later = 1000.0 + 1800
    scene.call(B, seconds=1.5, now=later)
    assert names(Fastest().order([A, B], scene.at(later))) == "ab"
