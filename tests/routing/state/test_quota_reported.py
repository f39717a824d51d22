"""Limits that upstreams tell: of all kinds, in all wordings, they are used up and never overstepped."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.dialects.rate_limits import RateLimit
from tests.routing.quota_ledger import Ledger
from tests.routing.quota_upstream import CountingUpstream, Kind, Says

TELLS = pytest.mark.parametrize("says", ["limits", "limits a minute"])
KINDS = pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])


def test_what_an_upstream_says_is_left_is_counted_down() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 60.0, 2.0, 30.0))

    assert ledger.takes(5) == 2
    assert ledger.take() == ledger.now + 30.0
    ledger.now += 30.0
    assert ledger.take() == 0.0


def test_requests_on_their_way_are_not_given_away_twice() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 60.0, 9.0, 30.0))
    assert ledger.takes(4) == 4
    ledger.learn(RateLimit("requests", 0.0, 60.0, 5.0, 30.0))

    assert ledger.takes(9) == 2, "three others may not be in the five"


@KINDS
@TELLS
def test_a_told_limit_is_used_up_and_never_overstepped(kind: Kind, says: Says) -> None:
    upstream = CountingUpstream(15, kind, 17.0, says)
    taken = []
    for _ in range(20):
        before = upstream.taken
        for _ in range(120):
            upstream.send()
            upstream.pass_time(0.3)
            upstream.answer()
            upstream.pass_time(0.2)
        taken.append(upstream.taken - before)

    assert upstream.hits == 0
    assert sum(taken[2:]) >= 18 * 15 * 0.93, "nearly all of what there is, once it is understood"


class Traffic(NamedTuple):
    """Requests that come together, how long until the next ones, and how late the answers are."""

    requests: int
    seconds: float
    latency: float


TRAFFIC = st.builds(
    Traffic, st.integers(1, 6), st.sampled_from([0.1, 1.0, 4.0, 13.0, 31.0, 70.0]), st.sampled_from([0.0, 0.2, 1.5])
)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["fixed", "sliding", "bucket"]),
    says=st.sampled_from(["limits", "limits a minute"]),
    requests=st.integers(6, 40),
    phase=st.floats(0, 59),
    traffic=st.lists(TRAFFIC, min_size=10, max_size=40),
)
def test_whatever_the_traffic_is_like_there_is_hardly_a_refusal(
    kind: Kind, says: Says, requests: int, phase: float, traffic: list[Traffic]
) -> None:
    upstream = CountingUpstream(requests, kind, phase, says)
    upstream.send()
    upstream.answer()
    for some in traffic:
        for _ in range(some.requests):
            upstream.send()
            upstream.pass_time(0.01)
        upstream.pass_time(some.latency)
        while upstream.under_way:
            upstream.answer()
        upstream.pass_time(some.seconds)

    assert upstream.hits == 0


def test_a_limit_that_others_share_is_never_counted_higher_than_it_is_told() -> None:
    ledger = Ledger()
    for left in (9.0, 4.0, 1.0):
        assert ledger.take() == 0.0
        ledger.learn(RateLimit("requests", 60.0, 20.0, left, 30.0))
        ledger.now += 1.0

    assert ledger.takes(5) == 1
    ledger.now += 29.0
    assert ledger.takes(30) >= 15, "the others' share is back at the reset"


def test_the_next_window_has_the_whole_limit_and_counts_what_is_sent_in_it() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("tokens", 60.0, 1000.0, 100.0, 5.0))
    assert ledger.take(500) == ledger.now + 5.0
    ledger.now += 5.0

    assert ledger.takes(9, 300) == 3
    assert ledger.take(300) == ledger.now + 60.0


def test_an_answer_that_was_overtaken_takes_away_and_never_gives() -> None:
    ledger = Ledger()
    slow = ledger.now
    ledger.take()
    ledger.now += 1.0
    ledger.take()
    ledger.learn(RateLimit("tokens", 60.0, 10.0, 4.0, 30.0))
    ledger.now += 1.0
    for left, expected in ((9.0, 4), (2.0, 2)):
        ledger.book.learn("p", "", "m", [RateLimit("tokens", 60.0, 10.0, left, 30.0)], ledger.now, taken_at=slow)
        (state,) = ledger.book.states(ledger.now)
        assert state.remaining == expected


def test_a_bucket_gives_one_back_at_a_time_once_it_showed_that_it_is_one() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 1000.0, 600.0, 34_560.0))
    ledger.learn(RateLimit("requests", 0.0, 1000.0, 0.0, 86_400.0))

    assert ledger.take() == pytest.approx(ledger.now + 86.4)
    ledger.now += 87.0
    assert ledger.takes(2) == 1


@pytest.mark.parametrize(
    "figures",
    [(50.0, 0.0, 17.0), (14_400.0, 13_693.0, 11_726.28), (50.0, 0.0, 86_400.0)],
    ids=["a window's end", "seen in the wild", "used up"],
)
def test_what_may_be_a_window_is_not_taken_for_a_bucket(figures: tuple[float, float, float]) -> None:
    limit, left, reset = figures
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, limit, left, reset))
    assert ledger.takes(20_000) == left

    assert ledger.take() >= ledger.now + reset - 1e-6


def test_a_refusal_that_what_is_told_does_not_explain_teaches_too() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 60.0, 100.0, 90.0, 30.0))
    assert ledger.takes(21) == 21
    ledger.refused(None, RateLimit("requests", 60.0, 100.0, 70.0, 30.0))

    assert ledger.take() >= ledger.now + 60.0
    ledger.now += 62.0
    assert ledger.takes(21) == 21
    ledger.refused(None, RateLimit("requests", 60.0, 100.0, 70.0, 30.0))
    ledger.now += 62.0
    assert ledger.takes(30) == 10
