"""One worker in the controller's table: what it said of itself, and what it looks like to the dispatch. ``now`` is handed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orcestator.bridge.registration_policy import Speaker
from orcestator.json_text import Json
from orcestator.routing.offer import WorkerKind
from orcestator.routing.planning.dispatch import Place, Report
from orcestator.routing.state.stats import DeploymentStats

HALF_LIFE_SECONDS = 15.0
"""How fast a handed-out address stops counting as work in progress: the controller never sees a request end."""
DOWN = "down"
"""The status in an offer's ``check`` that passes its worker over."""


@dataclass(slots=True)
class WorkerEntry:
    """One worker. ``stale``: not heard of since a restart or a failed status check; used only for want of another."""

    name: str
    model_names: tuple[str, ...]
    speed: float
    queue_length: int
    check_heart_beat: bool
    multimodal: bool
    speaker: Speaker
    last_heart_beat: float
    offer: Json | None = None
    stale: bool = False
    assigned: float = 0.0
    assigned_at: float = 0.0
    stats: dict[str, DeploymentStats] = field(default_factory=dict)
    """What it reports of its model names, as of when it did."""
    names_out: set[str] = field(default_factory=set)
    """The model names that it reports trouble with."""

    @property
    def kind(self) -> WorkerKind:
        """``proxy`` for a worker of ours, which brings an offer; else ``stock``."""
        return "stock" if self.offer is None else "proxy"

    def load(self, now: float) -> float:
        """Work per speed: what we handed out lately, plus the queue it reports, which can only count against it."""
        return (self.recently_assigned(now) + self.queue_length) / self.speed

    def recently_assigned(self, now: float) -> float:
        """Addresses handed out, halved every 15 seconds."""
        return float(self.assigned * 0.5 ** (max(0.0, now - self.assigned_at) / HALF_LIFE_SECONDS))

    def assign(self, now: float) -> None:
        """Count one more request on its way to this worker."""
        self.assigned = self.recently_assigned(now) + 1.0
        self.assigned_at = now

    def learn(self, reports: Mapping[str, Report], now: float) -> None:
        """Take over what it reports; of the other names it has nothing new to say."""
        for name, report in reports.items():
            if name in self.model_names:
                self.stats[name] = report.measure(now)
                (self.names_out.add if report.is_out else self.names_out.discard)(name)

    def learn_anew(self, reports: Mapping[str, Report], now: float) -> None:
        """Take over all that there is to report, and forget what was before."""
        self.stats, self.names_out = {}, set()
        self.learn(reports, now)

    def place(self, model: str, now: float) -> Place:
        """The worker as the dispatch sees it for one of its models."""
        return Place(
            self.name,
            self.speed,
            self.load(now),
            is_down=_is_down(self.offer, model),
            is_stale=self.stale,
            is_out=model in self.names_out,
            measure=self.stats.get(model),
        )

    def row(self) -> Json:
        """What API servers learn of it."""
        return {
            "worker_name": self.name,
            "kind": self.kind,
            "model_names": list(self.model_names),
            "speed": self.speed,
            "queue_length": self.queue_length,
            "multimodal": self.multimodal,
            "stale": self.stale,
            "out": sorted(self.names_out),
            "offer": self.offer,
        }


def _is_down(offer: Json | None, model: str) -> bool:
    """Whether the background checks of a worker of ours say so of each provider that it could serve the model with."""
    rows = offer.get("offers") if offer else None
    offers = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    named = [row for row in offers if model.startswith(f"{row.get('provider')}/")] or offers
    return bool(named) and all(
        isinstance(row.get("check"), dict) and row["check"].get("status") == DOWN for row in named
    )
