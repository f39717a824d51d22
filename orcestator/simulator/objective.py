"""What a router is measured by: one figure for a request, in dollars, the less the better.

    dollars spent x weight + seconds to the first content x worth of a second + worth of a failure, if it failed

A strategy is compared with an omniscient router that wants the same: it would be no fault of ``cheapest`` to be slow.
"""

from collections.abc import Mapping
from typing import NamedTuple

FAILURE_DOLLARS = 1.0


class Objective(NamedTuple):
    """``dollar``: what a dollar spent counts; ``second``: dollars that a second until the first content counts."""

    name: str
    dollar: float
    second: float

    def of(self, dollars: float, seconds: float) -> float:
        """The figure of a request that was answered."""
        return self.dollar * dollars + self.second * seconds


BALANCED = Objective("balanced", 1.0, 0.002)
"""A second is worth a fifth of a cent: seven dollars an hour of a person who waits."""
THRIFTY = Objective("thrifty", 1.0, 1e-6)
"""Dollars; seconds only where dollars are equal."""
HASTY = Objective("hasty", 1e-6, 0.002)
"""Seconds; dollars only where seconds are equal."""

_OF_STRATEGY: Mapping[str, Objective] = {"cheapest": THRIFTY, "fastest": HASTY}


def objective_of(strategy: str) -> Objective:
    """What a strategy is for."""
    return _OF_STRATEGY.get(strategy, BALANCED)
