"""The attempt loop: one place, once per request, where the caller's connection ends.

Pure: carrying an attempt out, the clock, sleeping and chance are handed in. It ends in an answer, or in
``AttemptsExhausted`` (or the one ``UpstreamRejected`` that no other candidate could change).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from orcestator.errors import AttemptsExhausted, Overloaded, UpstreamError
from orcestator.routing.events import AttemptEnded, EventSink
from orcestator.routing.health import HealthBoard
from orcestator.routing.offer import Candidate
from orcestator.routing.retry_budget import RetryBudget
from orcestator.routing.verdict import Verdict, judge, most_useful

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """Limits of one request's loop; seconds."""

    attempts: int = 3
    attempts_per_provider: int = 2
    longest_wait_seconds: float = 2.0
    first_backoff_seconds: float = 0.05
    longest_backoff_seconds: float = 1.0


@dataclass(slots=True)
class Tally:
    """What the loop did, for the log and the headers."""

    attempts: int = 0
    retries: int = 0
    fallbacks: int = 0
    served_by: Candidate | None = None
    failures: list[UpstreamError] = field(default_factory=list)
    attempts_at: dict[tuple[str, str], int] = field(default_factory=dict)
    """Attempts by provider and worker: a replica on another host may do better."""

    def count_attempt(self, candidate: Candidate) -> None:
        """One more attempt starts."""
        self.attempts += 1
        place = (candidate.provider, candidate.worker)
        self.attempts_at[place] = self.attempts_at.get(place, 0) + 1


class _Step(NamedTuple):
    """What follows a failure: the next candidate, after a wait in seconds."""

    candidate: Candidate
    wait: float


