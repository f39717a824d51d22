"""Taking turns: who was first longest ago comes first."""

from collections.abc import Sequence

from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.stats import Stats

MOST_REMEMBERED = 16_384
"""Deployments whose last turn is remembered."""


class KeyRotation:
    """When each deployment was first the last time, counted in turns."""

    __slots__ = ("_count", "_last")

    def __init__(self) -> None:
        self._last: dict[Deployment, int] = {}
        self._count = 0

    def in_turn(self, candidates: Sequence[Candidate], *, is_question: bool = False) -> list[Candidate]:
        """The candidates, the one whose turn is longest ago first; it has its turn with that, unless it was only a question."""
        last = self._last
        ordered = sorted(candidates, key=lambda candidate: last.get(candidate.deployment, 0))
        if not is_question:
            self._took(ordered[0].deployment)
        return ordered

    def twins_in_turn(
        self, candidates: Sequence[Candidate], stats: Stats, *, is_question: bool = False
    ) -> list[Candidate]:
        """The candidates in their order, but for those that are one deployment behind several workers or credentials: they
        stand together, and the one with the least in hand comes first, among equals the one whose turn it is."""
        groups: dict[tuple[str, str], list[Candidate]] = {}
        for candidate in candidates:
            groups.setdefault(candidate.deployment[:2], []).append(candidate)
        ordered: list[Candidate] = []
        for twins in groups.values():
            ordered += self._least_busy(twins, stats, is_question) if len(twins) > 1 else twins
        return ordered

    def _least_busy(self, twins: list[Candidate], stats: Stats, is_question: bool) -> list[Candidate]:
        def load(candidate: Candidate) -> tuple[int, int]:
            record = stats.of(candidate.deployment)
            return (record.in_flight if record else 0, self._last.get(candidate.deployment, 0))

        twins.sort(key=load)
        if not is_question:
            self._took(twins[0].deployment)
        return twins

    def _took(self, deployment: Deployment) -> None:
        if len(self._last) >= MOST_REMEMBERED and deployment not in self._last:
            del self._last[next(iter(self._last))]
        self._count += 1
        self._last[deployment] = self._count
