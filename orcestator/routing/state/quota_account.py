"""One account of the quota ledger: one credential's use of one model, and every limit of it that is known."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from orcestator.json_text import Json
from orcestator.routing.state.quota_ceiling import Ceiling, ceiling_of
from orcestator.routing.state.quota_reported import ReportedLimit
from orcestator.routing.state.quota_windows import DAY, MINUTE, Calendar, Rolling, Unit

Window = Rolling | Calendar | ReportedLimit

MOST_MARKS = 1024
"""Requests remembered one by one, of which a ceiling is learned; what is hit at more a minute is only paused."""
LONG_WAIT_SECONDS = 600.0
"""A longer Retry-After than this is about a day's limit."""
LONGEST_PAUSE_SECONDS = 3600.0
PROBE_SECONDS = 2.5
"""Between two requests that find out whether a guess still holds, where nothing else is left; twice as long after each that was refused."""
LONGEST_PROBE_SECONDS = 60.0
REPEATED_MINUTES = 2.0
"""A bare refusal within so many minutes of another, with answers in between, is a limit; alone it is more often a moment's trouble."""
LEAST_TOLD_REQUESTS = 5
"""Where the upstream itself names a short wait, a first refusal teaches a ceiling only after at least this many requests."""
LEAST_DAY_REQUESTS = 20
"""A day's ceiling is learned only from at least this many: who knows what was asked before this program started."""
LEAST_USD = 1e-6
"""What a request costs at least: with a whole budget spent, none is taken."""


