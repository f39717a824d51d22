"""A conversation stays where its prompt is cached, as long as that pays."""

import pytest

from orcestator.routing.planning.strategies.sticky import CACHED_SECONDS, MOST_PLACES, Sticky, pays
from tests.routing.planning.strategies.situations import NOW, Scene, candidate, names

PRICES = {"input_price": 3.0, "output_price": 15.0, "cache_read_price": 0.3}
A, B, C = (candidate(provider, **PRICES) for provider in "abc")


def test_a_conversation_stays_and_others_go_their_way() -> None:
    scene, strategy = Scene(), Sticky()
    strategy.served(scene.at(conversation="x.s").ask, C, NOW)
    assert names(strategy.order([A, B, C], scene.at(NOW + 100, conversation="x.s"))) == "cab"
    assert names(strategy.order([A, B, C], scene.at(NOW + 100, conversation="y.t"))) == "abc"
    assert names(strategy.order([A, B, C], scene.at(NOW + 100))) == "abc"


def test_a_new_conversation_goes_where_its_system_prompt_is() -> None:
    scene, strategy = Scene(), Sticky()
    strategy.served(scene.at(conversation="x.s").ask, C, NOW)
    assert names(strategy.order([A, B, C], scene.at(conversation="y.s"))) == "cab"
    strategy.served(scene.at(conversation="y.s").ask, B, NOW)
    assert names(strategy.order([A, B, C], scene.at(conversation="z.s"))) == "bac"
    assert names(strategy.order([A, B, C], scene.at(conversation="x.s"))) == "cab"


def test_it_yields_when_the_place_is_not_well_and_moves() -> None:
    scene, strategy = Scene(), Sticky()
    strategy.served(scene.at(conversation="x").ask, C, NOW)
    assert names(strategy.order([A, B], scene.at(conversation="x"))) == "ab"
    strategy.served(scene.at(conversation="x").ask, B, NOW)
    assert names(strategy.order([A, B, C], scene.at(conversation="x"))) == "bac"


def test_a_place_is_forgotten_after_its_time() -> None:
    scene, strategy = Scene(), Sticky()
    strategy.served(scene.at(conversation="x").ask, C, NOW)
    assert names(strategy.order([A, C], scene.at(NOW + CACHED_SECONDS - 1, conversation="x")))[0] == "c"
    assert names(strategy.order([A, C], scene.at(NOW + CACHED_SECONDS, conversation="x")))[0] == "a"


@pytest.mark.parametrize(
    ("price", "stays"), [(3.0, True), (0.31, True), (0.29, False), (0.0, False)], ids=["same", "near", "under", "free"]
)
def test_it_moves_only_if_the_saving_is_more_than_the_lost_discount(price: float, stays: bool) -> None:
    other = candidate("o", input_price=price, output_price=15.0)
    ask = Scene().at(tokens=10_000).ask
    assert pays(A, other, ask) is stays
    strategy, scene = Sticky(), Scene()
    strategy.served(scene.at(conversation="x").ask, A, NOW)
    assert names(strategy.order([A, other], scene.at(tokens=10_000, conversation="x")))[0] == ("a" if stays else "o")


def test_where_prices_are_not_known() -> None:
    ask = Scene().at(tokens=10_000).ask
    assert pays(candidate("a"), B, ask)
    half = candidate("h", input_price=3.0, output_price=15.0)
    assert pays(half, candidate("o", input_price=1.6, output_price=15.0), ask)
    assert not pays(half, candidate("o", input_price=1.4, output_price=15.0), ask)


def test_the_table_is_bounded_and_loses_the_longest_unused() -> None:
    scene, strategy = Scene(), Sticky()
    for number in range(MOST_PLACES):
        strategy.served(scene.at(conversation=str(number)).ask, C, NOW)
    strategy.served(scene.at(conversation="0").ask, C, NOW)
    strategy.served(scene.at(conversation="new").ask, C, NOW)
    assert len(strategy._places) == MOST_PLACES
    assert "0" in strategy._places
    assert "1" not in strategy._places
