"""The limit that an upstream keeps to itself: it counts, and refuses what is too much."""

from collections import deque
from math import floor

from orcestator.simulator.scenario import Limits

MINUTE = 60.0


class Meter:
    """Requests of one deployment. A refused one is not counted, as with most providers."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()
        self._level = 0.0
        self._poured_at = 0.0
        self.in_flight = 0

    def back_at(self, limits: Limits, now: float) -> float:
        """When the next request would be taken; ``now`` when it would be at once."""
        if limits.concurrency and self.in_flight >= limits.concurrency:
            return now + 1.0
        if not limits.requests_per_minute:
            return now
        if limits.window == "bucket":
            missing = self._filled(limits, now) - (limits.requests_per_minute - 1.0)
            return now + max(0.0, missing) * MINUTE / limits.requests_per_minute
        self._forget(limits, now)
        if len(self._taken) < limits.requests_per_minute:
            return now
        return self._taken[0] + MINUTE if limits.window == "sliding" else (now // MINUTE + 1.0) * MINUTE

    def remaining(self, limits: Limits, now: float) -> tuple[float, float]:
        """(whole requests that are left, seconds until they come back), as an answer's headers say it: until a bucket is full
        again, a fixed window ends, or the oldest request leaves a sliding one; ``orcestator.routing.state.quota_reported`` has the sources."""
        if limits.window == "bucket":
            filled = self._filled(limits, now)
            return floor(limits.requests_per_minute - filled + 1e-9), filled * MINUTE / limits.requests_per_minute
        self._forget(limits, now)
        oldest = self._taken[0] if self._taken else now - MINUTE
        ends = (now // MINUTE + 1.0) * MINUTE if limits.window == "fixed" else oldest + MINUTE
        return limits.requests_per_minute - len(self._taken), ends - now

    def take(self, limits: Limits, now: float) -> None:
        """Count a request that is taken."""
        self.in_flight += 1
        if limits.window == "bucket":
            self._level, self._poured_at = self._filled(limits, now) + 1.0, now
        elif limits.requests_per_minute:
            self._taken.append(now)

    def release(self) -> None:
        """A request is over."""
        self.in_flight -= 1

    def _filled(self, limits: Limits, now: float) -> float:
        """Requests in the bucket, which leaks a minute's worth in a minute."""
        leaked = (now - self._poured_at) * limits.requests_per_minute / MINUTE
        return max(0.0, self._level - leaked)

    def _forget(self, limits: Limits, now: float) -> None:
        oldest = now - MINUTE if limits.window == "sliding" else now // MINUTE * MINUTE
        while self._taken and self._taken[0] <= oldest and (limits.window == "sliding" or self._taken[0] < oldest):
            self._taken.popleft()
