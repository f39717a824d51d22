"""What a refusal teaches where nobody tells the limit, and how more is tried later."""

import pytest

from orcestator.routing.quota_windows import DAY, HOUR
from tests.routing.quota_ledger import Ledger
from tests.routing.quota_upstream import CountingUpstream


def test_a_bare_429_teaches_half_of_what_was_asked_in_the_last_minute() -> None:
    ledger = Ledger()
    assert ledger.takes(11) == 11
    ledger.refused()
    assert 60.0 <= ledger.take() - ledger.now <= 61.0

    ledger.now += 62.0
    assert ledger.takes(20) == 5
    assert [(state.limit, state.source) for state in ledger.book.states(ledger.now)] == [(5.0, "learned")]


def test_a_ceiling_that_is_hit_again_is_lowered_and_rests_for_a_day() -> None:
    ledger = Ledger()
    ledger.takes(41)
    ledger.refused()
    ledger.now += 62.0
    assert ledger.takes(40) == 20
    ledger.refused()
    ledger.now += 62.0
    assert ledger.takes(40) == 15

    ledger.now += HOUR
    assert ledger.takes(40) == 15
    ledger.now += DAY
    assert ledger.takes(40) == 16


def minutes_of_full_use(ledger: Ledger, minutes: int) -> list[int]:
    """How many were taken in each."""
    taken = []
    for _ in range(minutes):
        ledger.now += 61.5
        taken.append(ledger.takes(60))
    return taken


def test_an_hour_of_full_use_raises_it_one_at_a_time_by_a_quarter_of_what_is_in_doubt() -> None:
    ledger = Ledger()
    ledger.takes(41)
    ledger.refused()

    taken = minutes_of_full_use(ledger, 75)

    assert taken[:58] == [20] * 58
    assert sorted(set(taken)) == [20, 21, 22, 23, 24, 25]
    assert taken == sorted(taken)


def test_what_is_not_used_up_is_not_raised() -> None:
    ledger = Ledger()
    ledger.takes(41)
    ledger.refused()
    for _ in range(60):
        ledger.now += 600.0
        assert ledger.takes(19) == 19

    ledger.now += 62.0
    assert ledger.takes(40) == 20


def test_a_raise_costs_one_refusal_at_most_and_then_the_last_good_ceiling_holds_for_a_day_and_over_a_restart() -> None:
    upstream = CountingUpstream(22, "bucket", 0.0)
    for _ in range(30):
        upstream.send()
        upstream.answer()
    # A bucket of 22 that was full has let 22 through: half of that is sure.
    for _ in range(24):
        minutes = []
        for _ in range(60):
            upstream.pass_time(61.5)
            before = upstream.taken
            while upstream.send():
                pass
            while upstream.under_way:
                upstream.answer()
            minutes.append(upstream.taken - before)
        upstream.ledger.restart()

    assert upstream.hits == 1, "never above what was seen to go through, for a day"
    assert minutes[-1] == 22

    upstream.requests = 18
    for _ in range(48):
        for _ in range(60):
            upstream.pass_time(61.5)
            while upstream.send():
                pass
            while upstream.under_way:
                upstream.answer()
        upstream.ledger.restart()
    assert upstream.hits <= 5, "one that is lowered later is found with a few refusals"


def test_a_contradicted_raise_goes_back_to_what_was_good() -> None:
    ledger = Ledger()
    ledger.takes(41)
    ledger.refused()
    assert minutes_of_full_use(ledger, 61)[-1] > 20
    ledger.refused()

    ledger.now += 62.0
    assert minutes_of_full_use(ledger, 120) == [20] * 120
    ledger.now += DAY
    assert minutes_of_full_use(ledger, 50)[-1] == 21, "no further than what was refused"


def test_a_wait_that_no_bucket_would_name_tells_the_limit_itself() -> None:
    ledger = Ledger()
    ledger.takes(9)
    ledger.now += 30.0
    ledger.takes(7)
    ledger.now += 1.0
    ledger.take()
    ledger.refused(40.5)

    ledger.now += 62.0
    assert ledger.takes(20) == 8, "half of the 16; since the window began there were 7"

    ledger = Ledger()
    ledger.takes(3)
    ledger.now += 30.0
    ledger.takes(13)
    ledger.now += 1.0
    ledger.take()
    ledger.refused(40.5)
    ledger.now += 62.0
    assert ledger.takes(20) == 13


def test_a_wait_that_may_be_a_buckets_teaches_half() -> None:
    ledger = Ledger()
    ledger.takes(17)
    ledger.refused(7.5)

    ledger.now += 62.0
    assert ledger.takes(20) == 8


def test_a_second_refusal_within_a_day_teaches_after_hardly_a_request_too_and_over_a_restart() -> None:
    ledger = Ledger()
    ledger.takes(3)
    ledger.refused()
    ledger.restart()
    ledger.now += 7200.0
    ledger.takes(3)
    ledger.refused()
    ledger.restart()

    ledger.now += 62.0
    assert ledger.takes(9) == 1


def test_refusals_with_nothing_answered_in_between_lengthen_the_pause_and_leave_the_ceiling() -> None:
    ledger = Ledger()
    ledger.takes(11)
    pauses = []
    for _ in range(8):
        ledger.refused()
        back = ledger.take()
        pauses.append(back - ledger.now)
        ledger.now = back + 1e-3
        assert ledger.take() == 0.0

    assert pauses[:4] == pytest.approx([60.0, 120.0, 240.0, 480.0], abs=1.1)
    assert max(pauses) <= 3601.0
    assert [state.limit for state in ledger.book.states(ledger.now)] == [5.0]


def test_a_short_wait_of_the_upstreams_own_is_believed_and_a_few_requests_teach_nothing() -> None:
    ledger = Ledger()
    ledger.takes(3)
    ledger.refused(2.0)

    assert ledger.take() == ledger.now + 2.0
    ledger.now += 2.0
    assert ledger.takes(100) == 100


def test_a_bare_429_after_hardly_a_request_is_left_to_the_loop_once() -> None:
    ledger = Ledger()
    assert ledger.takes(2) == 2
    ledger.refused()
    assert ledger.take() == 0.0
    assert ledger.book.is_empty

    ledger.now += 1.0
    assert ledger.take() == 0.0
    ledger.refused()
    assert 60.0 <= ledger.take() - ledger.now <= 61.0


def test_a_long_wait_is_a_days_limit() -> None:
    ledger = Ledger()
    for _ in range(31):
        ledger.take()
        ledger.now += 120.0
    ledger.take()
    ledger.refused(7200.0)
    assert ledger.take() == ledger.now + 7200.0

    ledger.now += 7200.0
    assert ledger.takes(40) == 16, "the half of 32, one of which was refused"
    ledger.now += 70_000.0
    assert ledger.takes(40) == 0
