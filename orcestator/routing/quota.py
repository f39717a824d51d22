"""The quota ledger: what each credential may still ask of each model, as far as is known.

It learns from limits that a person configured, from what upstreams say in headers and error bodies, and by being hit: then
half of the requests of the last minute (rounded up) is a ceiling that holds whether the upstream counts fixed windows, sliding
ones or a bucket. Synchronous state: ``now`` is monotonic seconds, and what is kept is in epoch seconds.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from orcestator.routing.offer import Candidate
from orcestator.routing.quota_windows import (
    DAY,
    MINUTE,
    Daily,
    Rolling,
    Told,
    Unit,
    Window,
    next_midnight,
    refill_seconds,
    window_from_wire,
)

Json = dict[str, Any]
Key = tuple[str, str, str]
"""(provider, credential, model); the model is "" for all of the credential's, ``FREE`` for all that cost nothing."""

FREE = ":free"
"""OpenRouter counts all requests to models with this ending together (https://openrouter.ai/docs/api-reference/limits, 2026-11)."""
MOST_MARKS = 1024
"""Requests remembered one by one, of which a ceiling is learned; what is hit at more a minute is only paused."""
MOST_ACCOUNTS = 4096
"""Callers name models, so the table would grow with their inventions."""
LONG_WAIT_SECONDS = 600.0
"""A longer Retry-After than this is about a day's limit."""
LONGEST_PAUSE_SECONDS = 3600.0
LEAST_TOLD_REQUESTS = 5
"""Where the upstream itself names a short wait, a ceiling is learned only from at least this many requests."""
LEAST_BARE_REQUESTS = 3
"""Where it names nothing at all, from at least this many: fewer are hardly a limit."""
LEAST_DAY_REQUESTS = 20
"""A day's ceiling is learned only from at least this many: who knows what was asked before this program started."""
LEAST_USD = 1e-6
"""What a request costs at least: with a whole budget spent, none is taken."""
LOWERED = 0.75
"""A ceiling that was hit again is too high by who knows what."""


