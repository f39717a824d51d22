"""One run: a scenario's requests against one router, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from orcestator.errors import OrcestatorError
from orcestator.settings import Settings
from orcestator.simulator.objective import Objective
from orcestator.simulator.omniscient import OmniscientRouter
from orcestator.simulator.real_router import RealRouter
from orcestator.simulator.router import Router
from orcestator.simulator.scenario import Request, Scenario
from orcestator.simulator.upstreams import Trace, Upstreams
from orcestator.simulator.virtual_loop import run_virtually

MakeRouter = Callable[[Upstreams], Router]


class Outcome(NamedTuple):
    """What became of one request. ``is_healthy``: when it came, at least one deployment was well. ``error`` is "" when it went well."""

    at: float
    streamed: bool
    is_healthy: bool
    error: str
    first_content: float
    dollars: float
    calls: int
    wasted: int
    hedges: int


def run_strategy(
    scenario: Scenario, requests: Sequence[Request], settings: Settings, strategy: str, seed: int
) -> list[Outcome]:
    """The router with one strategy."""
    return _run(scenario, requests, seed, lambda upstreams: RealRouter(scenario, upstreams, settings, strategy, seed))


def run_omniscient(scenario: Scenario, requests: Sequence[Request], objective: Objective, seed: int) -> list[Outcome]:
    """The router that knows the present."""
    usual_output = sum(request.output_tokens for request in requests) / max(1, len(requests))
    return _run(scenario, requests, seed, lambda upstreams: OmniscientRouter(upstreams, objective, usual_output))


def _run(scenario: Scenario, requests: Sequence[Request], seed: int, make: MakeRouter) -> list[Outcome]:
    return run_virtually(_all(requests, Upstreams(scenario, seed), make))


async def _all(requests: Sequence[Request], upstreams: Upstreams, make: MakeRouter) -> list[Outcome]:
    """A task for each request, from when it comes."""
    loop = asyncio.get_running_loop()
    router = make(upstreams)
    coming: list[asyncio.Task[Outcome]] = []
    for request in requests:
        if request.at > loop.time():
            await asyncio.sleep(request.at - loop.time())
        coming.append(loop.create_task(_one(router, upstreams, request)))
    return list(await asyncio.gather(*coming))


async def _one(router: Router, upstreams: Upstreams, request: Request) -> Outcome:
    trace = Trace()
    now = asyncio.get_running_loop().time()
    is_healthy = any(upstreams.is_healthy(place, now) for place in range(len(upstreams.deployments)))
    error = await _error(router.serve(request, trace))
    return Outcome(
        request.at,
        request.streamed,
        is_healthy,
        error,
        trace.first_content,
        trace.dollars,
        trace.calls,
        trace.wasted,
        trace.hedges,
    )


async def _error(serving: Awaitable[None]) -> str:
    try:
        await serving
    except OrcestatorError as error:
        return type(error).__name__
    return ""
