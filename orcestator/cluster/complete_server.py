"""An API server and the providers that it calls itself, put together: the request goes to its upstream without leaving the process."""

from collections.abc import Callable, Sequence

from orcestator.bridge.carrier import Carriers
from orcestator.bridge.directory import JoinedDirectory, LocalDirectory
from orcestator.bridge.worker_ping import WorkerPing
from orcestator.cluster import factory
from orcestator.cluster.api_server import ApiServer, Log, local_token_of
from orcestator.cluster.health_watch import metrics_of, notices_of
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.links import Links
from orcestator.cluster.local_providers import LocalProviders, share_of
from orcestator.cluster.quota import open_quota
from orcestator.routing.offer import Offer
from orcestator.settings import Settings
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient
from orcestator.web.admin.health import Component


class CompleteServer:
    """``directory`` makes the directory over the links of this process. ``processes`` is how many such servers share the work, and
    ``process`` which of them this is, counted from 1."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        client: UpstreamClient,
        directory: Callable[[Sequence[ProviderClient]], LocalDirectory | JoinedDirectory],
        lifetime: Lifetime,
        *,
        processes: int = 1,
        process: int = 1,
    ) -> None:
        quota, quota_writer = open_quota(share_of(settings, processes), lifetime, process)
        links = Links(factory.provider_client_maker(settings, client, quota), settings.providers)
        pulse = WorkerPing(client)
        lifetime.run_beside(pulse.run())

        def carriers(now: Settings) -> Carriers:
            return factory.make_carriers(now, client, links.named, pulse)

        self.links: Sequence[ProviderClient] = links.current
        self.directory = directory(links.current)
        self.api = ApiServer(
            settings, log, self.directory, carriers, quota,
            is_shared=processes > 1, local_token=local_token_of(settings), writers=[quota_writer],
        )  # fmt: skip
        tell = [metrics_of(self.api.recording.metrics), notices_of(self.api.recording.notices)]
        self.providers = LocalProviders(
            settings, client, quota, links, self.api.router, self.directory.refresh, tell, processes=processes
        )

    async def apply_settings(self, settings: Settings) -> None:
        """Serve by these settings from now on; what runs goes on by the old ones."""
        fresh = self.providers.apply_settings(settings, settings.providers)
        await self.api.apply_settings(settings)
        await self.providers.begin(fresh)

    def offers_under(self, settings: Settings) -> list[Offer]:
        """What there would be to call with other settings: with it whatever workers offer."""
        elsewhere = [offer for offer in self.directory.catalog().offers if offer.worker]
        return self.providers.offers_under(settings) + elsewhere

    def component(self) -> Component:
        """What ``/health`` says of the providers."""
        return lambda: (bool(self.links), {"names": [link.row.name for link in self.links]})
