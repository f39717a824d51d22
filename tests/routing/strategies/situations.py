"""Options and what a strategy may look at, for the tests of strategies."""

import random
from typing import Any

from orcestator.routing.ask import Ask
from orcestator.routing.catalog import Option
from orcestator.routing.measures import Measures
from orcestator.routing.needs import Needs
from orcestator.routing.offer import Candidate
from orcestator.routing.strategies.strategy import Scored, Situation
from orcestator.routing.traits import Traits
from orcestator.routing.wishes import NO_WISHES, Wishes

NOW = 1000.0


def option(provider: str, **traits: Any) -> Option:
    """One provider's option."""
    return Option(Candidate(provider, "m", "", "proxy"), Traits(**traits), "m", 0)


class Scene:
    """A situation that can be changed. Chance is a fixed one."""

    def __init__(self, seed: int = 5) -> None:
        self.measures = Measures()
        self.rng = random.Random(seed).random

    def at(self, now: float = NOW, wishes: Wishes = NO_WISHES, tokens: int = 1000, **more: Any) -> Situation:
        """The situation at a moment."""
        ask = Ask(("m",), "chat", wishes, Needs(frozenset(), frozenset(), tokens), **more)
        return Situation(ask, now, self.rng, self.measures)

    def call(self, one: Option, seconds: float = 1.0, times: int = 1, now: float = NOW, rate: float = 0.0) -> None:
        """So many calls went well."""
        for _ in range(times):
            self.measures.started(one.candidate)
            self.measures.answered(one.candidate, seconds, now, streamed=False)
            self.measures.finished(one.candidate, 100, 100 / rate if rate else 0.0)

    def fail(self, one: Option, times: int = 1, now: float = NOW) -> None:
        """So many calls failed."""
        for _ in range(times):
            self.measures.started(one.candidate)
            self.measures.failed(one.candidate, "UpstreamUnavailable", now)

    def hold(self, one: Option, times: int = 1) -> None:
        """So many calls are in hand."""
        for _ in range(times):
            self.measures.started(one.candidate)


def names(scored: list[Scored]) -> str:
    """The providers in their order."""
    return "".join(one.option.candidate.provider for one in scored)
