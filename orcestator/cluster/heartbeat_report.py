"""What a worker reports to its controller of its models: how requests of stock API servers went, and where its routing sees trouble.

It goes with a heart-beat, and only when it says noticeably more than what the controller knows.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from orcestator.errors import ClientError, NothingLeft
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.dispatch import NOTHING, Report
from orcestator.routing.planning.plan import Planner
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats

LOOK_SECONDS = 5.0
"""Between two looks for news."""


class HeartbeatReport:
    """The reports of a worker, by model name. ``names`` are those that it registered."""

    def __init__(self, planner: Planner, names: Callable[[], Sequence[str]]) -> None:
        self._planner = planner
        self._names = names
        self._told: dict[str, tuple[Report, float]] = {}

    def all(self) -> dict[str, Report]:
        """Everything there is to say now; a name that nobody asked for and that is well is left out."""
        now = time.monotonic()
        found = {name: self._report(name, now) for name in self._names()}
        return {name: report for name, report in found.items() if report != NOTHING or name in self._told}

    def to_tell(self) -> dict[str, Report]:
        """What the controller does not know. Trouble is told as long as it lasts: a controller may have been restarted."""
        found = self.all()
        news = self._news(found)
        return {name: report for name, report in found.items() if name in news or report.is_out}

    def has_news(self) -> bool:
        """Whether there is something that should not wait for the next heart-beat."""
        return bool(self._news(self.all()))

    def note_told(self, reports: Mapping[str, Report]) -> None:
        """The controller has taken these."""
        now = time.monotonic()
        self._told.update({name: (report, now) for name, report in reports.items()})

    def _news(self, reports: Mapping[str, Report]) -> set[str]:
        now = time.monotonic()
        known = {name: self._told.get(name, (None, now)) for name in reports}
        return {name for name, report in reports.items() if report.is_news(known[name][0], now - known[name][1])}

    def _report(self, name: str, now: float) -> Report:
        """Trouble is what the plan of a request of now would say: that nothing, or nothing that is well, is left to call."""
        try:
            candidates = [
                candidate for tier in self._planner.catalog().tiers((name,), "chat") for candidate in tier.candidates
            ]
            is_out = not self._planner.plan(RoutingRequest((name,), "chat", streamed=True), now).scored
        except NothingLeft:
            is_out = True
        except ClientError:
            # Not for chat, or gone since it was registered: stock API servers ask for nothing else here.
            return NOTHING
        return figures_of(candidates, self._planner.stats, now)._replace(is_out=is_out)


def figures_of(candidates: Sequence[Candidate], stats: Stats, now: float) -> Report:
    """The figures of several deployments together."""
    found = [record for candidate in candidates if (record := stats.of(candidate.deployment)) is not None]
    calls = sum(record.calls for record in found)
    if calls <= 0.0:
        return NOTHING
    timed = [record for record in found if record.mean_seconds(streamed=True) > 0.0]
    weight = sum(record.calls for record in timed)
    seconds = sum(record.calls * record.mean_seconds(streamed=True) for record in timed)
    return Report(
        calls=calls,
        successes=min(calls, sum(record.successes for record in found)),
        seconds=seconds / weight if weight > 0.0 else 0.0,
        age=max(0.0, now - max(record.last_call_at for record in found)),
    )
