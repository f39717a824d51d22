"""FastChat's dispatch of that name: by chance, in proportion to speed.

Stock FastChat draws a worker with the probability ``speed / sum of speeds`` (``fastchat/serve/controller.py``,
``get_worker_address``, fschat 0.2.36).
"""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.drawing import drawn
from orcestator.routing.planning.strategies.speeds import speeds_of
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.reading.request import RoutingRequest


class Lottery:
    """The chance of a candidate is its share in the speeds of all."""

    keeps_order: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates as they were drawn."""
        return drawn(candidates, speeds_of(candidates, situation.stats), situation.rng)

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""