class Reading(Protocol):
    """What an upstream said of one limit. ``seconds`` of the window, 0.0 where that is not said; None is not known.
    ``is_shared``: it holds for all models that cost nothing."""

    @property
    def unit(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def limit(self) -> float | None: ...
    @property
    def remaining(self) -> float | None: ...
    @property
    def reset_seconds(self) -> float | None: ...
    @property
    def is_shared(self) -> bool: ...


class QuotaRow(NamedTuple):
    """What is kept of one account: plain JSON with epoch times."""

    provider: str
    credential: str
    model: str
    account: Json


class QuotaState(NamedTuple):
    """One limit for a status page. ``seconds`` until more is free, 0.0 when something is; ``source`` is "configured",
    "told" or "learned"."""

    provider: str
    credential: str
    model: str
    unit: str
    window_seconds: float
    limit: float
    remaining: float
    seconds: float
    source: str


@dataclass(slots=True)
class Account:
    """One credential's use of one model. ``marks`` are the monotonic times of the last requests; ``closed_until`` and the
    windows are in epoch seconds; ``pause`` is how long the next pause lasts if nothing is answered before it."""

    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))
    windows: list[Window] = field(default_factory=list)
    closed_until: float = 0.0
    refused_at: float = 0.0
    pause: float = 0.0
    in_flight: int = 0

    @property
    def is_limited(self) -> bool:
        """Whether anything is known that could hold a request back."""
        return bool(self.windows) or self.closed_until > 0.0

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a program that starts anew has to know it. What an upstream says again with its next answer is not."""
        is_tight = any(not isinstance(window, Told) or 2 * window.left < window.limit for window in self.windows)
        return is_tight or self.closed_until > 0.0

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


@dataclass(slots=True)
class QuotaBook:
    """Every account. ``epoch_offset`` is epoch seconds minus monotonic seconds; ``changed`` is told what to keep."""

    epoch_offset: float = 0.0
    changed: Callable[[QuotaRow], None] | None = None
    minute: float = MINUTE
    accounts: dict[Key, Account] = field(default_factory=dict)
    limited: set[tuple[str, str]] = field(default_factory=set)
    """The (provider, credential) pairs of which any limit is known."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever learned, so that nobody has to look."""
        return not self.limited

    def knows(self, provider: str, credential: str) -> bool:
        """Whether any limit of this credential is known, so that what its requests cost has to be settled."""
        return (provider, credential) in self.limited

    def back_at(self, candidate: Candidate, tokens: int, now: float) -> float:
        """When a request of this many tokens would be taken, in monotonic seconds; 0.0: now."""
        if (candidate.provider, candidate.credential) not in self.limited:
            return 0.0
        return self.back_for(candidate.provider, candidate.credential, candidate.model, tokens, now)

    def back_for(self, provider: str, credential: str, model: str, tokens: int, now: float) -> float:
        """The same for a deployment by its parts."""
        wall = now + self.epoch_offset
        back = 0.0
        for _, account in self._concerned((provider, credential, model)):
            back = max(back, account.back_at(tokens, wall))
        return back - self.epoch_offset if back else 0.0

    def take(self, provider: str, credential: str, model: str, tokens: int, now: float) -> float:
        """Count a request of about this many tokens and give 0.0; or count nothing and say when it would be taken."""
        key = (provider, credential, model)
        account = self.accounts.get(key) or self._opened(key)
        if (provider, credential) in self.limited:
            back = self.back_for(provider, credential, model, tokens, now)
            if back:
                return back
            self._add(key, 1.0, tokens, 0.0, now)
            account.in_flight += 1
        account.marks.append(now)
        return 0.0

    def settle(self, provider: str, credential: str, model: str, tokens: int, usd: float, now: float) -> None:
        """A request that was taken came to its end: ``tokens`` more than were taken for it (or fewer), and its price."""
        key = (provider, credential, model)
        account = self.accounts.get(key)
        if account is None or (provider, credential) not in self.limited:
            return
        account.in_flight = max(0, account.in_flight - 1)
        account.pause = 0.0
        self._add(key, 0.0, tokens, usd, now)

    def refused(
        self,
        provider: str,
        credential: str,
        model: str,
        *,
        taken_at: float,
        wait: float | None,
        readings: Iterable[Reading],
        now: float,
        is_pacific: bool = False,
    ) -> None:
        """The upstream refused a request that was taken at ``taken_at`` for its rate; ``wait`` is what it asked for, if it did."""
        key = (provider, credential, model)
        account = self.accounts.get(key) or self._opened(key)
        account.in_flight = max(0, account.in_flight - 1)
        is_storm = taken_at <= account.refused_at
        is_idle = sum(mark > account.refused_at for mark in account.marks) <= 1
        _forget_mark(account, taken_at)
        told = tuple(readings)
        self.learn(provider, credential, model, told, now, is_pacific=is_pacific, wait=wait)
        if not any(_has_figures(reading) for reading in told):
            self._learn_by_being_hit(account, taken_at, is_storm=is_storm, is_idle=is_idle, wait=wait, now=now)
        elif wait is not None:
            account.closed_until = max(account.closed_until, now + self.epoch_offset + wait)
        account.refused_at = now
        if account.is_limited:
            self.limited.add((provider, credential))
        self._keep(key, account)

    def learn(
        self,
        provider: str,
        credential: str,
        model: str,
        readings: Iterable[Reading],
        now: float,
        *,
        is_pacific: bool = False,
        wait: float | None = None,
    ) -> None:
        """What an upstream said of its limits, in an answer or a refusal; ``is_pacific`` tells when its day ends, ``wait``
        how long it asked us to wait."""
        for reading in readings:
            key = (provider, credential, FREE if reading.is_shared else model)
            account = self.accounts.get(key) or self._opened(key)
            for window in self._windows_of(account, reading, now + self.epoch_offset, wait, is_pacific=is_pacific):
                account.put(window)
                self.limited.add((provider, credential))
            self._keep(key, account)

    def limit(
        self, provider: str, credential: str, model: str, limits: Mapping[str, float], *, is_pacific: bool = False
    ) -> None:
        """Limits that a person configured: ``rpm``, ``rpd``, ``tpm``, ``tpd``, ``usd_per_day``; for all models together when
        ``model`` is "". What was counted under the same limit before is kept; other limits of a person's are gone."""
        account = self.accounts.get((provider, credential, model)) or self._opened((provider, credential, model))
        for name, value in limits.items():
            unit = _UNITS[name[0]]
            old = next((known for known in account.windows if _is_kind(known, unit, is_minute=name[-1] == "m")), None)
            window: Window
            if name[-1] == "m":
                held = old if isinstance(old, Rolling) else None
                window = Rolling(unit, self.minute, value)
                window.slots, window.total = (held.slots, held.total) if held else (window.slots, 0.0)
            else:
                used, until = (old.used, old.until) if isinstance(old, Daily) else (0.0, 0.0)
                window = Daily(unit, value, is_pacific, used, until)
            account.put(window)
            self.limited.add((provider, credential))

    def rows(self) -> list[QuotaRow]:
        """Everything worth keeping."""
        return [self._row(key, account) for key, account in self.accounts.items() if account.is_worth_keeping]

    def restore(self, rows: Collection[QuotaRow], now: float) -> None:
        """Take back what ``changed`` was told in an earlier life. A row of a foreign shape is left out."""
        for row in rows:
            try:
                windows = [window_from_wire(wire) for wire in row.account["windows"]]
                closed_until, pause = float(row.account["closed_until"]), float(row.account["pause"])
            except (KeyError, TypeError, ValueError):
                continue
            account = Account(windows=windows, closed_until=closed_until, pause=pause)
            account.refused_at = now
            self.accounts[row.provider, row.credential, row.model] = account
            if account.is_limited:
                self.limited.add((row.provider, row.credential))

    def states(self, now: float) -> list[QuotaState]:
        """Every known limit, for status pages."""
        wall = now + self.epoch_offset
        return [
            _state(key, account, window, wall) for key, account in self.accounts.items() for window in account.windows
        ]

    def _add(self, key: Key, requests: float, tokens: float, usd: float, now: float) -> None:
        wall = now + self.epoch_offset
        for concerned, account in self._concerned(key):
            account.add(requests, tokens, usd, wall)
            self._keep(concerned, account)

    def _concerned(self, key: Key) -> list[tuple[Key, Account]]:
        """The accounts that a request counts for and that limit it."""
        provider, credential, model = key
        found = []
        for concerned in (key, (provider, credential, ""), (provider, credential, FREE)):
            account = self.accounts.get(concerned)
            is_ours = concerned[2] != FREE or model.endswith(FREE)
            if is_ours and account is not None and (account.windows or account.closed_until):
                found.append((concerned, account))
        return found

    def _keep(self, key: Key, account: Account) -> None:
        if self.changed is not None and account.is_worth_keeping:
            self.changed(self._row(key, account))

    def _row(self, key: Key, account: Account) -> QuotaRow:
        kept = {
            "windows": [window.to_wire() for window in account.windows],
            "closed_until": account.closed_until,
            "pause": account.pause,
        }
        return QuotaRow(*key, kept)

    def _opened(self, key: Key) -> Account:
        if len(self.accounts) >= MOST_ACCOUNTS:
            oldest = islice(self.accounts.items(), MOST_ACCOUNTS // 2)
            del self.accounts[
                next((old for old, account in oldest if not account.is_limited), next(iter(self.accounts)))
            ]
        account = self.accounts[key] = Account()
        return account

    def _windows_of(
        self, account: Account, reading: Reading, wall: float, wait: float | None, *, is_pacific: bool
    ) -> list[Window]:
        unit: Unit = "tokens" if reading.unit == "tokens" else "requests"
        windows: list[Window] = []
        limit, left, reset = reading.limit, reading.remaining, reading.reset_seconds
        if limit is not None and reading.seconds == MINUTE and not _holds(account, unit, limit):
            windows.append(self._rolling(account, unit, limit, wall))
        if left is not None and left <= 0.0 and reset is None:
            reset = self._reset_seconds(reading, wall, wait, is_pacific=is_pacific)
        if left is not None and reset is not None:
            whole = max(limit or 0.0, left, 1.0)
            # Others on their way may not be counted in what is left; counting them twice holds back for a moment only.
            others = max(0, account.in_flight - 1) if unit == "requests" else 0
            refill = refill_seconds(whole, left, reset)
            windows.append(Told(unit, reading.seconds, whole, left - others, wall, wall + reset, refill))
        elif limit is not None and reading.seconds == DAY and not _has_daily(account, unit):
            windows.append(Daily(unit, limit, is_pacific, used=0.0 if left is None else limit - left))
        return windows

    def _reset_seconds(self, reading: Reading, wall: float, wait: float | None, *, is_pacific: bool) -> float:
        """When all comes back that is used up, where only the window is told. Gemini's wait is that of the minute."""
        to_midnight = next_midnight(wall, is_pacific=is_pacific) - wall
        if reading.seconds == DAY and (is_pacific or wait is None):
            return to_midnight
        return wait if wait is not None else reading.seconds or self.minute

    def _rolling(self, account: Account, unit: Unit, limit: float, wall: float) -> Rolling:
        """A limit a minute that the upstream told, with what was asked of it lately."""
        window = Rolling(unit, self.minute, limit)
        if unit == "requests":
            for mark in account.marks:
                if mark + self.epoch_offset > wall - self.minute:
                    window.add(1.0, mark + self.epoch_offset)
        return window

    def _learn_by_being_hit(
        self, account: Account, taken_at: float, *, is_storm: bool, is_idle: bool, wait: float | None, now: float
    ) -> None:
        wall = now + self.epoch_offset
        seconds = DAY if wait is not None and wait > LONG_WAIT_SECONDS else self.minute
        marks = [mark for mark in account.marks if taken_at - seconds < mark <= taken_at]
        ceiling = next((w for w in account.windows if isinstance(w, Rolling) and w.most and w.seconds == seconds), None)
        if ceiling is not None and not is_storm:
            if not is_idle:
                ceiling.most = ceiling.limit
                ceiling.limit = max(1.0, min(ceiling.limit - 1.0, float(int(ceiling.limit * LOWERED))))
                ceiling.learned_at = wall
        elif len(account.marks) < MOST_MARKS and len(marks) >= _least_requests(wait, seconds):
            # Of requests sent at once each refusal tells more: what was not refused yet had been counted as answered.
            learned = self._ceiling(marks, seconds, wall)
            if ceiling is None or learned.limit < ceiling.limit:
                account.put(learned)
        self._pause(account, wait, wall, is_repeated=is_idle and account.pause > 0.0 and not is_storm)

    def _pause(self, account: Account, wait: float | None, wall: float, *, is_repeated: bool) -> None:
        """Close the account: for as long as was asked, or a minute; longer each time when nothing is answered in between.

        A first refusal after hardly a request, without a word, is left to the loop, which may try again: it is more often a
        moment's trouble than a limit.
        """
        if is_repeated and account.closed_until:
            account.pause = min(LONGEST_PAUSE_SECONDS, account.pause * 2.0)
        elif not account.pause or not is_repeated:
            account.pause = self.minute
        if wait is not None or is_repeated or account.windows:
            account.closed_until = max(account.closed_until, wall + (account.pause if wait is None else wait))

    def _ceiling(self, marks: list[float], seconds: float, wall: float) -> Rolling:
        """A window just before may have taken as many as this one did: the half is sure, wherever windows start.

        What was asked before counts too, but for a day: the upstream itself said when that begins anew.
        """
        window = Rolling("requests", seconds, float(-(-len(marks) // 2)), float(len(marks)), wall)
        for mark in marks if seconds < DAY else ():
            window.add(1.0, mark + self.epoch_offset)
        return window


_UNITS: Mapping[str, Unit] = {"r": "requests", "t": "tokens", "u": "usd"}


def _least_requests(wait: float | None, seconds: float) -> int:
    if seconds == DAY:
        return LEAST_DAY_REQUESTS
    return LEAST_BARE_REQUESTS if wait is None else LEAST_TOLD_REQUESTS


def _forget_mark(account: Account, taken_at: float) -> None:
    try:
        account.marks.remove(taken_at)
    except ValueError:
        return


def _has_figures(reading: Reading) -> bool:
    """Whether it explains a refusal: how much there is, or that nothing is left."""
    return reading.limit is not None or reading.remaining == 0.0


def _is_same(known: Window, new: Window) -> bool:
    if known.unit != new.unit or type(known) is not type(new):
        return False
    return isinstance(known, Daily) or known.seconds == new.seconds  # type: ignore[union-attr]


def _is_kind(known: Window, unit: Unit, *, is_minute: bool) -> bool:
    return known.unit == unit and isinstance(known, Rolling if is_minute else Daily)


def _holds(account: Account, unit: Unit, limit: float) -> bool:
    return any(isinstance(known, Rolling) and known.unit == unit and known.limit <= limit for known in account.windows)


def _has_daily(account: Account, unit: Unit) -> bool:
    return any(isinstance(known, Daily) and known.unit == unit for known in account.windows)


def _state(key: Key, account: Account, window: Window, wall: float) -> QuotaState:
    seconds = DAY if isinstance(window, Daily) else window.seconds
    source = (
        "told"
        if isinstance(window, Told)
        else "learned"
        if isinstance(window, Rolling) and window.most
        else "configured"
    )
    back = max(account.closed_until if account.closed_until > wall else 0.0, window.back_at(1.0, wall))
    return QuotaState(
        *key, window.unit, seconds, window.limit, window.remaining(wall), max(0.0, back - wall) if back else 0.0, source
    )
