"""The provider links of a process, and how a new configuration changes them without touching what runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from orcestator.routing.offer import Offer
from orcestator.settings.choices import ProviderSetting
from orcestator.upstream.provider_client import ProviderClient

Make = Callable[[ProviderSetting], ProviderClient]


class Links:
    """``current`` is one list for as long as the process lives: whoever holds it sees the changes."""

    def __init__(self, make: Make, providers: Sequence[ProviderSetting]) -> None:
        self._make = make
        self._settings: dict[str, ProviderSetting] = {}
        self._by_name: dict[str, ProviderClient] = {}
        self.current: list[ProviderClient] = []
        self.apply_settings(providers)

    def apply_settings(
        self,
        providers: Sequence[ProviderSetting],
        make: Make | None = None,
        has_other_keys: Callable[[str], None] | None = None,
    ) -> list[ProviderClient]:
        """These providers from now on; those that are new or changed. ``make`` is given when all links have to be made anew;
        ``has_other_keys`` is told the names of those whose keys are others than before.

        A link that is replaced is finished by whoever still uses it.
        """
        kept = {} if make else self._by_name
        self._make = make or self._make
        fresh = []
        links = {}
        for provider in providers:
            name = provider.row.name
            before = self._settings.get(name)
            if has_other_keys is not None and (before is None or before.keys != provider.keys):
                has_other_keys(name)
            link = kept.get(name) if before == provider else None
            if link is None:
                link = self._make(provider)
                fresh.append(link)
            links[name] = link
        self._settings = {provider.row.name: provider for provider in providers}
        self._by_name = links
        self.current[:] = links.values()
        return fresh

    def offers_under(self, providers: Sequence[ProviderSetting], make: Make) -> list[Offer]:
        """What there would be with these providers. The models of a new one, which nobody has asked yet, are as it is configured."""
        return [self._offer_under(provider, make) for provider in providers]

    def _offer_under(self, provider: ProviderSetting, make: Make) -> Offer:
        name = provider.row.name
        link = self._by_name.get(name)
        if link is None:
            return make(provider).offer
        if self._settings[name] == provider:
            return link.offer
        offer = make(provider).offer
        return replace(offer, models={**link.offer.models, **offer.models})

    def named(self, provider: str) -> ProviderClient | None:
        """The link of one provider."""
        return self._by_name.get(provider)
