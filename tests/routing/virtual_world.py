"""The attempt loop on an event loop whose time jumps: upstreams that take their time, callers that come and leave."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orcestator.routing.attempts.attempt import records_of
from orcestator.routing.attempts.fallback import LoopPolicy
from orcestator.routing.attempts.hedging import Hedging, hedge_budget
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.attempts.wait_queue import WaitQueue, WaitQueuePolicy
from orcestator.routing.events import AttemptEnded, Event
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.upstream.hedge_runner import AsyncioConcurrency
from orcestator.usage import Usage


class Fate(NamedTuple):
    """What becomes of one attempt: after so many seconds an answer, or this error."""

    seconds: float
    error: BaseException | None = None


class Reply:
    """An answer that has to be closed."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.is_closed = False


class VirtualWorld:
    """To be made inside the running loop. ``fate`` says what becomes of the next attempt at an option."""

    def __init__(
        self,
        fate: Callable[[Candidate], Fate],
        policy: LoopPolicy | None = None,
        line: WaitQueuePolicy | None = None,
        hedging: Hedging | None = None,
    ) -> None:
        self.clock = asyncio.get_running_loop().time
        self.events: list[Event] = []
        self.replies: list[Reply] = []
        self.tallies: list[Tally] = []
        self.open_attempts: list[Candidate] = []
        self.most_open: dict[Candidate, int] = {}
        self.fate = fate
        self.health = CircuitBreakers(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.loop: AttemptLoop[Reply] = AttemptLoop(
            policy or LoopPolicy(),
            self.health,
            RetryBudget(),
            self.clock,
            asyncio.sleep,
            lambda: 0.5,
            self.events.append,
            AsyncioConcurrency(self._discard),
            line=WaitQueue(line or WaitQueuePolicy()),
            hedging=hedging or Hedging(budget=hedge_budget(100.0)),
        )

    async def attempt(self, candidate: Candidate, _taken_at: float) -> Reply:
        """One attempt, as its fate is."""
        seconds, error = self.fate(candidate)
        self.open_attempts.append(candidate)
        try:
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
        finally:
            self.open_attempts.remove(candidate)
        reply = Reply(candidate)
        self.replies.append(reply)
        return reply

    async def ask(
        self, plan: Plan, tally: Tally | None = None, *, patience: float = 600.0, lasts: float = 0.0
    ) -> Reply:
        """A caller that takes the answer and reads it for so long."""
        tally = tally if tally is not None else Tally()
        self.tallies.append(tally)
        reply = await self.loop.run("r", plan, self.attempt, tally, self.clock() + patience)
        try:
            await asyncio.sleep(lasts)
        finally:
            reply.is_closed = True
            self.loop.ended(tally, usage=Usage(0, 10), seconds=lasts, failure=None)
        return reply

    def learn(self, candidate: Candidate, seconds: Sequence[float], *, streamed: bool = True) -> None:
        """Past calls to a deployment, and how long each took to its first content."""
        for each in seconds:
            self.loop.stats.started(candidate.deployment)
            self.loop.stats.answered(candidate.deployment, each, self.clock(), streamed=streamed)
            self.loop.stats.finished(candidate.deployment, 10, 1.0)

    @property
    def attempts(self) -> list[AttemptEnded]:
        """What is told of the attempts of all requests so far."""
        return [told for tally in self.tallies for told in records_of(tally.made, 0.0, prompt_tokens=0)]

    def assert_nothing_leaks(self) -> None:
        """No permit, no place in the line, no open attempt, no answer that nobody closed, nothing in hand."""
        assert self.loop.line.permits.taken == {}
        assert len(self.loop.line) == 0
        assert self.open_attempts == []
        assert all(reply.is_closed for reply in self.replies)
        assert {record.in_flight for record in self.loop.stats.records.values()} <= {0}
        assert all(record.probing_since is None for record in self.health.records.values())

    def _discard(self, reply: Reply) -> None:
        reply.is_closed = True


def outcome_of(task: "asyncio.Task[Any]") -> BaseException | Any:
    """What a task that is done came to."""
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
