"""Candidates and failures for the routing tests."""

from orcestator.errors import UpstreamError, UpstreamRateLimited, UpstreamUnavailable
from orcestator.routing.offer import Deployment


def deployment(provider: str = "a", model: str = "m", worker: str = "") -> Deployment:
    return Deployment(provider, model, worker, "proxy")


def failure(
    kind: type[UpstreamError] = UpstreamUnavailable, retry_after: float | None = None, cause: str = "x"
) -> UpstreamError:
    return kind(f"{kind.__name__} happened", cause=cause, retry_after=retry_after)


def limited(seconds: float | None = None) -> UpstreamError:
    return failure(UpstreamRateLimited, seconds)
