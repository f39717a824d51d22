"""The kinds of limit that an account of the quota ledger may have, each with its own clock. Times are epoch seconds: they
outlive the process. ``amount`` is requests, tokens or US dollars, as the window's unit says."""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Unit = Literal["requests", "tokens", "usd"]
Json = dict[str, Any]

MINUTE = 60.0
DAY = 86_400.0
SLOTS = 60
"""Into so many parts a rolling window is divided; a part leaves it as a whole, when its last moment is old enough."""
BUCKET_TOLERANCE = 0.02


@dataclass(slots=True)
class Rolling:
    """At most ``limit`` in any ``seconds``. That is safe with an upstream that counts fixed windows, sliding ones or a bucket.

    ``most`` is 0.0 for a limit that somebody told; one that was learned by being hit is at most this, and it was
    ``learned_at`` that time.
    """

    unit: Unit
    seconds: float
    limit: float
    most: float = 0.0
    learned_at: float = 0.0
    slots: deque[tuple[int, float]] = field(default_factory=deque)
    total: float = 0.0

    def back_at(self, amount: float, now: float) -> float:
        """When this much more is within the limit; 0.0: now. What is more than the whole limit waits for an empty window."""
        self._expire(now)
        excess = self.total + min(amount, self.limit) - self.limit
        if excess <= 0.0:
            return 0.0
        for slot, held in self.slots:
            excess -= held
            if excess <= 1e-9:
                return self._end(slot)
        return self._end(self.slots[-1][0]) if self.slots else 0.0

    def add(self, amount: float, now: float) -> None:
        """Count this much; a negative amount takes back what was counted too high just before."""
        slot = int(now // (self.seconds / SLOTS))
        if self.slots and self.slots[-1][0] >= slot:
            last, held = self.slots[-1]
            self.slots[-1] = (last, held + amount)
        else:
            self.slots.append((slot, amount))
        self.total += amount

    def remaining(self, now: float) -> float:
        """What is left."""
        self._expire(now)
        return max(0.0, self.limit - self.total)

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "rolling", "unit": self.unit, "seconds": self.seconds, "limit": self.limit, "most": self.most,
            "learned_at": self.learned_at, "slots": [list(slot) for slot in self.slots],
        }  # fmt: skip

    def _expire(self, now: float) -> None:
        if self.most and now - self.learned_at >= DAY and self.limit < self.most:
            # A quiet day: the half was sure, more may be true.
            self.limit += max(1.0, (self.most - self.limit) // 4)
            self.learned_at = now
        while self.slots and self._end(self.slots[0][0]) <= now:
            self.total -= self.slots.popleft()[1]
        if not self.slots:
            self.total = 0.0

    def _end(self, slot: int) -> float:
        return (slot + 1) * (self.seconds / SLOTS) + self.seconds


@dataclass(slots=True)
class Daily:
    """At most ``limit`` until the clock strikes midnight: in UTC, or where Google is."""

    unit: Unit
    limit: float
    is_pacific: bool = False
    used: float = 0.0
    until: float = 0.0

    def back_at(self, amount: float, now: float) -> float:
        """When this much more is within the limit; 0.0: now."""
        self._turn(now)
        return 0.0 if self.used + min(amount, self.limit) <= self.limit else self.until

    def add(self, amount: float, now: float) -> None:
        """Count this much."""
        self._turn(now)
        self.used += amount

    def remaining(self, now: float) -> float:
        """What is left."""
        self._turn(now)
        return max(0.0, self.limit - self.used)

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "daily", "unit": self.unit, "limit": self.limit, "is_pacific": self.is_pacific, "used": self.used,
            "until": self.until,
        }  # fmt: skip

    def _turn(self, now: float) -> None:
        if now >= self.until:
            self.used, self.until = 0.0, next_midnight(now, is_pacific=self.is_pacific)


@dataclass(slots=True)
class Told:
    """What the upstream said is left until ``until``, and since then counted down by us. ``refill_seconds`` is how long one
    more takes where it comes back bit by bit, 0.0 where all comes back at once."""

    unit: Unit
    seconds: float
    limit: float
    left: float
    told_at: float
    until: float
    refill_seconds: float = 0.0

    def back_at(self, amount: float, now: float) -> float:
        """When this much more is within what is left; 0.0: now."""
        missing = min(amount, self.limit) - self.remaining(now)
        if missing <= 1e-9:
            return 0.0
        return min(self.until, now + missing * self.refill_seconds) if self.refill_seconds else self.until

    def add(self, amount: float, now: float) -> None:
        """Count this much."""
        self.left -= amount

    def remaining(self, now: float) -> float:
        """What is left, as far as is known."""
        if now >= self.until:
            return self.limit
        refilled = (now - self.told_at) / self.refill_seconds if self.refill_seconds else 0.0
        return max(0.0, self.left + refilled)

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "told", "unit": self.unit, "seconds": self.seconds, "limit": self.limit, "left": self.left,
            "told_at": self.told_at, "until": self.until, "refill_seconds": self.refill_seconds,
        }  # fmt: skip


Window = Rolling | Daily | Told


def refill_seconds(limit: float, left: float, reset_seconds: float) -> float:
    """How long one more takes to come back, when the time to a full allowance shows a bucket that fills in a minute or a day;
    0.0 for a fixed window. Groq's 1,000 a day with 999 left are full again in 86.4 s (seen in the wild, 2026-11)."""
    used = limit - left
    if used < 1.0 or reset_seconds <= 0.0:
        return 0.0
    whole = reset_seconds / used * limit
    is_bucket = any(math.isclose(whole, span, rel_tol=BUCKET_TOLERANCE) for span in (MINUTE, DAY))
    return reset_seconds / used if is_bucket else 0.0


def next_midnight(now: float, *, is_pacific: bool) -> float:
    """The next midnight after this moment, in UTC or in Pacific time, where Gemini's day ends
    (https://ai.google.dev/gemini-api/docs/rate-limits, checked 2026-11)."""
    behind = _pacific_hours(now) * 3600.0 if is_pacific else 0.0
    return (math.floor((now - behind) / DAY) + 1) * DAY + behind


def _pacific_hours(now: float) -> int:
    """How many hours Pacific time is behind UTC. On the two days of change midnight may be an hour off."""
    moment = datetime.fromtimestamp(now, UTC) - timedelta(hours=8)
    start = _sunday(moment.year, 3, 2)
    end = _sunday(moment.year, 11, 1)
    return 7 if start <= moment < end else 8


def _sunday(year: int, month: int, number: int) -> datetime:
    first = datetime(year, month, 1, 2, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (number - 1))


def window_from_wire(wire: Json) -> Window:
    """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
    unit: Unit = wire["unit"]
    if unit not in ("requests", "tokens", "usd"):
        raise ValueError(f"no unit {unit!r}")
    if wire["kind"] == "rolling":
        slots = deque((int(slot), float(held)) for slot, held in wire["slots"])
        return Rolling(
            unit, float(wire["seconds"]), float(wire["limit"]), float(wire["most"]), float(wire["learned_at"]), slots,
            sum(held for _, held in slots),
        )  # fmt: skip
    if wire["kind"] == "daily":
        return Daily(unit, float(wire["limit"]), bool(wire["is_pacific"]), float(wire["used"]), float(wire["until"]))
    return Told(
        unit, float(wire["seconds"]), float(wire["limit"]), float(wire["left"]), float(wire["told_at"]),
        float(wire["until"]), float(wire["refill_seconds"]),
    )  # fmt: skip
