"""Which candidate of a plan is tried first, and which next after a failure.

Another provider beats the same one again; what is well and has room beats what has to be waited for; the paid fallback comes when
the others are spent; and a request is never refused for want of trying: with everyone out, the one that is back first is tried.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orcestator.errors import UpstreamError, UpstreamRateLimited
from orcestator.routing.attempts.permits import Permits
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.circuit_breaker import CircuitBreakers
from orcestator.routing.verdict import Verdict

Place = tuple[str, str, str]
"""(provider, model, worker) of a deployment."""
LOST_CONNECTIONS = frozenset({"reset", "closed", "aborted", "unreachable"})
"""Causes of a failure of the network that may be over in a moment."""


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """Limits of one request's loop; seconds.

    ``attempts`` bounds the attempts at all candidates but the paid fallback, which has one of its own. ``rate_limit_retries`` are the
    retries at the same candidate after a rate limit or a lost connection, ``retry_delay_seconds`` the wait before one after a rate
    limit whose upstream named none. ``attempt_seconds`` bounds one attempt up to its first content, 0.0 for no such bound.
    ``total_seconds`` is what a request has where its caller asks for no less.
    """

    attempts: int = 3
    attempts_per_provider: int = 2
    rate_limit_retries: int = 2
    retry_delay_seconds: float = 1.0
    longest_wait_seconds: float = 2.0
    first_backoff_seconds: float = 0.05
    longest_backoff_seconds: float = 1.0
    backoff_multiplier: float = 2.0
    attempt_seconds: float = 0.0
    total_seconds: float = 600.0


class Step(NamedTuple):
    """What follows a failure: the next candidate, after a wait in seconds. ``is_retry``: for want of another one."""

    candidate: Candidate
    wait: float = 0.0
    is_retry: bool = False


class Progress:
    """How far one request has come with its candidates."""

    __slots__ = ("candidates", "dead", "forgiven", "least_context", "lost", "passed_over", "retries", "spent", "tried")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = tuple(candidates)
        self.tried: list[Candidate] = []
        self.passed_over: list[Candidate] = []
        """Those that a quota ledger let nobody ask: no attempts."""
        self.forgiven: list[Candidate] = []
        """Those that failed for their credential alone: another one of the same provider may do."""
        self.lost: list[Candidate] = []
        """Those whose worker, a part of our own, was lost: it comes back."""
        self.dead: set[Place] = set()
        """Deployments that failed in their health: another credential changes nothing."""
        self.spent = 0
        """Attempts at all but the paid fallback."""
        self.retries = 0
        self.least_context = 0
        """Tokens that the context of what is tried next has to exceed, 0 for any."""

    def started(self, candidate: Candidate) -> None:
        """One more attempt."""
        self.tried.append(candidate)
        self.spent += not candidate.is_paid_fallback

    def pass_over(self, candidate: Candidate, *, was_started: bool) -> None:
        """The quota ledger of its key lets nobody ask it; ``was_started``: that ledger is at a worker, which was tried."""
        self.passed_over.append(candidate)
        if was_started:
            self.tried.remove(candidate)
            self.spent -= not candidate.is_paid_fallback

    def is_spent(self, candidate: Candidate) -> bool:
        """Whether it was tried or passed over."""
        return candidate in self.tried or candidate in self.passed_over

    def times_at(self, candidate: Candidate) -> int:
        """Attempts at this candidate's provider, at the same worker: a replica on another host may do better."""
        place = candidate.deployment.provider, candidate.deployment.worker
        tried = sum((one.deployment.provider, one.deployment.worker) == place for one in self.tried)
        return tried - sum((one.deployment.provider, one.deployment.worker) == place for one in self.forgiven)

    def failed(self, candidate: Candidate, error: UpstreamError, verdict: Verdict) -> None:
        """What an attempt's failure says of the others."""
        if verdict.scope != "deployment":
            self.forgiven.append(candidate)
        elif verdict.counts:
            self.dead.add(candidate.deployment[:3])
        if verdict.is_ours:
            self.lost.append(candidate)

    def fits(self, candidate: Candidate) -> bool:
        """Whether its context is known to be large enough after one that was not."""
        return not self.least_context or (candidate.traits.context_length or 0) > self.least_context


