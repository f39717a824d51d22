"""Tells people what they should know of: a provider that is out, a key that is refused, nothing left to try.

A subscriber of events. ``NoticeReader`` says what an event means, ``NoticeGate`` keeps one cause from filling a mailbox, and
``Notices`` hands what passes to the log and to writers that send it elsewhere. Must never carry a prompt, an answer, an
upstream's own words or a name that a caller made up.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from orcestator.errors import QUOTA_SIZE
from orcestator.routing.events import AttemptEnded, Event, HealthChanged, QuotaRefused, RequestEnded

Level = Literal["info", "warning", "error"]
Value = TypeVar("Value")
LEVELS: dict[Level, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
COOL_OFF_SECONDS = 300.0
"""How long a kind of notice about one subject is only counted after it was told."""
MOST_A_MINUTE = 20
"""Notices of all kinds together."""
LASTING = frozenset({"deployment_out", "provider_down"})
"""Kinds whose end is always told: saying them again is no news. A pause or a refused key may run out in silence."""
MOST_SUBJECTS = 2_048
LOOK_SECONDS = 15.0
"""How often it is looked whether something held back may be told."""
LONG_COOLDOWN_SECONDS = 600.0
"""A pause that an upstream asks for is worth a notice from here on: a quota of a day, not of a minute."""
UNKNOWN_MODEL = "(a model that is not in the catalogue)"

logger = logging.getLogger("orcestator.notice")


class Notice(NamedTuple):
    """One thing a person should know. ``at`` is epoch seconds; ``kind`` and ``subject`` together are what repeats are known by.

    ``is_solved``: what an earlier notice told of is over. ``repeats`` were held back since the last one about it.
    """

    level: Level
    kind: str
    subject: str
    text: str
    at: float = 0.0
    is_solved: bool = False
    repeats: int = 0

    @property
    def sentence(self) -> str:
        """The text, with how often it came true before."""
        return f"{self.text} ({self.repeats} more since the last notice.)" if self.repeats else self.text


@dataclass(slots=True)
class NoticeReader:
    """What an event means to people, if anything. ``knows`` tells which model names are not a caller's invention."""

    knows: Callable[[str], bool]
    out: dict[str, Notice] = field(default_factory=dict)
    """The last notice of each subject that is out: only these can be told to be back."""

    def notices_of(self, event: Event) -> list[Notice]:
        """The notices, with no time yet; none for what nobody has to know. A request's attempts come before its own end."""
        if isinstance(event, RequestEnded):
            found = [*map(self._of_attempt, event.tried), self._of_request(event)]
        elif isinstance(event, QuotaRefused):
            found = [self._of_refusal(event)]
        else:
            found = [self._of_health(event) if isinstance(event, HealthChanged) else None]
        return [notice for notice in found if notice is not None]

    def of_check(self, provider: str, status: str, message: str) -> Notice | None:
        """The notice of a background check's result: a provider that is down, or back."""
        if status == "down":
            text = f"{provider} does not answer: {message}"
            return self._gone(Notice("warning", "provider_down", provider, text))
        return self._back("provider_back", provider) if status in ("operational", "degraded") else None

    def _of_attempt(self, event: AttemptEnded) -> Notice | None:
        name = self._name(event.provider, event.model)
        # A refused key is told when the routing puts it aside.
        if event.error and event.error != "UpstreamKeyRefused" and event.verdict == "fall_back":
            text = f"A request went on to another candidate: {name} failed with {event.error} ({event.cause})."
            return Notice("warning", "fallback_used", name, text)
        return None

    def _of_refusal(self, event: QuotaRefused) -> Notice | None:
        name = self._name(event.provider, event.model)
        if event.cause == QUOTA_SIZE:
            return None
        return Notice("warning", "quota_exhausted", name, f"The quota of {name} is used up for now.")

    def _of_health(self, event: HealthChanged) -> Notice | None:
        name = self._name(event.provider, event.model, event.credential)
        reason = f"{name} is out of use{_for(event.seconds)}: {event.reason}."
        match event.state:
            case "closed":
                return self._back("deployment_back", name)
            case "open":
                return self._gone(Notice("warning", "deployment_out", name, reason))
            case "permanently_unavailable":
                return self._gone(Notice("error", "deployment_out", name, reason))
            case "key_refused":
                text = f"A key was refused or has nothing left to spend: {reason}"
                return self._gone(Notice("error", "credential_refused", name, text))
            case "cooldown" if event.seconds >= LONG_COOLDOWN_SECONDS:
                text = f"A quota is used up: {reason}"
                return self._gone(Notice("warning", "quota_exhausted", name, text))
        return None

    def _of_request(self, event: RequestEnded) -> Notice | None:
        if event.error not in ("AttemptsExhausted", "NothingLeft"):
            return None
        asked = event.requested_model if self.knows(event.requested_model) else UNKNOWN_MODEL
        text = f"Nothing could serve a request for {asked} ({event.error})."
        return Notice("error", "nothing_left", asked, text)

    def _gone(self, notice: Notice) -> Notice | None:
        """The notice, unless it says again what lasts until it is told to be over."""
        before = self.out.get(notice.subject)
        if before is not None and before[:2] == notice[:2] and notice.kind in LASTING:
            return None
        if len(self.out) >= MOST_SUBJECTS:
            del self.out[next(iter(self.out))]
        self.out[notice.subject] = notice
        return notice

    def _back(self, kind: str, name: str) -> Notice | None:
        gone = self.out.pop(name, None)
        return Notice(gone.level, kind, name, f"{name} works again.", is_solved=True) if gone else None

    def _name(self, provider: str, model: str, credential: str = "") -> str:
        """A model, or all that a provider has; the key is named where it is not the first or only one."""
        place = f"{provider}/{model if self.knows(model) else UNKNOWN_MODEL}" if model else provider
        return f"{place} (key {credential})" if credential else place


