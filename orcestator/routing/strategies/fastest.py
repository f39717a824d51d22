"""The shortest time to the first content."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.strategy import Scored, Situation, best_first, expected


class Fastest:
    """The score is the expected seconds, below zero, a failed call counted as one more try."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options, the quickest first."""
        return best_first([Scored(option, -_seconds(option, situation)) for option in options])

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""


def _seconds(option: Option, situation: Situation) -> float:
    seconds, success = expected(option, situation.measures.of(option.candidate), situation)
    return seconds / success