@dataclass(slots=True)
class AttemptLoop(Generic[Answer]):
    """The loop's parts that outlive a request. ``now`` is monotonic; ``rng`` gives [0, 1)."""

    policy: LoopPolicy
    health: HealthBoard
    budget: RetryBudget
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rng: Callable[[], float]
    emit: EventSink

    async def run(
        self,
        request_id: str,
        candidates: tuple[Candidate, ...],
        attempt: Callable[[Candidate], Awaitable[Answer]],
        tally: Tally,
        deadline: float,
    ) -> Answer:
        """Try candidates, of which there is at least one, until one answers.

        Raises UpstreamRejected, AttemptsExhausted, or Overloaded when the last one left had no connection free.
        """
        self.budget.request(self.now())
        candidate: Candidate | None = self._first(candidates)
        while candidate is not None:
            tally.count_attempt(candidate)
            started = self.now()
            self.health.started(candidate, started)
            try:
                answer = await attempt(candidate)
            except UpstreamError as error:
                step = self._after_failure(error, candidate, candidates, tally, deadline)
                self._report(request_id, candidate, tally, started, error, _named(candidate, step))
                if step is not None and step.wait > 0.0:
                    await self.sleep(step.wait)
                candidate = step.candidate if step is not None else None
            except Overloaded as error:
                # Our own bulkhead is full: that says nothing about health, but the next one may have room.
                self.health.abandoned(candidate)
                later = self._next(candidate, candidates, tally, is_charged=False)
                self._report(request_id, candidate, tally, started, error, "fall_back" if later else "give_up")
                if later is None:
                    raise
                candidate = later
            except BaseException:
                self.health.abandoned(candidate)
                raise
            else:
                tally.served_by = candidate
                self.health.succeeded(candidate, started)
                self._report(request_id, candidate, tally, started, None, "")
                return answer
        raise self._given_up(tally)

    def _first(self, candidates: tuple[Candidate, ...]) -> Candidate:
        now = self.now()
        for candidate in candidates:
            if self.health.allows(candidate, now):
                return candidate
        return self.health.soonest(candidates)

    def _after_failure(
        self,
        error: UpstreamError,
        candidate: Candidate,
        candidates: tuple[Candidate, ...],
        tally: Tally,
        deadline: float,
    ) -> _Step | None:
        """What to do next, or None. Falling back to another provider beats retrying the same one."""
        now = self.now()
        verdict = judge(error)
        tally.failures.append(error)
        self.health.failed(candidate, error, verdict, now)
        if not verdict.falls_back or tally.attempts >= self.policy.attempts or now >= deadline:
            return None
        later = self._next(candidate, candidates, tally, is_charged=error.sent and not verdict.is_ours)
        if later is not None:
            return _Step(later, 0.0)
        if verdict.is_ours:
            # One of the others that died before may be back sooner than the one that died last.
            again = tuple(other for other in candidates if self._may_try_again(other, tally))
            candidate = self.health.soonest(again) if again else candidate
        return self._retry(candidate, error, verdict, tally, deadline - now)

    def _next(
        self, candidate: Candidate, candidates: tuple[Candidate, ...], tally: Tally, *, is_charged: bool
    ) -> Candidate | None:
        """The next candidate that may be tried, counted as a fallback.

        With all others out, one of them is still tried: a request is never refused for want of trying. Where the failed
        attempt may have cost the upstream something (``is_charged``), the retry budget bounds that.
        """
        if tally.attempts >= self.policy.attempts:
            return None
        now = self.now()
        for later in candidates[candidates.index(candidate) + 1 :]:
            if self._may_try_again(later, tally) and self.health.allows(later, now):
                tally.fallbacks += 1
                return later
        untried = tuple(other for other in candidates if (other.provider, other.worker) not in tally.attempts_at)
        if not untried or (is_charged and not self.budget.spend()):
            return None
        tally.fallbacks += 1
        return self.health.soonest(untried)

    def _may_try_again(self, candidate: Candidate, tally: Tally) -> bool:
        return tally.attempts_at.get((candidate.provider, candidate.worker), 0) < self.policy.attempts_per_provider

    def _retry(
        self, candidate: Candidate, error: UpstreamError, verdict: Verdict, tally: Tally, time_left: float
    ) -> _Step | None:
        if not verdict.retries or not self._may_try_again(candidate, tally):
            return None
        wait = self._wait(error, tally)
        if wait > self.policy.longest_wait_seconds or wait >= time_left or not self.budget.spend():
            return None
        tally.retries += 1
        return _Step(candidate, wait)

    def _wait(self, error: UpstreamError, tally: Tally) -> float:
        if error.retry_after is not None:
            return max(error.retry_after, 0.0)
        longest = min(self.policy.longest_backoff_seconds, self.policy.first_backoff_seconds * 2.0**tally.retries)
        return longest * self.rng()

    def _report(
        self,
        request_id: str,
        candidate: Candidate,
        tally: Tally,
        started: float,
        error: UpstreamError | Overloaded | None,
        verdict: str,
    ) -> None:
        upstream = error if isinstance(error, UpstreamError) else None
        self.emit(
            AttemptEnded(
                request_id,
                tally.attempts,
                candidate.provider,
                candidate.model,
                type(error).__name__ if error else "",
                upstream.cause if upstream else (error.code or "") if error else "",
                (upstream.upstream_status or 0) if upstream else 0 if error else 200,
                verdict,
                self.now() - started,
                bool(upstream and upstream.sent),
            )
        )

    def _given_up(self, tally: Tally) -> UpstreamError | AttemptsExhausted:
        useful = most_useful(tally.failures)
        if not judge(useful).falls_back:
            return useful
        if len(tally.failures) == 1:
            summary = useful.message
        else:
            causes = "; ".join(error.message for error in tally.failures)
            summary = f"All {len(tally.failures)} attempts failed: {causes}"
        return AttemptsExhausted(tally.failures, useful, summary)


def _named(failed: Candidate, step: _Step | None) -> str:
    if step is None:
        return "give_up"
    return "retry" if step.candidate is failed else "fall_back"
