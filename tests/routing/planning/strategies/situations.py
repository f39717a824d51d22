"""Options and what a strategy may look at, for the tests of strategies."""

import random
from typing import Any

from orcestator.prices import FREE, prices_of
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.planning.traits import Traits
from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.preferences import NO_PREFERENCES, Preferences
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats

NOW = 1000.0


def candidate(provider: str, **traits: Any) -> Candidate:
    """One provider's candidate; prices are US dollars for a million tokens."""
    told = {
        name: traits.pop(f"{name}_price") for name in ("input", "output", "cache_read") if f"{name}_price" in traits
    }
    if told or traits.get("is_free"):
        traits["prices"] = FREE if traits.get("is_free") else prices_of(told)
    return Candidate(Deployment(provider, "m", "", "proxy"), Traits(**traits), "m", 0)


class Scene:
    """A situation that can be changed. Chance is a fixed one."""

    def __init__(self, seed: int = 5) -> None:
        self.stats = Stats()
        self.rng = random.Random(seed).random

    def at(
        self, now: float = NOW, preferences: Preferences = NO_PREFERENCES, tokens: int = 1000, **more: Any
    ) -> Situation:
        """The situation at a moment."""
        ask = RoutingRequest(("m",), "chat", preferences, Needs(frozenset(), frozenset(), tokens), **more)
        return Situation(ask, now, self.rng, self.stats)

    def call(self, one: Candidate, seconds: float = 1.0, times: int = 1, now: float = NOW, rate: float = 0.0) -> None:
        """So many calls went well."""
        for _ in range(times):
            self.stats.started(one.deployment)
            self.stats.answered(one.deployment, seconds, now, streamed=False)
            self.stats.finished(one.deployment, 100, 100 / rate if rate else 0.0)

    def fail(self, one: Candidate, times: int = 1, now: float = NOW) -> None:
        """So many calls failed."""
        for _ in range(times):
            self.stats.started(one.deployment)
            self.stats.failed(one.deployment, "UpstreamUnavailable", now)

    def hold(self, one: Candidate, times: int = 1) -> None:
        """So many calls are in hand."""
        for _ in range(times):
            self.stats.started(one.deployment)


def names(scored: list[Scored]) -> str:
    """The providers in their order."""
    return "".join(one.candidate.deployment.provider for one in scored)
