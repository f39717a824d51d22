"""Five factors from 0 to 100, weighted by what the request is in need of: cost, speed, quality, availability, reliability."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import ClassVar

from orcestator.prices import dollars
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Factors, Scored, Situation, best_first, expected
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import DeploymentStats

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

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates, the highest score first."""
        preferences = situation.ask.preferences
        cost, speed, quality, availability, reliability = WEIGHTS[
            preferences.urgency, preferences.quality, preferences.budget is not None
        ]
        scored: list[Scored] = []
        for candidate in candidates:
            found = factors_of(candidate, situation.stats.of(candidate.deployment), situation)
            score = (
                cost * found[0]
                + speed * found[1]
                + quality * found[2]
                + availability * found[3]
                + reliability * found[4]
            )
            scored.append(Scored(candidate, score, found))
        return best_first(scored)

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember."""


def factors_of(candidate: Candidate, record: DeploymentStats | None, situation: Situation) -> Factors:
    """What speaks for a candidate in a situation."""
    ask, traits = situation.ask, candidate.traits
    price = dollars(traits.cost(ask.needs.tokens, ask.expected_output()))
    seconds, success = expected(candidate, record, situation)
    limit = traits.max_concurrent
    in_flight = record.in_flight if limit and record is not None else 0
    return Factors(
        cost=UNKNOWN if price is None else 100.0 / (1.0 + price / (ask.preferences.budget or MIDDLING_DOLLARS)),
        speed=100.0 / (1.0 + seconds / MIDDLING_SECONDS),
        quality=UNKNOWN if traits.quality is None else traits.quality,
        availability=max(0.0, 100.0 - 100.0 * in_flight / limit) if limit else 100.0,
        reliability=100.0 * success,
    )
