"""The health of workers' providers, as their offers tell it: which models are listed, and what the workers' checks found."""

import time
from collections.abc import Callable

from orcestator.cluster.health_watch import CHECKS_FAILED
from orcestator.routing.offer import Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.circuit_breaker import CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.upstream.health_checks import UNKNOWN, Check

DOWN = "down"
_Place = tuple[str, str]


class WorkerHealthFeed:
    """Feeds what the offers of each new catalog say to the circuit breakers of this process. ``out_seconds`` is how long checks that
    failed keep a provider out, unless something goes well."""

    def __init__(
        self, health: CircuitBreakers, quota: QuotaBook, catalog: Callable[[], Catalog], out_seconds: float
    ) -> None:
        self._health = health
        self._quota = quota
        self._catalog = catalog
        self._out_seconds = out_seconds
        self._seen: Catalog | None = None
        self._models: dict[_Place, frozenset[str]] = {}
        self._listed: dict[_Place, float] = {}
        self._resets: dict[_Place, dict[str, float]] = {}
        self._since: dict[_Place, float] = {}
        """Since when each one is as it is, also of workers that left: they may come back with other keys."""
        self._down: set[_Place] = set()
        """What is set aside until its worker says otherwise, which may leave and come back in between."""

    def status(self, provider: str) -> Check:
        """The last check of a provider that a worker told of."""
        checks = (offer.check for offer in self._catalog().offers if offer.provider == provider and offer.check)
        return next((Check.from_wire(check) for check in checks), UNKNOWN)

    def refresh(self) -> None:
        """Take over what a new catalog says; one that is the same as before has no news."""
        catalog = self._catalog()
        if catalog is self._seen:
            return
        self._seen, now = catalog, time.monotonic()
        models: dict[_Place, frozenset[str]] = {}
        for offer in catalog.offers:
            place = offer.provider, offer.worker
            models[place] = frozenset(offer.models)
            if self._since.setdefault(place, offer.since) != offer.since:
                # Its keys may be others, which only the worker sees.
                self._since[place] = offer.since
                self._health.has_other_keys(offer.provider)
                self._quota.forget_elsewhere(offer.provider)
            if self._listed.get(place, offer.listed) != offer.listed:
                # Whatever somebody's request made of a model, the provider itself has just said that it has it.
                self._health.readmit(*place, models[place])
            else:
                self._health.readmit(*place, models[place] - self._models.get(place, frozenset()))
            self._listed[place] = offer.listed
            self._take_resets(offer)
            if offer.check.get("status") == DOWN:
                self._down.add(place)
                self._health.set_aside(*place, offer.credentials, self._out_seconds, CHECKS_FAILED, now)
            elif place in self._down:
                self._down.discard(place)
                self._health.probe_now(offer.provider, now)
        self._models = models

    def _take_resets(self, offer: Offer) -> None:
        """What a person had the worker forget, whoever was asked for it, is forgotten here, too."""
        known = self._resets.setdefault((offer.provider, offer.worker), dict(offer.resets))
        for model, at in offer.resets.items():
            if known.get(model, 0.0) < at:
                self._health.reset(offer.provider, model)
                self._quota.forget_elsewhere(offer.provider, model)
                known[model] = at
