"""The Prometheus text form: of one process, and of several merged into one. Pure but for reading the counters.

Must never add what cannot be added: gauges that say how high something is are merged by taking the highest.
The form: https://prometheus.io/docs/instrumenting/exposition_formats/ (checked 2026-11).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HIGHEST = ("_max", "_up", "_check_seconds", "_info", "_start_time_seconds")
"""Families whose names end like this are merged by taking the highest value; all others are summed."""


def render(registry: CollectorRegistry) -> bytes:
    """Everything in ``registry``. Takes milliseconds with many series, so not for the event loop; any thread will do."""
    return generate_latest(registry)


@dataclass
class _Family:
    """One metric: its HELP and TYPE lines, and its samples by what stands before the value."""

    heading: list[str] = field(default_factory=list)
    samples: dict[str, float] = field(default_factory=dict)


def merge(expositions: Iterable[bytes]) -> bytes:
    """One exposition that adds up several of our own ``render``. Raises ValueError for anything that is not one.

    Two samples are the same when their text before the value is: ``render`` always writes labels in one order.
    """
    families: dict[str, _Family] = {}
    for exposition in expositions:
        # Not splitlines(): a label value may hold other characters that it would split at.
        _add(families, iter(exposition.decode().split("\n")))
    return "".join(line for family in families.values() for line in _lines(family)).encode()


def _add(families: dict[str, _Family], lines: Iterator[str]) -> None:
    family, name, merges_highest = _Family(), "", False
    for line in lines:
        if line.startswith("#"):
            _, _, name, _ = line.split(" ", 3)
            family = families.setdefault(name, _Family())
            merges_highest = name.endswith(_HIGHEST)
            if line not in family.heading:
                family.heading.append(line)
        elif line:
            sample, _, value = line.rpartition(" ")
            number, before = float(value), family.samples.get(sample)
            family.samples[sample] = _merged(before, number, highest=merges_highest)


def _merged(before: float | None, number: float, *, highest: bool) -> float:
    if before is None:
        return number
    return max(before, number) if highest else before + number


def _lines(family: _Family) -> Iterator[str]:
    for line in family.heading:
        yield f"{line}\n"
    for sample, value in family.samples.items():
        yield f"{sample} {value!r}\n"
