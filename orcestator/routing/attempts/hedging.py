"""When a second candidate is started because the first is slow, and how often that may be.

The Tail at Scale, Dean and Barroso 2013 (https://research.google/pubs/the-tail-at-scale/): a second request beside a slow one takes
most of the tail away for little more load. When that is worth it is worked out from what is still to be expected; see ``durations``.
"""

from dataclasses import dataclass, field

from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.planning.catalog import HedgeLimit
from orcestator.routing.state.stats import DeploymentStats

USUAL_SHARE = 0.75
"""Of the calls to a deployment that is well, so many take no more than its usual time."""


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """Nothing is late that is still within this ``share`` (0 to 1) of a deployment's own calls, or under ``least_seconds``."""

    is_on: bool = True
    share: float = 0.5
    least_seconds: float = 0.1


def hedge_budget(percent: float = 10.0) -> RetryBudget:
    """Second calls for this share of the requests of the last ten minutes, and not one more: no floor is added to it."""
    return RetryBudget(percent=percent, floor=0, window_seconds=600.0)


@dataclass(slots=True)
class Hedging:
    """Decides when to hedge. A budget counts the requests that could be hedged and every second call, also those that follow a
    failure, and bounds the hedges."""

    policy: HedgePolicy = field(default_factory=HedgePolicy)
    budget: RetryBudget = field(default_factory=hedge_budget)
    own_budgets: dict[str, RetryBudget] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether anything is hedged at all."""
        return self.policy.is_on

    def budget_of(self, limit: HedgeLimit | None) -> RetryBudget:
        """The budget of all requests, or that of an alias which has one of its own."""
        if limit is None:
            return self.budget
        own = self.own_budgets.get(limit.alias)
        if own is None or own.percent != limit.percent:
            own = self.own_budgets[limit.alias] = hedge_budget(limit.percent)
        return own

    def delay(
        self, measure: DeploymentStats | None, other: DeploymentStats | None, *, streamed: bool, is_probe: bool = False
    ) -> float | None:
        """Seconds after which a call to a deployment with these figures is late, where ``other`` is the one that would be called
        besides; None when that is not known. A probe has no more than its usual time: it is likely to fail."""
        if measure is None:
            return None
        policy = self.policy
        spread = measure.latency(streamed=streamed).spread
        late = spread.anew_after(0.0 if other is None else other.mean_seconds(streamed), policy.share)
        if late is None:
            return None
        if is_probe:
            late = min(late, spread.percentile(USUAL_SHARE))
        return late if late > policy.least_seconds else policy.least_seconds
