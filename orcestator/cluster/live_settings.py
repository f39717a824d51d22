"""The configuration of a running program: read again, checked, compared, and put in place whole or not at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace

from orcestator.errors import StartupProblem
from orcestator.json_text import Json
from orcestator.settings import Settings
from orcestator.settings.changes import Change, difference

logger = logging.getLogger(__name__)


Load = Callable[[], Settings]


async def _as_they_are(settings: Settings) -> Settings:
    return settings


class LiveSettings:
    """The settings in use, ``settings``, and the way to new ones.

    ``load`` reads the configuration and ``complete`` adds what only the running program knows. ``apply`` makes new settings the
    running ones, or raises StartupProblem and leaves everything as it was. ``report`` hears of every reload: what is wrong, "" when
    nothing is.
    """

    def __init__(
        self,
        settings: Settings,
        load: Load,
        apply: Callable[[Settings], Awaitable[None]],
        report: Callable[[str], None],
        complete: Callable[[Settings], Awaitable[Settings]] = _as_they_are,
    ) -> None:
        self.settings = settings
        self._load = load
        self._apply = apply
        self._report = report
        self._complete = complete
        self._reloading = asyncio.Lock()

    async def reload(self, load: Load | None = None) -> Json:
        """What was applied, what waits for a restart, and what is wrong: then nothing was applied. ``load`` reads it this once."""
        async with self._reloading:
            try:
                outcome = await self._reloaded(load or self._load)
            except StartupProblem as problem:
                logger.error("the configuration was not reloaded: %s", problem.message)
                outcome = {"applied": [], "needs_restart": [], "problems": [problem.message]}
            else:
                logger.info("the configuration was reloaded: %d changes", len(outcome["applied"]))
            self._report(next(iter(outcome["problems"]), ""))
            return outcome

    async def preview(self) -> tuple[Settings, list[Change]]:
        """What a reload would put in place, and all that is different. Raises StartupProblem."""
        return await self._read(self._load)

    async def _read(self, load: Load) -> tuple[Settings, list[Change]]:
        # It reads files, and maybe an address.
        loaded = await asyncio.to_thread(load)
        if loaded.sandbox_fallback and not self.settings.sandbox_fallback:
            raise _no_provider(loaded)
        wanted = await self._complete(loaded)
        changes = difference(self.settings, wanted)
        return _without(wanted, self.settings, [change for change in changes if not change.live]), changes

    async def _reloaded(self, load: Load) -> Json:
        wanted, changes = await self._read(load)
        await self._apply(wanted)
        self.settings = wanted
        return {
            "applied": [change_to_json(change) for change in changes if change.live],
            "needs_restart": [change_to_json(change) for change in changes if not change.live],
            "problems": [],
        }


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
