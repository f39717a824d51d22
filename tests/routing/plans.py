"""Plans for the loop's tests, and the parts of concurrency that a test without an event loop has."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.line import Seat
from orcestator.routing.offer import Candidate
from orcestator.routing.plan import Plan
from orcestator.routing.strategies.strategy import Scored
from orcestator.routing.traits import Traits


def option_of(candidate: Candidate, tier: int = 0, *, is_paid_fallback: bool = False, **traits: Any) -> Option:
    """A candidate as an option."""
    return Option(candidate, Traits(**traits), candidate.model, tier, is_paid_fallback)


def plan_of(
    options: Sequence[Option | Candidate], reserve: Sequence[Option] = (), *, streamed: bool = True, **ask: Any
) -> Plan:
    """A plan that tries these in their order."""
    made = [one if isinstance(one, Option) else option_of(one, place) for place, one in enumerate(options)]
    scored = tuple(Scored(option, 0.0) for option in made)
    return Plan(Ask(("m",), "chat", streamed=streamed, **ask), scored, tuple(reserve))


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
