"""A limit that the sandbox keeps to itself: so many requests a window, then a bare 429 without any header. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["fixed", "sliding", "bucket"]


@dataclass(slots=True)
class HiddenLimit:
    """``requests`` in ``seconds`` for each key and model, counted as ``kind`` says: in windows that start at multiples of
    their length, in any such span, or by a bucket of this size that fills evenly. A refused request does not count."""

    requests: int
    seconds: float = 60.0
    kind: Kind = "fixed"
    _taken: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _levels: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def takes(self, key: str, model: str, now: float) -> bool:
        """Whether a request at this moment is answered; it counts then."""
        return self._pours((key, model), now) if self.kind == "bucket" else self._counts((key, model), now)

    def _counts(self, who: tuple[str, str], now: float) -> bool:
        taken = self._taken.setdefault(who, deque(maxlen=self.requests))
        start = now - self.seconds if self.kind == "sliding" else now // self.seconds * self.seconds
        if len(taken) == self.requests and taken[0] >= start:
            return False
        taken.append(now)
        return True

    def _pours(self, who: tuple[str, str], now: float) -> bool:
        level, last = self._levels.get(who, (float(self.requests), now))
        level = min(float(self.requests), level + (now - last) * self.requests / self.seconds)
        is_enough = level >= 1.0 - 1e-9
        self._levels[who] = (level - 1.0 if is_enough else level, now)
        return is_enough
