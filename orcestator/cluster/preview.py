"""What a reload would do, without doing it: the changes, and where the last requests would go."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import NamedTuple

from orcestator.cluster import factory
from orcestator.cluster.live_settings import LiveSettings, change_to_json
from orcestator.cluster.router import Router, planning
from orcestator.errors import StartupProblem
from orcestator.json_text import Json
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.plan import Planner, PlanPolicy
from orcestator.routing.planning.rehearsal import Rehearsal
from orcestator.settings import Settings
from orcestator.settings.changes import Change
from orcestator.web.admin.rules_book import RulesBook

AT_ONCE = 50
"""Requests that are planned before others get their turn: about three milliseconds."""
MOST_SHARES = 200


class Prospect(NamedTuple):
    """What a reload would put in place, what is different about it (as JSON), and what could be called then."""

    settings: Settings
    changes: list[Json]
    offers: Sequence[Offer]


async def prospect_here(live: LiveSettings, offers_under: Callable[[Settings], Sequence[Offer]]) -> Prospect:
    """The prospect of a process that reads its configuration itself. Raises StartupProblem."""
    settings, changes = await live.preview()
    return Prospect(settings, [change_at_length(change) for change in changes], offers_under(settings))


def change_at_length(change: Change) -> Json:
    """A change as JSON, and whether it has to wait for a restart."""
    return {**change_to_json(change), "needs_restart": not change.live}


class Preview:
    """``prospect`` gives what a reload would find. It raises StartupProblem."""

    def __init__(self, router: Router, rules: RulesBook, prospect: Callable[[], Awaitable[Prospect]]) -> None:
        self._router = router
        self._rules = rules
        self._prospect = prospect

    async def preview(self, limit: int) -> Json:
        """The changes of a reload and, over at most ``limit`` requests, the places that would get more or fewer of them."""
        try:
            prospect = await self._prospect()
        except StartupProblem as problem:
            return {"changes": [], "requests": {"planned": 0, "changed": []}, "problems": [problem.message]}
        rehearsal = await self._rehearsed(prospect, limit)
        shares = [share._asdict() for share in rehearsal.changed()[:MOST_SHARES]]
        return {
            "changes": prospect.changes,
            "requests": {"planned": rehearsal.planned, "changed": shares},
            "problems": [],
        }

    async def _rehearsed(self, prospect: Prospect, limit: int) -> Rehearsal:
        running, wanted = self._router.planner, prospect.settings
        catalog = factory.public_names(wanted).catalog(prospect.offers)
        rehearsal = Rehearsal(
            self._planner(running.catalog, running.policy),
            self._planner(lambda: catalog, planning(wanted, self._rules.under(wanted.rules))),
            lambda number: Random(number).random,
        )
        for number, ask in enumerate(reversed(self._router.decisions.asks(limit)), 1):
            rehearsal.play(ask, time.monotonic())
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return rehearsal

    def _planner(self, catalog: Callable[[], Catalog], policy: PlanPolicy) -> Planner:
        """One with what is known of the deployments, and no memory of turns and conversations."""
        known = self._router.planner
        return Planner(catalog, known.health, known.stats, known.quota, known.rng, policy)
