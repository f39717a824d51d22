"""Statistics of each deployment: how often it answered, how soon and how fast it answered lately, and how much it has in hand.

The attempt loop writes them; strategies, hedging and the status pages read them. Synchronous state; ``now`` is monotonic seconds.
"""

from dataclasses import dataclass, field
from math import exp, sqrt

from orcestator.routing.offer import Deployment
from orcestator.routing.state.durations import Durations

HALF_LIFE_SECONDS = 150.0
"""Old calls count half after this long: about the five-minute window that people expect of such figures."""
MOST_RECORDS = 16_384
"""Deployments remembered; callers name models, so the table would grow with their inventions."""
USUAL_SUCCESS = 0.98
"""The share of calls that go well before anything is known."""
DOUBTED_CALLS = 1.0
"""Calls that it is worth against those that were seen."""
FAILURE_SECONDS = 2.0
"""What a failed attempt loses beyond the time it took: the way to the next one."""
HEDGED_TIMES = 2.0
"""A call that another outran counts so many times as long as it was waited for: it took a second call, which costs, and of which
there are few."""
BREAK_SECONDS = 10.0
"""What an answer that breaks after its first content counts: nobody can hide that from the caller."""
MOST_FAILING = 3
"""Failures in a row that are held against nobody until it is known whether they are an outage. More are: they were none."""
_SPREAD = 0.35 * sqrt(12.0)
"""Times to first content of one deployment stray by about a third of their mean; √12 makes a flat draw stray as much."""
_WEIGHT = 0.2
_SLOW_WEIGHT = 1.0 / 64.0
_SLOW_SHARE = 0.5
"""Over the recent calls, where they are few: after a long silence the excess, too, is soon learned anew."""
MOST_SURPRISE = 1.5
"""So many times the mean a call counts at most in it; what is beyond counts in the excess, which one very slow call changes little."""
TRUST_HALF_LIFE_SECONDS = 90.0
"""What is known of a deployment that nobody calls is half as sure after this long."""
MOST_TRUST = 16.0
"""Calls that surety counts at most: what was well known has to become doubtful soon, too."""
DOUBT = 0.5
"""Calls that a guess from before the first call is worth."""


@dataclass(slots=True)
class Latency:
    """Seconds until the first content (of a stream) or the whole reply. All are 0.0 before the first.

    ``mean`` follows quickly and counts no call as very slow; ``excess`` is what very slow ones took beyond that, on average, and
    follows slowly. ``seconds`` is both: what is to be expected. ``spread`` tells when a call is late.
    """

    mean: float = 0.0
    excess: float = 0.0
    seconds: float = 0.0
    count: int = 0
    spread: Durations = field(default_factory=Durations)

    def add(self, seconds: float, weight: float, slow_weight: float) -> None:
        """One more call; the weights are its shares in the mean and in the excess."""
        self.count += 1
        if self.mean <= 0.0:
            self.mean = self.seconds = seconds
            return
        most, counted = MOST_SURPRISE * self.mean, seconds
        excess = self.excess
        if seconds > most:
            excess += slow_weight * (seconds - most - excess)
            counted = most
        else:
            excess -= slow_weight * excess
        self.excess = excess
        self.mean += weight * (counted - self.mean)
        # While all calls get slower, the mean catches up with what was excess before: never more than was seen.
        self.seconds = min(self.mean + excess, max(self.seconds, seconds))

    def percentile(self, share: float) -> float:
        """The value that this share (0 to 1) of recent calls stayed under; 0.0 before there is one."""
        return self.spread.percentile(share)


