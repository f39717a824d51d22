"""The attempt loop on an event loop whose time jumps: upstreams that take their time, callers that come and leave."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from orcestator.routing.catalog import Option
from orcestator.routing.events import AttemptEnded, Event
from orcestator.routing.falling import LoopPolicy
from orcestator.routing.health import BreakerPolicy, HealthBoard
from orcestator.routing.hedging import Hedging, hedge_budget
from orcestator.routing.line import LinePolicy, WaitingLine
from orcestator.routing.loop import AttemptLoop, Tally
from orcestator.routing.plan import Plan
from orcestator.routing.retry_budget import RetryBudget
from orcestator.upstream.racing import OnEventLoop


class Fate(NamedTuple):
    """What becomes of one attempt: after so many seconds an answer, or this error."""

    seconds: float
    error: BaseException | None = None


class Reply:
    """An answer that has to be closed."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.is_closed = False


class VirtualWorld:
    """To be made inside the running loop. ``fate`` says what becomes of the next attempt at an option."""

    def __init__(
        self,
        fate: Callable[[Option], Fate],
        policy: LoopPolicy | None = None,
        line: LinePolicy | None = None,
        hedging: Hedging | None = None,
    ) -> None:
        self.clock = asyncio.get_running_loop().time
        self.events: list[Event] = []
        self.replies: list[Reply] = []
        self.open_attempts: list[Option] = []
        self.most_open: dict[Option, int] = {}
        self.fate = fate
        self.health = HealthBoard(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.loop: AttemptLoop[Reply] = AttemptLoop(
            policy or LoopPolicy(),
            self.health,
            RetryBudget(),
            self.clock,
            asyncio.sleep,
            lambda: 0.5,
            self.events.append,
            OnEventLoop(self._discard),
            line=WaitingLine(line or LinePolicy()),
            hedging=hedging or Hedging(budget=hedge_budget(100.0)),
        )

    async def attempt(self, option: Option) -> Reply:
        """One attempt, as its fate is."""
        seconds, error = self.fate(option)
        self.open_attempts.append(option)
        try:
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
        finally:
            self.open_attempts.remove(option)
        reply = Reply(option)
        self.replies.append(reply)
        return reply

    async def ask(
        self, plan: Plan, tally: Tally | None = None, *, patience: float = 600.0, lasts: float = 0.0
    ) -> Reply:
        """A caller that takes the answer and reads it for so long."""
        tally = tally if tally is not None else Tally()
        reply = await self.loop.run("r", plan, self.attempt, tally, self.clock() + patience)
        try:
            await asyncio.sleep(lasts)
        finally:
            reply.is_closed = True
            self.loop.ended(tally, tokens=10, seconds=lasts, failure=None)
        return reply

    def learn(self, option: Option, seconds: Sequence[float], *, streamed: bool = True) -> None:
        """Past calls to a deployment, and how long each took to its first content."""
        for each in seconds:
            self.loop.measures.started(option.candidate)
            self.loop.measures.answered(option.candidate, each, self.clock(), streamed=streamed)
            self.loop.measures.finished(option.candidate, 10, 1.0)

    @property
    def attempts(self) -> list[AttemptEnded]:
        """The events of attempts so far."""
        return [event for event in self.events if isinstance(event, AttemptEnded)]

    def assert_nothing_leaks(self) -> None:
        """No permit, no place in the line, no open attempt, no answer that nobody closed, nothing in hand."""
        assert self.loop.line.permits.taken == {}
        assert len(self.loop.line) == 0
        assert self.open_attempts == []
        assert all(reply.is_closed for reply in self.replies)
        assert {record.in_flight for record in self.loop.measures.records.values()} <= {0}
        assert all(record.probing_since is None for record in self.health.records.values())

    def _discard(self, reply: Reply) -> None:
        reply.is_closed = True


def outcome_of(task: "asyncio.Task[Any]") -> BaseException | Any:
    """What a task that is done came to."""
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
