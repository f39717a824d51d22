"""The router that knows what every deployment is like at this moment, and wants what the strategy under test wants.

It knows: error shares, the distribution of times to first content, speed, prices, and what is left of hidden limits. It does not
know the throws: which call will fail or be slow, how long an answer will be, what comes next, when things will change. It takes the
deployment with the least expected figure of the objective, and after a failure the next (or the same again, where no other
could answer), at most three. It never hedges.
"""

import asyncio

from orcestator.errors import NothingLeft, StreamInterrupted, UpstreamError
from orcestator.simulator.failures import KINDS
from orcestator.simulator.objective import FAILURE_DOLLARS, Objective
from orcestator.simulator.scenario import Condition, Request
from orcestator.simulator.upstreams import Trace, Upstreams, writing_seconds

ATTEMPTS = 3


class OmniscientRouter:
    """Serves with full knowledge of the present."""

    def __init__(self, upstreams: Upstreams, objective: Objective, usual_output: float) -> None:
        """``usual_output``: the mean of the answers' tokens."""
        self._upstreams = upstreams
        self._objective = objective
        self._usual_output = usual_output

    async def serve(self, request: Request, trace: Trace) -> None:
        """Serve it with the best that is there."""
        failure: UpstreamError | None = None
        for _ in range(ATTEMPTS):
            place = self._best(request, trace)
            if place is None:
                break
            try:
                answer = await self._upstreams.call(place, request, trace)
            except UpstreamError as error:
                failure = error
                continue
            trace.first_content = asyncio.get_running_loop().time() - request.at
            broke = await self._upstreams.finish(answer, trace)
            if broke is not None:
                raise StreamInterrupted(broke)
            return
        raise failure or NothingLeft("Every deployment is down or at its limit.", retry_after=None)

    def _best(self, request: Request, trace: Trace) -> int | None:
        """The place to call next; one that failed only where no other could answer."""
        now = asyncio.get_running_loop().time()
        able = [place for place in range(len(self._upstreams.deployments)) if self._can_answer(place, now)]
        places = [place for place in able if place not in trace.calls_at] or able
        conditions = {place: self._upstreams.condition(place, now) for place in places}
        if not conditions:
            return None
        answered = {place: self._when_answered(condition, request) for place, condition in conditions.items()}
        return min(conditions, key=lambda place: self._expected(place, conditions, answered))

    def _can_answer(self, place: int, now: float) -> bool:
        return self._upstreams.condition(place, now).error_share < 1.0 and self._upstreams.has_room(place, now)

    def _when_answered(self, condition: Condition, request: Request) -> float:
        writing = 0.0 if request.streamed else writing_seconds(condition, self._usual_output)
        seconds = condition.first_content.mean() + writing
        dollars = condition.price.dollars(request.prompt_tokens, self._usual_output)
        return self._objective.of(dollars, seconds)

    def _expected(self, place: int, conditions: dict[int, Condition], answered: dict[int, float]) -> float:
        """If it fails, its time is lost, and the best of the others is next."""
        condition = conditions[place]
        if not condition.errors:
            return answered[place]
        next_best = min((figure for other, figure in answered.items() if other != place), default=FAILURE_DOLLARS)
        lost = sum(share * _seconds_lost(kind, condition) for kind, share in condition.errors.items())
        failing = condition.error_share
        return (1.0 - failing) * answered[place] + failing * next_best + self._objective.second * lost


def _seconds_lost(kind: str, condition: Condition) -> float:
    seconds = KINDS[kind].seconds
    return condition.first_content.mean() if seconds is None else seconds
