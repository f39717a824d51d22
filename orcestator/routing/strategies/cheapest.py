"""The lowest price for this request."""

from collections.abc import Sequence
from math import inf
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.strategy import Scored, Situation, best_first


class Cheapest:
    """The score is the estimated price in US dollars, below zero; whose price is not known comes last."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options, the cheapest first."""
        prompt, output = situation.ask.needs.tokens, situation.ask.expected_output()
        costs = [option.traits.cost(prompt, output) for option in options]
        return best_first(
            [Scored(option, -inf if cost is None else -cost) for option, cost in zip(options, costs, strict=True)]
        )

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""
