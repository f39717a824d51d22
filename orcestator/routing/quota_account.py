"""One account of the quota ledger: one credential's use of one model, and every limit of it that is known."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from orcestator.routing.quota_ceiling import Ceiling, ceiling_of
from orcestator.routing.quota_told import Told
from orcestator.routing.quota_windows import DAY, Calendar, Rolling, Unit

Json = dict[str, Any]
Window = Rolling | Calendar | Told

MOST_MARKS = 1024
"""Requests remembered one by one, of which a ceiling is learned; what is hit at more a minute is only paused."""
LONG_WAIT_SECONDS = 600.0
"""A longer Retry-After than this is about a day's limit."""
LONGEST_PAUSE_SECONDS = 3600.0
LEAST_TOLD_REQUESTS = 5
"""Where the upstream itself names a short wait, a first refusal teaches a ceiling only after at least this many requests."""
LEAST_BARE_REQUESTS = 3
"""Where it names nothing at all, after at least this many: fewer are hardly a limit."""
LEAST_DAY_REQUESTS = 20
"""A day's ceiling is learned only from at least this many: who knows what was asked before this program started."""
LEAST_USD = 1e-6
"""What a request costs at least: with a whole budget spent, none is taken."""


@dataclass(slots=True)
class Account:
    """``marks`` are when the last requests were sent; all times are epoch seconds. ``pause`` is how long the next pause lasts
    if nothing is answered before it; ``refused_at`` is when a refusal last came."""

    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))
    windows: list[Window] = field(default_factory=list)
    closed_until: float = 0.0
    refused_at: float = 0.0
    pause: float = 0.0

    @property
    def is_limited(self) -> bool:
        """Whether anything is known that could hold a request back."""
        return bool(self.windows) or self.closed_until > 0.0

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a program that starts anew has to know it. What an upstream says again with its next answer is not."""
        is_tight = any(not isinstance(window, Told) or 2 * window.left < window.limit for window in self.windows)
        return is_tight or self.closed_until > 0.0 or self.refused_at > 0.0

    def back_at(self, tokens: float, now: float) -> float:
        """When a request of so many tokens is within every limit; 0.0: now."""
        back = self.closed_until if now < self.closed_until else 0.0
        for window in self.windows:
            unit = window.unit
            held = window.back_at(1.0 if unit == "requests" else tokens if unit == "tokens" else LEAST_USD, now)
            back = max(back, held)
        return back

    def add(self, requests: float, tokens: float, usd: float, now: float) -> None:
        """Count a request, or correct what was counted for one."""
        for window in self.windows:
            unit = window.unit
            amount = requests if unit == "requests" else tokens if unit == "tokens" else usd
            if amount:
                window.add(amount, now)

    def put(self, window: Window) -> None:
        """Know a limit better than before: it takes the place of the one of its kind."""
        self.windows = [known for known in self.windows if not _is_same(known, window)]
        self.windows.append(window)

    def told(self, unit: Unit, seconds: float, minute: float) -> Told:
        """The limit of which an answer tells again; a new one where it tells for the first time."""
        for known in self.windows:
            if isinstance(known, Told) and known.unit == unit and known.seconds == seconds:
                return known
        window = Told.unheard(unit, seconds, self.marks, minute)
        self.windows.append(window)
        return window

    def doubt(self) -> None:
        """Something was refused that this account let pass: what was told and understood may be something else."""
        for window in self.windows:
            if isinstance(window, Told):
                window.doubt()

    def forget(self, taken_at: float) -> None:
        """A request of that time was refused: the upstream does not count it."""
        try:
            self.marks.remove(taken_at)
        except ValueError:
            return

    def learn_by_being_hit(
        self, taken_at: float, wait: float | None, now: float, *, is_idle: bool, minute: float
    ) -> None:
        """A request that was sent at ``taken_at`` was refused, and nothing that was told explains it. ``wait`` is what the upstream
        asked for; ``is_idle``: nothing else was sent since the last refusal."""
        seconds = DAY if wait is not None and wait > LONG_WAIT_SECONDS else minute
        marks = [mark for mark in self.marks if taken_at - seconds < mark <= taken_at]
        ceiling = next((w for w in self.windows if isinstance(w, Ceiling) and w.seconds == seconds), None)
        # Of requests sent at once each refusal tells more: what was not refused yet had been counted as answered.
        is_storm = taken_at <= self.refused_at
        if ceiling is not None and not is_storm:
            if not is_idle:
                ceiling.contradicted(now)
        elif len(self.marks) < MOST_MARKS and len(marks) >= (
            1 if ceiling else self._least_requests(wait, seconds, now, is_storm=is_storm)
        ):
            learned = ceiling_of(marks, seconds, wait, taken_at, now, minute)
            if ceiling is None or learned.limit < ceiling.limit:
                self.put(learned)
        self._close(wait, now, minute, is_repeated=is_idle and self.pause > 0.0 and not is_storm)

    def _least_requests(self, wait: float | None, seconds: float, now: float, *, is_storm: bool) -> int:
        """How many requests a refusal must follow to teach a ceiling. The second one within a day teaches in any case."""
        if seconds == DAY:
            return LEAST_DAY_REQUESTS
        if self.refused_at and now - self.refused_at < DAY and not is_storm:
            return 1
        return LEAST_BARE_REQUESTS if wait is None else LEAST_TOLD_REQUESTS

    def _close(self, wait: float | None, now: float, minute: float, *, is_repeated: bool) -> None:
        """Close the account: for as long as was asked, or a minute; longer each time when nothing is answered in between.

        A first refusal after hardly a request, without a word, is left to the loop, which may try again: it is more often a
        moment's trouble than a limit.
        """
        if is_repeated and self.closed_until:
            self.pause = min(LONGEST_PAUSE_SECONDS, self.pause * 2.0)
        elif not self.pause or not is_repeated:
            self.pause = minute
        if wait is not None or is_repeated or self.windows:
            self.closed_until = max(self.closed_until, now + (self.pause if wait is None else wait))

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "windows": [window.to_wire() for window in self.windows],
            "closed_until": self.closed_until,
            "refused_at": self.refused_at,
            "pause": self.pause,
        }

    @classmethod
    def from_wire(cls, wire: Json) -> "Account":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        account = cls(windows=[window_from_wire(window) for window in wire["windows"]])
        account.closed_until, account.pause = float(wire["closed_until"]), float(wire["pause"])
        account.refused_at = float(wire["refused_at"])
        return account


_KINDS: dict[str, type[Rolling | Calendar | Told]] = {
    "rolling": Rolling, "ceiling": Ceiling, "calendar": Calendar, "told": Told,
}  # fmt: skip


def window_from_wire(wire: Json) -> Window:
    """A window that was kept. Raises KeyError, TypeError or ValueError on a foreign shape."""
    return _KINDS[wire["kind"]].from_wire(wire)


def _is_same(known: Window, new: Window) -> bool:
    if known.unit != new.unit or type(known) is not type(new):
        return False
    if isinstance(known, Calendar) and isinstance(new, Calendar):
        return known.is_month == new.is_month
    return isinstance(known, Rolling | Told) and isinstance(new, Rolling | Told) and known.seconds == new.seconds
