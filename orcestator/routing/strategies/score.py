"""Five factors from 0 to 100, weighted by what the request is in need of: cost, speed, quality, availability, reliability."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measure
from orcestator.routing.strategies.strategy import Factors, Scored, Situation, best_first, expected

MIDDLING_DOLLARS = 0.01
"""A request that costs this much has a cost factor of 50; where the caller names a budget, one that costs all of it."""
MIDDLING_SECONDS = 2.0
"""A first content after this long is a speed factor of 50."""
UNKNOWN = 50.0
"""The factor of what nobody knows: neither good nor bad."""

_USUAL = Factors(cost=25.0, speed=25.0, quality=20.0, availability=10.0, reliability=20.0)
_BY_URGENCY: Mapping[str | None, Factors] = {
    "low": Factors(2.0, 0.4, 1.0, 1.0, 1.0),
    "medium": Factors(1.0, 1.0, 1.0, 1.0, 1.0),
    "high": Factors(0.5, 2.5, 1.0, 1.5, 1.5),
    None: Factors(1.0, 1.0, 1.0, 1.0, 1.0),
}
_BY_QUALITY: Mapping[str | None, Factors] = {
    "standard": Factors(1.0, 1.0, 1.0, 1.0, 1.0),
    "premium": Factors(0.4, 1.0, 3.0, 1.0, 1.0),
    None: Factors(1.0, 1.0, 1.0, 1.0, 1.0),
}
_BY_BUDGET: Mapping[bool, Factors] = {
    False: Factors(1.0, 1.0, 1.0, 1.0, 1.0),
    True: Factors(1.5, 1.0, 1.0, 1.0, 1.0),
}


def _weights(urgency: str | None, quality: str | None, has_budget: bool) -> Factors:
    """The weights of the factors, which make 1 together."""
    parts = zip(_USUAL, _BY_URGENCY[urgency], _BY_QUALITY[quality], _BY_BUDGET[has_budget], strict=True)
    weights = [a * b * c * d for a, b, c, d in parts]
    return Factors(*(weight / sum(weights) for weight in weights))


WEIGHTS: Mapping[tuple[str | None, str | None, bool], Factors] = {
    key: _weights(*key) for key in product(_BY_URGENCY, _BY_QUALITY, _BY_BUDGET)
}
"""By urgency, quality and whether there is a budget."""


class Score:
    """The score is the weighted mean of the factors."""

    keeps_order: ClassVar[bool] = False

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options, the highest score first."""
        wishes = situation.ask.wishes
        cost, speed, quality, availability, reliability = WEIGHTS[
            wishes.urgency, wishes.quality, wishes.budget is not None
        ]
        scored: list[Scored] = []
        for option in options:
            found = factors_of(option, situation.measures.of(option.candidate), situation)
            score = (
                cost * found[0]
                + speed * found[1]
                + quality * found[2]
                + availability * found[3]
                + reliability * found[4]
            )
            scored.append(Scored(option, score, found))
        return best_first(scored)

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember."""


def factors_of(option: Option, record: Measure | None, situation: Situation) -> Factors:
    """What speaks for an option in a situation."""
    ask, traits = situation.ask, option.traits
    dollars = traits.cost(ask.needs.tokens, ask.expected_output())
    seconds, success = expected(option, record, situation)
    limit = traits.max_concurrent
    in_flight = record.in_flight if limit and record is not None else 0
    return Factors(
        cost=UNKNOWN if dollars is None else 100.0 / (1.0 + dollars / (ask.wishes.budget or MIDDLING_DOLLARS)),
        speed=100.0 / (1.0 + seconds / MIDDLING_SECONDS),
        quality=UNKNOWN if traits.quality is None else traits.quality,
        availability=max(0.0, 100.0 - 100.0 * in_flight / limit) if limit else 100.0,
        reliability=100.0 * success,
    )
