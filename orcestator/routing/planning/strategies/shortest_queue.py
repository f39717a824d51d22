"""FastChat's dispatch of that name: the deployment that has the least to do for its speed.

Stock FastChat compares ``queue_length / speed`` and takes the first of equals
(``fastchat/serve/controller.py``, ``get_worker_address``, fschat 0.2.36). Here the request itself is counted in, so that of idle
deployments the faster one is taken.
"""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.speeds import speeds_of
from orcestator.routing.planning.strategies.strategy import Scored, Situation, best_first
from orcestator.routing.reading.request import RoutingRequest


class ShortestQueue:
    """What is in hand, this request included, over the speed; the score is the inverse."""

    keeps_order: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates, the shortest queue first."""
        scored: list[Scored] = []
        for candidate, speed in zip(candidates, speeds_of(candidates, situation.stats), strict=True):
            record = situation.stats.of(candidate.deployment)
            scored.append(Scored(candidate, speed / (1 + (record.in_flight if record else 0))))
        return best_first(scored)

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember: the measures know what is in hand."""
