"""The attempt loop: one place, once per request, where the caller's connection ends.

Pure: carrying an attempt out, the clock, waiting and chance are handed in. It ends in an answer, or in ``AttemptsExhausted``, in the
one ``UpstreamRejected`` that no other candidate could change, in ``Overloaded``, or in ``NothingLeft`` where the quota ledgers let nobody
be asked.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from orcestator.errors import (
    TOTAL_TIMEOUT,
    AttemptsExhausted,
    OrcestatorError,
    Overloaded,
    QuotaUsedUp,
    StreamInterrupted,
    UpstreamError,
    UpstreamRateLimited,
)
from orcestator.routing.attempts.attempt import Attempt, Kind
from orcestator.routing.attempts.fallback import FallbackPolicy, LoopPolicy, Progress, Step
from orcestator.routing.attempts.hedging import Hedging
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.attempts.summary import summary_of
from orcestator.routing.attempts.wait_queue import Seat, WaitQueue
from orcestator.routing.events import ABANDONED, BROKE, HEDGE_LOST, HEDGE_WON, EventSink, QuotaRefused, Waited
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.exclusions import PASSING, Excluded, refusal
from orcestator.routing.planning.plan import Plan
from orcestator.routing.state.circuit_breaker import CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import WAITING_IS_NO_USE, Verdict, Verdicts, most_useful
from orcestator.usage import UNTOLD, Usage

Answer = TypeVar("Answer")
HEDGED_ENDPOINT = "chat"
"""Elsewhere an answer has no first content that is awaited, or a second one would cost a picture."""

Carry = Callable[[Candidate, float], Awaitable[Answer]]
"""Makes one attempt at a candidate; the number is when the quota ledger counted it, in monotonic seconds."""
UNTOLD_SECONDS = 5.0
"""When one that failed without a word on when may do better, beside others that said when they will."""
PROBED = ("open", "half_open")
"""The states of a breaker in which an attempt is a probe."""


@dataclass(slots=True)
class Tally:
    """What the loop did, for the log and the headers. ``winner`` is the attempt that served, ``made`` are all in their order."""

    attempts: int = 0
    retries: int = 0
    fallbacks: int = 0
    hedges: int = 0
    served: Candidate | None = None
    winner: Attempt | None = None
    failures: list[UpstreamError] = field(default_factory=list)
    made: list[Attempt] = field(default_factory=list)

    @property
    def fallback_used(self) -> bool:
        """Whether the paid fallback served."""
        return self.served is not None and self.served.is_paid_fallback

    def add(self, earlier: "Tally") -> None:
        """Count what was done for the same request before; who served then did, where nobody has since."""
        if self.made:
            self.made[0].kind = "fallback"
        self.served = self.served or earlier.served
        self.winner = self.winner or earlier.winner
        self.attempts += earlier.attempts
        self.retries += earlier.retries
        self.fallbacks += earlier.fallbacks + 1
        self.hedges += earlier.hedges
        self.failures[:0] = earlier.failures
        self.made[:0] = earlier.made


class Concurrency(Protocol[Answer]):
    """What only an event loop can do; everything that is opened is closed when the caller leaves."""

    async def race(
        self,
        first: Awaitable[Answer],
        delay: float,
        second: Callable[[], Coroutine[Any, Any, Answer] | None],
    ) -> Answer:
        """The answer of ``first``, or of what ``second`` makes when ``first`` has none after ``delay`` seconds, whichever is
        there earlier. When one fails, the other goes on; when both do, the failure of the later is raised."""

    async def within(self, seconds: float, attempt: Awaitable[Answer]) -> Answer:
        """What is awaited, or UpstreamTimeout after ``seconds``."""

    def seat(self) -> Seat:
        """A place to wait in."""

    def discard(self, answer: Answer) -> None:
        """Close an answer that nobody takes."""


@dataclass(slots=True)
class AttemptLoop(Generic[Answer]):
    """The loop's parts that outlive a request. ``now`` is monotonic; ``rng`` gives [0, 1). ``quota`` is the ledger that is asked before
    each attempt."""

    policy: LoopPolicy
    health: CircuitBreakers
    budget: RetryBudget
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rng: Callable[[], float]
    emit: EventSink
    concurrency: Concurrency[Answer]
    stats: Stats = field(default_factory=Stats)
    hedging: Hedging = field(default_factory=Hedging)
    line: WaitQueue = field(default_factory=WaitQueue)
    verdicts: Verdicts = field(default_factory=Verdicts)
    quota: QuotaBook = field(default_factory=QuotaBook)
    falling: FallbackPolicy = field(init=False)

    def __post_init__(self) -> None:
        self.falling = FallbackPolicy(self.policy, self.health, self.line.permits, self.budget)

    def run(
        self,
        request_id: str,
        plan: Plan,
        attempt: Carry[Answer],
        tally: Tally,
        deadline: float,
        tokens: int = 0,
    ) -> Coroutine[Any, Any, Answer]:
        """Try the plan's candidates, of which there is at least one, until one answers. Then ``ended`` has to be called.

        ``tokens`` is about how many the request has, for the quota ledger; a candidate that it lets nobody ask is passed over, and put
        among those that the plan left out. Raises UpstreamRejected, AttemptsExhausted, Overloaded when the last one left had no room, or
        NothingLeft when the quota of all is used up.
        """
        return _Run(self, request_id, plan, attempt, tally, deadline, tokens).answered()

    def ended(self, tally: Tally, *, usage: Usage, seconds: float, failure: OrcestatorError | None) -> None:
        """The answer that ``run`` gave came to its end, or broke: to be called exactly once for each.

        ``seconds`` since its first content, 0.0 for a whole reply.
        """
        winner = tally.winner
        if winner is None:
            return
        candidate, tokens = winner.candidate, usage.completion_tokens
        deployment = candidate.deployment
        winner.usage, winner.lasted = usage, winner.seconds + seconds
        if candidate.traits.max_concurrent:
            self.line.give_back(candidate, self.now() - winner.started)
        error = failure.failure if isinstance(failure, StreamInterrupted) else None
        if isinstance(error, UpstreamError):
            winner.error, winner.cause, winner.verdict = type(error).__name__, error.cause, BROKE
        if isinstance(error, UpstreamError) and not self.was_cut_short(error, winner.started):
            verdict = self.verdicts.judge(error, deployment.provider)
            now = self.now()
            if verdict.blames_request and not verdict.counts:
                self.stats.finished(deployment, tokens, seconds)
            else:
                self.stats.broke(deployment, type(error).__name__)
            self.health.broke(deployment, error, verdict, now, started=winner.started)
            if not self.health.allows(deployment, now):
                self.stats.excused(deployment)
            return
        self.stats.finished(deployment, tokens, seconds)
        if failure is None and seconds > 0.0 and self.health.records:
            self.health.finished(deployment)

    def was_cut_short(self, error: UpstreamError, started: float) -> bool:
        """Whether the request's deadline ended an attempt that had less than half of the time that requests have.

        That tells of the caller's patience, or of those that were tried before, and nothing of this upstream.
        """
        return error.cause == TOTAL_TIMEOUT and self.now() - started < 0.5 * self.policy.total_seconds


class _Outrun(OrcestatorError):
    """An attempt spoke when another had already done so; nobody sees this."""


class _Run(Generic[Answer]):
    """One request's way through the loop."""

    __slots__ = (
        "_answer", "_attempt", "_began", "_deadline", "_failed", "_final", "_loop", "_opening", "_plan", "_progress",
        "_refused", "_request_id", "_rival", "_running", "_tally", "_tokens", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        loop: AttemptLoop[Answer],
        request_id: str,
        plan: Plan,
        attempt: Carry[Answer],
        tally: Tally,
        deadline: float,
        tokens: int,
    ) -> None:
        self._loop = loop
        self._request_id = request_id
        self._plan = plan
        self._attempt = attempt
        self._tally = tally
        self._deadline = deadline
        self._tokens = tokens
        self._began = loop.now()
        self._progress: Progress | None = None
        self._opening: Candidate | None = None
        self._running: Attempt | None = None
        self._rival: Attempt | None = None
        self._failed: Attempt | None = None
        self._refused: Candidate | None = None
        self._final: UpstreamError | None = None
        self._answer: Answer | None = None
        self._waits: dict[Deployment, float | None] | None = None

    async def answered(self) -> Answer:
        """The answer; see ``AttemptLoop.run``."""
        loop = self._loop
        loop.budget.request(self._began)
        candidate = self._first()
        while True:
            if candidate.traits.max_concurrent:
                candidate = await self._permitted(candidate)
            try:
                tried = self._running = self._started(candidate, is_hedge=False)
                delay = self._hedge_delay(tried)
                if delay is None:
                    return await self._carried(tried)
                return await loop.concurrency.race(self._carried(tried), delay, self._hedge)
            except (UpstreamError, QuotaUsedUp) as error:
                step = self._past() if isinstance(error, QuotaUsedUp) else self._after_failure(error.kept())
            except Overloaded as error:
                step = self._after_no_room(error)
                if step is None:
                    raise
            except BaseException:
                self._leave()
                raise
            if step is None:
                raise self._given_up()
            if step.wait > 0.0:
                await loop.sleep(step.wait)
            candidate = step.candidate

    def _first(self) -> Candidate:
        """The plan's first candidate where it is well and has room: all that most requests need."""
        loop, scored = self._loop, self._plan.scored
        if scored:
            candidate = scored[0].candidate
            is_well = loop.health.is_quiet or loop.health.allows(candidate.deployment, self._began)
            if is_well and (not candidate.traits.max_concurrent or loop.falling.has_room(candidate)):
                return candidate
        return loop.falling.first(self._known_progress().candidates, self._began)

    def _known_progress(self) -> Progress:
        """Made when it is first needed: most requests are answered by their first attempt."""
        if self._progress is None:
            self._progress = Progress((*self._plan.candidates, *self._plan.reserve))
            if self._opening is not None:
                self._progress.started(self._opening)
        return self._progress

    async def _permitted(self, candidate: Candidate) -> Candidate:
        """The candidate whose permit the request now has. Raises Overloaded."""
        loop = self._loop
        if loop.line.permits.take(candidate):
            return candidate
        now = loop.now()
        candidates = loop.falling.waiting_for(candidate, self._known_progress(), now)
        waiter = loop.line.join(self._plan.ask, candidates, loop.concurrency.seat(), self._deadline - now)
        if waiter.granted is not None:
            return waiter.granted
        try:
            await waiter.seat.wait(waiter.seconds)
        except BaseException:
            loop.line.leave(waiter)
            raise
        loop.emit(Waited(loop.now() - now, waiter.granted is not None))
        if waiter.granted is None:
            raise loop.line.too_long(waiter)
        return waiter.granted

    def _started(self, candidate: Candidate, *, is_hedge: bool) -> Attempt:
        """An attempt that begins, where the quota ledger has room for it. Raises QuotaUsedUp."""
        loop, tally = self._loop, self._tally
        is_first = not tally.attempts and self._refused is None
        started = self._began if is_first and not candidate.traits.max_concurrent else loop.now()
        quota = loop.quota
        is_last_resort = bool(quota.limited or quota.elsewhere) and self._plan.is_last_resort(candidate)
        try:
            quota.admit(candidate.deployment, self._tokens, started, is_last_resort=is_last_resort)
        except QuotaUsedUp as refused:
            loop.line.give_back(candidate, None)
            self._pass_over(candidate, refused, started, was_started=False)
            raise
        tally.attempts += 1
        if self._progress is not None:
            self._progress.started(candidate)
        elif self._opening is None:
            self._opening = candidate
        kind: Kind = "hedge" if is_hedge else "fallback" if tally.made else ""
        if kind == "fallback" and self._failed is not None and self._failed.candidate is candidate:
            kind = "retry"
        tried = Attempt(candidate, started, kind)
        tally.made.append(tried)
        if not loop.health.is_quiet:
            standing = loop.health.standing(candidate.deployment, started)
            tried.is_probe = standing is not None and standing.state in PROBED
            loop.health.started(candidate.deployment, started)
        loop.stats.started(candidate.deployment)
        return tried

    def _pass_over(self, candidate: Candidate, refused: QuotaUsedUp, now: float, *, was_started: bool) -> None:
        """As if the plan had left it out for its quota."""
        self._known_progress().pass_over(candidate, was_started=was_started)
        self._refused = candidate
        self._plan.excluded += (Excluded(candidate, "quota", refused.message, now + refused.retry_after),)
        deployment = candidate.deployment
        self._loop.emit(
            QuotaRefused(self._request_id, deployment.provider, deployment.model, refused.cause, refused.retry_after)
        )

    def _past(self) -> Step | None:
        """Who is asked in place of the candidate that was passed over last, or None."""
        refused = self._refused
        assert refused is not None, "it is noted when it is passed over"
        later = self._loop.falling.past(refused, self._known_progress(), self._loop.now())
        return None if later is None else Step(later)

    def _hedge_delay(self, tried: Attempt) -> float | None:
        """Seconds after which a second candidate starts; None where none may."""
        plan, hedging, tally = self._plan, self._loop.hedging, self._tally
        if len(plan.scored) < 2 or not hedging.is_on or tally.hedges or plan.ask.endpoint != HEDGED_ENDPOINT:
            return None
        if tally.attempts == 1:
            hedging.budget_of(plan.hedge_limit).request(self._began)
        records, candidate, first = self._loop.stats.records, tried.candidate, plan.scored[0].candidate
        other = plan.scored[1].candidate if candidate is first else first
        return hedging.delay(
            records.get(candidate.deployment),
            records.get(other.deployment),
            streamed=plan.ask.streamed,
            is_probe=tried.is_probe,
        )

    def _hedge(self) -> Coroutine[Any, Any, Answer] | None:
        """The second attempt, where one may be made."""
        loop, now = self._loop, self._loop.now()
        candidate = loop.falling.hedge(self._known_progress(), now) if now < self._deadline else None
        if candidate is None or not loop.hedging.budget_of(self._plan.hedge_limit).spend():
            return None
        loop.line.permits.take(candidate)
        try:
            self._rival = self._started(candidate, is_hedge=True)
        except QuotaUsedUp:
            return None
        self._tally.hedges += 1
        return self._carried(self._rival)

    async def _carried(self, tried: Attempt) -> Answer:
        """One attempt to its first content, and what of it has to be told at once."""
        loop = self._loop
        seconds = loop.policy.attempt_seconds
        try:
            carrying = self._attempt(tried.candidate, tried.started)
            answer = await (carrying if seconds <= 0.0 else loop.concurrency.within(seconds, carrying))
        except (UpstreamError, QuotaUsedUp, Overloaded) as error:
            if not tried.is_over:
                self._fell(tried, error)
            raise
        if tried.is_over:
            loop.concurrency.discard(answer)
            raise _Outrun("another was quicker")
        self._spoke(tried, answer)
        return answer

    def _fell(self, tried: Attempt, error: UpstreamError | QuotaUsedUp | Overloaded) -> None:
        """An attempt failed. While another one runs, that one is what follows."""
        if isinstance(error, QuotaUsedUp):
            self._refused_elsewhere(tried, error)
            return
        self._failed = tried
        self._over(tried)
        self._count_failure(tried, error)
        if self._running is not None or self._rival is not None:
            self._report(tried, error, "fall_back")

    def _refused_elsewhere(self, tried: Attempt, refused: QuotaUsedUp) -> None:
        """The ledger of the worker that was tried let nobody be asked: it was no attempt."""
        loop, candidate, now = self._loop, tried.candidate, self._loop.now()
        self._over(tried)
        self._tally.attempts -= 1
        self._tally.made.remove(tried)
        loop.stats.abandoned(candidate.deployment)
        loop.health.abandoned(candidate.deployment, tried.started)
        loop.quota.refused_elsewhere(candidate.deployment, refused, now)
        self._pass_over(candidate, refused, now, was_started=True)

    def _over(self, tried: Attempt) -> None:
        """An attempt that served nobody is over; its permit is free."""
        tried.is_over = True
        if tried is self._rival:
            self._rival = None
        else:
            self._running = None
        if tried.candidate.traits.max_concurrent:
            self._loop.line.give_back(tried.candidate, self._loop.now() - tried.started)

    def _count_failure(self, tried: Attempt, error: UpstreamError | Overloaded) -> None:
        loop, deployment = self._loop, tried.candidate.deployment
        if isinstance(error, UpstreamError):
            now = loop.now()
            self._tally.failures.append(error)
            verdict = loop.verdicts.judge(error, deployment.provider)
            if not verdict.falls_back:
                self._final = error
            self._note_wait(deployment, error, verdict, now)
            if loop.was_cut_short(error, tried.started):
                loop.stats.outlasted(deployment, now - tried.started, now, streamed=self._plan.ask.streamed)
                loop.health.abandoned(deployment, tried.started)
                return
            if verdict.blames_request and not verdict.counts:
                loop.stats.refused(deployment, type(error).__name__)
            else:
                loop.stats.failed(deployment, type(error).__name__, now)
            loop.health.failed(deployment, error, verdict, now, started=tried.started)
            if not loop.health.allows(deployment, now):
                loop.stats.excused(deployment)
        else:
            # Our own bulkhead is full: that says nothing about health, but the next one may have room.
            loop.stats.abandoned(deployment)
            loop.health.abandoned(deployment, tried.started)

    def _note_wait(self, deployment: Deployment, error: UpstreamError, verdict: Verdict, now: float) -> None:
        """When this one may do better: what was said last counts, and of a bare rate limit the pause that follows it."""
        if isinstance(error, WAITING_IS_NO_USE):
            return
        wait = error.retry_after
        if wait is None and isinstance(error, UpstreamRateLimited):
            wait = verdict.cooldown_seconds
        self._waits = self._waits or {}
        self._waits[deployment] = None if wait is None else now + wait

    def _spoke(self, tried: Attempt, answer: Answer) -> None:
        """The first to have content is the one; another that runs has lost."""
        loop, tally, candidate, now = self._loop, self._tally, tried.candidate, self._loop.now()
        self._answer = answer
        tried.is_over = True
        tally.served, tally.winner = candidate, tried
        loop.health.succeeded(candidate.deployment, tried.started)
        loop.stats.answered(candidate.deployment, now - tried.started, now, streamed=self._plan.ask.streamed)
        loser = self._rival if tried is self._running else self._running
        if loser is not None:
            self._lost(loser, now)
        tried.seconds, tried.status = now - tried.started, 200
        if tried.kind == "hedge":
            tried.verdict = HEDGE_WON

    def _lost(self, tried: Attempt, now: float) -> None:
        loop, deployment = self._loop, tried.candidate.deployment
        self._over(tried)
        loop.health.outrun(deployment, now, started=tried.started)
        loop.stats.outlasted(deployment, now - tried.started, now, streamed=self._plan.ask.streamed)
        self._close(tried, HEDGE_LOST, now)

    def _leave(self) -> None:
        """The caller left, or we have a bug: give everything back."""
        loop, tally = self._loop, self._tally
        for tried in (self._running, self._rival):
            if tried is not None and not tried.is_over:
                self._over(tried)
                loop.health.abandoned(tried.candidate.deployment, tried.started)
                loop.stats.abandoned(tried.candidate.deployment)
                self._close(tried, ABANDONED, loop.now())
        if self._answer is not None:
            # It had come, and the caller left before it could be handed over.
            loop.concurrency.discard(self._answer)
            loop.ended(tally, usage=UNTOLD, seconds=0.0, failure=None)
            if tally.winner is not None:
                self._close(tally.winner, ABANDONED, loop.now())
            tally.served = tally.winner = None

    def _after_failure(self, error: UpstreamError) -> Step | None:
        """What to do next, or None."""
        loop, tally, tried, progress = self._loop, self._tally, self._last_failed(), self._known_progress()
        verdict, now = loop.verdicts.judge(error, tried.candidate.deployment.provider), loop.now()
        step = loop.falling.after(tried.candidate, error, verdict, progress, self._deadline - now, now, loop.rng())
        if step is None:
            self._report(tried, error, "give_up")
            return None
        if step.is_retry:
            tally.retries += 1
        else:
            tally.fallbacks += 1
        loop.hedging.budget_of(self._plan.hedge_limit).charge()
        self._report(tried, error, "retry" if step.candidate is tried.candidate else "fall_back")
        return step

    def _after_no_room(self, error: Overloaded) -> Step | None:
        """The next one after an attempt that found our own pool of connections full, or None."""
        tried, progress = self._last_failed(), self._known_progress()
        later = self._loop.falling.later(tried.candidate, progress, self._loop.now(), is_charged=False)
        self._report(tried, error, "fall_back" if later else "give_up")
        if later is None:
            return None
        self._tally.fallbacks += 1
        return Step(later)

    def _last_failed(self) -> Attempt:
        tried = self._failed
        assert tried is not None, "an attempt notes its own failure"
        return tried

    def _report(self, attempt: Attempt, error: UpstreamError | Overloaded, verdict: str) -> None:
        """An attempt failed, and what follows is decided."""
        attempt.error, attempt.verdict = type(error).__name__, verdict
        attempt.seconds = self._loop.now() - attempt.started
        if isinstance(error, UpstreamError):
            attempt.cause, attempt.status, attempt.maybe_billed = error.cause, error.upstream_status or 0, error.sent
        else:
            attempt.cause = error.code or ""

    def _close(self, attempt: Attempt, verdict: str, now: float) -> None:
        """An attempt serves nobody though it did not fail. Its provider may have begun to answer."""
        attempt.verdict, attempt.seconds, attempt.lasted = verdict, now - attempt.started, 0.0
        attempt.maybe_billed, attempt.usage = True, None

    def _given_up(self) -> OrcestatorError:
        if self._final is not None:
            return self._final
        failures = self._tally.failures
        if not failures:
            return refusal(self._plan.ask, self._plan.excluded, self._loop.now())
        return AttemptsExhausted(failures, most_useful(failures), summary_of(failures), self._soonest())

    def _soonest(self) -> float | None:
        """Seconds until the first of those that failed, or were left out for a time, may do better; None when nobody said so."""
        now, waits = self._loop.now(), list((self._waits or {}).values())
        if not any(wait is not None for wait in waits):
            return None
        left_out = [one.until - now for one in self._plan.excluded if one.reason in PASSING and one.until > now]
        return max(0.0, min(inf, *(UNTOLD_SECONDS if at is None else at - now for at in waits), *left_out))
