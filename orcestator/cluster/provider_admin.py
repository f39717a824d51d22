"""Providers that a person adds while the program runs: written down first, then put in place as a reload does it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from orcestator.errors import Conflict, InvalidRequest, OrcestatorError, Overloaded, StartupProblem
from orcestator.json_text import Json
from orcestator.routing.planning.catalog import Catalog
from orcestator.settings import Settings
from orcestator.settings.added_provider import check_added_address
from orcestator.settings.kept_providers import (
    AlreadyKept,
    KeptProvider,
    forget,
    keep,
    keep_new,
    kept_named,
    kept_titles,
)
from orcestator.store.documents import open_documents
from orcestator.web.admin.bodies import ProviderSpec

LOOK_SECONDS = 0.05


class ProviderAdmin:
    """``settings`` are those in use. ``reload`` reads the configuration again, here and in whatever other processes there are, and says what was wrong with it.
    ``patience_seconds`` is how long a worker may take to come and go; 0 where there are none."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        reload: Callable[[], Awaitable[Json]],
        catalog: Callable[[], Catalog],
        *,
        patience_seconds: float,
    ) -> None:
        self._settings = settings
        self._state_dir = settings().state_dir
        self._documents = open_documents(self._state_dir)
        self._reload = reload
        self._catalog = catalog
        self._patience_seconds = patience_seconds
        self._changing = asyncio.Lock()

    async def add(self, spec: ProviderSpec) -> None:
        """Keep it and put it in place. Raises InvalidRequest, Conflict or Overloaded; then nothing of it stays."""
        settings = self._settings()
        kept = kept_provider(spec, private=settings.added_providers_allow_private)
        if settings.only_providers and spec.name not in settings.only_providers:
            raise Conflict(
                f"OR_ONLY_PROVIDERS leaves '{spec.name}' out: add it there, and reload.",
                param="name",
                code="provider_left_out",
            )
        async with self._changing:
            await self._written(lambda: self._keep_new(kept))
            try:
                await self._put_in_place(spec.name)
            except OrcestatorError:
                await self._written(lambda: forget(self._documents, spec.name))
                await self._reload()
                raise

    async def remove(self, name: str) -> bool:
        """Forget it and take it out; whether it had been added. Raises Conflict when the configuration cannot do without it."""
        async with self._changing:
            if name not in await self.titles():
                return False
            before = await asyncio.to_thread(kept_named, self._documents, name)
            await self._written(lambda: forget(self._documents, name))
            problems = (await self._reload())["problems"]
            if problems and before is not None:
                await self._written(lambda: keep(self._documents, before))
                raise _unloadable(f"'{name}' was not removed", problems)
            return True

    async def titles(self) -> Mapping[str, str]:
        """The name that people have for each one that was added, "" where they gave none."""
        return await asyncio.to_thread(kept_titles, self._documents)

    def _keep_new(self, kept: KeptProvider) -> None:
        """Not over the one of another process, which may be adding the same at this moment."""
        try:
            keep_new(self._documents, kept)
        except AlreadyKept:
            raise Conflict(
                f"A provider '{kept.name}' was added before: where it is not in use, the log says why. DELETE it first.",
                param="name",
                code="provider_exists",
            ) from None

    async def _put_in_place(self, name: str) -> None:
        problems = (await self._reload())["problems"]
        if problems:
            raise _unloadable(f"'{name}' was not added", problems)
        until = time.monotonic() + self._patience_seconds
        while not self._is_offered(name):
            # Of what is wrong with it, or in its way, a notice of the configuration tells.
            notice = next((text for text in self._settings().notices if text.startswith(f"The provider '{name}'")), "")
            if notice or time.monotonic() >= until:
                why = notice or f"The provider '{name}' did not come up; the log may say why."
                raise Conflict(f"{why} Nothing was changed.", param="name", code="provider_not_up")
            await asyncio.sleep(LOOK_SECONDS)

    def _is_offered(self, name: str) -> bool:
        return any(offer.provider == name for offer in self._catalog().offers)

    async def _written(self, write: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(write)
        except OSError as problem:
            raise Overloaded(
                f"Nothing was changed: {self._state_dir} cannot be written ({problem.strerror}). Check OR_STATE_DIR.",
                code="state_not_writable",
            ) from problem


def kept_provider(spec: ProviderSpec, *, private: bool) -> KeptProvider:
    """What a person wants to add, as it is kept; ``private`` allows private networks. Raises InvalidRequest for what cannot be one."""
    entries = dict(spec.config)
    if spec.base_url:
        entries["base_url"] = spec.base_url
    if spec.api_key is not None:
        entries["api_key"] = spec.api_key.reveal()
    if spec.models:
        entries["models"] = list(spec.models)
    if spec.priority is not None:
        entries["order"] = spec.priority
    kept = KeptProvider(spec.name, spec.type, entries, spec.title, spec.fallback_order)
    try:
        found = kept.read()
    except StartupProblem as problem:
        raise InvalidRequest(problem.message, param="config") from None
    try:
        check_added_address(found.base_url, private=private)
    except StartupProblem as problem:
        raise InvalidRequest(problem.message, param="base_url") from None
    return kept


def _unloadable(what: str, problems: list[str]) -> Conflict:
    return Conflict(
        f"{what}, because the configuration could not be loaded then: {problems[0]}", code="configuration_problem"
    )
