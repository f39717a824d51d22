"""The health of each deployment: breaker, cooldown, refused credential. Synchronous state; ``now`` is handed in.

Only health failures move the breaker: a refused request or a rate limit says nothing about whether the upstream
works. A breaker belongs to a deployment whatever its credential; a cooldown to what the verdict's scope says. All times are
monotonic seconds.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from orcestator.errors import UpstreamError, UpstreamRateLimited
from orcestator.routing.events import EventSink, HealthChanged
from orcestator.routing.offer import Deployment
from orcestator.routing.verdict import Scope, Verdict

MOST_DOUBLINGS = 32
PAUSE_SHARE = 0.5
"""An outage is looked at again after no more than so much of the time that it has lasted: what was out for seconds, however often,
is missed for no longer than seconds."""
OUTRUN_SHARE = 0.125
"""The same after a probe of which nothing is known but that another call was quicker."""
SLOW_START_SHARE = 0.1
"""Who was out for moments is back in moments: its slow start takes no more than so much of the time that it was out."""
MOST_RECORDS = 4096
"""Deployments remembered; callers name models, so the table would grow with their inventions."""
KEY_TRIED_SECONDS = 60.0
"""How long a refused key is not asked at all; from then on, as long as its pause lasts, one request so often where nothing else is left."""
FIRST_SHARE = 0.1
"""The part of its traffic that a deployment gets at once when it is back; it grows to all of it (HAProxy's slow start)."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and for how long. Defaults follow Envoy's outlier detection and low LLM call volumes.

    ``success_threshold`` good probes in a row close it; after that its share of the traffic grows over
    ``slow_start_seconds``.
    """

    consecutive_failures: int = 5
    window_seconds: float = 60.0
    minimum_calls: int = 20
    failure_ratio: float = 0.5
    open_seconds: float = 5.0
    longest_open_seconds: float = 300.0
    longest_cooldown_seconds: float = 86_400.0
    success_threshold: int = 1
    slow_start_seconds: float = 30.0


class State(Enum):
    """A breaker's states."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    PERMANENTLY_UNAVAILABLE = "permanently_unavailable"


class Standing(NamedTuple):
    """Why a deployment is not simply well.

    ``state`` is "open", "half_open", "cooldown", "key_refused", "permanently_unavailable" or "recovering". ``until`` is when an
    attempt may start: not after now for "recovering" and for a probe that is due, infinity when nobody knows. ``share`` is
    below 1.0 only for "recovering". ``is_final``: not even tried for want of anything else. ``is_told``: the upstream itself said
    until when, or the key was refused just now; what we only guess is tried for want of anything else, a refused key from ``tried_at`` on.
    """

    state: str
    until: float
    share: float
    is_final: bool
    reason: str
    is_told: bool = False
    tried_at: float = 0.0


class HealthState(NamedTuple):
    """One line of a status page. ``credential`` and ``model`` are "" where all are meant; ``seconds`` until an attempt may
    start, 0.0 when it may, -1.0 when nobody knows."""

    provider: str
    model: str
    worker: str
    credential: str
    state: str
    consecutive_failures: int
    times_opened: int
    seconds: float
    share: float
    reason: str


Place = tuple[str, ...]
"""(provider, model, worker) of a deployment, or with the credential as a fourth; the model is "" for the credential's all."""
CREDENTIAL_PLACE = 4


@dataclass(slots=True)
class Health:
    """One deployment's breaker. ``broken`` counts the streams in a row that broke after they had begun."""

    state: State = State.CLOSED
    consecutive: int = 0
    broken: int = 0
    calls: int = 0
    failures: int = 0
    window_started: float = 0.0
    times_opened: int = 0
    good_probes: int = 0
    down_since: float = 0.0
    out_since: float = 0.0
    out_until: float = 0.0
    back_since: float | None = None
    probing_since: float | None = None
    reason: str = ""


class Pause(NamedTuple):
    """A cooldown: what was asked for by a rate limit, or what a refused credential gets."""

    since: float
    until: float
    state: str
    reason: str
    is_told: bool = False
    tried_at: float = 0.0
    """Before then it is not even tried for want of anything else."""


@dataclass(slots=True)
class CircuitBreakers:
    """Every deployment's record. A deployment that never failed has none, and costs nothing."""

    policy: BreakerPolicy
    emit: EventSink
    rng: Callable[[], float]
    probe_seconds: float = 60.0
    records: dict[Place, Health] = field(default_factory=dict)
    pauses: dict[Place, Pause] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing at all ever failed, or all that did was forgotten since: there is no standing to look at."""
        return not (self.records or self.pauses)

    def allows(self, deployment: Deployment, now: float) -> bool:
        """Whether an attempt may start now; in half-open state only one probe at a time may."""
        standing = self.standing(deployment, now)
        return standing is None or standing.until <= now

    def standing(self, deployment: Deployment, now: float) -> Standing | None:
        """Why a deployment is not simply well, None when it is."""
        record = self.records.get(deployment[:3]) if self.records else None
        if record is not None and record.state is State.PERMANENTLY_UNAVAILABLE:
            return Standing("permanently_unavailable", math.inf, 1.0, True, record.reason)
        pause = self._longest_pause(deployment, now) if self.pauses else None
        if pause is not None:
            is_closed = pause.is_told or now < pause.tried_at
            return Standing(pause.state, pause.until, 1.0, False, pause.reason, is_closed, pause.tried_at)
        return None if record is None else self._breaker_standing(deployment[:3], record, now)

    def is_key_refused(self, deployment: Deployment, now: float) -> bool:
        """Whether its key was refused so lately that it is not even tried for want of anything else."""
        return any(place in self.pauses and now < self.pauses[place].tried_at for place in _places(deployment))

    def started(self, deployment: Deployment, now: float) -> None:
        """An attempt starts: the first one after an open breaker's time is its probe.

        One made earlier, for want of anything else, is none: if it goes well it is proof, if not it is no news.
        """
        for place in _places(deployment) if self.pauses else ():
            pause = self.pauses.get(place)
            if pause is not None and pause.tried_at:
                # One at a time finds out whether a refused key works again.
                self.pauses[place] = pause._replace(tried_at=now + KEY_TRIED_SECONDS)
        record = self.records.get(deployment[:3])
        if record is None or record.state not in (State.OPEN, State.HALF_OPEN) or now < record.out_until:
            return
        if record.state is State.OPEN:
            record.state = State.HALF_OPEN
            self._emit_change(deployment[:3], "half_open", 0.0, record.reason)
        record.probing_since = now

    def succeeded(self, deployment: Deployment, now: float) -> None:
        """An attempt that started ``now`` reached its first content or its whole reply.

        It is proof of health only if it started after the deployment was taken out: an older one tells of before.
        """
        if self.pauses:
            self._end_pauses(deployment, now)
        record = self.records.get(deployment[:3]) if self.records else None
        if record is None:
            return
        self._count(record, now, failed=False)
        if record.out_until and now < record.out_since:
            return
        record.consecutive = 0
        if record.state is not State.CLOSED:
            self._passed(deployment[:3], record, now)
        elif not record.failures and not record.broken and record.back_since is None:
            del self.records[deployment[:3]]

    def finished(self, deployment: Deployment) -> None:
        """A stream came to its proper end."""
        record = self.records.get(deployment[:3])
        if record is not None:
            record.broken = 0

    def abandoned(self, deployment: Deployment, started: float) -> None:
        """An attempt that ``started`` then ended without telling anything about health (its caller left): a probe gives its
        place back."""
        record = self.records.get(deployment[:3])
        if record is not None and record.probing_since is not None and started >= record.probing_since:
            record.probing_since = None

    def outrun(self, deployment: Deployment, now: float, *, started: float) -> None:
        """An attempt that ``started`` then was cut off, because another had spoken. A probe that this happens to has proved nothing,
        and the next one waits, though less than after a bad one: each of them costs a second attempt."""
        record = self.records.get(deployment[:3])
        if record is None or record.probing_since is None or started < record.probing_since:
            return
        record.probing_since = None
        if record.state is State.HALF_OPEN:
            self._open(deployment[:3], record, now, OUTRUN_SHARE)

    def failed(
        self,
        deployment: Deployment,
        error: UpstreamError,
        verdict: Verdict,
        now: float,
        *,
        started: float | None = None,
    ) -> None:
        """An attempt failed: count it, and take out of routing what the verdict says.

        ``started`` is when it began, ``now`` if that is not said: one that began before the deployment was taken out is no
        bad probe.
        """
        began = now if started is None else started
        self.abandoned(deployment, began)
        self._take_out(deployment, error, verdict, now, began, had_content=False)

    def broke(
        self, deployment: Deployment, error: UpstreamError, verdict: Verdict, now: float, *, started: float
    ) -> None:
        """A stream that ``succeeded`` was told of broke after its first content: the same call is a failed one."""
        self._take_out(deployment, error, verdict, now, started, had_content=True)

    def _take_out(
        self,
        deployment: Deployment,
        error: UpstreamError,
        verdict: Verdict,
        now: float,
        began: float,
        *,
        had_content: bool,
    ) -> None:
        reason = f"{type(error).__name__}: {error.cause}"
        if verdict.is_final:
            self._exclude(deployment[:3], reason, now)
            return
        if verdict.counts:
            self._failed_in_health(deployment[:3], reason, now, began, had_content=had_content)
        if verdict.cooldown_seconds:
            asked = verdict.cooldown_seconds if error.retry_after is None else error.retry_after
            is_told = isinstance(error, UpstreamRateLimited) and error.retry_after is not None
            self._cool_down(deployment, asked, verdict, reason, now, is_told=is_told)

    def soonest(self, deployments: tuple[Deployment, ...]) -> Deployment:
        """With every candidate out, the one that is back first: a request is never refused for want of trying."""
        return min(deployments, key=self._back_at)

    def states(self, now: float) -> list[HealthState]:
        """Everything that is not simply well, for status pages."""
        return [*self._breaker_states(now), *self._pause_states(now)]

    def reset(self, provider: str, model: str = "") -> bool:
        """Forget what is held against a model of a provider (all models when none is named), and against the provider's
        credentials; whether there was anything."""
        told = [
            *(place for place in self.records if place[0] == provider and model in ("", place[1])),
            *(place for place in self.pauses if place[0] == provider and (not model or place[1] in ("", model))),
        ]
        for place in told:
            self.records.pop(place, None)
            self.pauses.pop(place, None)
        for place in dict.fromkeys(told):
            self._emit_change(place, "closed", 0.0, "reset by a person")
        return bool(told)

    def probe_now(self, provider: str, now: float) -> None:
        """A background check found the provider well: what is open there may be probed at once."""
        for place, record in self.records.items():
            if place[0] == provider and record.state is State.OPEN:
                record.out_until = min(record.out_until, now)
        ended = [place for place, pause in self.pauses.items() if place[0] == provider and pause.state == "open"]
        for place in ended:
            del self.pauses[place]
        for worker in dict.fromkeys(place[2] for place in ended):
            self._emit_change((provider, "", worker), "closed", 0.0, "a background check went well")

    def set_aside(
        self, provider: str, worker: str, credentials: Iterable[str], seconds: float, reason: str, now: float
    ) -> None:
        """Background checks say that nothing works there: all its models are out for so long, or until something goes well."""
        is_news = False
        for credential in credentials:
            place = (provider, "", worker, credential)
            before = self.pauses.get(place)
            if before is None or before.state == "open":
                self.pauses[place] = Pause(now, now + seconds, "open", reason)
                is_news = is_news or before is None
        if is_news:
            self._emit_change((provider, "", worker), "open", seconds, reason)

    def has_other_keys(self, provider: str) -> None:
        """A person gave the provider other keys: what was held against those before it is over."""
        for place in [place for place in self.pauses if place[0] == provider and len(place) == CREDENTIAL_PLACE]:
            pause = self.pauses.pop(place)
            self._emit_change(place, "closed", 0.0, pause.reason)

    def readmit(self, provider: str, worker: str, models: Collection[str]) -> None:
        """The provider's list, just read, has these models: those that were missing may be tried again."""
        for place, record in list(self.records.items()):
            if (
                record.state is State.PERMANENTLY_UNAVAILABLE
                and place[::2] == (provider, worker)
                and place[1] in models
            ):
                del self.records[place]
                self._emit_change(place, "closed", 0.0, "listed again")

    def _breaker_standing(self, place: Place, record: Health, now: float) -> Standing | None:
        if record.state is State.CLOSED:
            share = self._share(record, now)
            if share < 1.0:
                return Standing("recovering", now, share, False, record.reason)
            if self._is_over(record, now) and not record.failures:
                del self.records[place]
            return None
        if now < record.out_until:
            return Standing(record.state.value, record.out_until, 1.0, False, record.reason)
        probed = record.probing_since
        is_probed = probed is not None and now - probed <= self.probe_seconds
        free_at = probed + self.probe_seconds if probed is not None and is_probed else now
        # Strictly later than now, also where the two are the same number: its one place is taken.
        return Standing("half_open", math.nextafter(free_at, math.inf) if is_probed else now, 1.0, False, record.reason)

    def _share(self, record: Health, now: float) -> float:
        back_since = record.back_since
        if back_since is None:
            return 1.0
        slow_start = min(self.policy.slow_start_seconds, SLOW_START_SHARE * (back_since - record.down_since))
        passed = now - back_since
        if passed >= slow_start:
            return 1.0
        return FIRST_SHARE + (1.0 - FIRST_SHARE) * max(0.0, passed) / slow_start

    def _is_over(self, record: Health, now: float) -> bool:
        """Whether its last outage is so long ago that it is nothing to remember."""
        return record.back_since is not None and self._share(record, now) == 1.0

    def _longest_pause(self, deployment: Deployment, now: float) -> Pause | None:
        longest: Pause | None = None
        for place in _places(deployment):
            pause = self.pauses.get(place)
            if pause is None:
                continue
            if pause.until <= now:
                del self.pauses[place]
            elif longest is None or pause.until > longest.until:
                longest = pause
        return longest

    def _end_pauses(self, deployment: Deployment, started: float) -> None:
        ended = [place for place in _places(deployment) if place in self.pauses and started >= self.pauses[place].since]
        for place in ended:
            pause = self.pauses.pop(place)
            self._emit_change(place, "closed", 0.0, pause.reason)

    def _passed(self, place: Place, record: Health, now: float) -> None:
        """A probe went well: the next may follow at once, also where this one was made before its time."""
        record.probing_since = None
        record.out_until = min(record.out_until, now)
        record.good_probes += 1
        if record.good_probes < self.policy.success_threshold and record.state is not State.PERMANENTLY_UNAVAILABLE:
            if record.state is State.OPEN:
                record.state = State.HALF_OPEN
                self._emit_change(place, "half_open", 0.0, record.reason)
            return
        record.state = State.CLOSED
        record.calls = record.failures = record.good_probes = 0
        record.out_until = 0.0
        record.back_since = now
        self._emit_change(place, "closed", 0.0, record.reason)

    def _failed_in_health(self, place: Place, reason: str, now: float, began: float, *, had_content: bool) -> None:
        record = self._record(place, now)
        if record.state is State.PERMANENTLY_UNAVAILABLE:
            return
        if self._is_over(record, now):
            record.back_since, record.times_opened = None, 0
        record.reason = reason
        self._count(record, now, failed=True, again=had_content)
        if had_content:
            record.broken += 1
        else:
            record.consecutive += 1
        in_a_row = record.broken if had_content else record.consecutive
        # While it is out, attempts that had started before fail too: they are no news, and no reason to double.
        is_bad_probe = record.state is State.HALF_OPEN and began >= record.out_since
        if is_bad_probe or (record.state is State.CLOSED and self._should_open(record, in_a_row)):
            self._open(place, record, now)

    def _record(self, place: Place, now: float) -> Health:
        record = self.records.get(place)
        if record is None:
            record = Health(window_started=now)
            if len(self.records) < MOST_RECORDS or self._made_room(now):
                self.records[place] = record
        return record

    def _made_room(self, now: float) -> bool:
        """Forget what matters least of a full table, never a breaker that keeps anybody out: what is well again, what is gone for good
        (which its next call tells anew), and then what may be probed. Whether there was anything of the kind."""
        for states in ((State.CLOSED,), (State.PERMANENTLY_UNAVAILABLE,), (State.HALF_OPEN, State.OPEN)):
            found = [
                place for place, one in self.records.items()
                if one.state in states and (one.out_until <= now or one.state is State.PERMANENTLY_UNAVAILABLE)
            ]  # fmt: skip
            for place in found[: MOST_RECORDS // 16]:
                del self.records[place]
            if found:
                return True
        return False

    def _count(self, record: Health, now: float, *, failed: bool, again: bool = False) -> None:
        """One more call; ``again``: one that was counted as a success before, unless that is forgotten."""
        if now - record.window_started > self.policy.window_seconds:
            record.window_started, record.calls, record.failures = now, 0, 0
        if not again or record.failures >= record.calls:
            record.calls += 1
        record.failures += failed

    def _should_open(self, record: Health, in_a_row: int) -> bool:
        policy = self.policy
        ratio_is_bad = record.failures >= policy.failure_ratio * record.calls
        return in_a_row >= policy.consecutive_failures or (record.calls >= policy.minimum_calls and ratio_is_bad)

    def _open(self, place: Place, record: Health, now: float, share: float = PAUSE_SHARE) -> None:
        if not record.times_opened:
            record.down_since = now
        policy, lasted = self.policy, now - record.down_since
        doubled = policy.open_seconds * 2.0 ** min(record.times_opened, MOST_DOUBLINGS)
        longest = min(policy.longest_open_seconds, doubled, max(policy.open_seconds, share * lasted))
        # Equal jitter: callers of a recovering upstream must not return in step.
        seconds = longest * (0.5 + 0.5 * self.rng())
        record.state = State.OPEN
        record.times_opened += 1
        record.good_probes = 0
        record.back_since = None
        record.out_since = now
        record.out_until = now + seconds
        self._emit_change(place, "open", seconds, record.reason)

    def _exclude(self, place: Place, reason: str, now: float) -> None:
        record = self._record(place, now)
        if record.state is State.PERMANENTLY_UNAVAILABLE:
            return
        record.state = State.PERMANENTLY_UNAVAILABLE
        record.reason, record.out_since, record.out_until, record.back_since = reason, now, math.inf, None
        self._emit_change(place, "permanently_unavailable", 0.0, reason)

    def _cool_down(
        self, deployment: Deployment, asked: float, verdict: Verdict, reason: str, now: float, *, is_told: bool
    ) -> None:
        seconds = min(max(asked, 0.0), self.policy.longest_cooldown_seconds)
        if seconds <= 0.0:
            return
        place = _place(deployment, verdict.scope)
        before = self.pauses.pop(place, None)
        if before is None and len(self.pauses) >= MOST_RECORDS:
            del self.pauses[min(self.pauses, key=lambda one: self.pauses[one].until)]
        until = now + seconds
        if before is not None and before.until > until:
            until, is_told = before.until, before.is_told
        state = "key_refused" if verdict.disables_credential else "cooldown"
        tried_at = now + min(KEY_TRIED_SECONDS, seconds) if verdict.disables_credential else 0.0
        self.pauses[place] = Pause(now, until, state, reason, is_told, tried_at)
        self._emit_change(place, state, seconds, reason)

    def _back_at(self, deployment: Deployment) -> float:
        record = self.records.get(deployment[:3])
        pauses = [self.pauses[place].until for place in _places(deployment) if place in self.pauses]
        return max(record.out_until if record else 0.0, *pauses, 0.0)

    def _breaker_states(self, now: float) -> Iterator[HealthState]:
        for (provider, model, worker), record in list(self.records.items()):
            place = (provider, model, worker)
            standing = self._breaker_standing(place, record, now) if math.isfinite(record.out_until) else None
            state = record.state.value if standing is None else standing.state
            seconds = -1.0 if record.out_until == math.inf else 0.0 if standing is None else standing.until - now
            share = 1.0 if standing is None else standing.share
            yield HealthState(
                provider, model, worker, "", state, record.consecutive, record.times_opened, max(seconds, -1.0), share,
                record.reason,
            )  # fmt: skip

    def _pause_states(self, now: float) -> Iterator[HealthState]:
        for place, pause in self.pauses.items():
            if now < pause.until:
                provider, model, worker, credential = (*place, "")[:4]
                seconds = pause.until - now
                yield HealthState(provider, model, worker, credential, pause.state, 0, 0, seconds, 1.0, pause.reason)

    def _emit_change(self, place: Place, state: str, seconds: float, reason: str) -> None:
        self.emit(HealthChanged(place[0], place[1], state, seconds, reason, place[3] if len(place) > 3 else ""))


def _place(deployment: Deployment, scope: Scope) -> Place:
    provider, model, worker = deployment[:3]
    if scope == "deployment":
        return provider, model, worker
    return provider, model if scope == "model" else "", worker, deployment.credential


def _places(deployment: Deployment) -> tuple[Place, Place, Place]:
    """Every place where a pause concerns this candidate."""
    provider, model, worker = deployment[:3]
    credential = deployment.credential
    return (provider, model, worker), (provider, model, worker, credential), (provider, "", worker, credential)
