"""When a second candidate is started because the first is slow, and how often that may be.

The Tail at Scale, Dean and Barroso 2013 (https://research.google/pubs/the-tail-at-scale/): a second request after the 95th percentile
of the usual time takes most of the tail away for about five percent more load.
"""

from dataclasses import dataclass, field

from orcestator.routing.measures import Measure
from orcestator.routing.retry_budget import RetryBudget

LEAST_SAMPLES = 16
"""Calls after which a deployment's own percentile means something."""


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """Slow is what takes ``slack`` times as long as ``share`` (0 to 1) of a deployment's own calls; nothing under ``least_seconds`` is.

    Without slack, calls that are a little late would use up the budget (five in a hundred are, by definition), and the
    very slow ones, which it is for, would find none left.
    """

    is_on: bool = True
    share: float = 0.95
    least_seconds: float = 0.2
    slack: float = 1.2


def hedge_budget(percent: float = 5.0) -> RetryBudget:
    """Hedges for this share of the requests of the last ten minutes, and not one more: no floor is added to it."""
    return RetryBudget(percent=percent, floor=0, window_seconds=600.0)


@dataclass(slots=True)
class Hedging:
    """Decides when to hedge. ``budget`` counts the requests that could be hedged, and bounds the hedges."""

    policy: HedgePolicy = field(default_factory=HedgePolicy)
    budget: RetryBudget = field(default_factory=hedge_budget)

    @property
    def is_on(self) -> bool:
        """Whether anything is hedged at all."""
        return self.policy.is_on

    def delay(self, measure: Measure | None, *, streamed: bool) -> float | None:
        """Seconds after which a call to a deployment with these figures is slow; None when that is not known."""
        if measure is None:
            return None
        latency = measure.latency(streamed=streamed)
        if latency.count < LEAST_SAMPLES:
            return None
        policy, usual = self.policy, latency.percentile(self.policy.share)
        slow = 0.0 if usual is None else policy.slack * usual
        return slow if slow > policy.least_seconds else policy.least_seconds
