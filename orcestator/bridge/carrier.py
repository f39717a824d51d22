"""Carries one attempt to where its candidate lives: a link in this process, one of our workers, or a stock worker.

One protocol, three implementations; the loop does not know which one serves.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from orcestator.errors import StartupProblem, UpstreamUnavailable
from orcestator.routing.offer import Deployment
from orcestator.upstream.call import Answer, UpstreamCall
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.provider_client import ProviderClient


class Carrier(Protocol):
    """Makes one attempt at one candidate. Raises UpstreamError, Overloaded when all connections there are in use, and QuotaUsedUp when the
    quota ledger of the worker there lets nobody ask."""

    def attempt(self, deployment: Deployment, order: UpstreamCall, taken_at: float) -> Awaitable[Answer]:
        """The answer, at or after its commit point. ``taken_at`` is when the quota ledger of this process counted it, where that has
        the key. What is raised may be raised by the call or when it is awaited."""


class LocalCarrier:
    """The candidate's link is in this process: a function call in place of the HTTP hop."""

    def __init__(self, link_of: Callable[[str], ProviderClient | None]) -> None:
        """``link_of`` gives the link of a provider, None where it has none here."""
        self._link_of = link_of

    def attempt(self, deployment: Deployment, order: UpstreamCall, taken_at: float) -> Awaitable[Answer]:
        """One attempt through the provider's link."""
        link = self._link_of(deployment.provider)
        if link is None:
            raise UpstreamUnavailable(f"{deployment.provider} is not served here.", cause="no_link", sent=False)
        return link.attempt(deployment.model, order, deployment.credential, taken_at)


class Carriers:
    """Chooses the carrier by the candidate's worker: none for this process, and by its kind otherwise."""

    def __init__(self, local: Carrier, proxy: Carrier, stock: Carrier) -> None:
        self._local = local
        self._proxy = proxy
        self._stock = stock

    def attempt(self, deployment: Deployment, order: UpstreamCall, taken_at: float) -> Awaitable[Answer]:
        """One attempt wherever the candidate lives."""
        if not deployment.worker:
            return self._local.attempt(deployment, order, taken_at)
        carrier = self._proxy if deployment.kind == "proxy" else self._stock
        return carrier.attempt(deployment, order, taken_at)


def worker_origin(worker: str) -> Origin:
    """Where a worker listens. Raises UpstreamUnavailable for what is no address.

    The controller let it in, so that any network is fine, also plain http to a name that looks public.
    """
    try:
        return Origin.from_url(worker, private=True)[0]
    except StartupProblem as problem:
        raise UpstreamUnavailable(
            f"The worker has no usable address: {problem.message}", cause="address", sent=False
        ) from None
