"""FastChat's dispatch of that name: by chance, in proportion to speed.

Stock FastChat draws a worker with the probability ``speed / sum of speeds`` (``fastchat/serve/controller.py``,
``get_worker_address``, fschat 0.2.36).
"""

from collections.abc import Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.strategies.drawing import drawn
from orcestator.routing.strategies.speeds import speeds_of
from orcestator.routing.strategies.strategy import Scored, Situation


class Lottery:
    """The chance of an option is its share in the speeds of all."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options as they were drawn."""
        return drawn(options, speeds_of(options, situation.measures), situation.rng)

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""