@dataclass(slots=True)
class DeploymentStats:
    """One deployment's figures. ``calls`` and ``successes`` fade; the totals do not. ``rate`` is tokens a second.

    ``trials`` and ``wins`` are calls and successes without those of an outage, which are ``HealthBoard``'s to judge; nor are the
    ``failing`` calls in a row that failed last among them, of which only the next call can say whether they are one.
    """

    in_flight: int = 0
    calls: float = 0.0
    successes: float = 0.0
    counted_at: float = 0.0
    streamed: Latency = field(default_factory=Latency)
    whole: Latency = field(default_factory=Latency)
    rate: float = 0.0
    trials: float = 0.0
    wins: float = 0.0
    breaks: float = 0.0
    failing: int = 0
    total_calls: int = 0
    total_failures: int = 0
    last_error: str = ""
    last_call_at: float = 0.0

    def success_rate(self) -> float:
        """The share of recent calls that went well; 1.0 when there were none."""
        return self.successes / self.calls if self.calls > 0.0 else 1.0

    def likely_success(self, trust: float) -> float:
        """The success rate, drawn towards ``USUAL_SUCCESS`` the less what is known is to be trusted; above 0.0."""
        if self.trials <= 0.0:
            return USUAL_SUCCESS
        trust = min(trust, self.trials)
        return (trust * self.wins / self.trials + DOUBTED_CALLS * USUAL_SUCCESS) / (trust + DOUBTED_CALLS)

    def latency(self, *, streamed: bool) -> Latency:
        """The record of streams, or of whole replies."""
        return self.streamed if streamed else self.whole

    def mean_seconds(self, streamed: bool) -> float:
        """Seconds to the first content of a stream or to a whole reply, of the other kind before the first of it; 0.0 for unknown."""
        if streamed:
            return self.streamed.seconds or self.whole.seconds
        return self.whole.seconds or self.streamed.seconds

    def trust(self, now: float) -> float:
        """How many calls what is known now is worth: at most ``MOST_TRUST``, fading while there are none."""
        calls = self.calls
        fading: float = 0.5 ** ((now - self.last_call_at) / TRUST_HALF_LIFE_SECONDS)
        return (calls if calls < MOST_TRUST else MOST_TRUST) * fading

    def recent_calls(self, now: float) -> float:
        """Calls, faded until now."""
        fading: float = 0.5 ** ((now - self.counted_at) / HALF_LIFE_SECONDS)
        return self.calls * fading

    def likely_seconds(self, trust: float, guess: float, streamed: bool) -> float:
        """``mean_seconds``, drawn towards a guess the less it is to be trusted: who was slow once gets another chance."""
        mean = self.mean_seconds(streamed)
        if mean <= 0.0:
            return guess
        drawn: float = guess * (mean / guess) ** (trust / (trust + DOUBT))
        return drawn

    def drawn_seconds(self, now: float, mean: float, guess: float, luck: float) -> float:
        """One draw from what is believed of the seconds until there is content, failures and what they lose counted in.

        ``luck`` is even in [-0.5, 0.5); ``mean`` is ``mean_seconds``, or the guess where that is unknown. A flat distribution:
        what is surely worse is never drawn better, until doubt has grown.
        """
        # ``trust``, written out: this runs for each candidate of each plan, and the call would cost as much as the rest of a line.
        calls = self.calls
        fading: float = 0.5 ** ((now - self.last_call_at) / TRUST_HALF_LIFE_SECONDS)
        trust = (calls if calls < MOST_TRUST else MOST_TRUST) * fading
        sureness = trust + DOUBT
        seconds: float = guess * (mean / guess) ** (trust / sureness) * exp(luck * _SPREAD / sqrt(sureness))
        if self.wins < self.trials:
            seconds += (1.0 / self.likely_success(trust) - 1.0) * (seconds + FAILURE_SECONDS)
            if self.breaks:
                trust = min(trust, self.trials)
                seconds += BREAK_SECONDS * trust / (trust + DOUBTED_CALLS) * self.breaks / self.trials
        return seconds

    def count(self, now: float, *, went_well: bool) -> None:
        """One more call came to its head, or failed."""
        elapsed = now - self.counted_at
        if elapsed > 0.0:
            fading = 0.5 ** (elapsed / HALF_LIFE_SECONDS)
            self.calls *= fading
            self.successes *= fading
            self.trials *= fading
            self.wins *= fading
            self.breaks *= fading
            self.counted_at = now
        self.calls += 1.0
        self.successes += went_well
        if went_well:
            self.trials += 1.0 + self.failing
            self.wins += 1.0
            self.failing = 0
        elif self.failing < MOST_FAILING:
            self.failing += 1
        else:
            self.trials += 1.0
        self.total_calls += 1
        self.total_failures += not went_well
        self.last_call_at = now


