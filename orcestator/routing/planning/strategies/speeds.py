"""The speed of deployments as FastChat's dispatch means it: a weight given by a person, times what was measured."""

from collections.abc import Sequence

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.stats import Stats


def speeds_of(candidates: Sequence[Candidate], stats: Stats) -> list[float]:
    """The weight of each candidate times its tokens a second over the usual ones; what is not measured counts as usual."""
    rates = [record.rate if (record := stats.of(candidate.deployment)) else 0.0 for candidate in candidates]
    known = [rate for rate in rates if rate > 0.0]
    usual = sum(known) / len(known) if known else 1.0
    return [
        candidate.traits.weight * (rate or usual) / usual for candidate, rate in zip(candidates, rates, strict=True)
    ]
