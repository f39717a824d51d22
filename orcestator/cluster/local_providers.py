"""The providers that this process calls itself: their links, their quota ledger, and whoever looks after them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from orcestator.cluster import factory
from orcestator.cluster.health_watch import HealthWatch
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.links import Links
from orcestator.cluster.quota import limit
from orcestator.cluster.router import Router
from orcestator.routing.offer import Offer
from orcestator.routing.state.quota import QuotaBook
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.upstream.health_checks import Check
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient

DISCOVER_SECONDS = 600.0
RETRY_DISCOVERY_SECONDS = 30.0


class LocalProviders:
    """``links`` are kept in step with the settings. ``tell`` hears of every background check, ``refreshed`` of every change to
    what the links offer. ``processes`` is how many call the same providers with the same keys, this one included."""

    def __init__(
        self,
        settings: Settings,
        client: UpstreamClient,
        quota: QuotaBook,
        links: Links,
        router: Router,
        refreshed: Callable[[], None],
        tell: Sequence[Callable[[str, Check], None]],
        *,
        processes: int = 1,
    ) -> None:
        self._settings = settings
        self._client = client
        self._quota = quota
        self._links = links
        self._router = router
        self._refreshed = refreshed
        self._processes = processes
        self._watch = HealthWatch(settings, router.attempts.health, router.planner.stats, tell)
        self._watch.watch(links.current)

    @property
    def check(self) -> Callable[[str], Check]:
        """Gives what the background checks know of a provider."""
        return self._watch.checks.status

    def apply_settings(self, settings: Settings, providers: Sequence[ProviderSetting]) -> list[ProviderClient]:
        """Serve these providers by these settings; the links that are new."""
        running, self._settings = self._settings, settings
        has_other_times = factory.provider_timeouts(settings) != factory.provider_timeouts(running)
        make = factory.provider_client_maker(settings, self._client, self._quota) if has_other_times else None
        fresh = self._links.apply_settings(providers, make, self._router.attempts.health.has_other_keys)
        limit(self._quota, share_of(replace(settings, providers=tuple(providers)), self._processes))
        return fresh

    async def begin(self, fresh: Sequence[ProviderClient]) -> None:
        """Look after the links of now, and return when the lists of the fresh ones are read."""
        self._watch.watch(self._links.current)
        await asyncio.gather(*(link.discover() for link in fresh if link.lists_models))
        self._refreshed()

    def offers_under(self, settings: Settings) -> list[Offer]:
        """What there would be to call with other settings."""
        make = factory.provider_client_maker(settings, self._client, self._quota)
        return self._links.offers_under(settings.providers, make)

    def run_beside(self, lifetime: Lifetime) -> None:
        """Check the providers, and read their lists of models, until the process ends."""
        stop = lifetime.stopping.event
        lifetime.run_beside(self._watch.checks.run(stop))
        lifetime.run_beside(self._discover(stop))

    async def _discover(self, stop: asyncio.Event) -> None:
        """Read every provider's model list now and then; what cannot be read now is read again soon."""
        while not stop.is_set():
            found = await asyncio.gather(*(link.discover() for link in self._links.current if link.lists_models))
            self._refreshed()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), DISCOVER_SECONDS if all(found) else RETRY_DISCOVERY_SECONDS)


def share_of(settings: Settings, processes: int) -> Settings:
    """The settings with the part of each configured quota that one of so many processes may use: nobody counts for all of them, and
    together they must not use more than the whole."""
    return replace(settings, providers=tuple(_share(provider, processes) for provider in settings.providers))


def _share(provider: ProviderSetting, processes: int) -> ProviderSetting:
    return replace(
        provider,
        limits={unit: value / processes for unit, value in provider.limits.items()},
        model_limits={
            model: {unit: value / processes for unit, value in limits.items()}
            for model, limits in provider.model_limits.items()
        },
    )
