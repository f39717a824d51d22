"""Which worker a controller names for a request that it will not see: FastChat's dispatch, extended by what workers report.

A stock API server asks for one address and tries no other, so that a worker in trouble has to be passed over here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.planning.strategies.strategy import Situation
from orcestator.routing.planning.traits import Traits
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import DeploymentStats, Latency, Stats

DispatchMethod = Literal["shortest_queue", "lottery", "score", "adaptive"]
OTHER_SUCCESS = 0.05
"""A success rate that has changed by more than this is news to a controller."""
OTHER_SECONDS = 1.25
"""So are times that are so many times as long or as short as before,"""
OTHER_TRUST = 4.0
"""and figures that stand for so many calls more or less than the controller, which lets them fade, takes them for."""


class Report(NamedTuple):
    """What a worker says of one model name. ``calls`` and ``successes`` are those of the last minutes, old ones counting less;
    ``seconds`` until the first content, 0.0 for unknown; ``age`` is how many seconds ago the last call was. ``is_out``: the
    worker's own routing keeps away from all that it could serve the name with."""

    calls: float = 0.0
    successes: float = 0.0
    seconds: float = 0.0
    age: float = 0.0
    is_out: bool = False

    def to_wire(self) -> dict[str, Any]:
        """The JSON form, in which no report is longer than it has to be."""
        return {**self._asdict(), "seconds": round(self.seconds, 4), "age": round(self.age, 1)}

    def measure(self, received: float) -> DeploymentStats:
        """The same as a measure, which fades from ``received`` (monotonic seconds) on."""
        return DeploymentStats(
            calls=self.calls,
            successes=self.successes,
            counted_at=received,
            streamed=Latency(mean=self.seconds, seconds=self.seconds, count=1 if self.seconds else 0),
            trials=self.calls,
            wins=self.successes,
            last_call_at=received - self.age,
        )

    def is_news(self, told: "Report | None", seconds_since: float) -> bool:
        """Whether it says noticeably more than what was told so many seconds ago, None for nothing."""
        told = told or NOTHING
        if self.is_out != told.is_out:
            return True
        mine, theirs = self.measure(0.0), told.measure(-seconds_since)
        my_trust, their_trust = mine.trust(0.0), theirs.trust(0.0)
        if abs(my_trust - their_trust) > OTHER_TRUST:
            return True
        if abs(mine.likely_success(my_trust) - theirs.likely_success(their_trust)) > OTHER_SUCCESS:
            return True
        least, most = sorted((self.seconds, told.seconds))
        return most > OTHER_SECONDS * least


NOTHING = Report()


class Place(NamedTuple):
    """A worker that has the model. ``speed`` is its own word for how much it can take, ``load`` the work it has over that.

    ``is_down``: its background checks say so. ``is_stale``: it was not heard of lately. ``is_out``: it reports trouble with
    this model. ``measure``: what it reports of this model, None for nothing, which is fine.
    """

    worker: str
    speed: float
    load: float
    is_down: bool = False
    is_stale: bool = False
    is_out: bool = False
    measure: DeploymentStats | None = None


def chosen(places: Sequence[Place], method: DispatchMethod, now: float, draw: Callable[[], float]) -> Place:
    """One of at least one place. What is unwell is passed over while another is less so, and never for want of another."""
    least = min(map(_unwellness, places))
    usable = [place for place in places if _unwellness(place) == least]
    if method == "lottery":
        return _by_lot(usable, draw)
    usable.sort(key=lambda place: place.load)
    if method == "shortest_queue" or len(usable) == 1:
        return usable[0]
    return _by_figures(usable, method, now, draw)


def _unwellness(place: Place) -> tuple[bool, bool, bool]:
    """The worst first: checks have seen the upstream fail, where silence may mean anything and trouble may be over."""
    return place.is_down, place.is_stale, place.is_out


def _by_lot(places: Sequence[Place], draw: Callable[[], float]) -> Place:
    """With a chance in proportion to speed."""
    ticket = draw() * sum(place.speed for place in places)
    for place in places:
        ticket -= place.speed
        if ticket < 0:
            return place
    return places[-1]


def _by_figures(places: Sequence[Place], method: DispatchMethod, now: float, draw: Callable[[], float]) -> Place:
    """As the strategy of that name chooses; of those it finds equal, the first."""
    by_deployment = {Deployment("", "", place.worker, "proxy"): place for place in places}
    known = Stats({deployment: place.measure for deployment, place in by_deployment.items() if place.measure})
    candidates = [Candidate(deployment, _NO_TRAITS, "", 0) for deployment in by_deployment]
    # How the answer will be sent is not known here; the time until its first content says most of either.
    situation = Situation(RoutingRequest((), "chat", streamed=True), now, draw, known)
    return by_deployment[STRATEGIES[method]().order(candidates, situation)[0].candidate.deployment]


_NO_TRAITS = Traits()
