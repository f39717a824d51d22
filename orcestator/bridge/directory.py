"""Where the API server learns what can be asked for. It always has a catalog: the last good one.

``LocalDirectory`` reads the links of this process and the controller's table beside them; ``RemoteDirectory`` asks a
controller over HTTP, ours or a stock one. Neither is asked on a request's path: both swap a finished catalog in.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orcestator.bridge.control import ControlClient
from orcestator.bridge.registration_policy import OFFER_KEY
from orcestator.bridge.registry import WorkerRegistry
from orcestator.json_text import Json
from orcestator.routing.offer import Offer, stock_offer
from orcestator.routing.planning.catalog import DEFAULT_ALIAS, Alias, Catalog
from orcestator.upstream.provider_client import ProviderClient

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0
STOCK_POLL_SECONDS = 5.0
"""A stock controller counts every question for an address as a request, so it is asked seldom."""


class Names(NamedTuple):
    """The public names that the configuration gives; what ``Catalog`` makes of them is said there."""

    aliases: Mapping[str, Alias]
    default_targets: Sequence[str] = ()
    auto: Alias | None = None
    paid_fallback: str = ""

    def catalog(self, offers: Iterable[Offer], default_name: str = DEFAULT_ALIAS) -> Catalog:
        """The catalog of these names over some offers."""
        return Catalog(offers, self.aliases, self.default_targets, default_name, self.auto, self.paid_fallback)


def offers_of_worker(worker: str, model_names: Any, offer: Any) -> list[Offer]:
    """What a worker offers; one that does not say so in our form is a stock worker. Foreign shapes give []."""
    if not isinstance(offer, dict):
        names = [str(name) for name in model_names] if isinstance(model_names, list) else []
        return [stock_offer(worker, names)] if names else []
    try:
        return [Offer.from_wire(wire, worker) for wire in offer["offers"]]
    except (KeyError, TypeError, ValueError):
        logger.warning("the worker at %s describes itself in a form this version does not know", worker)
        return []


class LocalDirectory:
    """The catalog of this process: its links, and whichever workers registered at its controller."""

    def __init__(
        self,
        links: Sequence[ProviderClient],
        registry: WorkerRegistry | None,
        names: Names,
        default_name: str = DEFAULT_ALIAS,
    ) -> None:
        self._links = links
        self._registry = registry
        self._names = names
        self._default_name = default_name
        self._seen = -1
        self._catalog = self._built()

    def catalog(self) -> Catalog:
        """The current catalog."""
        if self._registry is not None and self._registry.version != self._seen:
            self.refresh()
        return self._catalog

    def refresh(self) -> None:
        """Build the catalog anew, after a link's offer changed."""
        self._catalog = self._built()

    def rename(self, names: Names) -> None:
        """Other public names from now on."""
        self._names = names
        self.refresh()

    def _built(self) -> Catalog:
        offers = [link.offer for link in self._links]
        if self._registry is not None:
            self._seen = self._registry.version
            offers += offers_of_workers(self._registry.workers())
        return self._names.catalog(offers, self._default_name)


class JoinedDirectory:
    """The catalog of a process with links of its own and a controller elsewhere. While that does not answer, its last offers stay."""

    def __init__(self, links: Sequence[ProviderClient], elsewhere: "RemoteDirectory", names: Names) -> None:
        self._links = links
        self._elsewhere = elsewhere
        self._names = names
        self.refresh()

    def catalog(self) -> Catalog:
        """The current catalog."""
        if self._elsewhere.catalog() is not self._seen:
            self.refresh()
        return self._catalog

    def refresh(self) -> None:
        """Build the catalog anew, after a link's offer changed."""
        self._seen = self._elsewhere.catalog()
        offers = [link.offer for link in self._links]
        self._catalog = self._names.catalog([*offers, *self._seen.offers])

    def rename(self, names: Names) -> None:
        """Other public names from now on."""
        self._names = names
        self.refresh()


