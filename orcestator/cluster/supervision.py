"""What a supervisor and its children say to each other about the configuration, so that it is read once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from orcestator.cluster.live_settings import LiveSettings
from orcestator.cluster.pipe_rpc import PipeChannel
from orcestator.cluster.preview import Prospect, change_at_length
from orcestator.errors import StartupProblem
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.settings import Settings

Json = dict[str, Any]
LoadFrom = Callable[[Mapping[str, str] | None], Settings]
"""Reads the configuration with these variables in place of those of the process; None for its own."""

RELOAD, SAY, PREVIEW = "reload", "say", "preview"
"""To a child: serve by these variables and files from now on; tell people what became of a reload. To the supervisor: reload all;
say what a reload would do."""
OffersUnder = Callable[[Settings], Sequence[str | Offer]]
"""What there would be with other settings: the name of a provider that would stay as it is, the offer of another one."""
RELOAD_SECONDS = 60.0
"""How long a child may take over its configuration: it may read an address and model lists."""
ANSWER_SECONDS = 300.0
"""How long the supervisor may: it starts workers and waits for every child."""


def obey(
    supervisor: PipeChannel,
    live: LiveSettings,
    load_from: LoadFrom,
    *,
    before: Callable[[], Awaitable[object]] | None = None,
    after: Callable[[], Awaitable[object]] | None = None,
    leave: Callable[[Sequence[str]], None] = lambda _workers: None,
) -> None:
    """Reload when the supervisor says so, with the variables that it hands over; ``before`` goes before it and ``after`` follows, and ``leave``
    is told of the workers that end then. Its word on how it
    went everywhere is for whoever ``live`` tells."""
    tell, live.tell = live.tell, _nobody

    async def answer(question: Json) -> Json:
        if question["do"] == SAY:
            tell(question["problem"])
            return {}
        live.load_again = partial(load_from, question["environment"])
        if before is not None:
            await before()
        outcome = await live.reload()
        leave(question["gone"])
        if after is not None:
            await after()
        return outcome

    supervisor.answer_with(answer)


async def reload_everywhere(supervisor: PipeChannel) -> Json:
    """Ask the supervisor, which lets every process read the configuration again: what was applied, as ``Live.reload``."""
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
    live: LiveSettings, environment: Callable[[Settings], Json], offers: OffersUnder
) -> Json:
    """The supervisor's answer to ``PREVIEW``: ``environment`` is that of an API server."""
    try:
        settings, changes = await live.preview()
    except StartupProblem as problem:
        return {"problem": problem.message}
    return {
        "problem": "",
        "changes": [change_at_length(change) for change in changes],
        "environment": environment(settings),
        "offers": [offer if isinstance(offer, str) else offer.to_wire() for offer in offers(settings)],
    }


def _offers(told: Sequence[str | Json], running: Sequence[Offer]) -> list[Offer]:
    """What there would be: of a provider that is only named, what it offers now; with it whatever is none of the configuration's."""
    offers = [offer for offer in running if offer.kind == "stock"]
    for one in told:
        name = one if isinstance(one, str) else one["provider"]
        known = [offer for offer in running if offer.provider == name]
        offers += known if isinstance(one, str) else [_merged(one, known)]
    return offers


def _merged(wire: Json, known: Sequence[Offer]) -> Offer:
    offer = Offer.from_wire(wire, known[0].worker if known else "")
    return replace(offer, models={**known[0].models, **offer.models}) if known else offer


def _nobody(_problem: str) -> None:
    """The supervisor speaks for all of them."""
