"""By chance, in proportion to weight, success rate and latency factor: the smart strategy of the free-model routers."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.drawing import drawn
from orcestator.routing.strategies.strategy import Scored, Situation, expected

HALVING_SECONDS = 1.0
"""Seconds to the first content that halve the chance of an option."""


class Smart:
    """The latency factor falls from 1 as ``1 / (1 + seconds)``; before the first call the speed tier stands for the seconds."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options as they were drawn."""
        return drawn(options, [_weight(option, situation) for option in options], situation.rng)

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""


def _weight(option: Option, situation: Situation) -> float:
    seconds, success = expected(option, situation.measures.of(option.candidate), situation)
    return option.traits.weight * success / (1.0 + seconds / HALVING_SECONDS)