@dataclass(slots=True)
class Stats:
    """The figures of every deployment that was ever called."""

    records: dict[Deployment, DeploymentStats] = field(default_factory=dict)

    def of(self, deployment: Deployment) -> DeploymentStats | None:
        """The figures of one deployment, None before its first call."""
        return self.records.get(deployment)

    def started(self, deployment: Deployment) -> None:
        """An attempt starts."""
        (self.records.get(deployment) or self._record(deployment)).in_flight += 1

    def answered(self, deployment: Deployment, seconds: float, now: float, *, streamed: bool) -> None:
        """An attempt reached its first content or its whole reply after this long. It is in hand until ``finished``."""
        record = self.records.get(deployment) or self._record(deployment)
        record.count(now, went_well=True)
        latency, share = record.latency(streamed=streamed), 1.0 / record.calls
        latency.add(seconds, max(_WEIGHT, share), max(_SLOW_WEIGHT, _SLOW_SHARE * share))
        latency.spread.add(seconds, now)

    def outlasted(self, deployment: Deployment, seconds: float, now: float, *, streamed: bool) -> None:
        """An attempt was given up after this long, because another was quicker: it would have taken longer still."""
        record = self._record(deployment)
        record.in_flight -= 1
        record.count(now, went_well=True)
        latency = record.latency(streamed=streamed)
        latency.spread.cut_off(seconds, now)
        if seconds > record.mean_seconds(streamed):
            latency.add(HEDGED_TIMES * seconds, _WEIGHT, _SLOW_WEIGHT)

    def failed(self, deployment: Deployment, error: str, now: float) -> None:
        """An attempt failed before its first content."""
        record = self._record(deployment)
        record.in_flight -= 1
        record.last_error = error
        record.count(now, went_well=False)

    def refused(self, deployment: Deployment, error: str) -> None:
        """An attempt was refused for what this one request is: that tells nothing of the deployment, and counts for nothing."""
        record = self._record(deployment)
        record.in_flight -= 1
        record.last_error = error

    def broke(self, deployment: Deployment, error: str) -> None:
        """An answer that had begun broke: the success that it was counted as is none."""
        record = self._record(deployment)
        record.in_flight -= 1
        record.last_error = error
        record.successes = max(0.0, record.successes - 1.0)
        record.wins = max(0.0, record.wins - 1.0)
        record.breaks = min(record.trials, record.breaks + 1.0)
        record.total_failures += 1

    def excused(self, deployment: Deployment) -> None:
        """It was taken out of routing: once it is back, its failures must not keep it from its first calls."""
        record = self._record(deployment)
        record.trials = record.wins = record.breaks = 0.0
        record.failing = 0

    def abandoned(self, deployment: Deployment) -> None:
        """An attempt ended without telling anything of the deployment: its caller left, or another was quicker."""
        self._record(deployment).in_flight -= 1

    def finished(self, deployment: Deployment, tokens: int, seconds: float) -> None:
        """An answer came to its end; ``seconds`` since its first content, 0.0 for a whole reply."""
        record = self.records.get(deployment) or self._record(deployment)
        record.in_flight -= 1
        if seconds > 0.0 and tokens > 1:
            rate = tokens / seconds
            record.rate = rate if record.rate == 0.0 else record.rate + _WEIGHT * (rate - record.rate)

    def forget(self, deployment: Deployment) -> None:
        """A person reset this deployment: what is in hand stays counted."""
        record = self.records.pop(deployment, None)
        if record is not None and record.in_flight:
            self.records[deployment] = DeploymentStats(in_flight=record.in_flight)

    def _make_room(self) -> None:
        """Forget some of those that were called longest ago and have nothing in hand."""
        idle = [one for one, record in self.records.items() if not record.in_flight] or list(self.records)
        idle.sort(key=lambda one: self.records[one].last_call_at)
        for one in idle[: MOST_RECORDS // 16]:
            del self.records[one]

    def _record(self, deployment: Deployment) -> DeploymentStats:
        record = self.records.get(deployment)
        if record is None:
            if len(self.records) >= MOST_RECORDS:
                self._make_room()
            record = self.records[deployment] = DeploymentStats()
        return record
