"""The Prometheus text form: of one process, and of several made into one page. Pure but for reading the counters.

What is counted is added up over the processes and never goes down: Prometheus takes a sum that falls for a restart, and would
count everything anew. What the platform tells of a process stays its own, with the process's name as a label.
The form: https://prometheus.io/docs/instrumenting/exposition_formats/ (checked 2026-11).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HIGHEST = ("_max", "_up", "_check_seconds", "_info", "_state")
"""Gauges whose names end like this are merged by taking the highest value; all others are summed."""
_OWN = ("process_", "python_")
"""Families whose names begin like this are told of each process by itself."""
_GROWS = frozenset({"counter", "histogram", "summary"})
_UP = (
    "# HELP orcestator_process_up 1 when the process answered this scrape; of one that did not only its counters are here.\n"
    "# TYPE orcestator_process_up gauge\n"
)
_RESTARTS = (
    "# HELP orcestator_process_restarts_total How often the process ended and was started again.\n"
    "# TYPE orcestator_process_restarts_total counter\n"
)


def render(registry: CollectorRegistry) -> bytes:
    """Everything in ``registry``. Takes milliseconds with many series, so not for the event loop; any thread will do."""
    return generate_latest(registry)


class ProcessPage(NamedTuple):
    """What one process answered to a scrape."""

    process: str
    """Its name, which stays the same when it is started again."""
    pid: int
    """By which it is told from the one before it: counters begin at 0 in each."""
    restarts: int
    page: bytes | None
    """Its own ``render``; None when it did not answer."""


@dataclass(slots=True)
class _Family:
    """One metric: its type, its HELP and TYPE lines, and its samples by what stands before the value."""

    kind: str = "untyped"
    heading: list[str] = field(default_factory=list)
    samples: dict[str, float] = field(default_factory=dict)


_Families = dict[str, _Family]


class MergedExposition:
    """The page of several processes. It remembers what each one counted, for as long as it lives itself."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, _Families]] = {}
        """What each process counted when it last answered, and its pid then."""
        self._ended: _Families = {}
        """What processes had counted that are no more."""

    def page(self, processes: Sequence[ProcessPage]) -> bytes:
        """One page of what these processes answered. What is no exposition counts as no answer."""
        heard = [(process, _read(process.page)) for process in processes]
        self._retire({process.process: process.pid for process in processes})
        merged: _Families = {}
        _add_counts(merged, self._ended)
        for process, families in heard:
            if families is not None:
                self._last[process.process] = (process.pid, _counts_of(families))
                _add_page(merged, families, process.process)
            elif process.process in self._last:
                _add_counts(merged, self._last[process.process][1])
        return b"".join([_presence(heard), "".join(_lines(merged)).encode()])

    def _retire(self, pids: Mapping[str, int]) -> None:
        """Keep what processes had counted that are gone or began anew."""
        for process, (known, counts) in list(self._last.items()):
            if pids.get(process) != known:
                _add_counts(self._ended, counts)
                del self._last[process]


def _read(page: bytes | None) -> _Families | None:
    try:
        return None if page is None else _families(page)
    except ValueError:
        return None


def _families(page: bytes) -> _Families:
    """The families of a page of ours. Raises ValueError for anything that is not one.

    Two samples are the same when their text before the value is: ``render`` always writes labels in one order.
    """
    families: _Families = {}
    family = _Family()
    # Not splitlines(): a label value may hold other characters that it would split at.
    for line in page.decode().split("\n"):
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            family = families.setdefault(name, _Family())
            family.heading.append(line)
            if word == "TYPE":
                family.kind = rest
        elif line:
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = float(value)
    return families


def _is_own(name: str) -> bool:
    return name.startswith(_OWN)


def _counts_of(families: _Families) -> _Families:
    return {name: family for name, family in families.items() if family.kind in _GROWS and not _is_own(name)}


def _add_counts(into: _Families, counts: _Families) -> None:
    for name, family in counts.items():
        samples = _opened(into, name, family).samples
        for sample, value in family.samples.items():
            samples[sample] = samples.get(sample, 0.0) + value


def _add_page(into: _Families, families: _Families, process: str) -> None:
    """Add a whole page of a process that answered: its gauges, its counts, and what is its own."""
    _add_counts(into, _counts_of(families))
    for name, family in families.items():
        if _is_own(name):
            samples = _opened(into, name, family).samples
            samples.update({_labelled(sample, process): value for sample, value in family.samples.items()})
        elif family.kind not in _GROWS:
            samples = _opened(into, name, family).samples
            for sample, value in family.samples.items():
                before = samples.get(sample)
                samples[sample] = value if before is None else _merged(before, value, highest=name.endswith(_HIGHEST))


def _opened(into: _Families, name: str, family: _Family) -> _Family:
    return into.setdefault(name, _Family(family.kind, family.heading))


def _merged(before: float, number: float, *, highest: bool) -> float:
    return max(before, number) if highest else before + number


def _labelled(sample: str, process: str) -> str:
    """The sample with the process as its first label."""
    name, brace, labels = sample.partition("{")
    return f'{name}{{process="{_escaped(process)}"{"," + labels if brace else "}"}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _presence(heard: Iterable[tuple[ProcessPage, _Families | None]]) -> bytes:
    up, restarts = [_UP], [_RESTARTS]
    for process, families in heard:
        up.append(f"{_labelled('orcestator_process_up', process.process)} {float(families is not None)!r}\n")
        restarts.append(
            f"{_labelled('orcestator_process_restarts_total', process.process)} {float(process.restarts)!r}\n"
        )
    return "".join([*up, *restarts]).encode()


def _lines(families: _Families) -> Iterator[str]:
    for family in families.values():
        for line in family.heading:
            yield f"{line}\n"
        for sample, value in family.samples.items():
            yield f"{sample} {value!r}\n"
