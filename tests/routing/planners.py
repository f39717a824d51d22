"""A planner over a few deployments, with all that it looks at within reach."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from orcestator.errors import UpstreamModelMissing, UpstreamRateLimited, UpstreamUnavailable
from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Alias, Catalog, Option
from orcestator.routing.events import Event
from orcestator.routing.health import BreakerPolicy, HealthBoard
from orcestator.routing.measures import Measures
from orcestator.routing.needs import Needs
from orcestator.routing.offer import Candidate, Offer
from orcestator.routing.plan import Plan, Planner, PlanPolicy
from orcestator.routing.quota import QuotaBook
from orcestator.routing.verdict import judge
from orcestator.routing.wishes import NO_WISHES, Wishes
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
        self.health = HealthBoard(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.measures = Measures()
        self.quota = QuotaBook()
        self.planner = Planner(
            lambda: self.catalog, self.health, self.measures, self.quota, self.rng, policy or PlanPolicy()
        )

    def plan(
        self, wishes: Wishes = NO_WISHES, now: float = NOW, names: tuple[str, ...] = ("auto",), **more: Any
    ) -> Plan:
        """The plan of a request."""
        needs = Needs(
            frozenset(more.pop("parameters", ())), frozenset(more.pop("modalities", ())), more.pop("tokens", 0)
        )
        return self.planner.plan(Ask(names, "chat", wishes, needs, **more), now)

    def order(self, wishes: Wishes = NO_WISHES, **more: Any) -> list[str]:
        """The providers in the order of trying."""
        return providers(self.plan(wishes, **more).options)

    def at(self, provider: str) -> Candidate:
        """The candidate of a provider."""
        return Candidate(provider, "m", "", "proxy")

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
            self.measures.started(self.at(provider))
            if number < failures:
                self.measures.failed(self.at(provider), "UpstreamUnavailable", now)
            else:
                self.measures.answered(self.at(provider), seconds, now, streamed=False)
                self.measures.finished(self.at(provider), 100, 100 / rate if rate else 0.0)

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


def providers(options: Sequence[Option]) -> list[str]:
    """Whose they are."""
    return [option.candidate.provider for option in options]
