"""The quota ledger: what each credential may still ask of each model, as far as is known.

It learns from limits that a person configured, from what upstreams say in headers and error bodies, and by being hit: see
``quota_windows``, ``quota_told`` and ``quota_ceiling``. Synchronous state: ``now`` is monotonic seconds, and what is kept is in epoch
seconds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeGuard

from orcestator.errors import QUOTA, QUOTA_GUESSED, QUOTA_SIZE, QuotaUsedUp, UpstreamError
from orcestator.json_text import Json
from orcestator.routing.offer import Deployment
from orcestator.routing.state.quota_account import Account, Window, is_configured
from orcestator.routing.state.quota_ceiling import Ceiling
from orcestator.routing.state.quota_reported import ReportedLimit
from orcestator.routing.state.quota_windows import DAY, MINUTE, Calendar, Rolling, Unit, next_midnight

Key = tuple[str, str, str]
"""(provider, credential, model); the model is "" for all of the credential's, ``FREE`` for all that cost nothing."""

FREE = ":free"
"""OpenRouter counts all requests to models with this ending together (https://openrouter.ai/docs/api-reference/limits, 2026-11)."""
PAUSED, GUESSED = "paused", "guessed"
MOST_ACCOUNTS = 4096
"""Callers name models, so the table would grow with their inventions."""


class Refusal(NamedTuple):
    """What the ledger of another process said of a deployment there: it takes nothing before ``until``, in monotonic seconds."""

    until: float
    is_guessed: bool


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
    """What is kept of one account: plain JSON with epoch times. ``credential`` is the key's own name, not its number."""

    provider: str
    credential: str
    model: str
    account: Json


