"""The speed of deployments as FastChat's dispatch means it: a weight given by a person, times what was measured."""

from collections.abc import Sequence

from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measures


def speeds_of(options: Sequence[Option], measures: Measures) -> list[float]:
    """The weight of each option times its tokens a second over the usual ones; what is not measured counts as usual."""
    rates = [record.rate if (record := measures.of(option.candidate)) else 0.0 for option in options]
    known = [rate for rate in rates if rate > 0.0]
    usual = sum(known) / len(known) if known else 1.0
    return [option.traits.weight * (rate or usual) / usual for option, rate in zip(options, rates, strict=True)]
