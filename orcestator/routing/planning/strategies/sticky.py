"""Cache affinity: a conversation stays where its prompt is cached, as long as that pays.

A place is remembered for the conversation, and for its system prompt, which other conversations of the same program begin
with. It is left when it is not well, or when another place saves more than the discount on cached tokens that would be lost.
The idea and the ten minutes are OpenRouter's "provider sticky routing"
(https://openrouter.ai/docs/guides/best-practices/prompt-caching, checked 2026-11).
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from orcestator.prices import PICO
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.strategies.adaptive import Adaptive
from orcestator.routing.planning.strategies.strategy import Scored, Situation
from orcestator.routing.reading.conversation import cache_keys
from orcestator.routing.reading.request import RoutingRequest

CACHED_SECONDS = 600.0
"""How long after its last use a prompt is taken to be cached."""
USUAL_CACHE_SHARE = 0.5
"""What a cached token costs of a new one where the price is not known: the least that providers give is half off."""
MOST_PLACES = 16_384
"""Conversations and system prompts remembered."""


class _Place(NamedTuple):
    deployment: Deployment
    until: float


class Sticky:
    """``adaptive`` for what has no place yet; the place goes before the others."""

    keeps_order: ClassVar[bool] = False

    def __init__(self) -> None:
        self._otherwise = Adaptive()
        self._places: dict[str, _Place] = {}

    def order(self, candidates: Sequence[Candidate], situation: Situation) -> list[Scored]:
        """The candidates in the order of ``adaptive``, but for the place of the conversation."""
        scored = self._otherwise.order(candidates, situation)
        index = self._cached_at(scored, situation)
        if index and pays(scored[index].candidate, scored[0].candidate, situation.ask):
            scored.insert(0, scored.pop(index))
        return scored

    def _cached_at(self, scored: Sequence[Scored], situation: Situation) -> int:
        """Where in this order the prompt is cached; 0 also where it is cached nowhere."""
        for key in cache_keys(situation.ask.conversation):
            place = self._places.get(key)
            if place is not None and situation.now < place.until:
                for index, one in enumerate(scored):
                    if one.candidate.deployment == place.deployment:
                        return index
        return 0

    def served(self, ask: RoutingRequest, candidate: Candidate, now: float) -> None:
        """The prompt is cached there now."""
        for key in cache_keys(ask.conversation):
            self._places.pop(key, None)  # so that the table is in the order of use
            if len(self._places) >= MOST_PLACES:
                del self._places[next(iter(self._places))]
            self._places[key] = _Place(candidate.deployment, now + CACHED_SECONDS)


def pays(place: Candidate, other: Candidate, ask: RoutingRequest) -> bool:
    """Whether the discount that the cached prompt has at its place is at least what the other place would save."""
    tokens = ask.needs.tokens
    here = place.traits.cost(tokens, ask.expected_output())
    there = other.traits.cost(tokens, ask.expected_output())
    price, cached = place.traits.prices.input, place.traits.prices.cache_read
    if here is None or there is None or price is None or cached is None:
        return True
    discount = USUAL_CACHE_SHARE * price if cached == price else price - cached
    return here - there <= tokens * discount / PICO