def _for(seconds: float) -> str:
    if seconds <= 0.0:
        return ""
    return f" for {seconds:.0f} s" if seconds < 120.0 else f" for {seconds / 60.0:.0f} min"


class _Held(NamedTuple):
    """The last of ``times`` notices that were held back."""

    notice: Notice
    times: int
    at: float


@dataclass(slots=True)
class NoticeGate:
    """Lets the first notice of a kind about a subject pass, and counts the others until it has cooled off.

    Over ``most_a_minute`` of all kinds everything is held back. What was held back last is told when it may be, so that the
    last word about a subject is never missing. Synchronous state; ``now`` is monotonic seconds.
    """

    cool_off_seconds: float = COOL_OFF_SECONDS
    most_a_minute: int = MOST_A_MINUTE
    told: dict[tuple[str, str], float] = field(default_factory=dict)
    held: dict[tuple[str, str], _Held] = field(default_factory=dict)
    room: float = float(MOST_A_MINUTE)
    filled_at: float = 0.0

    def admit(self, notice: Notice, now: float) -> Notice | None:
        """The notice with the number of those held back before it; None when it is held back itself."""
        key = (notice.kind, notice.subject)
        before = self.held.pop(key, None)
        times = before.times if before else 0
        if not self._may_tell(key, now):
            _remember(self.held, key, _Held(notice, times + 1, now))
            return None
        _remember(self.told, key, now)
        return notice._replace(repeats=times)

    def due(self, now: float) -> list[Notice]:
        """Those held back that may be told now, in the order in which they came true."""
        admitted = []
        for key, held in sorted(self.held.items(), key=lambda item: item[1].at):
            if self._may_tell(key, now):
                del self.held[key]
                _remember(self.told, key, now)
                admitted.append(held.notice._replace(repeats=held.times - 1))
        return admitted

    def _may_tell(self, key: tuple[str, str], now: float) -> bool:
        told_at = self.told.get(key)
        is_hot = told_at is not None and now - told_at < self.cool_off_seconds
        return not is_hot and self._takes_room(now)

    def _takes_room(self, now: float) -> bool:
        refilled = self.room + max(0.0, now - self.filled_at) * self.most_a_minute / 60.0
        self.room, self.filled_at = min(float(self.most_a_minute), refilled), now
        if self.room < 1.0:
            return False
        self.room -= 1.0
        return True


def _remember(table: dict[tuple[str, str], Value], key: tuple[str, str], value: Value) -> None:
    """The key becomes the newest; over the limit the oldest goes."""
    table.pop(key, None)
    if len(table) >= MOST_SUBJECTS:
        del table[next(iter(table))]
    table[key] = value


class Notices:
    """An EventSink for attempts that failed, health that changed and requests that failed; ``tell`` takes a notice from elsewhere.

    Called on the event loop; a writer in ``sinks`` does what is slow in a thread of its own. ``now`` is monotonic, ``wall``
    epoch seconds. ``count`` is told of each notice's kind and whether it was "told" or "held_back".
    """

    def __init__(
        self,
        reader: NoticeReader,
        gate: NoticeGate,
        sinks: Iterable[Callable[[Notice], None]],
        *,
        min_level: Level,
        redact: Callable[[str], str],
        now: Callable[[], float],
        wall: Callable[[], float],
        count: Callable[[str, str], None],
    ) -> None:
        self._reader = reader
        self._gate = gate
        self._sinks = tuple(sinks)
        self._min_level = LEVELS[min_level]
        self._redact = redact
        self._now = now
        self._wall = wall
        self._count = count

    def __call__(self, event: Event) -> None:
        """Tell of an event, if it is worth it."""
        for notice in self._reader.notices_of(event):
            self.tell(notice)

    def checked(self, provider: str, status: str, message: str) -> None:
        """Tell of what a background check found, if it is news."""
        notice = self._reader.of_check(provider, status, message)
        if notice is not None:
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        """Log it and send it, unless the same was told a moment ago."""
        admitted = self._gate.admit(notice, self._now())
        if admitted is None:
            self._count(notice.kind, "held_back")
        else:
            self._send(admitted)

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what was held back when its time has come, until ``stop`` is set."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            self.tell_due()

    def tell_due(self) -> None:
        """Tell what was held back and may be told now."""
        for notice in self._gate.due(self._now()):
            self._send(notice)

    def _send(self, admitted: Notice) -> None:
        self._count(admitted.kind, "told")
        clean = admitted._replace(
            subject=self._redact(admitted.subject), text=self._redact(admitted.text), at=self._wall()
        )
        _log(clean)
        if LEVELS[clean.level] >= self._min_level:
            for sink in self._sinks:
                sink(clean)


def reloaded(problem: str) -> Notice:
    """The configuration was read again; ``problem`` is why it was not taken, "" when it was."""
    if problem:
        return Notice("error", "reload_failed", "configuration", f"The new configuration was not taken: {problem}")
    return Notice("info", "reload_done", "configuration", "The new configuration is in use.")


def headline(notices: Iterable[Notice]) -> tuple[Level, bool]:
    """The most serious level among several, and whether all of them tell of something solved."""
    told = list(notices)
    return max((notice.level for notice in told), key=LEVELS.__getitem__), all(notice.is_solved for notice in told)


def _log(notice: Notice) -> None:
    level = logging.INFO if notice.is_solved else LEVELS[notice.level]
    facts = {"kind": notice.kind, "subject": notice.subject, "repeats": notice.repeats}
    logger.log(level, notice.sentence, extra=facts)
