"""An upstream that counts, for tests of the quota ledger: its answers arrive when a test says so."""

from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from orcestator.dialects.rate_limits import RateLimit
from orcestator.simulator.meter import Meter
from orcestator.simulator.scenario import Limits
from tests.routing.quota_ledger import C, Ledger, M, P

Kind = Literal["fixed", "sliding", "bucket"]
Says = Literal["nothing", "wait", "whole seconds", "limits", "limits a minute"]


@dataclass(slots=True)
class Sent:
    """A request on its way: when it was sent, whether it was taken, and what its answer will say."""

    at: float
    is_well: bool
    wait: float | None
    reading: RateLimit | None


@dataclass(slots=True)
class CountingUpstream:
    """``requests`` a minute, counted as ``kind`` says; ``phase`` is where in its minute the ledger's time begins. ``says`` is what it
    tells: nothing, how long to wait with a refusal, or its limits with every answer (with or without the window's name).
    ``hits`` counts the refusals of requests that were sent after the one before was known."""

    requests: int
    kind: Kind
    phase: float
    says: Says = "nothing"
    ledger: Ledger = field(default_factory=Ledger)
    meter: Meter = field(default_factory=Meter)
    under_way: list[Sent] = field(default_factory=list)
    taken: int = 0
    hits: int = 0
    refused_at: float = -1.0
    hit_at: list[float] = field(default_factory=list)

    def send(self) -> bool:
        """Send one more request, if the ledger lets it go."""
        if self.ledger.take():
            return False
        limits, moment = Limits(self.requests, self.kind), self.ledger.now + self.phase
        back_at = self.meter.back_at(limits, moment)
        is_well = back_at <= moment + 1e-6  # a sum of floats may be late by less than that
        if is_well:
            self.meter.take(limits, moment)
            self.taken += 1
        wait = {"wait": back_at - moment, "whole seconds": float(ceil(back_at - moment))}.get(self.says)
        reading = None
        if self.says.startswith("limits"):
            left, reset = self.meter.remaining(limits, moment)
            reading = RateLimit("requests", 60.0 if self.says == "limits a minute" else 0.0, self.requests, left, reset)
        self.under_way.append(Sent(self.ledger.now, is_well, None if is_well else wait, reading))
        return True

    def answer(self, place: int = 0) -> None:
        """The answer to one of the requests on their way arrives."""
        if not self.under_way:
            return
        sent = self.under_way.pop(place % len(self.under_way))
        book, now = self.ledger.book, self.ledger.now
        readings = () if sent.reading is None else (sent.reading,)
        if sent.is_well:
            book.learn(P, C, M, readings, now, taken_at=sent.at)
            book.settle(P, C, M, 0, 0.0, now)
            return
        if sent.at > self.refused_at:
            self.hits += 1
            self.hit_at.append(now)
            self.refused_at = now
        book.refused(P, C, M, taken_at=sent.at, wait=sent.wait, readings=readings, now=now)
        book.settle(P, C, M, 0, 0.0, now, is_answered=False)

    def pass_time(self, seconds: float) -> None:
        """Time goes by; nothing is on its way for more than half a minute."""
        while self.under_way and self.ledger.now + seconds > self.under_way[0].at + 30.0:
            self.answer()
        self.ledger.now += seconds
