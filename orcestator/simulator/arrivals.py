"""The requests of a scenario: recorded ones as they came, or a Poisson process. The same seed gives the same requests."""

from collections.abc import Iterator
from itertools import islice
from math import log1p

from orcestator.simulator.dice import Dice
from orcestator.simulator.scenario import Mix, Request, Scenario

_ARRIVALS = 0xA1
_SIZES = 0xA2


def requests_of(scenario: Scenario, seed: int, most: int | None = None) -> list[Request]:
    """At most ``most`` requests of the scenario, in the order in which they come."""
    coming = iter(scenario.requests) if scenario.requests else _drawn(scenario, seed)
    return list(islice(coming, most))


def _drawn(scenario: Scenario, seed: int) -> Iterator[Request]:
    dice = Dice(seed, _ARRIVALS)
    at, number = 0.0, 0
    while (at := at - log1p(-dice()) / scenario.per_second) < scenario.seconds:
        yield _request(number, at, scenario.mix, Dice(seed, _SIZES, number))
        number += 1


def _request(number: int, at: float, mix: Mix, dice: Dice) -> Request:
    streamed = dice() < mix.stream_share
    prompt = max(1, round(mix.prompt.draw(dice)))
    return Request(number, at, streamed, prompt, max(1, round(mix.output.draw(dice))))
