"""Learns which option is worth most: Thompson sampling over success, time to first content and price.

What a request costs at an option is its price, the value of the time until its first content, and of the time that a failure
loses. Of time and failure only a distribution is known, so each option draws from what is believed of it, and the best draw
comes first. What is sure is chosen as it deserves; what is doubtful gets its chance now and then, the rarer the worse it last
did; and doubt grows while nobody calls, so that a place that recovered is found again.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measure
from orcestator.routing.strategies.strategy import TIER_SECONDS, Scored, Situation, best_first
from orcestator.routing.traits import Traits

SECOND_DOLLARS: Mapping[str | None, float] = {"low": 0.0005, "medium": 0.002, "high": 0.02, None: 0.002}
"""What a second of the caller's time is worth, by urgency; the middle is about 7 dollars an hour."""
POINT_DOLLARS: Mapping[str | None, float] = {"standard": 0.0, "premium": 0.0005, None: 0.0}
"""What a point of quality (0 to 100) is worth, by the quality that is asked for."""
USUAL_QUALITY = 60.0
"""Of a model whose quality nobody gave."""
MOST_PRICE_LISTS = 64
"""Tiers whose prices are remembered."""
PriceList = list[tuple[float, float] | None]
MIDDLING_DOLLARS = 0.01
"""A draw of this much is a score of 50."""
_new = tuple.__new__
"""Makes a named tuple at half the cost of its class."""
UNKNOWN = Measure()
"""Stands for a deployment that was never called."""


class Adaptive:
    """The score falls from 100 as the draw, in dollars, grows."""

    keeps_order: ClassVar[bool] = False

    def __init__(self) -> None:
        self._price_lists: dict[int, tuple[Sequence[Option], PriceList]] = {}

    def order(self, options: Sequence[Option], situation: Situation) -> list[Scored]:
        """The options, the best draw first; in their order of worth where nothing is known of any yet."""
        ask, now, rng, measures = situation
        known, streamed = measures.records, ask.streamed
        second, point = SECOND_DOLLARS[ask.wishes.urgency], POINT_DOLLARS[ask.wishes.quality]
        records = [known.get(option.candidate) for option in options]
        costs = _costs(self._prices(options), ask)
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
        for option, record, mean, dollars in zip(options, records, means, costs, strict=True):
            if record is not None and guess:
                seconds = record.drawn_seconds(now, mean or guess, guess, rng() - 0.5)
            elif guess:
                seconds = UNKNOWN.drawn_seconds(now, guess, guess, rng() - 0.5)
            else:
                seconds = TIER_SECONDS.get(option.traits.speed_tier, 1.0)
            worth = dollars + second * seconds
            if point:
                quality = option.traits.quality
                worth += point * (100.0 - (USUAL_QUALITY if quality is None else quality))
            scored.append(_new(Scored, (option, 100.0 / (1.0 + worth / MIDDLING_DOLLARS), None)))
        return best_first(scored)

    def _prices(self, options: Sequence[Option]) -> "PriceList":
        """The prices of some options; those of a whole tier, which is the same object every time, are remembered."""
        known = self._price_lists.get(id(options))
        if known is not None and known[0] is options:
            return known[1]
        prices = price_list(options)
        if type(options) is tuple:
            if len(self._price_lists) >= MOST_PRICE_LISTS:
                self._price_lists.clear()
            self._price_lists[id(options)] = options, prices
        return prices

    def served(self, ask: Ask, option: Option, now: float) -> None:
        """Nothing to remember: what is believed comes from the measures."""


def _without_any(records: Sequence[Measure | None]) -> float:
    """What to expect where nobody ever answered, in seconds; 0.0 where nobody was ever called."""
    return TIER_SECONDS[""] if any(record is not None and record.calls for record in records) else 0.0


def price_list(options: Sequence[Option]) -> PriceList:
    """What a prompt token and an answer's token cost at each; None for a place where a price is not known."""
    return [_token_prices(option.traits) for option in options]


def _token_prices(traits: Traits) -> tuple[float, float] | None:
    prompt, output = traits.cost(1, 0), traits.cost(0, 1)
    return None if prompt is None or output is None else (prompt, output)


def _costs(prices: PriceList, ask: Ask) -> list[float]:
    """US dollars for this request at each option; what is not known is as dear as the dearest known."""
    prompt, output = ask.needs.tokens, ask.expected_output()
    if None not in prices:
        return [prompt * one[0] + output * one[1] for one in prices]  # type: ignore[index]
    known = [prompt * one[0] + output * one[1] if one is not None else -1.0 for one in prices]
    dearest = max(known)
    return [max(dearest, 0.0) if cost < 0.0 else cost for cost in known]
