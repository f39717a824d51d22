"""The order in which they were written down."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.reading.request import RoutingRequest


class Priority:
    """The first that is well is the one; the planner lets twins of one deployment take turns."""

    keeps_order: ClassVar[bool] = True

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates as they come; the score is the place from behind."""
        last = len(candidates)
        return [Scored(candidate, float(last - place)) for place, candidate in enumerate(candidates)]

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""
