"""The lowest price for this request."""

from collections.abc import Sequence
from math import inf
from typing import ClassVar

from orcestator.prices import dollars
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Scored, Situation, best_first
from orcestator.routing.reading.request import RoutingRequest


class Cheapest:
    """The score is the estimated price in US dollars, below zero; whose price is not known comes last."""

    keeps_order: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates, the cheapest first."""
        prompt, output = situation.ask.needs.tokens, situation.ask.expected_output()
        costs = [dollars(candidate.traits.cost(prompt, output)) for candidate in candidates]
        return best_first(
            [
                Scored(candidate, -inf if cost is None else -cost)
                for candidate, cost in zip(candidates, costs, strict=True)
            ]
        )

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""
