"""Taking turns: who was first longest ago comes first."""

from collections.abc import Sequence

from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measures
from orcestator.routing.offer import Candidate

MOST_REMEMBERED = 16_384
"""Deployments whose last turn is remembered."""


class Turns:
    """When each deployment was first the last time, counted in turns."""

    __slots__ = ("_count", "_last")

    def __init__(self) -> None:
        self._last: dict[Candidate, int] = {}
        self._count = 0

    def in_turn(self, options: Sequence[Option], *, is_question: bool = False) -> list[Option]:
        """The options, the one whose turn is longest ago first; it has its turn with that, unless it was only a question."""
        last = self._last
        ordered = sorted(options, key=lambda option: last.get(option.candidate, 0))
        if not is_question:
            self._took(ordered[0].candidate)
        return ordered

    def twins_in_turn(
        self, options: Sequence[Option], measures: Measures, *, is_question: bool = False
    ) -> list[Option]:
        """The options in their order, but for those that are one deployment behind several workers or credentials: they
        stand together, and the one with the least in hand comes first, among equals the one whose turn it is."""
        groups: dict[tuple[str, str], list[Option]] = {}
        for option in options:
            groups.setdefault(option.candidate[:2], []).append(option)
        ordered: list[Option] = []
        for twins in groups.values():
            ordered += self._least_busy(twins, measures, is_question) if len(twins) > 1 else twins
        return ordered

    def _least_busy(self, twins: list[Option], measures: Measures, is_question: bool) -> list[Option]:
        def load(option: Option) -> tuple[int, int]:
            record = measures.of(option.candidate)
            return (record.in_flight if record else 0, self._last.get(option.candidate, 0))

        twins.sort(key=load)
        if not is_question:
            self._took(twins[0].candidate)
        return twins

    def _took(self, candidate: Candidate) -> None:
        if len(self._last) >= MOST_REMEMBERED and candidate not in self._last:
            del self._last[next(iter(self._last))]
        self._count += 1
        self._last[candidate] = self._count
