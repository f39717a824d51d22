"""What an attempt costs its credential: counted in the quota ledger when its answer is over, whole or not."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from orcestator.json_text import Json
from orcestator.prices import cost, dollars, prices_of
from orcestator.routing.state.quota import QuotaBook
from orcestator.upstream.call import FlowingAnswer, Sink
from orcestator.usage import Usage


class Meter(NamedTuple):
    """One request that the ledger took then, as about ``tokens``; ``pricing`` is that of the model's facts."""

    quota: QuotaBook
    provider: str
    credential: str
    model: str
    tokens: int
    pricing: Mapping[str, Any]
    taken_at: float

    def opened(self) -> None:
        """The answer has begun."""
        self.quota.answered(self.provider, self.credential, self.model, self.taken_at)

    def failed(self, now: float) -> None:
        """The request was not answered: it cost nothing."""
        self.quota.settle(self.provider, self.credential, self.model, -self.tokens, 0.0, now, is_answered=False)

    def settle(self, usage: Usage, now: float) -> None:
        """The answer is over. A cost that nobody knows is not counted: no limit in dollars can hold it."""
        more = usage.prompt_tokens + usage.completion_tokens - self.tokens
        usd = dollars(cost(prices_of(self.pricing), usage)) or 0.0
        self.quota.settle(self.provider, self.credential, self.model, more, usd, now)


class MeteredAnswer:
    """An answer that is still coming, whose tokens are counted once when it is closed."""

    __slots__ = ("_answer", "_clock", "_meter", "content_type", "dropped")

    def __init__(self, answer: FlowingAnswer, meter: Meter, clock: Callable[[], float]) -> None:
        self._answer = answer
        self._meter: Meter | None = meter
        self._clock = clock
        self.content_type = answer.content_type
        self.dropped = answer.dropped

    async def next(self) -> bytes:
        """The next bytes for the caller, b"" at the end. Raises StreamInterrupted."""
        return await self._answer.next()

    @property
    def is_over(self) -> bool:
        """Whether ``next`` has given all there is."""
        return self._answer.is_over

    def push(self, sink: Sink) -> Awaitable[None] | None:
        """Hand bytes to the sink as they come."""
        return self._answer.push(sink)

    def failure_frames(self, error: Any) -> bytes:
        """What to send when it breaks."""
        return self._answer.failure_frames(error)

    def close(self) -> None:
        """Free the upstream connection and count. Idempotent."""
        self._answer.close()
        meter, self._meter = self._meter, None
        if meter is not None:
            meter.settle(self._answer.usage, self._clock())

    @property
    def text(self) -> str:
        """The text so far, capped."""
        return self._answer.text

    @property
    def usage(self) -> Usage:
        """What it used, so far or in all."""
        return self._answer.usage

    @property
    def native(self) -> Json | None:
        """The whole answer in the caller's own dialect, where that dialect ends a stream with it."""
        return self._answer.native
