"""Plans for the loop's tests, and the parts of concurrency that a test without an event loop has."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from orcestator.routing.attempts.wait_queue import Seat
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.routing.planning.strategies.strategy import Scored
from orcestator.routing.planning.traits import Traits
from orcestator.routing.reading.request import RoutingRequest


def candidate_of(deployment: Deployment, tier: int = 0, *, is_paid_fallback: bool = False, **traits: Any) -> Candidate:
    """A candidate as an option."""
    return Candidate(deployment, Traits(**traits), deployment.model, tier, is_paid_fallback)


def plan_of(
    candidates: Sequence[Candidate | Deployment],
    reserve: Sequence[Candidate] = (),
    *,
    streamed: bool = True,
    **ask: Any,
) -> Plan:
    """A plan that tries these in their order."""
    made = [one if isinstance(one, Candidate) else candidate_of(one, place) for place, one in enumerate(candidates)]
    scored = tuple(Scored(candidate, 0.0) for candidate in made)
    return Plan(RoutingRequest(("m",), "chat", streamed=streamed, **ask), scored, tuple(reserve))


class Alone:
    """For loops in which nothing is hedged, bounded or waited for: only the first of a race ever runs."""

    def __init__(self) -> None:
        self.discarded: list[Any] = []

    async def race(
        self, first: Awaitable[Any], delay: float, second: Callable[[], Coroutine[Any, Any, Any] | None]
    ) -> Any:
        """The first's answer."""
        return await first

    async def within(self, seconds: float, attempt: Awaitable[Any]) -> Any:
        """The attempt, unbounded."""
        return await attempt

    def seat(self) -> Seat:
        """Nobody waits."""
        raise AssertionError("nothing here has to wait")

    def discard(self, answer: Any) -> None:
        """Note what was thrown away."""
        self.discarded.append(answer)
