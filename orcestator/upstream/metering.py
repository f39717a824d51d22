"""What an attempt costs its credential: counted in the quota ledger when its answer is over, whole or not."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from orcestator.json_text import Json
from orcestator.routing.state.quota import QuotaBook
from orcestator.upstream.call import FlowingAnswer, Sink

_MILLION = 1e6


class Meter(NamedTuple):
    """One request that the ledger took then, as about ``tokens``; ``pricing`` is US dollars for a million tokens, where known."""

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

    def settle(self, prompt_tokens: int, completion_tokens: int, now: float) -> None:
        """The answer is over."""
        usd = (
            prompt_tokens * (self.pricing.get("input") or 0.0) + completion_tokens * (self.pricing.get("output") or 0.0)
        ) / _MILLION
        more = prompt_tokens + completion_tokens - self.tokens
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
            prompt, completion, _ = self._answer.tokens
            meter.settle(prompt, completion, self._clock())

    @property
    def text(self) -> str:
        """The text so far, capped."""
        return self._answer.text

    @property
    def tokens(self) -> tuple[int, int, bool]:
        """Prompt tokens, completion tokens, and whether they are estimated."""
        return self._answer.tokens

    @property
    def native(self) -> Json | None:
        """The whole answer in the caller's own dialect, where that dialect ends a stream with it."""
        return self._answer.native
