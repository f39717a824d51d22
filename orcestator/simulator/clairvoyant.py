"""Nobody can do better than this: for each request the best of all throws, known beforehand, and no limits."""

from collections.abc import Sequence

from orcestator.simulator.objective import Objective
from orcestator.simulator.run import Outcome
from orcestator.simulator.scenario import Request, Scenario
from orcestator.simulator.upstreams import Upstreams, writing_seconds


def run_clairvoyant(scenario: Scenario, requests: Sequence[Request], objective: Objective, seed: int) -> list[Outcome]:
    """An outcome for each request; a bound, not a router."""
    upstreams = Upstreams(scenario, seed)
    return [_best(upstreams, request, objective) for request in requests]


def _best(upstreams: Upstreams, request: Request, objective: Objective) -> Outcome:
    open_ways = [
        way for place in range(len(upstreams.deployments)) if (way := _way(upstreams, place, request)) is not None
    ]
    is_healthy = any(upstreams.is_healthy(place, request.at) for place in range(len(upstreams.deployments)))
    if not open_ways:
        return Outcome(request.at, request.streamed, is_healthy, "NothingLeft", 0.0, 0.0, 0, 0, 0)
    dollars, seconds = min(open_ways, key=lambda way: objective.of(*way))
    return Outcome(request.at, request.streamed, is_healthy, "", seconds, dollars, 1, 0, 0)


def _way(upstreams: Upstreams, place: int, request: Request) -> tuple[float, float] | None:
    """(dollars, seconds to the first content) of a first call there, None when it would fail."""
    fate = upstreams.fate(place, request, 0, request.at)
    if fate.kind:
        return None
    condition = upstreams.condition(place, request.at)
    seconds = fate.seconds + (0.0 if request.streamed else writing_seconds(condition, request.output_tokens))
    return condition.price.dollars(request.prompt_tokens, request.output_tokens), seconds