class QuotaState(NamedTuple):
    """One limit for a status page. ``seconds`` until more is free, 0.0 when something is; ``source`` is "configured",
    "told" or "learned"; or a pause, without window and limit, that the upstream asked for ("paused") or that is "guessed"."""

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
class QuotaBook:
    """Every account. ``epoch_offset`` is epoch seconds minus monotonic seconds; ``changed`` is told what to keep; ``tag`` gives a
    key the name that its accounts are kept under, which is no use to anybody else."""

    epoch_offset: float = 0.0
    changed: Callable[[QuotaRow], None] | None = None
    tag: Callable[[str], str] | None = None
    minute: float = MINUTE
    learns: bool = True
    """Whether being hit teaches anything: a person may not want it."""
    is_judged: Callable[[UpstreamError, str], bool] = lambda _error, _provider: False
    """Whether a person has said what follows from such a failure at a provider: then being hit by it teaches nothing."""
    accounts: dict[Key, Account] = field(default_factory=dict)
    limited: set[tuple[str, str]] = field(default_factory=set)
    """The (provider, credential) pairs of which any limit is known."""
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    """What keys are called for keeping, by (provider, credential)."""
    away: dict[Key, Account] = field(default_factory=dict)
    """Accounts of keys that we do not have now, by (provider, name, model)."""
    elsewhere: dict[Deployment, Refusal] = field(default_factory=dict)
    """What the ledgers of workers said of their deployments: a worker has the key, and counts what is asked with it."""
    all_back_at: float = 0.0
    """When the last of those takes requests again: then there is nothing to look at any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever learned, so that nobody has to look."""
        return not self.limited and not self.elsewhere

    def knows(self, provider: str, credential: str) -> bool:
        """Whether any limit of this credential is known, so that what its requests cost has to be settled."""
        return (provider, credential) in self.limited

    def back_at(self, deployment: Deployment, tokens: int, now: float) -> float:
        """When a request of this many tokens would be taken, in monotonic seconds; 0.0: now."""
        if deployment.worker:
            return self._back_elsewhere(deployment, now, is_last_resort=False)
        if (deployment.provider, deployment.credential) not in self.limited:
            return 0.0
        return self.back_for(deployment.provider, deployment.credential, deployment.model, tokens, now)

    def is_guessed(self, deployment: Deployment, tokens: int, now: float) -> bool:
        """Whether nothing but a guess of ours holds this request back."""
        if deployment.worker:
            return not self._back_elsewhere(deployment, now, is_last_resort=True)
        return not self.back_for(
            deployment.provider, deployment.credential, deployment.model, tokens, now, only_known=True
        )

    def back_for(
        self, provider: str, credential: str, model: str, tokens: int, now: float, *, only_known: bool = False
    ) -> float:
        """The same for a deployment by its parts; by what is ``only_known``, without our guesses."""
        wall = now + self.epoch_offset
        back = 0.0
        for _, account in self._concerned((provider, credential, model)):
            back = max(back, account.back_at(tokens, wall, only_known=only_known))
        return back - self.epoch_offset if back else 0.0

    def admit(self, deployment: Deployment, tokens: int, now: float, *, is_last_resort: bool = False) -> None:
        """Count a request that is about to be sent; see ``take``. At a worker nothing is counted here: its own ledger does that, and
        may refuse, too.

        Raises QuotaUsedUp for what the upstream would refuse, as far as this process knows: then nobody is to be asked.
        """
        if deployment.worker:
            if self.elsewhere:
                back = self._back_elsewhere(deployment, now, is_last_resort=is_last_resort)
                if back:
                    raise QuotaUsedUp(QUOTA, back - now)
            return
        provider, model, credential = deployment.provider, deployment.model, deployment.credential
        back = self.take(provider, credential, model, tokens, now, is_last_resort=is_last_resort)
        if back:
            raise QuotaUsedUp(self._cause(provider, credential, model, tokens, now), max(0.0, back - now))

    def refused_elsewhere(self, deployment: Deployment, refusal: QuotaUsedUp, now: float) -> None:
        """The ledger of a worker refused a request. For its size alone nothing is held against the next one."""
        if refusal.cause == QUOTA_SIZE:
            return
        if len(self.elsewhere) >= MOST_ACCOUNTS:
            self.elsewhere = {place: told for place, told in self.elsewhere.items() if told.until > now}
        until = now + refusal.retry_after
        self.elsewhere[deployment] = Refusal(until, refusal.cause == QUOTA_GUESSED)
        self.all_back_at = max(self.all_back_at, until)

    def _back_elsewhere(self, deployment: Deployment, now: float, *, is_last_resort: bool) -> float:
        """When the ledger of a deployment's worker takes requests again, as it said last; 0.0: now. A request that is the
        ``is_last_resort`` is held back by no guess: it is the worker's to say whether it may try."""
        if now >= self.all_back_at:
            self.elsewhere.clear()
        told = self.elsewhere.get(deployment)
        if told is None or told.until <= now or (told.is_guessed and is_last_resort):
            return 0.0
        return told.until

    def _cause(self, provider: str, credential: str, model: str, tokens: int, now: float) -> str:
        """What holds a request back: its size, or what is known, or what is only guessed."""
        who = (provider, credential, model)
        if not self.back_for(*who, 0, now):
            return QUOTA_SIZE
        return QUOTA if self.back_for(*who, tokens, now, only_known=True) else QUOTA_GUESSED

    def take(
        self, provider: str, credential: str, model: str, tokens: int, now: float, *, is_last_resort: bool = False
    ) -> float:
        """Count a request of about this many tokens and give 0.0; or count nothing and say when it would be taken.

        ``is_last_resort``: there is no other choice, so that it may be the one that finds out whether a guess still holds.
        """
        key = (provider, credential, model)
        account = self.accounts.get(key) or self._opened(key)
        if (provider, credential) in self.limited:
            back = self.back_for(provider, credential, model, tokens, now)
            if back and is_last_resort:
                back = self.back_for(provider, credential, model, tokens, now, only_known=True)
                probe_at = 0.0 if back else account.probe(now + self.epoch_offset)
                back = probe_at - self.epoch_offset if probe_at else back
            if back:
                return back
            account.marks.append(now + self.epoch_offset)
            self._add(key, 1.0, tokens, 0.0, now)
        else:
            account.marks.append(now + self.epoch_offset)
        return 0.0

    def settle(
        self,
        provider: str,
        credential: str,
        model: str,
        tokens: int,
        usd: float,
        now: float,
        *,
        is_answered: bool = True,
    ) -> None:
        """A request that was taken came to its end: ``tokens`` more than were taken for it (or fewer), and its price."""
        key = (provider, credential, model)
        account = self.accounts.get(key)
        if account is None or (provider, credential) not in self.limited:
            return
        if is_answered:
            account.pause = 0.0
        self._add(key, 0.0, tokens, usd, now)

    def answered(self, provider: str, credential: str, model: str, taken_at: float) -> None:
        """A request that was taken then has its answer, whole or begun: what was only guessed against it before is over."""
        account = self.accounts.get((provider, credential, model))
        if account is not None:
            account.answered(taken_at + self.epoch_offset)

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
        learns: bool = True,
    ) -> None:
        """The upstream refused a request that was taken at ``taken_at`` for its rate; ``wait`` is what it asked for, if it did.

        Without ``learns``, and where a person said how many requests there are, nothing is guessed from it.
        """
        key = (provider, credential, model)
        account = self.accounts.get(key) or self._opened(key)
        sent, wall = taken_at + self.epoch_offset, now + self.epoch_offset
        is_idle = sum(mark > account.refused_at for mark in account.marks) <= 1
        account.forget(sent)
        for _, concerned in self._concerned(key):
            concerned.doubt()
        told = tuple(readings)
        self.learn(provider, credential, model, told, now, taken_at=taken_at, is_pacific=is_pacific, wait=wait)
        is_explained = any(_has_figures(reading) for reading in told)
        if is_explained and wait is None:
            # What was told may be about another limit than the one that refused.
            is_explained = self.back_for(provider, credential, model, 1, now) > 0.0
        if not is_explained:
            learns = learns and self.learns and not any(one.has_persons_limit for _, one in self._concerned(key))
            account.learn_by_being_hit(sent, wait, wall, is_idle=is_idle, minute=self.minute, learns=learns)
        elif wait is not None and wall + wait > account.closed_until:
            account.closed_until, account.is_guessed = wall + wait, False
        account.refused_at = wall
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
        taken_at: float,
        is_pacific: bool = False,
        wait: float | None = None,
    ) -> None:
        """What an upstream said of its limits, in an answer or a refusal of a request that was taken at ``taken_at``;
        ``is_pacific`` tells when its day ends, ``wait`` how long it asked us to wait."""
        sent, wall = taken_at + self.epoch_offset, now + self.epoch_offset
        for reading in readings:
            key = (provider, credential, FREE if reading.is_shared else model)
            account = self.accounts.get(key) or self._opened(key)
            self._update_from(account, reading, sent, wall, wait, is_pacific=is_pacific)
            if account.is_limited:
                self.limited.add((provider, credential))
            self._keep(key, account)

    def limit(
        self, provider: str, credential: str, model: str, limits: Mapping[str, float], *, is_pacific: bool = False
    ) -> None:
        """Limits that a person configured: ``rpm``, ``rpd``, ``tpm``, ``tpd``, ``usd_per_day``, ``usd_per_month``; for all models
        together when ``model`` is "". What was counted under the same limit before is kept; those that are not among them any more
        are over."""
        key = (provider, credential, model)
        account = self.accounts.get(key)
        if account is None:
            if not limits:
                return
            account = self._opened(key)
        fresh = [self._configured(account, name, value, is_pacific=is_pacific) for name, value in limits.items()]
        had_any = account.drop(is_configured)
        for window in fresh:
            account.put(window)
        self._know_limited(key, account)
        if had_any and not fresh:
            self._keep(key, account, is_news=True)

    def keep_limits_of(self, wanted: Collection[Key]) -> None:
        """The configured limits of these accounts are the only ones: those of all others are over."""
        for key, account in self.accounts.items():
            if key not in wanted and account.drop(is_configured):
                self._know_limited(key, account)
                self._keep(key, account, is_news=True)

    def use_learning(self, learns: bool) -> None:
        """Whether being hit teaches from now on; without, what it taught before is over."""
        self.learns = learns
        for key, account in self.accounts.items() if not learns else ():
            if account.unlearn():
                self._know_limited(key, account)
                self._keep(key, account, is_news=True)

    def reset(self, provider: str = "", model: str = "") -> list[tuple[str, str]]:
        """Forget every pause, and what was told and learned, of a model at a provider; of all models, or of all providers, where none
        is named. Limits that a person configured stay, with what is used of them. The (provider, model) pairs that had anything."""
        found: dict[tuple[str, str], None] = {}
        for key, account in self.accounts.items():
            is_meant = model in ("", key[2]) or key[2] == "" or (key[2] == FREE and model.endswith(FREE))
            if provider in ("", key[0]) and is_meant and account.reset():
                found[key[0], key[2]] = None
                self._know_limited(key, account)
                self._keep(key, account, is_news=True)
        found.update(dict.fromkeys(self.forget_elsewhere(provider, model)))
        return list(found)

    def forget_elsewhere(self, provider: str = "", model: str = "") -> list[tuple[str, str]]:
        """Forget what workers' ledgers said of a model at a provider, as ``reset`` does of what this one knows."""
        told = [one for one in self.elsewhere if provider in ("", one.provider) and model in ("", one.model)]
        for place in told:
            del self.elsewhere[place]
        return [(place.provider, place.model) for place in told]

    def _know_limited(self, key: Key, account: Account) -> None:
        """Whether anything could hold this credential back may have changed."""
        pair = key[:2]
        if account.is_limited:
            self.limited.add(pair)
        elif not any(one.is_limited for other, one in self.accounts.items() if other[:2] == pair):
            self.limited.discard(pair)

    def _configured(self, account: Account, name: str, value: float, *, is_pacific: bool) -> Window:
        unit = _UNITS[name[0]]
        if name in ("rpm", "tpm"):
            held = next((w for w in account.windows if type(w) is Rolling and w.unit == unit), None)
            return (
                Rolling(unit, self.minute, value) if held is None else replace(held, limit=value, source="configured")
            )
        is_month = name == "usd_per_month"
        fresh = Calendar(unit, value, is_month, is_pacific and not is_month)
        old = next((w for w in account.windows if _is_calendar(w, unit, is_month=is_month)), None)
        return fresh if old is None else replace(fresh, used=old.used, until=old.until)

    def rows(self) -> list[QuotaRow]:
        """Everything worth keeping."""
        return [self._row(key, account) for key, account in self.accounts.items() if account.is_worth_keeping]

    def has_keys(self, provider: str, keys: Mapping[str, str]) -> None:
        """Which key each credential of a provider stands for from now on. Accounts follow their keys: a new key has none, and two
        that changed places keep theirs. Does nothing without ``tag``."""
        if self.tag is None:
            return
        wanted = {credential: self.tag(key) for credential, key in keys.items()}
        if wanted == {credential: name for (owner, credential), name in self.names.items() if owner == provider}:
            return
        for key in [key for key in self.accounts if key[0] == provider]:
            self.away[provider, self.names.get(key[:2], key[1]), key[2]] = self.accounts.pop(key)
        self.limited = {pair for pair in self.limited if pair[0] != provider}
        self.names = {pair: name for pair, name in self.names.items() if pair[0] != provider}
        self.names |= {(provider, credential): name for credential, name in wanted.items()}
        places = {name: credential for credential, name in reversed(wanted.items())}
        for away in [away for away in self.away if away[0] == provider and away[1] in places]:
            self._take_back((provider, places[away[1]], away[2]), self.away.pop(away))

    def _take_back(self, key: Key, account: Account) -> None:
        self.accounts[key] = account
        if account.is_limited:
            self.limited.add(key[:2])

    def restore(self, rows: Collection[QuotaRow]) -> None:
        """Take back what ``changed`` was told in an earlier life, before ``has_keys`` says whose it is. A row of a foreign shape
        is left out."""
        for row in rows:
            try:
                account = Account.from_wire(row.account)
            except (KeyError, TypeError, ValueError):
                continue
            key = row.provider, row.credential, row.model
            if self.tag is None:
                self._take_back(key, account)
            else:
                self.away[key] = account

    def states(self, now: float) -> list[QuotaState]:
        """Every known limit, for status pages."""
        wall = now + self.epoch_offset
        return [
            _state(key, account, window, wall) for key, account in self.accounts.items() for window in account.windows
        ]

    def pauses(self, now: float) -> list[QuotaState]:
        """Every pause, for status pages: limits of nothing, without a window."""
        wall = now + self.epoch_offset
        return [
            QuotaState(
                *key, "requests", 0.0, 0.0, 0.0, account.closed_until - wall, GUESSED if account.is_guessed else PAUSED
            )
            for key, account in self.accounts.items()
            if account.closed_until > wall
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

    def _keep(self, key: Key, account: Account, *, is_news: bool = False) -> None:
        """Tell of it what has to outlive the program; ``is_news``: also that there is nothing any more."""
        if self.changed is not None and (is_news or account.is_worth_keeping):
            self.changed(self._row(key, account))

    def _row(self, key: Key, account: Account) -> QuotaRow:
        return QuotaRow(key[0], self.names.get(key[:2], key[1]), key[2], account.to_wire())

    def _opened(self, key: Key) -> Account:
        if len(self.accounts) >= MOST_ACCOUNTS:
            self._make_room()
        account = self.accounts[key] = Account()
        return account

    def _make_room(self) -> None:
        """Forget some of those that were asked longest ago: of which nothing is known, else all but what a person limited."""
        old = [(key, account) for key, account in self.accounts.items() if not account.is_limited]
        if not old:
            old = [
                (key, account) for key, account in self.accounts.items() if not any(map(is_configured, account.windows))
            ]
        old.sort(key=lambda entry: entry[1].marks[-1] if entry[1].marks else 0.0)
        for key, _ in (old or list(self.accounts.items()))[: MOST_ACCOUNTS // 16]:
            del self.accounts[key]

    def _update_from(
        self, account: Account, reading: Reading, sent: float, wall: float, wait: float | None, *, is_pacific: bool
    ) -> None:
        """Put into the account what one reading says."""
        unit: Unit = "tokens" if reading.unit == "tokens" else "requests"
        limit, left, reset = reading.limit, reading.remaining, reading.reset_seconds
        is_whole = left is not None and reset is not None
        if limit is not None and reading.seconds == MINUTE and not is_whole and not _holds(account, unit, limit):
            account.put(self._rolling(account, unit, limit, wall))
        if left is not None and left <= 0.0 and reset is None:
            reset = self._reset_seconds(reading, wall, wait, is_pacific=is_pacific)
        if left is not None and reset is not None:
            whole = max(limit or 0.0, left, 1.0)
            account.reported_limit(unit, reading.seconds, self.minute).update(
                whole, left, reset, asked_at=sent, now=wall
            )
        elif limit is not None and reading.seconds == DAY and not _has_day(account, unit):
            used = 0.0 if left is None else limit - left
            end = next_midnight(wall, is_pacific=is_pacific)
            account.put(Calendar(unit, limit, False, is_pacific, used, end, source="told"))

    def _reset_seconds(self, reading: Reading, wall: float, wait: float | None, *, is_pacific: bool) -> float:
        """When all comes back that is used up, where only the window is told. Gemini's wait is that of the minute."""
        to_midnight = next_midnight(wall, is_pacific=is_pacific) - wall
        if reading.seconds == DAY and (is_pacific or wait is None):
            return to_midnight
        return wait if wait is not None else reading.seconds or self.minute

    def _rolling(self, account: Account, unit: Unit, limit: float, wall: float) -> Rolling:
        """A limit a minute that the upstream told, with what was asked of it lately."""
        window = Rolling(unit, self.minute, limit, source="told")
        for mark in account.marks if unit == "requests" else ():
            if mark > wall - self.minute:
                window.add(1.0, mark)
        return window


_UNITS: Mapping[str, Unit] = {"r": "requests", "t": "tokens", "u": "usd"}


def _has_figures(reading: Reading) -> bool:
    """Whether it explains a refusal: how much there is, or that nothing is left."""
    return reading.limit is not None or reading.remaining == 0.0


def _is_calendar(window: Window, unit: Unit, *, is_month: bool) -> TypeGuard[Calendar]:
    return isinstance(window, Calendar) and window.unit == unit and window.is_month == is_month


def _holds(account: Account, unit: Unit, limit: float) -> bool:
    return any(type(known) is Rolling and known.unit == unit and known.limit <= limit for known in account.windows)


def _has_day(account: Account, unit: Unit) -> bool:
    return any(_is_calendar(known, unit, is_month=False) for known in account.windows)


def _state(key: Key, account: Account, window: Window, wall: float) -> QuotaState:
    seconds = window.seconds_at(wall) if isinstance(window, Calendar) else window.seconds
    source = (
        "told" if isinstance(window, ReportedLimit) else "learned" if isinstance(window, Ceiling) else window.source
    )
    back = max(account.closed_until if account.closed_until > wall else 0.0, window.back_at(1.0, wall))
    return QuotaState(
        *key, window.unit, seconds, window.limit, window.remaining(wall), max(0.0, back - wall) if back else 0.0, source
    )
