"""The configuration of a running program: read again, checked, compared, and put in place whole or not at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from orcestator.errors import StartupProblem
from orcestator.settings import Settings
from orcestator.settings.changes import Change, difference

Json = dict[str, Any]
logger = logging.getLogger(__name__)


class LiveSettings:
    """``load_again`` reads the configuration, ``prepare`` completes it, and ``put_in_place`` makes it the running one, or raises
    StartupProblem and leaves everything as it was."""

    def __init__(
        self,
        settings: Settings,
        load_again: Callable[[], Settings],
        put_in_place: Callable[[Settings], Awaitable[None]],
        tell: Callable[[str], None],
    ) -> None:
        """``tell`` is told of every reload: what is wrong, "" when nothing is."""
        self.settings = settings
        self.load_again = load_again
        self.put_in_place = put_in_place
        self.tell = tell
        self.prepare: Callable[[Settings], Awaitable[Settings]] = _as_they_are
        self._reloading = asyncio.Lock()

    async def reload(self) -> Json:
        """What was applied, what waits for a restart, and what is wrong: then nothing was applied."""
        async with self._reloading:
            try:
                outcome = await self._taken()
            except StartupProblem as problem:
                logger.error("the configuration was not reloaded: %s", problem.message)
                outcome = {"applied": [], "needs_restart": [], "problems": [problem.message]}
            else:
                logger.info("the configuration was reloaded: %d changes", len(outcome["applied"]))
            self.tell(next(iter(outcome["problems"]), ""))
            return outcome

    async def preview(self) -> tuple[Settings, list[Change]]:
        """What a reload would put in place, and all that is different. Raises StartupProblem."""
        # It reads files, and maybe an address.
        loaded = await asyncio.to_thread(self.load_again)
        if loaded.sandbox_fallback and not self.settings.sandbox_fallback:
            raise _no_provider(loaded)
        wanted = await self.prepare(loaded)
        changes = difference(self.settings, wanted)
        return _without(wanted, self.settings, [change for change in changes if not change.live]), changes

    async def _taken(self) -> Json:
        taken, changes = await self.preview()
        await self.put_in_place(taken)
        self.settings = taken
        return {
            "applied": [change_to_json(change) for change in changes if change.live],
            "needs_restart": [change_to_json(change) for change in changes if not change.live],
            "problems": [],
        }


async def _as_they_are(settings: Settings) -> Settings:
    return settings


def _no_provider(settings: Settings) -> StartupProblem:
    """Who starts without a key wants to see a working cluster; of one that runs a file was lost, and an echo must not answer for it."""
    why = " ".join(settings.notices) or "No provider has a key, neither in the environment nor in a file."
    return StartupProblem(
        f"No provider would be left, so the running ones stay. {why}"
        " To have the sandbox answer after all, switch it on under providers: or start anew."
    )


def _without(wanted: Settings, running: Settings, waiting: list[Change]) -> Settings:
    """The wanted settings, but for those that cannot change while the program runs: they stay told as different."""
    names = {found.name for found in fields(Settings)}
    return replace(wanted, **{change.name: getattr(running, change.name) for change in waiting if change.name in names})


def change_to_json(change: Change) -> Json:
    """A change as JSON."""
    return {"name": change.name, "old": change.old, "new": change.new}
