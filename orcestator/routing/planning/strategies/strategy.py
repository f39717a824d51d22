"""What a strategy is: it puts the candidates of one tier into the order in which they are tried."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import ClassVar, NamedTuple, Protocol

from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import DeploymentStats, Stats

TIER_SECONDS: Mapping[str, float] = {"fast": 0.5, "": 1.0, "medium": 1.0, "slow": 3.0}
"""Seconds to the first content that a model's ``speed_tier`` makes one expect before it was ever called."""


class Factors(NamedTuple):
    """What speaks for a candidate, each 0 to 100, the more the better."""

    cost: float
    speed: float
    quality: float
    availability: float
    reliability: float


class Scored(NamedTuple):
    """A candidate with what its strategy made of it: the more the better; ``factors`` where the strategy works with them."""

    candidate: Candidate
    score: float
    factors: Factors | None = None


class Situation(NamedTuple):
    """What a strategy may look at. ``now`` is monotonic seconds; ``rng`` draws from [0, 1)."""

    ask: RoutingRequest
    now: float
    rng: Callable[[], float]
    stats: Stats


class Strategy(Protocol):
    """One way of choosing. It may remember things; it never waits and never fails."""

    keeps_order: ClassVar[bool]
    """Whether the order written down decides. Of very many candidates the first are looked at then, not a random sample."""

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """All the candidates, best first. Of those it finds equal, the one that came first."""

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """A candidate answered this request."""


def best_first(scored: list[Scored]) -> list[Scored]:
    """By score; what is equal stays in its order."""
    scored.sort(key=_SCORE, reverse=True)
    return scored


_SCORE = itemgetter(1)


def expected(candidate: Candidate, record: DeploymentStats | None, situation: Situation) -> tuple[float, float]:
    """Seconds to the first content, and the share of calls that go well: as measured, or what the model's speed tier makes
    one expect."""
    guess = TIER_SECONDS.get(candidate.traits.speed_tier, 1.0)
    if record is None:
        return guess, 1.0
    trust = record.trust(situation.now)
    return record.likely_seconds(trust, guess, situation.ask.streamed), record.likely_success(trust)
