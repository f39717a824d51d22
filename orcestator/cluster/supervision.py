"""What a supervisor and its children say to each other, over the pipe between them.

The configuration is read once for all of them, the metrics are added up over all of them, and what a person resets is reset in
all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from orcestator.bridge.ledgers import limits_in
from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.pipe_rpc import Answer, PipeChannel
from orcestator.cluster.preview import Prospect, change_at_length
from orcestator.cluster.router import Router
from orcestator.errors import StartupProblem
from orcestator.json_text import Json
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.settings import Settings

LoadFrom = Callable[[Mapping[str, str] | None], Settings]
"""Reads the configuration with these variables in place of those of the process; None for its own."""

RELOAD, RESET, SAY, METRICS, PREVIEW, READY = "reload", "reset", "say", "metrics", "preview", "ready"
"""To a child: serve by these variables and files from now on; forget what is held against a model; tell people what became of a
reload; give the metrics. To the supervisor: reload all; reset in all; say what a reload would do; I serve."""
OffersUnder = Callable[[Settings], Sequence[str | Offer]]
"""What there would be with other settings: the name of a provider that would stay as it is, the offer of another one."""
RELOAD_SECONDS = 60.0
"""How long a child may take over its configuration: it may read an address and model lists."""
ANSWER_SECONDS = 300.0
"""How long the supervisor may: it starts workers and waits for every child."""
SOON_SECONDS = 5.0
"""How long either may take for what needs no waiting."""
CHOSEN_BY_SUPERVISOR = frozenset({"worker_secret"})
"""A setting of a supervised program that is the supervisor's where a person gave none."""


def answer_supervisor(supervisor: PipeChannel, answers: Mapping[str, Answer]) -> None:
    """Answer the supervisor's questions from now on, each by what it asks to be done."""

    async def answer(question: Json) -> Json:
        return await answers[question["do"]](question)

    supervisor.answer_with(answer)


async def say_ready(supervisor: PipeChannel | None) -> None:
    """Let the supervisor, if there is one, know that this process serves."""
    if supervisor is not None:
        await supervisor.ask({"do": READY}, SOON_SECONDS)


def metrics_answer(render: Callable[[], bytes]) -> Answer:
    """Give the metrics of this process."""

    async def answer(_question: Json) -> Json:
        return {"page": (await asyncio.to_thread(render)).decode()}

    return answer


def report_answer(report: Callable[[str], None]) -> Answer:
    """Tell people what became of a reload everywhere."""

    async def answer(question: Json) -> Json:
        report(question["problem"])
        return {}

    return answer


def reload_answer(
    live: LiveSettings,
    load_from: LoadFrom,
    *,
    before: Callable[[], Awaitable[object]] | None = None,
    after: Callable[[], Awaitable[object]] | None = None,
    leave: Callable[[Sequence[str]], None] = lambda _workers: None,
) -> Answer:
    """Reload with the variables that the supervisor hands over; ``before`` goes before it and ``after`` follows, and ``leave`` is told of
    the workers that end then."""

    async def answer(question: Json) -> Json:
        if before is not None:
            await before()
        outcome = await live.reload(partial(load_from, question["environment"]))
        leave(question["gone"])
        if after is not None:
            await after()
        return outcome

    return answer


def reset_answer(router: Router) -> Answer:
    """Forget what is held against a model here, as a person asked for in another process."""

    async def answer(question: Json) -> Json:
        planner, wanted, model = router.planner, question["provider"], question["model"]
        planner.quota.reset(wanted, model)
        for provider in {offer.provider for offer in planner.catalog().offers}:
            if wanted in ("", provider):
                planner.health.reset(provider, model)
        for deployment in list(planner.stats.records):
            if wanted in ("", deployment.provider) and model in ("", deployment.model):
                planner.stats.forget(deployment)
        return {}

    return answer


class SupervisedLedgers:
    """The quota ledgers of processes that each have their own: they are shown by this one, and reset in all. See ``Ledgers``."""

    def __init__(self, supervisor: PipeChannel, router: Router) -> None:
        self._supervisor = supervisor
        self._quota = router.planner.quota

    async def limits(self) -> list[Json]:
        """See ``Ledgers``: this process's part of each."""
        return limits_in(self._quota, time.monotonic())

    async def reset(self, provider: str, model: str) -> bool:
        """See ``Ledgers``."""
        outcome = await self._supervisor.ask({"do": RESET, "provider": provider, "model": model}, ANSWER_SECONDS)
        return outcome is not None and outcome["heard"]


def for_nobody(_problem: str) -> None:
    """The report of a child on a reload: the supervisor speaks for all of them."""


async def reload_everywhere(supervisor: PipeChannel) -> Json:
    """Ask the supervisor, which lets every process read the configuration again: what was applied, as ``LiveSettings.reload``."""
    outcome = await supervisor.ask({"do": RELOAD}, ANSWER_SECONDS)
    if outcome is None:
        return {"applied": [], "needs_restart": [], "problems": ["The supervisor did not answer: its log may say why."]}
    return outcome


async def prospect_everywhere(supervisor: PipeChannel, load_from: LoadFrom, catalog: Callable[[], Catalog]) -> Prospect:
    """What a reload would find: the supervisor knows the providers, and the variables. Raises StartupProblem."""
    found = await supervisor.ask({"do": PREVIEW}, ANSWER_SECONDS)
    if found is None:
        raise StartupProblem("The supervisor did not answer: its log may say why.")
    if found["problem"]:
        raise StartupProblem(found["problem"])
    settings = await asyncio.to_thread(load_from, found["environment"])
    return Prospect(settings, found["changes"], _offers(found["offers"], catalog().offers))


async def prospect_for_children(
    live: LiveSettings, environment: Callable[[Settings], Mapping[str, str]], offers: OffersUnder
) -> Json:
    """The supervisor's answer to ``PREVIEW``: ``environment`` is that of an API server."""
    try:
        settings, changes = await live.preview()
    except StartupProblem as problem:
        return {"problem": problem.message}
    return {
        "problem": "",
        "changes": [change_at_length(change) for change in changes],
        "environment": dict(environment(settings)),
        "offers": [offer if isinstance(offer, str) else offer.to_wire() for offer in offers(settings)],
    }


def _offers(wanted: Sequence[str | Json], running: Sequence[Offer]) -> list[Offer]:
    """What there would be: of a provider that is only named, what it offers now; with it whatever is none of the configuration's."""
    offers = [offer for offer in running if offer.kind == "stock"]
    for one in wanted:
        name = one if isinstance(one, str) else one["provider"]
        known = [offer for offer in running if offer.provider == name]
        offers += known if isinstance(one, str) else [_merged(one, known)]
    return offers


def _merged(wire: Json, known: Sequence[Offer]) -> Offer:
    offer = Offer.from_wire(wire, known[0].worker if known else "")
    return replace(offer, models={**known[0].models, **offer.models}) if known else offer
