"""By chance, in proportion to weight, success rate and latency factor: the smart strategy of the free-model routers."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.drawing import drawn
from orcestator.routing.planning.strategies.strategy import Scored, Situation, expected
from orcestator.routing.reading.request import RoutingRequest

HALVING_SECONDS = 1.0
"""Seconds to the first content that halve the chance of a candidate."""


class Smart:
    """The latency factor falls from 1 as ``1 / (1 + seconds)``; before the first call the speed tier stands for the seconds."""

    keeps_order: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates as they were drawn."""
        return drawn(candidates, [_weight(candidate, situation) for candidate in candidates], situation.rng)

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""


def _weight(candidate: Candidate, situation: Situation) -> float:
    seconds, success = expected(candidate, situation.stats.of(candidate.deployment), situation)
    return candidate.traits.weight * success / (1.0 + seconds / HALVING_SECONDS)
