"""Learns which candidate is worth most: Thompson sampling over success, time to first content and price.

What a request costs at a candidate is its price, the value of the time until its first content, and of the time that a failure
loses. Of time and failure only a distribution is known, so each candidate draws from what is believed of it, and the best draw
comes first. What is sure is chosen as it deserves; what is doubtful gets its chance now and then, the rarer the worse it last
did; and doubt grows while nobody calls, so that a place that recovered is found again.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from orcestator.prices import NANO_DOLLARS
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import TIER_SECONDS, Scored, Situation, best_first
from orcestator.routing.planning.traits import Traits
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import DeploymentStats

SECOND_DOLLARS: Mapping[str | None, float] = {"low": 0.0005, "medium": 0.002, "high": 0.02, None: 0.002}
"""What a second of the caller's time is worth, by urgency; the middle is about 7 dollars an hour."""
POINT_DOLLARS: Mapping[str | None, float] = {"standard": 0.0, "premium": 0.0005, None: 0.0}
"""What a point of quality (0 to 100) is worth, by the quality that is asked for."""
USUAL_QUALITY = 60.0
"""Of a model whose quality nobody gave."""
MOST_PRICE_LISTS = 64
"""Tiers whose prices are remembered."""
PriceList = list[tuple[float, float] | None]
MANY_TOKENS = 1_000_000
"""So many that the rounding of a cost is nothing in the price of one."""
MIDDLING_DOLLARS = 0.01
"""A draw of this much is a score of 50."""
_new = tuple.__new__
"""Makes a named tuple at half the cost of its class."""
UNKNOWN = DeploymentStats()
"""Stands for a deployment that was never called."""


class Adaptive:
    """The score falls from 100 as the draw, in dollars, grows."""

    keeps_order: ClassVar[bool] = False

    def __init__(self) -> None:
        self._price_lists: dict[int, tuple[Sequence[Candidate], PriceList]] = {}

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates, the best draw first; in their order of worth where nothing is known of any yet."""
        ask, now, rng, stats = situation
        known, streamed = stats.records, ask.streamed
        second, point = SECOND_DOLLARS[ask.preferences.urgency], POINT_DOLLARS[ask.preferences.quality]
        records = [known.get(candidate.deployment) for candidate in candidates]
        costs = _costs(self._prices(candidates), ask)
        rates = None if streamed else [0.0 if record is None else record.rate for record in records]
        if rates and (fastest := max(rates)):
            # Streams say more about a whole reply than other whole replies do, whose time is mostly that of their length.
            streamed, written = True, second * ask.expected_output()
            costs = [cost + written / (rate or fastest) for cost, rate in zip(costs, rates, strict=True)]
        if streamed:
            means = [0.0 if record is None else record.streamed.seconds or record.whole.seconds for record in records]
        else:
            means = [0.0 if record is None else record.mean_seconds(streamed=False) for record in records]
        # An unknown one is taken to be as quick as the best known, or nobody would ever try it.
        guess = min([mean for mean in means if mean > 0.0], default=0.0) or _without_any(records)
        scored: list[Scored] = []
        for candidate, record, mean, dollars in zip(candidates, records, means, costs, strict=True):
            if record is not None and guess:
                seconds = record.drawn_seconds(now, mean or guess, guess, rng() - 0.5)
            elif guess:
                seconds = UNKNOWN.drawn_seconds(now, guess, guess, rng() - 0.5)
            else:
                seconds = TIER_SECONDS.get(candidate.traits.speed_tier, 1.0)
            worth = dollars + second * seconds
            if point:
                quality = candidate.traits.quality
                worth += point * (100.0 - (USUAL_QUALITY if quality is None else quality))
            scored.append(_new(Scored, (candidate, 100.0 / (1.0 + worth / MIDDLING_DOLLARS), None)))
        return best_first(scored)

    def _prices(self, candidates: Sequence[Candidate]) -> "PriceList":
        """The prices of some candidates; those of a whole tier, which is the same object every time, are remembered."""
        known = self._price_lists.get(id(candidates))
        if known is not None and known[0] is candidates:
            return known[1]
        prices = price_list(candidates)
        if type(candidates) is tuple:
            if len(self._price_lists) >= MOST_PRICE_LISTS:
                self._price_lists.clear()
            self._price_lists[id(candidates)] = candidates, prices
        return prices

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """Nothing to remember: what is believed comes from the measures."""


def _without_any(records: Sequence[DeploymentStats | None]) -> float:
    """What to expect where nobody ever answered, in seconds; 0.0 where nobody was ever called."""
    return TIER_SECONDS[""] if any(record is not None and record.calls for record in records) else 0.0


def price_list(candidates: Sequence[Candidate]) -> PriceList:
    """What a prompt token and an answer's token cost at each; None for a place where a price is not known."""
    return [_token_prices(candidate.traits) for candidate in candidates]


def _token_prices(traits: Traits) -> tuple[float, float] | None:
    prompt, output = traits.cost(MANY_TOKENS, 0), traits.cost(0, MANY_TOKENS)
    if prompt is None or output is None:
        return None
    return prompt / NANO_DOLLARS / MANY_TOKENS, output / NANO_DOLLARS / MANY_TOKENS


def _costs(prices: PriceList, ask: RoutingRequest) -> list[float]:
    """US dollars for this request at each candidate; what is not known is as dear as the dearest known."""
    prompt, output = ask.needs.tokens, ask.expected_output()
    if None not in prices:
        return [prompt * one[0] + output * one[1] for one in prices]  # type: ignore[index]
    known = [prompt * one[0] + output * one[1] if one is not None else -1.0 for one in prices]
    dearest = max(known)
    return [max(dearest, 0.0) if cost < 0.0 else cost for cost in known]
