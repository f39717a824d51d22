"""The kinds of limit that need no guessing: so much in any such span, and so much until a day or a month ends. Times are epoch
seconds: they outlive the process. ``amount`` is requests, tokens or US dollars, as the window's unit says."""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from orcestator.json_text import Json

Unit = Literal["requests", "tokens", "usd"]
Source = Literal["configured", "told"]
"""Who set a limit: a person, or the upstream."""

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
SLOTS = 60
"""Into so many parts a rolling window is divided; a part leaves it as a whole, when its last moment is old enough."""


@dataclass(slots=True)
class Rolling:
    """At most ``limit`` in any ``seconds``. That is safe with an upstream that counts fixed windows, sliding ones or a bucket."""

    unit: Unit
    seconds: float
    limit: float
    slots: deque[tuple[int, float]] = field(default_factory=deque)
    total: float = 0.0
    source: Source = field(default="configured", kw_only=True)

    def back_at(self, amount: float, now: float) -> float:
        """When this much more is within the limit; 0.0: now. What is more than the whole limit waits for an empty window."""
        self.expire(now)
        excess = self.total + min(amount, self.limit) - self.limit
        return self.freed_at(excess) if excess > 1e-9 else 0.0

    def freed_at(self, amount: float) -> float:
        """When so much of what is counted now will have left the window."""
        for slot, held in self.slots:
            amount -= held
            if amount <= 1e-9:
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
        self.expire(now)
        return max(0.0, self.limit - self.total)

    def surely_held(self, now: float) -> float:
        """What was counted in the window for certain: without the part that is just leaving it."""
        return sum(held for slot, held in self.slots if self._end(slot) - self.seconds / SLOTS > now)

    def begin(self, slot: int) -> float:
        """When this part of the window began."""
        return slot * (self.seconds / SLOTS)

    def expire(self, now: float) -> None:
        """Let go of what is old enough."""
        while self.slots and self._end(self.slots[0][0]) <= now:
            self.total -= self.slots.popleft()[1]
        if not self.slots:
            self.total = 0.0

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "rolling", "unit": self.unit, "seconds": self.seconds, "limit": self.limit,
            "slots": [list(slot) for slot in self.slots], "source": self.source,
        }  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Json) -> "Rolling":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        slots = slots_from_wire(wire["slots"])
        total = sum(held for _, held in slots)
        return cls(unit_of(wire), float(wire["seconds"]), float(wire["limit"]), slots, total, source=source_of(wire))

    def _end(self, slot: int) -> float:
        return (slot + 1) * (self.seconds / SLOTS) + self.seconds


@dataclass(slots=True)
class Calendar:
    """At most ``limit`` until the clock strikes midnight, in UTC or where Google is; or, ``is_month``, until a month ends in UTC."""

    unit: Unit
    limit: float
    is_month: bool = False
    is_pacific: bool = False
    used: float = 0.0
    until: float = 0.0
    source: Source = field(default="configured", kw_only=True)

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

    def seconds_at(self, now: float) -> float:
        """How long its window is: a day, or the month of this moment."""
        return next_month(now) - month_start(now) if self.is_month else DAY

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "calendar", "unit": self.unit, "limit": self.limit, "is_month": self.is_month,
            "is_pacific": self.is_pacific, "used": self.used, "until": self.until,
            "source": self.source,
        }  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Json) -> "Calendar":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        return cls(
            unit_of(wire), float(wire["limit"]), bool(wire["is_month"]), bool(wire["is_pacific"]), float(wire["used"]),
            float(wire["until"]), source=source_of(wire),
        )  # fmt: skip

    def _turn(self, now: float) -> None:
        if now >= self.until:
            self.used = 0.0
            self.until = next_month(now) if self.is_month else next_midnight(now, is_pacific=self.is_pacific)


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


def month_start(now: float) -> float:
    """When the month of this moment began, in UTC."""
    moment = datetime.fromtimestamp(now, UTC)
    return datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()


def next_month(now: float) -> float:
    """When the next month begins, in UTC."""
    return month_start(month_start(now) + 32 * DAY)


def unit_of(wire: Json) -> Unit:
    """The unit of a window that was kept. Raises ValueError."""
    unit: Unit = wire["unit"]
    if unit not in ("requests", "tokens", "usd"):
        raise ValueError(f"no unit {unit!r}")
    return unit


def source_of(wire: Json) -> Source:
    """Who set a limit that was kept. Where that was not kept, a person: what an upstream told it tells again."""
    return "told" if wire.get("source") == "told" else "configured"


def slots_from_wire(slots: Any) -> deque[tuple[int, float]]:
    """The parts of a rolling window that was kept. Raises TypeError or ValueError."""
    return deque((int(slot), float(held)) for slot, held in slots)
