"""The part of a provider's client that keeps the quota ledger, which the loop asks before a call: it is told what came of it."""

import asyncio
from typing import NamedTuple

from orcestator.errors import UpstreamRateLimited
from orcestator.routing.offer import Deployment
from orcestator.routing.state.quota import QuotaBook
from orcestator.simulator.meter import MINUTE
from orcestator.simulator.scenario import Request
from orcestator.simulator.upstreams import Answer, Trace, Upstreams


class Reading(NamedTuple):
    """What an answer says of a limit; see ``orcestator.routing.state.quota.Reading``."""

    unit: str
    seconds: float
    limit: float | None
    remaining: float | None
    reset_seconds: float | None
    is_shared: bool = False


class Ledgered:
    """The upstreams behind the ledger."""

    def __init__(self, upstreams: Upstreams, quota: QuotaBook) -> None:
        self._upstreams = upstreams
        self._quota = quota

    async def call(self, place: int, deployment: Deployment, request: Request, trace: Trace, taken_at: float) -> Answer:
        """One call, which the ledger counted at ``taken_at``. Raises UpstreamError."""
        provider, credential, model = deployment.provider, deployment.credential, deployment.model
        now = asyncio.get_running_loop().time
        try:
            answer = await self._upstreams.call(place, request, trace)
        except BaseException as error:
            if isinstance(error, UpstreamRateLimited):
                self._quota.refused(
                    provider, credential, model, taken_at=taken_at, wait=error.retry_after,
                    readings=self._told(place, now()), now=now(),
                )  # fmt: skip
            self._quota.settle(provider, credential, model, 0, 0.0, now(), is_answered=False)
            raise
        self._quota.answered(provider, credential, model, taken_at)
        self._quota.learn(provider, credential, model, self._told(place, now()), now(), taken_at=taken_at)
        return answer

    def _told(self, place: int, now: float) -> tuple[Reading, ...]:
        """What every answer and every refusal of an upstream says that tells its limits."""
        limits = self._upstreams.condition(place, now).limits
        if not (limits.is_told and limits.requests_per_minute):
            return ()
        left, seconds = self._upstreams.meters[place].remaining(limits, now)
        return (Reading("requests", MINUTE, limits.requests_per_minute, left, seconds),)

    def ended(self, answer: Answer, deployment: Deployment, request: Request) -> None:
        """An answer came to its end: the ledger had counted its prompt only."""
        provider, credential, model = deployment.provider, deployment.credential, deployment.model
        now = asyncio.get_running_loop().time()
        self._quota.settle(provider, credential, model, request.output_tokens, answer.dollars, now)
