"""The router itself, wired as for serving, with a clock, chance and upstreams of the simulation in place of the real ones."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from orcestator.cluster.router import Router
from orcestator.errors import StreamInterrupted
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Alias, Candidate, Catalog
from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.quota import QuotaBook
from orcestator.settings import Settings
from orcestator.settings.choices import StrategyName
from orcestator.simulator.dice import Dice
from orcestator.simulator.ledgered import Ledgered
from orcestator.simulator.scenario import Deployment, Request, Scenario
from orcestator.simulator.upstreams import Answer, Trace, Upstreams
from orcestator.upstream.hedge_runner import AsyncioConcurrency
from orcestator.usage import Usage

NAME = "simulated"
"""The alias that every request asks for."""
_CHANCE = 0xC1


class RealRouter:
    """Planner and attempt loop as a process has them, before the modelled upstreams. To be made within the running event loop."""

    def __init__(self, scenario: Scenario, upstreams: Upstreams, settings: Settings, strategy: str, seed: int) -> None:
        self._scenario = scenario
        self._upstreams = upstreams
        quota = QuotaBook()
        self._ledgered = Ledgered(upstreams, quota)
        self._loop = asyncio.get_running_loop()
        self._total_seconds = settings.total_timeout_seconds
        self._places = {(each.provider, each.model): n for n, each in enumerate(scenario.deployments)}
        self._catalogs: dict[tuple[int, ...], Catalog] = {}
        wanted = replace(
            settings, strategy=cast(StrategyName, strategy), free_first=settings.free_first or scenario.free_first
        )
        brain = Router.of(wanted, self._catalog, lambda event: None, quota)
        self._attempts, self._planner = cast(AttemptLoop[Answer], brain.attempts), brain.planner
        self._simulate(Dice(seed, _CHANCE))

    def _simulate(self, chance: Dice) -> None:
        """The clock, chance and what is made of an answer that nobody takes are the simulation's."""
        attempts = self._attempts
        attempts.now, attempts.rng, attempts.health.rng, self._planner.rng = self._loop.time, chance, chance, chance
        attempts.concurrency = AsyncioConcurrency(self._upstreams.discard)

    async def serve(self, request: Request, trace: Trace) -> None:
        """Serve it as an API server would."""
        ask = _ask(request)
        plan = self._planner.plan(ask, self._loop.time())
        tally = Tally()

        async def attempt(candidate: Candidate, taken_at: float) -> Answer:
            place = self._places[candidate.deployment.provider, candidate.deployment.model]
            return await self._ledgered.call(place, candidate.deployment, request, trace, taken_at)

        try:
            deadline = request.at + self._total_seconds
            answer = await self._attempts.run(
                str(request.number), plan, attempt, tally, deadline, request.prompt_tokens
            )
        finally:
            trace.hedges = tally.hedges
        trace.first_content = self._loop.time() - request.at
        if tally.served is not None and self._planner.keeps_conversations:
            self._planner.served(plan, tally.served, self._loop.time())
        failure = await self._upstreams.finish(answer, trace)
        if tally.served is not None:
            self._ledgered.ended(answer, tally.served.deployment, request)
        broke = StreamInterrupted(failure) if failure is not None else None
        usage = Usage(request.prompt_tokens, request.output_tokens)
        self._attempts.ended(tally, usage=usage, seconds=answer.seconds_left, failure=broke)
        if broke is not None:
            raise broke

    def _catalog(self) -> Catalog:
        """The catalog with the prices of this moment: a price list that changes is read again."""
        now = self._loop.time()
        prices = tuple(sum(start <= now for start in each.starts) for each in self._scenario.deployments)
        found = self._catalogs.get(prices)
        if found is None:
            found = self._catalogs[prices] = catalog(self._scenario, now)
        return found


def catalog(scenario: Scenario, now: float) -> Catalog:
    """What the scenario's deployments make known of themselves at this time, under one alias."""
    by_provider: dict[str, list[Deployment]] = {}
    for each in scenario.deployments:
        by_provider.setdefault(each.provider, []).append(each)
    offers = [_offer(order, found, now) for order, found in enumerate(by_provider.values())]
    usual = [each for each in scenario.deployments if not each.is_paid_fallback]
    numbers = sorted({each.tier for each in usual})
    tiers = tuple(tuple(each.name for each in usual if each.tier == number) for number in numbers)
    spare = next((each.name for each in scenario.deployments if each.is_paid_fallback), "")
    return Catalog(offers, {NAME: Alias(tiers)}, paid_fallback=spare)


def _offer(order: int, deployments: Sequence[Deployment], now: float) -> Offer:
    models = {each.model: _facts(each, now) for each in deployments}
    return Offer(deployments[0].provider, order, frozenset({"chat"}), models)


def _facts(deployment: Deployment, now: float) -> dict[str, Any]:
    price = deployment.condition(now).price
    facts = {
        "pricing": {"input": price.input, "output": price.output},
        "max_concurrent": deployment.max_concurrent,
        "quality": deployment.quality,
    }
    return {name: value for name, value in facts.items() if value}


def _ask(request: Request) -> RoutingRequest:
    needs = Needs(frozenset(), frozenset(), request.prompt_tokens)
    return RoutingRequest((NAME,), "chat", needs=needs, streamed=request.streamed, conversation=request.conversation)
