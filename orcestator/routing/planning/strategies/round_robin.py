"""One after the other."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.key_rotation import KeyRotation
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.reading.request import RoutingRequest


class RoundRobin:
    """Whose last turn is longest ago is the one, whatever it costs and however it does."""

    keeps_order: ClassVar[bool] = False

    def __init__(self) -> None:
        self._turns = KeyRotation()

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates in turn; the score is the place from behind."""
        last = len(candidates)
        ordered = self._turns.in_turn(candidates, is_question=situation.ask.is_question)
        return [Scored(candidate, float(last - place)) for place, candidate in enumerate(ordered)]

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """A turn is taken when it is given, so that requests at the same moment spread."""
