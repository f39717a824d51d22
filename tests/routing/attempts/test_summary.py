"""What a caller reads when everything failed: every cause once, short."""

from orcestator.errors import UpstreamModelMissing, UpstreamRateLimited, UpstreamUnavailable
from orcestator.routing.attempts.summary import LONGEST_CAUSE, summary_of


def limited(message: str = "pa answered 429: slow down") -> UpstreamRateLimited:
    return UpstreamRateLimited(message, cause="http_429")


def test_equal_causes_are_told_once() -> None:
    told = summary_of([limited(), limited(), UpstreamUnavailable("pb is gone", cause="refused")])
    assert told == "All 3 attempts failed: pa answered 429: slow down (2 times); pb is gone"


def test_a_long_cause_is_cut() -> None:
    pages = [UpstreamModelMissing(f"p{number} answered 404: " + "x" * 1700, cause="http_404") for number in range(3)]
    told = summary_of(pages)
    assert len(told) < 3 * LONGEST_CAUSE + 50
    assert all(f"p{number} answered 404" in told for number in range(3))
    assert len(summary_of(pages[:1])) <= LONGEST_CAUSE
