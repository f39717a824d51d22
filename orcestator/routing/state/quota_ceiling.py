"""A ceiling that was learned by being hit: what a refusal proves, and how more is tried later.

What a refusal proves of an upstream that hides its limit L. In the minute before it, it took n requests.

- A fixed minute may have ended in between, so that n is at most 2 L; a bucket of size L that fills in a minute has let through
  2 L at most; a sliding minute exactly L. So **half of n, rounded up, is at most L**, whichever it is, and less than that is
  not needed: each of the first two can have n = 2 L.
- Where it says that there is room in ``wait`` seconds: a fixed minute ends then, and in a sliding one the oldest request leaves it
  then. Both say that the minute that counts began 60 s before that moment, and **what was taken since then is L**. A bucket
  means something else, the time to its next request: at most 60 s / L, which is at most 120 s / n. So a longer wait is no
  bucket's, and is believed; with a shorter one half is all that is sure. An upstream that names the same wait every time, whatever
  its clock says, can deceive us: it is hit once more, and then the ceiling is lowered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orcestator.json_text import Json
from orcestator.routing.state.quota_windows import DAY, HOUR, MINUTE, Rolling, slots_from_wire, unit_of

LOWERED = 0.75
"""A ceiling that was hit again, and had not been raised, is too high by who knows what."""
ROUNDED_SECONDS = 1.0
"""A wait of whole seconds may have been rounded by so much."""


@dataclass(slots=True)
class Ceiling(Rolling):
    """A limit that nobody told. It is raised slowly: an hour after it was used up, to a quarter of what is
    between it and ``most``, one at a time, each when the last one was used and not refused, so that a raise costs one refusal
    at most. Then it is as low as it was before (``good``), and stays so for a day. Above ``most`` one more is tried a day."""

    most: float = 0.0
    good: float = 0.0
    goal: float = 0.0
    rests_until: float = 0.0
    stepped_at: float = 0.0
    is_used_up: bool = False

    def add(self, amount: float, now: float) -> None:
        """Count this much."""
        Rolling.add(self, amount, now)
        if self.total >= self.limit and not self.is_used_up:
            self.is_used_up = True
            self.rests_until = max(self.rests_until, now + max(HOUR, self.seconds))

    def expire(self, now: float) -> None:
        """Let go of what is old enough, and try more when it is time."""
        Rolling.expire(self, now)
        if self.is_used_up:
            self._rise(now)

    def contradicted(self, now: float) -> None:
        """It was hit: it is too high."""
        self.most = max(1.0, self.limit - 1.0)
        if self.limit > self.good:
            self.limit = self.good
        else:
            self.limit = max(1.0, min(self.limit - 1.0, float(int(self.limit * LOWERED))))
        self.good = self.goal = self.limit
        self.rests_until, self.is_used_up = now + DAY, False

    def to_wire(self) -> Json:
        """Plain JSON."""
        return {
            **Rolling.to_wire(self), "kind": "ceiling", "most": self.most, "good": self.good, "goal": self.goal,
            "rests_until": self.rests_until, "stepped_at": self.stepped_at, "is_used_up": self.is_used_up,
        }  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Json) -> "Ceiling":
        """What ``to_wire`` wrote. Raises KeyError, TypeError or ValueError on a foreign shape."""
        slots = slots_from_wire(wire["slots"])
        return cls(
            unit_of(wire), float(wire["seconds"]), float(wire["limit"]), slots, sum(held for _, held in slots),
            float(wire["most"]), float(wire["good"]), float(wire["goal"]), float(wire["rests_until"]),
            float(wire["stepped_at"]), bool(wire["is_used_up"]),
        )  # fmt: skip

    def _rise(self, now: float) -> None:
        if self.limit >= self.goal:
            if now < self.rests_until:
                return
            self.good, self.goal = self.limit, self.limit + max(1.0, (self.most - self.limit) // 4)
            self.rests_until = now + (max(HOUR, self.seconds) if self.goal < self.most else DAY)
        elif now < self.stepped_at + self.seconds:
            return
        self.limit += 1.0
        self.stepped_at, self.is_used_up = now, False


def ceiling_of(
    marks: Sequence[float], seconds: float, wait: float | None, taken_at: float, now: float, minute: float = MINUTE
) -> Ceiling:
    """What is learned from a refusal, which came ``now``, of a request that was sent at ``taken_at``: ``marks`` are when those
    were sent that had been taken in the ``seconds`` before. All in epoch seconds."""
    half, most = float(-(-len(marks) // 2)), float(len(marks))
    sure = 0.0
    if wait is not None and seconds == minute and 2.0 * minute / len(marks) + ROUNDED_SECONDS < wait <= minute:
        rounded = ROUNDED_SECONDS if wait == int(wait) else 0.0
        # It said so after the request was sent and before the answer was here: only what is in the minute either way is sure.
        sure = float(sum(mark >= now + wait - minute + rounded for mark in marks))
        most = float(sum(mark >= taken_at + wait - minute - rounded for mark in marks))
    limit = max(1.0, half, sure)
    rests_until = now + max(HOUR, seconds) if limit < most else now + DAY
    window = Ceiling("requests", seconds, limit, most=max(limit, most), good=limit, goal=limit, rests_until=rests_until)
    # What was asked before counts too, but for a day: the upstream itself said when that begins anew.
    for mark in marks if seconds < DAY else ():
        window.add(1.0, mark)
    window.is_used_up = False
    return window