@dataclass(slots=True)
class Account:
    """``marks`` are when the last requests were sent; all times are epoch seconds. ``pause`` is how long the next pause lasts
    if nothing is answered before it; ``refused_at`` is when a refusal last came. ``is_guessed``: nobody said that it is closed until then.
    Against what is only guessed a request may go out from ``probe_at`` on: ``probed_at`` is when the last one did, ``probe_pause`` how long
    the next waits for it."""

    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))
    windows: list[Window] = field(default_factory=list)
    closed_until: float = 0.0
    refused_at: float = 0.0
    pause: float = 0.0
    is_guessed: bool = False
    probe_at: float = 0.0
    probed_at: float = 0.0
    probe_pause: float = PROBE_SECONDS

    @property
    def is_limited(self) -> bool:
        """Whether anything is known that could hold a request back."""
        return bool(self.windows) or self.closed_until > 0.0

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a program that starts anew has to know it. What an upstream says again with its next answer is not."""
        is_tight = any(
            not isinstance(window, ReportedLimit) or 2 * window.left < window.limit for window in self.windows
        )
        return is_tight or self.closed_until > 0.0 or self.refused_at > 0.0

    def back_at(self, tokens: float, now: float, *, only_known: bool = False) -> float:
        """When a request of so many tokens is within every limit, or within those that are ``only_known`` and no guess; 0.0: now."""
        back = self.closed_until if now < self.closed_until and not (only_known and self.is_guessed) else 0.0
        for window in self.windows:
            if only_known and isinstance(window, Ceiling):
                continue
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

    def reported_limit(self, unit: Unit, seconds: float, minute: float) -> ReportedLimit:
        """The limit of which an answer tells again; a new one where it tells for the first time."""
        for known in self.windows:
            if isinstance(known, ReportedLimit) and known.unit == unit and known.seconds == seconds:
                return known
        window = ReportedLimit.unheard(unit, seconds, self.marks, minute)
        self.windows.append(window)
        return window

    def doubt(self) -> None:
        """Something was refused that this account let pass: what was told and understood may be something else."""
        for window in self.windows:
            if isinstance(window, ReportedLimit):
                window.doubt()

    def forget(self, taken_at: float) -> None:
        """A request of that time was refused: the upstream does not count it."""
        try:
            self.marks.remove(taken_at)
        except ValueError:
            return

    @property
    def has_persons_limit(self) -> bool:
        """Whether a person said how many requests there are: who knows better than what a refusal teaches."""
        return any(is_configured(window) and window.unit == "requests" for window in self.windows)

    def probe(self, now: float) -> float:
        """Take the place of the request that finds out whether a guess holds, and give 0.0; or say when there is one."""
        if now < self.probe_at:
            return self.probe_at
        self.probed_at, self.probe_at = now, now + self.probe_pause
        return 0.0

    def answered(self, taken_at: float) -> None:
        """A request that was taken then was answered: the next pause begins anew, and one that was guessed before it is over."""
        self.pause = 0.0
        if taken_at > self.refused_at:
            self.probe_pause, self.probe_at = PROBE_SECONDS, min(self.probe_at, taken_at + PROBE_SECONDS)
            if self.is_guessed:
                self.closed_until = 0.0

    def learn_by_being_hit(
        self, taken_at: float, wait: float | None, now: float, *, is_idle: bool, minute: float, learns: bool
    ) -> None:
        """A request that was sent at ``taken_at`` was refused, and nothing that was told explains it. ``wait`` is what the upstream
        asked for; ``is_idle``: nothing else was sent since the last refusal. Without ``learns`` only what was asked for counts."""
        if learns and taken_at == self.probed_at:
            self.probe_pause = min(LONGEST_PROBE_SECONDS, 2.0 * self.probe_pause)
            self.probe_at = now + self.probe_pause
        elif learns:
            self._learn_ceiling(taken_at, wait, now, is_idle=is_idle, minute=minute)
        if learns or wait is not None:
            self._close(taken_at, wait, now, minute, is_idle=is_idle)

    def _learn_ceiling(self, taken_at: float, wait: float | None, now: float, *, is_idle: bool, minute: float) -> None:
        seconds = DAY if wait is not None and wait > LONG_WAIT_SECONDS else minute
        marks = [mark for mark in self.marks if taken_at - seconds < mark <= taken_at]
        ceiling = next((w for w in self.windows if isinstance(w, Ceiling) and w.seconds == seconds), None)
        # Of requests sent at once each refusal tells more: what was not refused yet had been counted as answered.
        is_storm = taken_at <= self.refused_at
        if ceiling is not None and not is_storm:
            if not is_idle:
                ceiling.contradicted(now)
            return
        least = 1 if ceiling else self._least_requests(wait, seconds, now, is_storm=is_storm, minute=minute)
        if least and len(self.marks) < MOST_MARKS and len(marks) >= least:
            learned = ceiling_of(marks, seconds, wait, taken_at, now, minute)
            if ceiling is None or learned.limit < ceiling.limit:
                self.put(learned)

    def _least_requests(self, wait: float | None, seconds: float, now: float, *, is_storm: bool, minute: float) -> int:
        """How many requests a refusal must follow to teach a ceiling; 0: it teaches none."""
        if seconds == DAY:
            return LEAST_DAY_REQUESTS
        since = now - self.refused_at if self.refused_at and not is_storm else math.inf
        if wait is None:
            return 1 if since <= REPEATED_MINUTES * minute else 0
        return 1 if since < DAY else LEAST_TOLD_REQUESTS

    def _close(self, taken_at: float, wait: float | None, now: float, minute: float, *, is_idle: bool) -> None:
        """Close the account: for as long as was asked; or, by guess, for a minute, longer each time when nothing is answered in
        between. A guess is held against it where there is another choice; else it is tried now and then, the first time at once."""
        if wait is not None:
            self.pause = self.pause or minute
            if now + wait >= self.closed_until or self.is_guessed:
                self.closed_until, self.is_guessed = now + wait, False
            return
        is_repeated = is_idle and self.pause > 0.0 and taken_at > self.refused_at and taken_at != self.probed_at
        if is_repeated:
            self.pause = min(LONGEST_PAUSE_SECONDS, self.pause * 2.0)
        elif not self.pause:
            self.pause = minute
        if now + self.pause > self.closed_until:
            self.closed_until, self.is_guessed = now + self.pause, True

    def drop(self, is_over: Callable[[Window], bool]) -> bool:
        """Forget these windows; whether there were any."""
        before = len(self.windows)
        self.windows = [window for window in self.windows if not is_over(window)]
        return len(self.windows) < before

    def unlearn(self) -> bool:
        """Forget what being hit taught; whether there was anything."""
        was_guessed = self.is_guessed and self.closed_until > 0.0
        if was_guessed:
            self.closed_until, self.is_guessed = 0.0, False
        return self.drop(lambda window: isinstance(window, Ceiling)) or was_guessed

    def reset(self) -> bool:
        """Forget what was told and learned, and every pause; whether there was anything. What a person configured stays, with what
        is used of it."""
        was_closed = bool(self.closed_until or self.refused_at)
        self.closed_until = self.refused_at = self.pause = self.probe_at = self.probed_at = 0.0
        self.is_guessed, self.probe_pause = False, PROBE_SECONDS
        self.marks.clear()
        return self.drop(lambda window: not is_configured(window)) or was_closed

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "windows": [window.to_wire() for window in self.windows],
            "closed_until": self.closed_until,
            "refused_at": self.refused_at,
            "pause": self.pause,
            "is_guessed": self.is_guessed,
            "marks": self._few_marks(),
        }

    def _few_marks(self) -> list[float]:
        """When the last requests were sent, where they are so few a minute that a program which starts anew could learn no limit
        from a second refusal without them. None where there are more: a part of them would teach too little."""
        few = [self.marks[place] for place in range(max(-LEAST_TOLD_REQUESTS, -len(self.marks)), 0)]
        return [] if len(few) == LEAST_TOLD_REQUESTS and few[-1] - few[0] < MINUTE else few

    @classmethod
    def from_wire(cls, wire: Json) -> "Account":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        account = cls(windows=[window_from_wire(window) for window in wire["windows"]])
        account.closed_until, account.pause = float(wire["closed_until"]), float(wire["pause"])
        account.refused_at, account.is_guessed = float(wire["refused_at"]), bool(wire.get("is_guessed", False))
        account.marks.extend(sorted(float(mark) for mark in wire.get("marks", ())))
        return account


_KINDS: dict[str, type[Rolling | Calendar | ReportedLimit]] = {
    "rolling": Rolling, "ceiling": Ceiling, "calendar": Calendar, "told": ReportedLimit,
}  # fmt: skip


def is_configured(window: Window) -> bool:
    """Whether a person set this limit."""
    return isinstance(window, Rolling | Calendar) and not isinstance(window, Ceiling) and window.source == "configured"


def window_from_wire(wire: Json) -> Window:
    """A window that was kept. Raises KeyError, TypeError or ValueError on a foreign shape."""
    return _KINDS[wire["kind"]].from_wire(wire)


def _is_same(known: Window, new: Window) -> bool:
    if known.unit != new.unit or type(known) is not type(new):
        return False
    if isinstance(known, Calendar) and isinstance(new, Calendar):
        return known.is_month == new.is_month
    return (
        isinstance(known, Rolling | ReportedLimit)
        and isinstance(new, Rolling | ReportedLimit)
        and known.seconds == new.seconds
    )
