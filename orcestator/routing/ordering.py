"""What changes the order that the strategies made: rules, the caller's order, free before paid, and who has fallen behind.

All of it moves options and none of it loses one; what is not moved keeps its place.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf

from orcestator.routing.catalog import Option
from orcestator.routing.exclusions import ENOUGH_CALLS
from orcestator.routing.measures import Measures
from orcestator.routing.offer import Candidate
from orcestator.routing.rules import Rule
from orcestator.routing.strategies.strategy import Scored, Situation, expected

SPEED_PLACES: Mapping[str, float] = {"fast": 3.0, "": 2.0, "medium": 2.0, "slow": 1.0}
"""For sorting by throughput what was never measured: below every measured rate, by the model's speed tier."""


def with_last(scored: list[Scored], is_behind: Callable[[Option], bool]) -> list[Scored]:
    """Those of which it is true behind the others, but before the paid fallback."""
    behind = [one for one in scored if is_behind(one.option)]
    if behind:
        scored = [one for one in scored if one not in behind] + behind
        scored.sort(key=_is_paid_fallback)
    return scored


def full(measures: Measures) -> Callable[[Option], bool]:
    """Whether an option has as many requests in hand as it may."""

    def is_full(option: Option) -> bool:
        limit = option.traits.max_concurrent
        record = measures.of(option.candidate) if limit else None
        return record is not None and record.in_flight >= limit

    return is_full


def fallen_behind(
    situation: Situation, max_response_seconds: float, min_success_rate: float, max_error_rate: float
) -> Callable[[Option], bool]:
    """Whether an option is slower, or fails more, than the conditions of falling back allow; a condition of 0.0 is none."""
    now, streamed = situation.now, situation.ask.streamed
    least_success = max(min_success_rate, 1.0 - max_error_rate if max_error_rate else 0.0)

    def is_behind(option: Option) -> bool:
        record = situation.measures.of(option.candidate)
        if record is None or record.recent_calls(now) < ENOUGH_CALLS:
            return False
        is_slow = 0.0 < max_response_seconds < record.mean_seconds(streamed)
        return is_slow or record.success_rate() < least_success

    return is_behind


def as_wished(scored: list[Scored], situation: Situation) -> list[Scored]:
    """In the caller's order of providers, and sorted as the caller says, within each name that it gave. Where JSON is wished
    for, those of which it is not known come behind those that are known to answer so."""
    wishes = situation.ask.wishes
    if wishes.sort is not None:
        scored.sort(key=lambda one: (_rank(one.option), SORTS[wishes.sort or ""](one.option, situation)))
    if wishes.order:
        places = {provider: place for place, provider in enumerate(wishes.order)}
        scored.sort(key=lambda one: (_rank(one.option), places.get(one.option.candidate.provider.lower(), len(places))))
    if wishes.json_response:
        scored.sort(key=lambda one: (_rank(one.option), not one.option.traits.is_json))
    return scored


def ruled(scored: list[Scored], rule: Rule) -> list[Scored]:
    """The options of the rule's provider first, the paid fallback last all the same."""
    scored.sort(key=lambda one: (one.option.is_paid_fallback, one.option.candidate.provider != rule.provider))
    return scored


def _is_paid_fallback(scored: Scored) -> bool:
    return scored.option.is_paid_fallback


def _rank(option: Option) -> tuple[bool, int]:
    return option.is_paid_fallback, option.rank


def _price(option: Option, situation: Situation) -> float:
    ask = situation.ask
    cost = option.traits.cost(ask.needs.tokens, ask.expected_output())
    return inf if cost is None else cost


def _latency(option: Option, situation: Situation) -> float:
    return expected(option, situation.measures.of(option.candidate), situation)[0]


def _throughput(option: Option, situation: Situation) -> float:
    record = situation.measures.of(option.candidate)
    return -(record.rate if record else 0.0) or -SPEED_PLACES.get(option.traits.speed_tier, 2.0) / 1e3


SORTS: Mapping[str, Callable[[Option, Situation], float]] = {
    "price": _price,
    "throughput": _throughput,
    "latency": _latency,
}
"""What the caller may sort by: the less the better."""


def with_twins_as_in(options: Sequence[Option], scored: Sequence[Scored]) -> list[Scored]:
    """A strategy's order, in which twins change places with each other until they stand as in ``options``: the strategy chooses
    the deployment, and its credentials take their turns."""
    by_candidate = {one.option.candidate: one for one in scored}
    twins: dict[tuple[str, str], list[Candidate]] = {}
    for option in reversed(options):
        twins.setdefault(option.candidate[:2], []).append(option.candidate)
    return [by_candidate[twins[one.option.candidate[:2]].pop()] for one in scored]
