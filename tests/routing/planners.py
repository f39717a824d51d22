"""A planner over a few deployments, with all that it looks at within reach."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from orcestator.errors import UpstreamModelMissing, UpstreamRateLimited, UpstreamUnavailable
from orcestator.routing.events import Event
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Alias, Candidate, Catalog
from orcestator.routing.planning.plan import Plan, Planner, PlanPolicy
from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.preferences import NO_PREFERENCES, Preferences
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import judge
from tests.routing.failures import failure, limited

CHAT = frozenset({"chat"})
NOW = 1000.0


class World:
    """Providers with a model ``m`` each, which the name ``auto`` chooses among; ``facts`` by provider.

    ``strategy`` is that of ``auto``. Chance is a fixed one.
    """

    def __init__(
        self,
        facts: Mapping[str, Mapping[str, Any]],
        strategy: str = "priority",
        policy: PlanPolicy | None = None,
        paid_fallback: str = "",
        tiers: Sequence[Sequence[str]] | None = None,
        offers: Sequence[Offer] | None = None,
    ) -> None:
        made = [Offer(name, place, CHAT, {"m": dict(known)}) for place, (name, known) in enumerate(facts.items())]
        ordinary = [name for name in facts if f"{name}/m" != paid_fallback]
        names = tiers if tiers is not None else [ordinary]
        alias = Alias(tuple(tuple(f"{name}/m" for name in tier) for tier in names), strategy)
        self.catalog = Catalog(offers or made, auto=alias, paid_fallback=paid_fallback)
        self.events: list[Event] = []
        self.rng = random.Random(7).random
        self.health = CircuitBreakers(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.stats = Stats()
        self.quota = QuotaBook()
        self.planner = Planner(
            lambda: self.catalog, self.health, self.stats, self.quota, self.rng, policy or PlanPolicy()
        )

    def plan(
        self,
        preferences: Preferences = NO_PREFERENCES,
        now: float = NOW,
        names: tuple[str, ...] = ("auto",),
        **more: Any,
    ) -> Plan:
        """The plan of a request."""
        needs = Needs(
            frozenset(more.pop("parameters", ())), frozenset(more.pop("modalities", ())), more.pop("tokens", 0)
        )
        return self.planner.plan(RoutingRequest(names, "chat", preferences, needs, **more), now)

    def order(self, preferences: Preferences = NO_PREFERENCES, **more: Any) -> list[str]:
        """The providers in the order of trying."""
        return providers(self.plan(preferences, **more).candidates)

    def at(self, provider: str) -> Deployment:
        """The candidate of a provider."""
        return Deployment(provider, "m", "", "proxy")

    def call(
        self,
        provider: str,
        seconds: float = 1.0,
        times: int = 0,
        failures: int = 0,
        now: float = NOW,
        rate: float = 0.0,
    ) -> None:
        """So many calls went well, and so many failed."""
        for number in range(times + failures):
            self.stats.started(self.at(provider))
            if number < failures:
                self.stats.failed(self.at(provider), "UpstreamUnavailable", now)
            else:
                self.stats.answered(self.at(provider), seconds, now, streamed=False)
                self.stats.finished(self.at(provider), 100, 100 / rate if rate else 0.0)

    def open(self, provider: str, now: float = NOW) -> None:
        """Fail until the breaker opens."""
        for _ in range(5):
            self._fail(provider, failure(UpstreamUnavailable), now)

    def cool(self, provider: str, seconds: float, now: float = NOW) -> None:
        """A rate limit that says when."""
        self._fail(provider, limited(seconds), now)

    def lose(self, provider: str, now: float = NOW) -> None:
        """The provider does not have the model any more."""
        self._fail(provider, failure(UpstreamModelMissing), now)

    def _fail(self, provider: str, error: UpstreamRateLimited | Any, now: float) -> None:
        self.health.started(self.at(provider), now)
        self.health.failed(self.at(provider), error, judge(error), now)


def providers(candidates: Sequence[Candidate]) -> list[str]:
    """Whose they are."""
    return [candidate.deployment.provider for candidate in candidates]
