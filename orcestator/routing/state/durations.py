"""How long a deployment's calls take, as a histogram, and when one of them has taken so long that another is better started.

A mean and a percentile say too little of calls of which most take a tenth of a second and one in ten takes four: the mean is a time
that hardly any call takes, and the 95th percentile is slow itself. What tells is the hazard, the chance that the answer comes in the
next moment after it has not come so far. A call is worth waiting for as long as that is higher than the rate at which new starts are
answered; with two humps that ends between them. Two corrections: a small share of calls is always taken to hang, which no histogram
of answers shows; and of a call that was cut off only that it would have lasted longer is known, so it counts as what was to be
expected of it then.
"""

from bisect import bisect

LEAST_SECONDS = 0.001
"""Nothing below it is told apart."""
BUCKETS = 72
"""From a millisecond to ten minutes, each bucket a fifth wider than the one before."""
_RATIO = 1.2
_EDGES: list[float] = [LEAST_SECONDS * _RATIO**number for number in range(BUCKETS + 1)]
_UPPER_EDGES = _EDGES[1:BUCKETS]
"""How many of them a duration has reached is its bucket; whatever is longer than the scale is in the last one."""
_MIDDLES: list[float] = [edge * _RATIO**0.5 for edge in _EDGES[:BUCKETS]]
MEMORY_CALLS = 256.0
"""A call counts a third after so many others."""
HALF_LIFE_SECONDS = 1800.0
"""A call counts half after this long, however few came since."""
ENOUGH_CALLS = 16
"""Calls after which the histogram means something; time alone makes it forget no more than down to these."""
FRESH_CALLS = 32
"""An answer to ``anew_after`` holds for as many more calls; for fewer while there are few."""
HANGING_SHARE, HANGING_CALLS = 0.005, 0.25
"""Calls that are always taken to hang: of all, and besides, so that a few good ones prove nothing."""
LEAST_MEDIANS = 1.5
"""A call is not late before it took so many times the median, however alike the others were."""
STARTS = 2.0
"""A second call has to save so many times what one takes: it costs money, and hedges are few."""
_LARGEST_GAIN = 1e12


class Durations:
    """Seconds until the first content, or the whole reply, of one deployment's calls. Adding one costs the same however many there are."""

    __slots__ = ("_asked", "_asked_at", "_gain", "_seen_at", "_total", "_weights", "count")

    def __init__(self) -> None:
        self.count = 0
        self._weights = [0.0] * BUCKETS
        self._total = 0.0
        self._gain = 1.0
        self._seen_at = 0.0
        self._asked = (0.0, 0.0, 0.0)
        self._asked_at = 0

    def add(self, seconds: float, now: float) -> None:
        """One more call took this long."""
        # Instead of all older weights falling, that of each new call grows.
        gain = self._gain * _GROWTH
        elapsed = now - self._seen_at
        if elapsed > 1.0:
            self._seen_at = now
            gain = max(gain, min(gain * 2.0 ** min(elapsed / HALF_LIFE_SECONDS, 64.0), self._total / ENOUGH_CALLS))
        self._weights[bisect(_UPPER_EDGES, seconds)] += gain
        self._total += gain
        self._gain = gain
        self.count += 1
        if gain > _LARGEST_GAIN:
            self._rescale()

    def cut_off(self, seconds: float, now: float) -> None:
        """A call was cut off after this long: it counts as what was to be expected of it then."""
        self.add(seconds + self.residual(seconds), now)

    def residual(self, seconds: float) -> float:
        """What is still to be expected of a call that has taken this long already; as long again where none took longer."""
        beyond = weighed = 0.0
        for number in range(bisect(_UPPER_EDGES, seconds) + 1, BUCKETS):
            beyond += self._weights[number]
            weighed += self._weights[number] * _MIDDLES[number]
        return weighed / beyond - seconds if beyond else seconds

    def percentile(self, share: float) -> float:
        """The value that this share (0 to 1) of recent calls stayed under; 0.0 before there is one."""
        if not self._total:
            return 0.0
        left = share * self._total
        for weight, edge in zip(self._weights, _EDGES[1:], strict=True):
            left -= weight
            if left <= 0.0:
                return edge
        return _EDGES[BUCKETS]

    def mean(self) -> float:
        """The mean of recent calls, slow ones in full; 0.0 before there is one."""
        if not self._total:
            return 0.0
        return sum([weight * middle for weight, middle in zip(self._weights, _MIDDLES, strict=True)]) / self._total

    def anew_after(self, elsewhere: float, share: float) -> float | None:
        """Seconds after which a new start is expected to be there sooner, where one takes ``elsewhere`` seconds, and no less than
        one here; never before this ``share`` (0 to 1) of calls is there. None before there are ``ENOUGH_CALLS``.
        """
        count = self.count
        if count < ENOUGH_CALLS:
            return None
        known_for, known_share, answer = self._asked
        if count >= self._asked_at or share != known_share or not 0.8 * known_for <= elsewhere <= 1.25 * known_for:
            answer = self._anew_after(STARTS * max(elsewhere, self.mean()), share)
            self._asked = (elsewhere, share, answer)
            self._asked_at = count + min(FRESH_CALLS, count // 4)
        return answer

    def _anew_after(self, start: float, share: float) -> float:
        """The edge at which to start anew saves most.

        To wait from one edge to the next costs that time of all that are not there yet, and saves a new start for those that come
        in it.
        """
        weights = self._weights
        least = max(self.percentile(share), LEAST_MEDIANS * self.percentile(0.5))
        waiting = HANGING_SHARE * self._total + HANGING_CALLS * self._gain
        saved, most, best = 0.0, 0.0, _EDGES[BUCKETS]
        for number in range(BUCKETS - 1, -1, -1):
            edge = _EDGES[number]
            waiting += weights[number]
            saved += waiting * (_EDGES[number + 1] - edge) - start * weights[number]
            if edge < least:
                break
            if saved >= most:
                most, best = saved, edge
        return best

    def _rescale(self) -> None:
        gain = self._gain
        self._weights = [weight / gain for weight in self._weights]
        self._total /= gain
        self._gain = 1.0


_GROWTH = 1.0 / (1.0 - 1.0 / MEMORY_CALLS)
