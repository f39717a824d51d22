"""A limit that an upstream tells with its answers: how much there is, how much is left, and when it comes back.

When it comes back means different things (checked 2026-11):

- **A bucket** is full again then, and one comes back every ``span / limit`` seconds: OpenAI ("the time until the rate limit resets to
  its initial state", https://platform.openai.com/docs/guides/rate-limits), Groq, and Anthropic ("will be fully replenished",
  https://platform.claude.com/docs/en/api/rate-limits).
- **A fixed window** ends then, and all is back; the next one may begin with the next request.
- **A sliding window** loses its oldest request then (https://github.com/alisaifee/limits, ``MovingWindowRateLimiter``).

No header says which of them it is, so the figures have to. Until they do, requests are counted as in a sliding window: what
we sent in the last span, and what others did. A fixed window or a bucket would take at least that. A bucket shows itself by a reset
that is always as long as it takes to fill up what was used; a fixed window by more coming back at once than a
sliding one could give. A refusal makes us doubt again. Tokens are counted as in a fixed window until they prove to be a bucket's,
because what a request will count as is only estimated.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from orcestator.json_text import Json
from orcestator.routing.state.quota_windows import DAY, HOUR, MINUTE, Rolling, Unit, unit_of

Kind = Literal["unproven", "fixed", "bucket"]
SPANS = (MINUTE, HOUR, DAY)
BUCKET_TOLERANCE = 0.02
ROUNDED_SECONDS = 1.0
"""A reset of whole seconds may have been rounded by so much."""
PROOFS = 4
"""So often in a row a limit has to look like a bucket's, with another end each time: with whole numbers one in ten does by chance."""
LEAST_WAIT_SECONDS = 0.001
"""What is less is no time at all, and less than epoch seconds can tell apart."""
NEARLY_EMPTY = 0.9
"""A bucket that is used up and a sliding window that is say the same: the whole span."""
MOST_SENT = 1024
"""Requests since the last answer that told anything; an upstream that tells only when it refuses is not counted further back."""


