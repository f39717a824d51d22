"""One after the other."""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.strategy import Scored, Situation
from orcestator.routing.turns import Turns


class RoundRobin:
    """Whose last turn is longest ago is the one, whatever it costs and however it does."""

    keeps_order: ClassVar[bool] = False

    def __init__(self) -> None:
        self._turns = Turns()

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options in turn; the score is the place from behind."""
        last = len(options)
        ordered = self._turns.in_turn(options, is_question=situation.ask.is_question)
        return [Scored(option, float(last - place)) for place, option in enumerate(ordered)]

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """A turn is taken when it is given, so that requests at the same moment spread."""
