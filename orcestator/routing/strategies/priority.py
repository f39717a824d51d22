"""The order in which they were written down."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.strategy import Scored, Situation


class Priority:
    """The first that is well is the one; the planner lets twins of one deployment take turns."""

    keeps_order: ClassVar[bool] = True

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options as they come; the score is the place from behind."""
        last = len(options)
        return [Scored(option, float(last - place)) for place, option in enumerate(options)]

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""
