"""The line of requests that wait because every deployment they may go to has all its permits taken.

State changes are synchronous: a permit that comes free goes at once to the first waiter that can use it and is never seen free
by a newcomer, so that no wake-up is lost and nobody is overtaken. Higher priorities go first; within one, callers take turns.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from orcestator.errors import Overloaded
from orcestator.routing.attempts.permits import Permits
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.reading.request import RoutingRequest

_WEIGHT = 0.2
QUEUE_FULL = "line_full"
NO_TIME = "no_time"


class Seat(Protocol):
    """Where a request waits; the event loop's part of waiting."""

    def wake(self) -> None:
        """End the wait. May be called at any time, and more than once."""

    async def wait(self, seconds: float) -> None:
        """Until ``wake`` was called, at most this long."""


@dataclass(frozen=True, slots=True)
class WaitQueuePolicy:
    """``length`` requests wait at most, each ``longest_wait_seconds`` at most; a length of 0 lets none wait."""

    length: int = 256
    longest_wait_seconds: float = 30.0


class Waiter:
    """One request in the line. ``granted`` is the candidate whose permit it was given."""

    __slots__ = ("caller", "candidates", "granted", "priority", "rank", "seat", "seconds")

    def __init__(self, ask: RoutingRequest, candidates: Sequence[Candidate], seat: Seat, seconds: float) -> None:
        self.caller = ask.caller
        self.priority = ask.priority
        self.candidates = tuple(candidates)
        self.seat = seat
        self.seconds = seconds
        self.rank = (0, 0, 0)
        self.granted: Candidate | None = None

    def wants(self, deployment: Deployment) -> Candidate | None:
        """The candidate by which it would use a permit of this deployment."""
        return next((candidate for candidate in self.candidates if candidate.deployment == deployment), None)


@dataclass(slots=True)
class WaitQueue:
    """The permits and those who wait for them. ``service`` is the mean seconds that each deployment keeps a permit."""

    policy: WaitQueuePolicy = field(default_factory=WaitQueuePolicy)
    permits: Permits = field(default_factory=Permits)
    service: dict[Deployment, float] = field(default_factory=dict)
    _waiters: list[Waiter] = field(default_factory=list)
    _arrivals: int = 0
    _turns: dict[tuple[int, str], int] = field(default_factory=dict)
    """The last turn that each caller has at each priority."""
    _current: dict[int, int] = field(default_factory=dict)
    """The turn that each priority has come to."""

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, ask: RoutingRequest, candidates: Sequence[Candidate], seat: Seat, seconds: float) -> Waiter:
        """Wait for a permit of one of these candidates, at most ``seconds``; one that is free is granted at once.

        Raises Overloaded, with an honest Retry-After, when the line is full or the time cannot suffice.
        """
        waiter = Waiter(ask, candidates, seat, min(seconds, self.policy.longest_wait_seconds))
        for candidate in candidates:
            if self.permits.take(candidate):
                waiter.granted = candidate
                return waiter
        turn = max(self._current.get(ask.priority, 0), self._turns.get((ask.priority, ask.caller), -1) + 1)
        waiter.rank = (-ask.priority, turn, self._arrivals)
        self._check_room(waiter)
        self._arrivals += 1
        self._turns[ask.priority, ask.caller] = turn
        insort(self._waiters, waiter, key=_rank)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """It waits no longer; a permit that it was given meanwhile goes to the next."""
        if waiter.granted is not None:
            self.permits.give_back(waiter.granted)
            self._hand_on(waiter.granted.deployment)
        elif waiter in self._waiters:
            self._drop(waiter)

    def too_long(self, waiter: Waiter) -> Overloaded:
        """What to tell one that waited in vain; it has left the line by this."""
        self.leave(waiter)
        return self._refusal(NO_TIME, "No deployment for this request came free in time.", waiter)

    def give_back(self, candidate: Candidate, held_seconds: float | None) -> None:
        """A request that had a permit of this candidate for so long is done with it; None: nobody was asked, which takes no time."""
        if candidate.traits.max_concurrent > 0:
            deployment = candidate.deployment
            if held_seconds is not None:
                mean = self.service.get(deployment)
                self.service[deployment] = held_seconds if mean is None else mean + _WEIGHT * (held_seconds - mean)
            self.permits.give_back(candidate)
            self._hand_on(deployment)

    def likely_wait(self, waiter: Waiter) -> float | None:
        """Seconds until its turn comes, by the service times measured; None before the first was."""
        deployments = {candidate.deployment for candidate in waiter.candidates}
        a_second = 0.0
        for candidate in waiter.candidates:
            mean = self.service.get(candidate.deployment)
            if mean is not None:
                a_second += candidate.traits.max_concurrent / max(mean, 1e-3)
        if a_second == 0.0:
            return None
        before = sum(
            1
            for other in self._waiters
            if other.rank < waiter.rank and any(candidate.deployment in deployments for candidate in other.candidates)
        )
        return (before + 1) / a_second

    def _check_room(self, waiter: Waiter) -> None:
        if len(self._waiters) >= self.policy.length:
            raise self._refusal(QUEUE_FULL, "Every deployment for this request is busy, and the line is full.", waiter)
        likely = self.likely_wait(waiter)
        if waiter.seconds <= 0.0 or (likely is not None and likely > waiter.seconds):
            raise self._refusal(
                NO_TIME, "Every deployment for this request is busy for longer than it can wait.", waiter
            )

    def _refusal(self, code: str, sentence: str, waiter: Waiter) -> Overloaded:
        wait = ceil(max(1.0, self.likely_wait(waiter) or 1.0))
        return Overloaded(f"{sentence} Try again in {wait} s.", code=code, headers={"retry-after": str(wait)})

    def _hand_on(self, deployment: Deployment) -> None:
        """Give what is free of a deployment to those who wait for it, in their order: more than one where its limit was raised."""
        for waiter in self._waiters.copy():
            candidate = waiter.wants(deployment)
            if candidate is None:
                continue
            if not self.permits.take(candidate):
                return
            waiter.granted = candidate
            self._current[waiter.priority] = max(self._current.get(waiter.priority, 0), waiter.rank[1])
            self._drop(waiter)
            waiter.seat.wake()

    def _drop(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        if not self._waiters:
            self._turns.clear()
            self._current.clear()


def _rank(waiter: Waiter) -> tuple[int, int, int]:
    return waiter.rank
