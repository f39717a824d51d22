"""The last requests planned once more, by the running routing and by another one: what a change of configuration would do.

Nobody is called, and neither planner's memory of conversations or turns is touched: both are made for this.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from orcestator.errors import OrcestatorError
from orcestator.routing.planning.plan import Planner
from orcestator.routing.reading.request import RoutingRequest


class Share(NamedTuple):
    """Of the requests for ``requested``, how many would first go to ``place`` (``provider/model``, or why they are refused)
    as things are, and how many with the change."""

    requested: str
    place: str
    before: int
    after: int


class Rehearsal:
    """Give it requests one by one. ``dice`` gives the throws for a number: both planners get the same for a request."""

    def __init__(self, running: Planner, wanted: Planner, dice: Callable[[int], Callable[[], float]]) -> None:
        self._dice = dice
        self._running = running
        self._wanted = wanted
        self._before: Counter[tuple[str, str]] = Counter()
        self._after: Counter[tuple[str, str]] = Counter()
        self.planned = 0

    def play(self, ask: RoutingRequest, now: float) -> None:
        """Plan one request twice; ``now`` is monotonic seconds."""
        requested = ", ".join(ask.names)
        self.planned += 1
        self._before[requested, self._first_place(self._running, ask, now)] += 1
        self._after[requested, self._first_place(self._wanted, ask, now)] += 1

    def changed(self) -> list[Share]:
        """The places that would get more or fewer requests than now, the names in order, the largest change first."""
        shares = [Share(*key, self._before[key], self._after[key]) for key in self._before | self._after]
        differing = [share for share in shares if share.before != share.after]
        return sorted(differing, key=lambda share: (share.requested, -abs(share.after - share.before), share.place))

    def _first_place(self, planner: Planner, ask: RoutingRequest, now: float) -> str:
        planner.rng = self._dice(self.planned)
        try:
            plan = planner.plan(ask, now)
        except OrcestatorError as refusal:
            return f"refused: {refusal.code}"
        first = plan.scored[0].candidate if plan.scored else plan.reserve[0]
        return f"{first.deployment.provider}/{first.deployment.model}"
