"""Accumulators of numbers by label values: what the metrics are kept in between two scrapes.

They are counted up on the event loop after every request, so that is an addition to an object found by one
dictionary look-up. A scrape reads from another thread: it copies first, and one dictionary or list is copied in one
step. Must never hold more than ``LARGEST_SERIES`` label sets for a metric.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Labels = tuple[str | int | bool, ...]

LARGEST_SERIES = 2_000
"""Label sets a metric may have; whatever comes after them is counted under ``OTHER``."""
OTHER = "other"


class Sum:
    """One series of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0.0


class Distribution:
    """One series of a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last one counts what is above every bound
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count ``value``."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def mean(self) -> float:
        """The mean value; 0.0 before the first."""
        count = sum(self.counts)
        return self.total / count if count else 0.0

    def quantile(self, share: float) -> float:
        """About the value that this share (0 to 1) stayed under, taken evenly within a bucket; at most the last bound."""
        wanted, seen, low = share * sum(self.counts), 0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and seen + count >= wanted:
                return low + (bound - low) * (wanted - seen) / count
            seen, low = seen + count, bound
        return low if seen < wanted else 0.0


def added_up(distributions: Iterable[Distribution], bounds: Sequence[float]) -> Distribution:
    """Several with the same bounds as one."""
    whole = Distribution(bounds)
    for each in distributions:
        whole.total += each.total
        whole.counts = [one + other for one, other in zip(whole.counts, each.counts, strict=True)]
    return whole


Series = TypeVar("Series", Sum, Distribution)


class _Metric(Generic[Series]):
    """A name, its labels, and one series for each label set seen."""

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        self.name, self.description, self.labels = name, description, tuple(labels)
        self._series: dict[Labels, Series] = {}

    def at(self, labels: Labels) -> Series:
        """The series of ``labels``; it may be kept and counted up without looking it up again."""
        return self._series.get(labels) or self._begin(labels)

    def items(self) -> list[tuple[Labels, Series]]:
        """Every label set with its series; may be called from any thread."""
        return list(self._series.copy().items())

    def _begin(self, labels: Labels) -> Series:
        kept = labels if len(self._series) < LARGEST_SERIES else (OTHER,) * len(labels)
        return self._series.setdefault(kept, self._new())

    def _new(self) -> Series:
        raise NotImplementedError


class Counter(_Metric[Sum]):
    """A sum for each label set; it only grows."""

    def family(self) -> CounterMetricFamily:
        """What a scrape sees."""
        family = CounterMetricFamily(self.name, self.description, labels=self.labels)
        for labels, series in self._series.copy().items():
            family.add_metric(_shown(labels), series.value)
        return family

    def _new(self) -> Sum:
        return Sum()


class Gauge(_Metric[Sum]):
    """A value for each label set; the last one holds."""

    def family(self) -> GaugeMetricFamily:
        """What a scrape sees."""
        family = GaugeMetricFamily(self.name, self.description, labels=self.labels)
        for labels, series in self._series.copy().items():
            family.add_metric(_shown(labels), series.value)
        return family

    def _new(self) -> Sum:
        return Sum()


class Histogram(_Metric[Distribution]):
    """Counts by upper bound, and a sum, for each label set."""

    def __init__(self, name: str, description: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, description, labels)
        self._bounds = tuple(bounds)

    def family(self) -> HistogramMetricFamily:
        """What a scrape sees."""
        family = HistogramMetricFamily(self.name, self.description, labels=self.labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        for labels, series in self._series.copy().items():
            buckets = list(zip(bounds, accumulate(series.counts.copy()), strict=True))
            family.add_metric(_shown(labels), buckets, series.total)
        return family

    def _new(self) -> Distribution:
        return Distribution(self._bounds)


def _shown(labels: Labels) -> list[str]:
    """Label values as Prometheus writes them: booleans in lower case."""
    return [str(label).lower() if isinstance(label, bool) else str(label) for label in labels]
