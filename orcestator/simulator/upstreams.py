"""The modelled upstreams: each call takes its time and ends as its throw says, in the running event loop's time."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from orcestator.errors import UpstreamError
from orcestator.simulator.dice import Dice
from orcestator.simulator.failures import CUT, KINDS, Failure, cut, rate_limited
from orcestator.simulator.meter import Meter
from orcestator.simulator.scenario import HEALTHY_ERROR_SHARE, Condition, Request, Scenario

PATIENCE_SECONDS = 30.0
"""How long a stream's first content is waited for."""
REFUSAL_SECONDS = 0.1
_CALLS = 0xB1


class Fate(NamedTuple):
    """``failure`` shows, or the first content comes, after ``seconds``. ``kind`` is "" where all goes well."""

    kind: str
    seconds: float
    failure: Failure | None = None


class Answer(NamedTuple):
    """An answer that has begun. ``seconds_left`` until its end; a ``is_cut`` one never gets there."""

    place: int
    seconds_left: float
    dollars: float
    is_cut: bool


@dataclass(slots=True)
class Trace:
    """What one request cost. ``wasted`` are calls that gave the caller nothing."""

    calls: int = 0
    wasted: int = 0
    hedges: int = 0
    dollars: float = 0.0
    first_content: float = 0.0
    calls_at: dict[int, int] = field(default_factory=dict)


class Upstreams:
    """Every deployment of a scenario, by its place in it."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.deployments = scenario.deployments
        self.meters = [Meter() for _ in scenario.deployments]
        self._seed = seed

    def condition(self, place: int, now: float) -> Condition:
        """What a deployment is really like now."""
        return self.deployments[place].condition(now)

    def has_room(self, place: int, now: float) -> bool:
        """Whether its limits would let a request in now."""
        return self.meters[place].back_at(self.condition(place, now).limits, now) <= now

    def is_healthy(self, place: int, now: float) -> bool:
        """Whether a request that comes now would most probably be answered."""
        return self.condition(place, now).error_share <= HEALTHY_ERROR_SHARE and self.has_room(place, now)

    def fate(self, place: int, request: Request, number: int, now: float) -> Fate:
        """What becomes of this request's call of this number here, if it is made now."""
        condition = self.condition(place, now)
        dice = Dice(self._seed, _CALLS, place, request.number, number)
        throw = dice()
        seconds = condition.first_content.draw(dice)
        for kind, share in condition.errors.items():
            if throw < share:
                failure = KINDS[kind]
                return Fate(kind, seconds if failure.seconds is None else failure.seconds, failure)
            throw -= share
        if seconds > PATIENCE_SECONDS:
            return Fate("silent", PATIENCE_SECONDS, KINDS["silent"])
        return Fate("", seconds)

    async def call(self, place: int, request: Request, trace: Trace) -> Answer:
        """One call, up to its first content or, where it is not streamed, its end. Raises as the product's own client does."""
        now = asyncio.get_running_loop().time()
        number = trace.calls_at.get(place, 0)
        trace.calls_at[place] = number + 1
        trace.calls += 1
        try:
            await self._admit(place, now)
            return await self._speak(place, request, trace, self.fate(place, request, number, now), now)
        except BaseException:
            trace.wasted += 1
            raise

    async def finish(self, answer: Answer, trace: Trace) -> UpstreamError | None:
        """The rest of an answer; what broke it, if something did."""
        try:
            if answer.seconds_left > 0.0:
                await asyncio.sleep(answer.seconds_left)
        finally:
            self.meters[answer.place].release()
            trace.dollars += answer.dollars
        if answer.is_cut:
            trace.wasted += 1
            return cut(self.deployments[answer.place].name)
        return None

    def discard(self, answer: Answer) -> None:
        """Nobody takes this answer: its place is free."""
        self.meters[answer.place].release()

    async def _admit(self, place: int, now: float) -> None:
        limits, meter = self.condition(place, now).limits, self.meters[place]
        back_at = meter.back_at(limits, now)
        if back_at > now:
            await asyncio.sleep(REFUSAL_SECONDS)
            raise rate_limited(self.deployments[place].name, back_at - now if limits.says_retry_after else None)
        meter.take(limits, now)

    async def _speak(self, place: int, request: Request, trace: Trace, fate: Fate, now: float) -> Answer:
        condition = self.condition(place, now)
        try:
            await asyncio.sleep(fate.seconds)
            if fate.failure is not None and fate.kind != CUT:
                raise fate.failure.raised(self.deployments[place].name)
            writing = writing_seconds(condition, request.output_tokens)
            if not request.streamed:
                await asyncio.sleep(writing)
                if fate.kind == CUT:
                    raise cut(self.deployments[place].name)
        except BaseException as end:
            self.meters[place].release()
            trace.dollars += _lost(condition, request, fate, end)
            raise
        is_cut = fate.kind == CUT
        seconds_left = 0.0 if not request.streamed else writing / 2.0 if is_cut else writing
        return Answer(place, seconds_left, _dollars(condition, request), is_cut)


def writing_seconds(condition: Condition, output_tokens: float) -> float:
    """From the first content to the last; 0.0 where that is not modelled."""
    return output_tokens / condition.tokens_per_second if condition.tokens_per_second else 0.0


def _dollars(condition: Condition, request: Request) -> float:
    return condition.price.dollars(request.prompt_tokens, request.output_tokens)


def _lost(condition: Condition, request: Request, fate: Fate, end: BaseException) -> float:
    """What a call cost that gave nothing: one that was given up had read the prompt, a refused one costs nothing."""
    if isinstance(end, UpstreamError):
        return _dollars(condition, request) if fate.failure is not None and fate.failure.is_billed else 0.0
    return condition.price.dollars(request.prompt_tokens, 0)
