"""The shortest time to the first content."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Scored, Situation, best_first, expected
from orcestator.routing.reading.request import RoutingRequest


class Fastest:
    """The score is the expected seconds, below zero, a failed call counted as one more try."""

    keeps_order: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates, the quickest first."""
        return best_first([Scored(candidate, -_seconds(candidate, situation)) for candidate in candidates])

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""


def _seconds(candidate: Candidate, situation: Situation) -> float:
    seconds, success = expected(candidate, situation.stats.of(candidate.deployment), situation)
    return seconds / success
