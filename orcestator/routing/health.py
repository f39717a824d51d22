"""The health of each deployment: breaker, cooldown, refused credential. Synchronous state; ``now`` is handed in.

Only health failures move the breaker: a refused request or a rate limit says nothing about whether the upstream
works. All times are monotonic seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from orcestator.errors import UpstreamError
from orcestator.routing.events import EventSink, HealthChanged
from orcestator.routing.offer import Candidate
from orcestator.routing.verdict import Verdict, disables_credential

MOST_DOUBLINGS = 32
MOST_RECORDS = 4096
"""Deployments remembered; callers name models, so the table would grow with their inventions."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and for how long. Defaults follow Envoy's outlier detection and low LLM call volumes."""

    consecutive_failures: int = 5
    window_seconds: float = 60.0
    minimum_calls: int = 20
    failure_ratio: float = 0.5
    open_seconds: float = 5.0
    longest_open_seconds: float = 300.0
    longest_cooldown_seconds: float = 3600.0


class State(Enum):
    """A breaker's states."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Health:
    """One deployment's record."""

    state: State = State.CLOSED
    consecutive: int = 0
    calls: int = 0
    failures: int = 0
    window_started: float = 0.0
    times_opened: int = 0
    out_since: float = 0.0
    out_until: float = 0.0
    probing_since: float | None = None
    reason: str = ""


@dataclass(slots=True)
class HealthBoard:
    """Every deployment's record. A deployment that never failed has none, and costs nothing."""

    policy: BreakerPolicy
    emit: EventSink
    rng: Callable[[], float]
    probe_seconds: float = 60.0
    records: dict[Candidate, Health] = field(default_factory=dict)
    refused_keys: dict[tuple[str, str], float] = field(default_factory=dict)
    """Until when the key of a provider (at a worker) is out, with all its models."""

    def allows(self, candidate: Candidate, now: float) -> bool:
        """Whether an attempt may start now; in half-open state only one probe at a time may."""
        if self.refused_keys and now < self.refused_keys.get((candidate.provider, candidate.worker), 0.0):
            return False
        record = self.records.get(candidate)
        if record is None:
            return True
        if now < record.out_until:
            return False
        if record.state is State.CLOSED:
            return True
        return record.probing_since is None or now - record.probing_since > self.probe_seconds

    def started(self, candidate: Candidate, now: float) -> None:
        """An attempt starts: the first one after an open breaker is its probe."""
        record = self.records.get(candidate)
        if record is not None and record.state is not State.CLOSED:
            if record.state is State.OPEN:
                record.state = State.HALF_OPEN
                self._tell(candidate, record, "half_open", 0.0)
            record.probing_since = now

    def succeeded(self, candidate: Candidate, now: float) -> None:
        """An attempt that started ``now`` reached its first content or its whole reply.

        It is proof of health only if it started after the deployment was taken out: an older one tells of before.
        """
        if self.refused_keys:
            self.refused_keys.pop((candidate.provider, candidate.worker), None)
        record = self.records.get(candidate)
        if record is None:
            return
        self._count(record, now, failed=False)
        if record.out_until and now < record.out_since:
            return
        record.consecutive = 0
        if record.state is not State.CLOSED or record.out_until:
            del self.records[candidate]
            self._tell(candidate, record, "closed", 0.0)

    def abandoned(self, candidate: Candidate) -> None:
        """An attempt ended without telling anything about health (its caller left): a probe gives its place back."""
        record = self.records.get(candidate)
        if record is not None:
            record.probing_since = None

    def failed(self, candidate: Candidate, error: UpstreamError, verdict: Verdict, now: float) -> None:
        """An attempt failed: count it, and take the deployment out of routing when the verdict says so."""
        if not (verdict.counts or verdict.cooldown_seconds):
            self.abandoned(candidate)
            return
        record = self._record(candidate, now)
        record.probing_since = None
        record.reason = f"{type(error).__name__}: {error.cause}"
        if verdict.counts:
            self._count(record, now, failed=True)
            record.consecutive += 1
            # While it is open, attempts that had started before fail too: they are no news, and no reason to double.
            if record.state is State.HALF_OPEN or (record.state is State.CLOSED and self._should_open(record)):
                self._open(candidate, record, now)
        else:
            self._cool_down(candidate, record, error, verdict, now)

    def soonest(self, candidates: tuple[Candidate, ...]) -> Candidate:
        """With every candidate out, the one that is back first: a request is never refused for want of trying."""
        return min(candidates, key=self._back_at)

    def _back_at(self, candidate: Candidate) -> float:
        record = self.records.get(candidate)
        key_back_at = self.refused_keys.get((candidate.provider, candidate.worker), 0.0)
        return max(record.out_until if record else 0.0, key_back_at)

    def _record(self, candidate: Candidate, now: float) -> Health:
        record = self.records.get(candidate)
        if record is None:
            if len(self.records) >= MOST_RECORDS:
                del self.records[next(iter(self.records))]
            record = self.records[candidate] = Health(window_started=now)
        return record

    def _count(self, record: Health, now: float, *, failed: bool) -> None:
        if now - record.window_started > self.policy.window_seconds:
            record.window_started, record.calls, record.failures = now, 0, 0
        record.calls += 1
        record.failures += failed

    def _should_open(self, record: Health) -> bool:
        policy = self.policy
        ratio_is_bad = record.failures >= policy.failure_ratio * record.calls
        return record.consecutive >= policy.consecutive_failures or (
            record.calls >= policy.minimum_calls and ratio_is_bad
        )

    def _open(self, candidate: Candidate, record: Health, now: float) -> None:
        doublings = min(record.times_opened, MOST_DOUBLINGS)
        longest = min(self.policy.longest_open_seconds, self.policy.open_seconds * 2.0**doublings)
        # Equal jitter: callers of a recovering upstream must not return in step.
        seconds = longest * (0.5 + 0.5 * self.rng())
        record.state = State.OPEN
        record.times_opened += 1
        record.out_since = now
        record.out_until = max(record.out_until, now + seconds)
        self._tell(candidate, record, "open", seconds)

    def _cool_down(
        self, candidate: Candidate, record: Health, error: UpstreamError, verdict: Verdict, now: float
    ) -> None:
        asked = verdict.cooldown_seconds if error.retry_after is None else error.retry_after
        seconds = min(max(asked, 0.0), self.policy.longest_cooldown_seconds)
        if seconds > 0.0:
            record.out_since = now
            record.out_until = max(record.out_until, now + seconds)
            if disables_credential(error):
                self.refused_keys[candidate.provider, candidate.worker] = record.out_until
            self._tell(candidate, record, "key_refused" if verdict.disables_credential else "cooldown", seconds)

    def _tell(self, candidate: Candidate, record: Health, state: str, seconds: float) -> None:
        self.emit(HealthChanged(candidate.provider, candidate.model, state, seconds, record.reason))