@dataclass(slots=True)
class FallbackPolicy:
    """The rules, over the state that requests share."""

    policy: LoopPolicy
    health: CircuitBreakers
    permits: Permits
    budget: RetryBudget

    def first(self, candidates: Sequence[Candidate], now: float) -> Candidate:
        """Where a request begins."""
        return self._well(candidates, now) or self._soonest(candidates)

    def hedge(self, progress: Progress, now: float) -> Candidate | None:
        """Who may answer in place of one that is slow: well, with room, and no dearer than the plan's ordinary candidates."""
        if progress.spent >= self.policy.attempts:
            return None
        left = [o for o in self._ordinary_left(progress) if self.has_room(o)]
        slow = {o.deployment[:3] for o in progress.tried}
        # Another key of the one that is slow is likely to be as slow.
        return self._well((o for o in left if o.deployment[:3] not in slow), now) or self._well(left, now)

    def waiting_for(self, candidate: Candidate, progress: Progress, now: float) -> list[Candidate]:
        """The candidates whose permits would do for a request that found ``candidate`` full."""
        others = (o for o in self._ordinary_left(progress) if o is not candidate and o.traits.max_concurrent)
        return [candidate, *(o for o in others if self.health.allows(o.deployment, now))]

    def after(
        self,
        failed: Candidate,
        error: UpstreamError,
        verdict: Verdict,
        progress: Progress,
        time_left: float,
        now: float,
        chance: float,
    ) -> Step | None:
        """What to do after a failure, or None. ``chance`` is drawn from [0, 1) and spreads the waits."""
        if not verdict.falls_back or time_left <= 0.0:
            return None
        progress.failed(failed, error, verdict)
        if verdict.needs_larger_context:
            progress.least_context = max(failed.traits.context_length or 0, progress.least_context, 1)
        later = self.later(failed, progress, now, is_charged=error.sent and not verdict.is_ours)
        if later is not None:
            return Step(later)
        if verdict.is_ours:
            failed = self._lost_soonest(failed, progress)
        wait = self._wait(error, progress.retries, chance)
        if verdict.retries and wait < time_left and self._may_retry(failed, error, progress, wait):
            progress.retries += 1
            return Step(failed, wait, is_retry=True)
        return self._paid(progress, now)

    def past(self, refused: Candidate, progress: Progress, now: float) -> Candidate | None:
        """Who is asked in place of a candidate that a quota ledger lets nobody ask, or None."""
        later = self.later(refused, progress, now, is_charged=False)
        if later is None and (step := self._paid(progress, now)) is not None:
            later = step.candidate
        return later

    def later(self, failed: Candidate, progress: Progress, now: float, *, is_charged: bool) -> Candidate | None:
        """The next candidate that was not tried yet.

        With all others out one of them is still tried, where nobody stands behind them. Where the failed attempt may have cost
        the upstream something (``is_charged``), the retry budget bounds that.
        """
        if failed.is_paid_fallback:
            return None
        if progress.spent < self.policy.attempts:
            left = list(self._ordinary_left(progress))
            if progress.spent == self.policy.attempts - 1:
                # However many keys a deployment has, the last attempt is for another one where there is one.
                left.sort(key=lambda o: o.deployment[:3] == failed.deployment[:3])
            well = self._well(left, now)
            if well is not None and (self.has_room(well) or not self._spare_has_room(progress, now)):
                return well
        has_spare = any(o.is_paid_fallback for o in progress.candidates)
        out = [
            o for o in progress.candidates
            if not progress.is_spent(o) and not progress.times_at(o) and progress.fits(o)
            and not self.health.is_key_refused(o.deployment, now)
        ]  # fmt: skip
        if has_spare or not out or progress.spent >= self.policy.attempts or (is_charged and not self.budget.spend()):
            return None
        return self._soonest(out)

    def has_room(self, candidate: Candidate) -> bool:
        """Whether a permit of it is free."""
        return not self.permits.is_full(candidate.deployment, candidate.traits.max_concurrent)

    def _spare_has_room(self, progress: Progress, now: float) -> bool:
        """Whether the paid fallback could answer at once, so that nobody has to wait in the line."""
        return any(
            o.is_paid_fallback and self.has_room(o) and progress.fits(o) and self.health.allows(o.deployment, now)
            for o in progress.candidates
        )

    def _ordinary_left(self, progress: Progress) -> Iterable[Candidate]:
        for candidate in progress.candidates:
            if (
                not candidate.is_paid_fallback
                and not progress.is_spent(candidate)
                and candidate.deployment[:3] not in progress.dead
                and progress.times_at(candidate) < self.policy.attempts_per_provider
                and progress.fits(candidate)
            ):
                yield candidate

    def _well(self, candidates: Iterable[Candidate], now: float) -> Candidate | None:
        """The first that is well and has room, else the first that is well."""
        full: Candidate | None = None
        for candidate in candidates:
            if self.health.allows(candidate.deployment, now):
                if self.has_room(candidate):
                    return candidate
                full = full or candidate
        return full

    def _soonest(self, candidates: Sequence[Candidate]) -> Candidate:
        deployment = self.health.soonest(tuple(candidate.deployment for candidate in candidates))
        return next(candidate for candidate in candidates if candidate.deployment == deployment)

    def _lost_soonest(self, failed: Candidate, progress: Progress) -> Candidate:
        """One that was lost before may be back sooner than the one that was lost last."""
        again = [o for o in progress.lost if not o.is_paid_fallback and self._may_try_again(o, progress)]
        return self._soonest(again) if again else failed

    def _may_try_again(self, candidate: Candidate, progress: Progress) -> bool:
        return progress.times_at(candidate) < self.policy.attempts_per_provider

    def _may_retry(self, failed: Candidate, error: UpstreamError, progress: Progress, wait: float) -> bool:
        if failed.is_paid_fallback or progress.spent >= self.policy.attempts or wait > self.policy.longest_wait_seconds:
            return False
        if is_for_a_moment(error):
            may = progress.tried.count(failed) <= self.policy.rate_limit_retries
        else:
            may = self._may_try_again(failed, progress)
        return may and self.budget.spend()

    def _paid(self, progress: Progress, now: float) -> Step | None:
        """The paid fallback's one attempt."""
        left = [o for o in progress.candidates if o.is_paid_fallback and progress.fits(o)]
        if not left or any(progress.is_spent(o) for o in left):
            return None
        return Step(self._well(left, now) or self._soonest(left))

    def _wait(self, error: UpstreamError, retries: int, chance: float) -> float:
        policy = self.policy
        if error.retry_after is not None:
            return max(error.retry_after, 0.0)
        if isinstance(error, UpstreamRateLimited):
            return policy.retry_delay_seconds * (0.5 + chance)
        longest = min(policy.longest_backoff_seconds, policy.first_backoff_seconds * policy.backoff_multiplier**retries)
        return longest * chance


def is_for_a_moment(error: UpstreamError) -> bool:
    """A rate limit, or a connection that broke: what ``rate_limit_retries`` are for."""
    return isinstance(error, UpstreamRateLimited) or error.cause in LOST_CONNECTIONS
