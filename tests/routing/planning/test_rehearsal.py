"""Requests planned by the running routing and by another one: only what differs is told."""

from random import Random

import pytest

from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.routing.planning.plan import Planner
from orcestator.routing.planning.rehearsal import Rehearsal, Share
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats
from tests.routing.planners import CHAT, NOW, World

ALPHA = Offer("alpha", 0, CHAT, {"m": {}})
BETA = Offer("beta", 1, CHAT, {"m": {}})


def catalog(*offers: Offer, strategy: str = "priority", **aliases: str) -> Catalog:
    named = {name: Alias.in_turn([target]) for name, target in aliases.items()}
    return Catalog(offers, named, auto=Alias((tuple(f"{offer.provider}/m" for offer in offers),), strategy))


def rehearsed(running: Catalog, wanted: Catalog, *names: str) -> list[Share]:
    world = World({})
    board, quota = world.health, world.quota
    stats = Stats()
    rehearsal = Rehearsal(
        Planner(lambda: running, board, stats, quota, lambda: 0.5),
        Planner(lambda: wanted, board, stats, quota, lambda: 0.5),
        lambda number: Random(number).random,
    )
    for name in names:
        rehearsal.play(RoutingRequest((name,), "chat"), NOW)
    assert rehearsal.planned == len(names)
    return rehearsal.changed()


def test_an_alias_that_means_something_else() -> None:
    before, after = catalog(ALPHA, BETA, first="alpha/m"), catalog(ALPHA, BETA, first="beta/m")
    assert rehearsed(before, after, "first", "first", "auto") == [
        Share("first", "alpha/m", 2, 0),
        Share("first", "beta/m", 0, 2),
    ]


def test_a_name_that_is_gone() -> None:
    before, after = catalog(ALPHA, first="alpha/m"), catalog(ALPHA)
    assert rehearsed(before, after, "first") == [
        Share("first", "alpha/m", 1, 0),
        Share("first", "refused: model_not_found", 0, 1),
    ]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_without_a_change_nothing_differs_whatever_is_left_to_chance(strategy: str) -> None:
    both = catalog(ALPHA, BETA, strategy=strategy), catalog(ALPHA, BETA, strategy=strategy)
    assert rehearsed(*both, *["auto"] * 60) == []


def test_a_provider_more_takes_its_share() -> None:
    before, after = catalog(ALPHA, strategy="round_robin"), catalog(ALPHA, BETA, strategy="round_robin")
    shares = {share.place: (share.before, share.after) for share in rehearsed(before, after, *["auto"] * 60)}
    assert shares == {"alpha/m": (60, 30), "beta/m": (0, 30)}