def offers_of_workers(workers: Iterable[Any]) -> list[Offer]:
    """The offers in a controller's list of workers; a row without an address is left out."""
    return [
        offer
        for row in workers
        if isinstance(row, dict) and row.get("worker_name")
        for offer in offers_of_worker(str(row["worker_name"]), row.get("model_names"), row.get("offer"))
    ]


class RemoteDirectory:
    """The catalog of a controller elsewhere. While it does not answer, the last catalog stays in use."""

    def __init__(
        self,
        control: ControlClient,
        controller: str,
        names: Names,
    ) -> None:
        self._control = control
        self._controller = controller.rstrip("/")
        self._names = names
        self._version: int | None = None
        self._stock_workers: dict[str, None] = {}
        self._leaving: set[str] = set()
        self._catalog = Catalog([])
        self.reaches_controller = False
        self.is_stock = False

    def catalog(self) -> Catalog:
        """The last good catalog."""
        return self._catalog

    def rename(self, names: Names) -> None:
        """Other public names from now on, over the offers that are known."""
        self._names = names
        self._catalog = names.catalog(self._catalog.offers)

    def leave(self, workers: Iterable[str]) -> None:
        """Send nobody to these any more, which end their work and may still be listed; no other one ever has their address."""
        self._leaving.update(workers)
        self._catalog = self._names.catalog(self._staying(self._catalog.offers))

    def _staying(self, offers: Iterable[Offer]) -> list[Offer]:
        return [offer for offer in offers if offer.worker not in self._leaving]

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the catalog fresh until ``stop`` is set."""
        while not stop.is_set():
            await self.refresh()
            try:
                await asyncio.wait_for(stop.wait(), STOCK_POLL_SECONDS if self.is_stock else POLL_SECONDS)
            except TimeoutError:
                continue

    async def refresh(self) -> bool:
        """Ask once; whether the controller answered."""
        known = "" if self._version is None else f"?version={self._version}"
        status, answer = await self._control.get(f"{self._controller}/orcestator/workers{known}")
        self.is_stock = status == 404
        if self.is_stock:
            self._note_reached(await self._refresh_from_stock())
        else:
            self._note_reached(status == 200 and self._read(answer))
        return self.reaches_controller

    def _read(self, answer: Json) -> bool:
        """Take over our controller's answer; False when it is somebody else's, which must not end the program."""
        if answer.get("unchanged"):
            return True
        version, workers = answer.get("version"), answer.get("workers")
        if not isinstance(version, int) or not isinstance(workers, list):
            return False
        self._take(offers_of_workers(workers))
        self._version = version
        return True

    async def _refresh_from_stock(self) -> bool:
        """A stock controller: ask for models and addresses, then each worker what it is. Never ``refresh_all_workers``."""
        self._version = None
        status, answer = await self._control.post(f"{self._controller}/list_models")
        models = answer.get("models")
        if status != 200 or not isinstance(models, list):
            return False
        for model in models:
            _, found = await self._control.post(f"{self._controller}/get_worker_address", {"model": model})
            if isinstance(found.get("address"), str) and found["address"]:
                self._stock_workers[found["address"]] = None
        offers: list[Offer] = []
        for worker in list(self._stock_workers):
            status, answer = await self._control.post(f"{worker}/worker_get_status")
            if status == 200:
                offers += offers_of_worker(worker, answer.get("model_names"), answer.get(OFFER_KEY))
            else:
                del self._stock_workers[worker]
        self._take(offers)
        return True

    def _take(self, listed: list[Offer]) -> None:
        offers = self._staying(listed)
        if offers or not self._catalog.offers:
            self._catalog = self._names.catalog(offers)

    def _note_reached(self, reached: bool) -> None:
        if self.reaches_controller and not reached:
            logger.warning("the controller at %s does not answer; the last plan stays in use", self._controller)
        elif reached and not self.reaches_controller:
            logger.info("the controller at %s answers", self._controller)
        self.reaches_controller = reached
