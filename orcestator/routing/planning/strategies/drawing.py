"""Drawing lots: a random order in which whoever weighs more tends to come first."""

from collections.abc import Callable, Sequence
from math import inf, log

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Scored

SMALLEST = 5e-324
"""Stands for a draw of exactly 0, which has no logarithm."""


def drawn(candidates: Sequence[Candidate], weights: Sequence[float], rng: Callable[[], float]) -> list[Scored]:
    """As if one after the other were drawn, each with the chance of its share in the weights of those left; what weighs
    nothing comes last. The score is the weight.

    One draw each gives that: the order of ``log(draw) / weight`` (Efraimidis and Spirakis, "Weighted random sampling with a
    reservoir", 2006).
    """
    lots = [log(rng() or SMALLEST) / weight if weight > 0.0 else -inf for weight in weights]
    places = sorted(range(len(candidates)), key=lots.__getitem__, reverse=True)
    return [Scored(candidates[place], weights[place]) for place in places]
