"""The ways in which a modelled upstream fails: each raises what the real path to an upstream raises, after about as long."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from orcestator.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)

CUT = "cut"
"""The one kind that comes after the first content: nobody can hide it from the caller any more."""


class Failure(NamedTuple):
    """``seconds`` until it shows; None: as long as the first content would have taken. ``is_billed``: it cost what an answer costs."""

    raised: Callable[[str], UpstreamError]
    seconds: float | None
    is_billed: bool = False


def rate_limited(name: str, retry_after: float | None = None) -> UpstreamRateLimited:
    """A 429, with or without a time."""
    return UpstreamRateLimited(
        f"{name} asks for a pause.", cause="http_429", upstream_status=429, retry_after=retry_after
    )


def cut(name: str) -> UpstreamBroken:
    """The stream ends without an end."""
    return UpstreamBroken(f"{name} cut its stream.", cause="cut", upstream_status=200)


KINDS: Mapping[str, Failure] = {
    "refused": Failure(
        lambda name: UpstreamUnavailable(f"{name} refused the connection.", cause="refused", sent=False), 0.002
    ),
    "unavailable": Failure(
        lambda name: UpstreamUnavailable(f"{name} answered 503.", cause="http_503", upstream_status=503), 0.15
    ),
    "overloaded": Failure(
        lambda name: UpstreamUnavailable(f"{name} answered 529.", cause="http_529", upstream_status=529), 0.15
    ),
    "rate_limited": Failure(rate_limited, 0.1),
    "connect_timeout": Failure(
        lambda name: UpstreamTimeout(f"{name} took no connection.", cause="connect_timeout", sent=False), 2.0
    ),
    "silent": Failure(
        lambda name: UpstreamTimeout(f"{name} sent nothing for 30 seconds.", cause="first_byte_timeout"), 30.0
    ),
    "broken": Failure(
        lambda name: UpstreamBroken(f"{name} sent an empty answer.", cause="empty", upstream_status=200), None, True
    ),
    "key_refused": Failure(
        lambda name: UpstreamKeyRefused(f"{name} refused the key.", cause="http_401", upstream_status=401), 0.1
    ),
    "model_missing": Failure(
        lambda name: UpstreamModelMissing(f"{name} has no such model.", cause="http_404", upstream_status=404), 0.1
    ),
    CUT: Failure(cut, None, True),
}
"""By the word that a scenario uses. The times are those of the product's own limits (connect 2 s, first content 30 s)."""
