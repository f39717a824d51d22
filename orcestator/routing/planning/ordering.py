"""What changes the order that the strategies made: rules, the caller's order, free before paid, and who has fallen behind.

All of it moves candidates and none of it loses one; what is not moved keeps its place.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf

from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.exclusions import ENOUGH_CALLS
from orcestator.routing.planning.rules import Rule
from orcestator.routing.planning.strategies.strategy import Scored, Situation, expected
from orcestator.routing.state.stats import Stats

SPEED_PLACES: Mapping[str, float] = {"fast": 3.0, "": 2.0, "medium": 2.0, "slow": 1.0}
"""For sorting by throughput what was never measured: below every measured rate, by the model's speed tier."""


def with_last(scored: list[Scored], is_behind: Callable[[Candidate], bool]) -> list[Scored]:
    """Those of which it is true behind the others, but before the paid fallback."""
    behind = [one for one in scored if is_behind(one.candidate)]
    if behind:
        scored = [one for one in scored if one not in behind] + behind
        scored.sort(key=_is_paid_fallback)
    return scored


def full(stats: Stats) -> Callable[[Candidate], bool]:
    """Whether a candidate has as many requests in hand as it may."""

    def is_full(candidate: Candidate) -> bool:
        limit = candidate.traits.max_concurrent
        record = stats.of(candidate.deployment) if limit else None
        return record is not None and record.in_flight >= limit

    return is_full


def fallen_behind(
    situation: Situation, max_response_seconds: float, min_success_rate: float, max_error_rate: float
) -> Callable[[Candidate], bool]:
    """Whether a candidate is slower, or fails more, than the conditions of falling back allow; a condition of 0.0 is none."""
    now, streamed = situation.now, situation.ask.streamed
    least_success = max(min_success_rate, 1.0 - max_error_rate if max_error_rate else 0.0)

    def is_behind(candidate: Candidate) -> bool:
        record = situation.stats.of(candidate.deployment)
        if record is None or record.recent_calls(now) < ENOUGH_CALLS:
            return False
        is_slow = 0.0 < max_response_seconds < record.mean_seconds(streamed)
        return is_slow or record.success_rate() < least_success

    return is_behind


def as_wished(scored: list[Scored], situation: Situation) -> list[Scored]:
    """In the caller's order of providers, and sorted as the caller says, within each name that it gave. Where JSON is wished
    for, those of which it is not known come behind those that are known to answer so."""
    preferences = situation.ask.preferences
    if preferences.sort is not None:
        scored.sort(key=lambda one: (_rank(one.candidate), SORTS[preferences.sort or ""](one.candidate, situation)))
    if preferences.order:
        places = {provider: place for place, provider in enumerate(preferences.order)}
        scored.sort(
            key=lambda one: (_rank(one.candidate), places.get(one.candidate.deployment.provider.lower(), len(places)))
        )
    if preferences.json_response:
        scored.sort(key=lambda one: (_rank(one.candidate), not one.candidate.traits.is_json))
    return scored


def ruled(scored: list[Scored], rule: Rule) -> list[Scored]:
    """The candidates of the rule's provider first, the paid fallback last all the same."""
    scored.sort(key=lambda one: (one.candidate.is_paid_fallback, one.candidate.deployment.provider != rule.provider))
    return scored


def _is_paid_fallback(scored: Scored) -> bool:
    return scored.candidate.is_paid_fallback


def _rank(candidate: Candidate) -> tuple[bool, int]:
    return candidate.is_paid_fallback, candidate.rank


def _price(candidate: Candidate, situation: Situation) -> float:
    ask = situation.ask
    cost = candidate.traits.cost(ask.needs.tokens, ask.expected_output())
    return inf if cost is None else cost


def _latency(candidate: Candidate, situation: Situation) -> float:
    return expected(candidate, situation.stats.of(candidate.deployment), situation)[0]


def _throughput(candidate: Candidate, situation: Situation) -> float:
    record = situation.stats.of(candidate.deployment)
    return -(record.rate if record else 0.0) or -SPEED_PLACES.get(candidate.traits.speed_tier, 2.0) / 1e3


SORTS: Mapping[str, Callable[[Candidate, Situation], float]] = {
    "price": _price,
    "throughput": _throughput,
    "latency": _latency,
}
"""What the caller may sort by: the less the better."""


def with_twins_as_in(candidates: Sequence[Candidate], scored: Sequence[Scored]) -> list[Scored]:
    """A strategy's order, in which twins change places with each other until they stand as in ``candidates``: the strategy chooses
    the deployment, and its credentials take their turns."""
    by_deployment = {one.candidate.deployment: one for one in scored}
    twins: dict[tuple[str, str], list[Deployment]] = {}
    for candidate in reversed(candidates):
        twins.setdefault(candidate.deployment[:2], []).append(candidate.deployment)
    return [by_deployment[twins[one.candidate.deployment[:2]].pop()] for one in scored]