@dataclass(slots=True)
class ReportedLimit:
    """``left`` until ``until``, counted down by us since it was ``told_at``. ``seconds`` is the window in the header's name, 0.0
    where there is none; ``own`` is what we sent in the last ``span``. ``others`` was used by somebody else, or by us before we
    began to count. ``asked_at`` is when the request was sent whose answer told it, ``sent`` what was sent later (when, how much)."""

    unit: Unit
    seconds: float
    limit: float
    left: float
    told_at: float
    until: float
    own: Rolling
    kind: Kind = "unproven"
    others: float = 0.0
    asked_at: float = 0.0
    matches: int = 0
    matched_until: float = 0.0
    sent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MOST_SENT))

    @classmethod
    def unheard(cls, unit: Unit, seconds: float, marks: Iterable[float], minute: float = MINUTE) -> "ReportedLimit":
        """One of which nothing was told yet; ``marks`` are the requests that were sent lately."""
        window = cls(unit, seconds, 1.0, 1.0, 0.0, 0.0, Rolling(unit, seconds or minute, math.inf))
        for mark in marks if unit == "requests" else ():
            window.own.add(1.0, mark)
            window.sent.append((mark, 1.0))
        return window

    @property
    def span(self) -> float:
        """How long the window is, as far as is known."""
        return self.own.seconds

    def update(self, limit: float, left: float, reset: float, *, asked_at: float, now: float) -> None:
        """What an answer told ``now``, whose request was sent at ``asked_at``; ``reset`` is seconds.

        It counts what was sent before that request, as far as anybody knows, and nothing that was sent later. An answer that
        was overtaken by one to a later request can only take away.
        """
        uncounted = self._sent_later(asked_at)
        known = max(0.0, left - uncounted)
        if asked_at < self.asked_at and now < self.until:
            self.left = min(self._plainly_left(now), known)
            self.told_at = now
            return
        self._recognise(limit, left, reset, uncounted, now)
        if self.kind == "bucket":
            # What is left is rounded down, the time until it is full is not.
            known = max(known, min(known + 1.0, limit - reset * limit / self.span - uncounted))
        self.limit, self.left, self.told_at, self.until, self.asked_at = limit, known, now, now + reset, asked_at
        self.own.expire(now)
        self.others = max(0.0, limit - left - max(0.0, self.own.total - uncounted))
        self.sent = deque(((at, amount) for at, amount in self.sent if at >= asked_at), MOST_SENT)

    def doubt(self) -> None:
        """It let a request pass that was refused: that it is a fixed window has to be proven anew. A bucket proves itself each time."""
        if self.kind == "fixed":
            self.kind = "unproven"

    def back_at(self, amount: float, now: float) -> float:
        """When this much more is within what is left; 0.0: now."""
        missing = min(amount, self.limit) - self._left(now)
        if missing <= 1e-9:
            return 0.0
        if self.kind == "bucket":
            wait = missing * self.span / self.limit
            return now + wait if wait >= LEAST_WAIT_SECONDS else 0.0
        if not self._slides:
            return self.until
        with_others = self.own.freed_at(missing) if missing <= self.own.total else math.inf
        if not self._others(now):
            return with_others
        missing -= self.others
        return min(with_others, max(self.until, self.own.freed_at(missing) if missing > 1e-9 else 0.0))

    def add(self, amount: float, now: float) -> None:
        """Count this much. Nothing is taken back: what a request counted as, the next answer tells."""
        if amount <= 0.0:
            return
        if self.kind == "bucket":
            self.left, self.told_at = self._plainly_left(now), now
        elif now >= self.until:
            self.left, self.told_at, self.others, self.until = self.limit, now, 0.0, self._next_end(now)
        self.left -= amount
        self.sent.append((now, amount))
        self.own.add(amount, now)

    def remaining(self, now: float) -> float:
        """What is left, as far as is known."""
        return max(0.0, self._left(now))

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            "kind": "told", "unit": self.unit, "seconds": self.seconds, "limit": self.limit, "left": self.left,
            "told_at": self.told_at, "until": self.until, "is": self.kind, "others": self.others,
            "own": {**self.own.to_wire(), "limit": 0.0},
        }  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Json) -> "ReportedLimit":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        kind: Kind = wire["is"]
        if kind not in ("unproven", "fixed", "bucket"):
            raise ValueError(f"no kind {kind!r}")
        own = Rolling.from_wire(wire["own"])
        own.limit = math.inf
        return cls(
            unit_of(wire), float(wire["seconds"]), float(wire["limit"]), float(wire["left"]), float(wire["told_at"]),
            float(wire["until"]), own, kind, float(wire["others"]),
        )  # fmt: skip

    @property
    def _slides(self) -> bool:
        return self.kind == "unproven" and self.unit == "requests"

    def _left(self, now: float) -> float:
        if not self._slides:
            return self._plainly_left(now)
        self.own.expire(now)
        return self.limit - self.own.total - self._others(now)

    def _plainly_left(self, now: float) -> float:
        """What is left of a fixed window or of a bucket."""
        if self.kind == "bucket":
            return min(self.limit, self.left + (now - self.told_at) * self.limit / self.span)
        return self.limit if now >= self.until else self.left

    def _others(self, now: float) -> float:
        return self.others if now < self.until else 0.0

    def _sent_later(self, asked_at: float) -> float:
        """What the answer to a request of that time does not count. Of those sent in the very same moment it counts one for certain."""
        same = [amount for at, amount in self.sent if at == asked_at]
        return sum(amount for at, amount in self.sent if at > asked_at) + sum(same[1:])

    def _next_end(self, now: float) -> float:
        """When a window ends that begins with a request of ours: a day at the hour at which the last one did, anything shorter a
        span from now, which is late where windows follow each other without a gap."""
        if self.span < DAY:
            return now + self.span
        return self.until + (math.floor((now - self.until) / self.span) + 1) * self.span

    def _recognise(self, limit: float, left: float, reset: float, uncounted: float, now: float) -> None:
        """Learn what kind it is, of what was told before what is told now takes its place."""
        used = limit - left
        if used < 1.0 and self.told_at:
            return
        span = self._bucket_span(limit, used, reset)
        self._set_span(
            span or self.seconds or next((known for known in SPANS if reset <= known + ROUNDED_SECONDS), DAY)
        )
        if span:
            self._seen_as_bucket(used / limit, now + reset)
        elif used >= 1.0:
            self.matches = 0
            self.kind = "unproven" if self.kind == "bucket" else self.kind
            own = max(0.0, self.own.surely_held(now) - uncounted)
            if self.unit == "requests" and left - max(0.0, limit - own) >= max(2.0, limit / 4.0):
                self.kind = "fixed"

    def _bucket_span(self, limit: float, used: float, reset: float) -> float:
        """The time in which it fills, where the reset is what a bucket would say; else 0.0."""
        if used < 1.0 or reset <= 0.0:
            return 0.0
        rounded = ROUNDED_SECONDS if reset == int(reset) else 0.0
        for span in (self.seconds,) if self.seconds else (MINUTE, DAY):
            fills, one = used / limit * span, span / limit
            slack = BUCKET_TOLERANCE * fills + min(rounded, fills / 2.0)
            # What is left is a whole number, rounded down: what is used may be up to one less.
            if fills - (one if used > 1.0 else 0.0) - slack <= reset <= fills + slack:
                return span
        return 0.0

    def _seen_as_bucket(self, share: float, until: float) -> None:
        """A fixed window looks like a bucket at one moment at most, and its end does not move; a sliding one, or a fixed one that has just
        begun, when it is used up. A bucket of a day is believed at once, because proof would take half an hour: Groq's is one."""
        if self.kind == "bucket" or share > NEARLY_EMPTY:
            return
        if abs(until - self.matched_until) > BUCKET_TOLERANCE * self.span:
            self.matches, self.matched_until = self.matches + 1, until
        if self.span >= DAY or self.matches >= PROOFS:
            self.kind = "bucket"

    def _set_span(self, span: float) -> None:
        if span != self.own.seconds:
            held = self.own
            self.own = Rolling(self.unit, span, math.inf)
            for slot, amount in held.slots:
                self.own.add(amount, held.begin(slot))
