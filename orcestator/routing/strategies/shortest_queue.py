"""FastChat's dispatch of that name: the deployment that has the least to do for its speed.

Stock FastChat compares ``queue_length / speed`` and takes the first of equals
(``fastchat/serve/controller.py``, ``get_worker_address``, fschat 0.2.36). Here the request itself is counted in, so that of idle
deployments the faster one is taken.
"""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.speeds import speeds_of
from orcestator.routing.strategies.strategy import Scored, Situation, best_first


class ShortestQueue:
    """What is in hand, this request included, over the speed; the score is the inverse."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options, the shortest queue first."""
        scored: list[Scored] = []
        for option, speed in zip(options, speeds_of(options, situation.measures), strict=True):
            record = situation.measures.of(option.candidate)
            scored.append(Scored(option, speed / (1 + (record.in_flight if record else 0))))
        return best_first(scored)

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember: the measures know what is in hand."""
