"""The figures of a run."""

from collections.abc import Sequence
from typing import NamedTuple

from orcestator.simulator.objective import FAILURE_DOLLARS, Objective
from orcestator.simulator.run import Outcome


class Figures(NamedTuple):
    """Of the requests of one run. Times are seconds to the first content of streams that were answered (of whole replies where no
    stream was). ``success`` and ``loss`` are of requests that came while a deployment was well. ``loss`` is the mean of the objective, in
    dollars for a thousand requests; so is ``dollars``. ``calls`` and ``hedges`` are per request, ``wasted`` per call.
    """

    requests: int
    success: float
    success_of_all: float
    p50: float
    p95: float
    p99: float
    dollars: float
    calls: float
    wasted: float
    hedges: float
    loss: float


def figures(outcomes: Sequence[Outcome], objective: Objective) -> Figures:
    """The figures of a run, of which there is at least one outcome."""
    answered = [each for each in outcomes if not each.error]
    healthy = [each for each in outcomes if each.is_healthy]
    times = first_contents(answered)
    count, calls = len(outcomes), sum(each.calls for each in outcomes)
    return Figures(
        requests=count,
        success=share_answered(healthy),
        success_of_all=len(answered) / count,
        p50=percentile(times, 0.5),
        p95=percentile(times, 0.95),
        p99=percentile(times, 0.99),
        dollars=1000.0 * sum(each.dollars for each in outcomes) / count,
        calls=calls / count,
        wasted=sum(each.wasted for each in outcomes) / calls if calls else 0.0,
        hedges=sum(each.hedges for each in outcomes) / count,
        loss=1000.0 * sum(_loss(each, objective) for each in healthy) / max(1, len(healthy)),
    )


def share_answered(outcomes: Sequence[Outcome]) -> float:
    """The share that went well; 1.0 of none."""
    return sum(not each.error for each in outcomes) / len(outcomes) if outcomes else 1.0


def first_contents(answered: Sequence[Outcome]) -> list[float]:
    """The times to first content in ascending order: of streams, or of whole replies where there are no streams."""
    streamed = sorted(each.first_content for each in answered if each.streamed)
    return streamed or sorted(each.first_content for each in answered)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share is not above; 0.0 of nothing."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _loss(outcome: Outcome, objective: Objective) -> float:
    if outcome.error:
        return FAILURE_DOLLARS + objective.of(outcome.dollars, 0.0)
    return objective.of(outcome.dollars, outcome.first_content)
