"""What a refusal teaches where nobody tells the limit, and how more is tried later."""

import pytest

from orcestator.routing.state.quota_windows import DAY, HOUR
from tests.routing.quota_ledger import C, Ledger, M, P
from tests.routing.quota_upstream import CountingUpstream


def hit_twice(requests: int) -> Ledger:
    """A ledger that was refused without a word in each of two minutes, at so many requests."""
    ledger = Ledger()
    for _ in range(2):
        ledger.now += 62.0
        assert ledger.takes(requests) == requests
        ledger.refused()
    return ledger


def test_one_bare_429_teaches_nothing() -> None:
    """It is held against the model for a minute where there is another choice, and then over."""
    ledger = Ledger()
    assert ledger.takes(20) == 20
    ledger.refused()
    assert 60.0 <= ledger.take() - ledger.now <= 61.0
    assert ledger.book.states(ledger.now) == []
    assert [(state.source, round(state.seconds)) for state in ledger.book.pauses(ledger.now)] == [("guessed", 60)]

    ledger.now += 62.0
    assert ledger.takes(200) == 200
    ledger.now += 600.0
    ledger.refused()
    assert ledger.book.states(ledger.now) == [], "nor does another one, much later"


def test_without_another_choice_a_request_finds_out_whether_the_guess_still_holds() -> None:
    ledger = Ledger()
    ledger.takes(20)
    ledger.refused()

    assert ledger.last_resort() == 0.0, "the loop may try again at once"
    waits = []
    for _ in range(3):
        ledger.refused()
        back = ledger.last_resort()
        waits.append(round(back - ledger.now))
        ledger.now = back
        assert ledger.last_resort() == 0.0
    assert waits == [5, 10, 20]

    ledger.book.answered(P, C, M, ledger.now)
    assert ledger.takes(50) == 50, "the guess was wrong"


def test_a_ceiling_is_a_guess_and_what_is_told_is_none() -> None:
    ledger = hit_twice(11)
    ledger.now += 62.0
    assert ledger.takes(20) == 5
    assert ledger.last_resort() == 0.0
    assert ledger.last_resort() > ledger.now

    ledger.refused(30.0)
    ledger.now += 20.0
    assert ledger.last_resort() == pytest.approx(ledger.now + 10.0)


@pytest.mark.parametrize("who", ["the account", "the key", "nobody learns"])
def test_a_persons_word_is_not_second_guessed(who: str) -> None:
    ledger = Ledger()
    if who == "nobody learns":
        ledger.book.use_learning(learns=False)
    else:
        ledger.book.limit(P, C, M if who == "the account" else "", {"rpm": 1000.0})
    for _ in range(3):
        assert ledger.takes(20) == 20
        ledger.refused()
        ledger.now += 1.0
    assert ledger.take() == 0.0
    assert "learned" not in {state.source for state in ledger.book.states(ledger.now)}

    ledger.refused(7.0)
    assert ledger.take() == pytest.approx(ledger.now + 7.0), "what the upstream asks for is no guess"


def test_learning_that_is_switched_off_forgets_what_was_learned() -> None:
    ledger = hit_twice(11)
    ledger.book.use_learning(learns=False)
    assert ledger.takes(100) == 100
    ledger.restart()
    assert ledger.takes(100) == 100


def test_two_bare_429s_teach_half_of_what_was_asked_in_the_last_minute() -> None:
    ledger = hit_twice(11)
    assert 60.0 <= ledger.take() - ledger.now <= 61.0

    ledger.now += 62.0
    assert ledger.takes(20) == 5
    assert [(state.limit, state.source) for state in ledger.book.states(ledger.now)] == [(5.0, "learned")]


def test_a_ceiling_that_is_hit_again_is_lowered_and_rests_for_a_day() -> None:
    ledger = hit_twice(41)
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
    ledger = hit_twice(41)

    taken = minutes_of_full_use(ledger, 75)

    assert taken[:58] == [20] * 58
    assert sorted(set(taken)) == [20, 21, 22, 23, 24, 25]
    assert taken == sorted(taken)


def test_what_is_not_used_up_is_not_raised() -> None:
    ledger = hit_twice(41)
    for _ in range(60):
        ledger.now += 600.0
        assert ledger.takes(19) == 19

    ledger.now += 62.0
    assert ledger.takes(40) == 20


def test_a_raise_costs_one_refusal_at_most_and_then_the_last_good_ceiling_holds_for_a_day_and_over_a_restart() -> None:
    upstream = CountingUpstream(22, "bucket", 0.0)
    for number in range(60):
        upstream.send()
        upstream.answer()
        upstream.pass_time(61.5 if number % 30 == 29 else 0.0)
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

    assert upstream.hits == 2, "never above what was seen to go through, for a day"
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
    assert upstream.hits <= 6, "one that is lowered later is found with a few refusals"


def test_a_contradicted_raise_goes_back_to_what_was_good() -> None:
    ledger = hit_twice(41)
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
    ledger.refused(2.0)
    ledger.restart()
    ledger.now += 7200.0
    ledger.takes(3)
    ledger.refused(2.0)
    ledger.restart()

    ledger.now += 62.0
    assert ledger.takes(9) == 1


def test_refusals_with_nothing_answered_in_between_lengthen_the_pause_and_leave_the_ceiling() -> None:
    ledger = hit_twice(11)
    ledger.now += 62.0
    ledger.take()
    pauses = []
    for _ in range(8):
        ledger.refused()
        back = ledger.take()
        pauses.append(back - ledger.now)
        ledger.now = back + 1e-3
        assert ledger.take() == 0.0

    assert pauses[:4] == pytest.approx([120.0, 240.0, 480.0, 960.0], abs=1.1)
    assert max(pauses) <= 3601.0
    assert [state.limit for state in ledger.book.states(ledger.now)] == [5.0]


def test_a_short_wait_of_the_upstreams_own_is_believed_and_a_few_requests_teach_nothing() -> None:
    ledger = Ledger()
    ledger.takes(3)
    ledger.refused(2.0)

    assert ledger.take() == ledger.now + 2.0
    ledger.now += 2.0
    assert ledger.takes(100) == 100


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


def test_a_limit_of_one_a_minute_is_hit_twice_though_we_start_anew_in_between() -> None:
    upstream = CountingUpstream(1, "fixed", 0.0, "wait")
    for _ in range(2):
        upstream.send()
    upstream.pass_time(61.0)
    upstream.send()
    upstream.answer()
    upstream.ledger.restart()
    for _ in range(40):
        upstream.send()
        upstream.answer(-1)
        upstream.pass_time(3.0)
    assert upstream.hits == 2


@pytest.mark.parametrize(("requests", "known"), [(4, 2.0), (9, None)])
def test_what_was_asked_before_a_start_is_known_where_it_was_little(requests: int, known: float | None) -> None:
    """Part of many requests would teach too low a limit, which holds for hours."""
    ledger = Ledger()
    ledger.takes(requests)
    ledger.refused()
    ledger.now += 62.0
    assert ledger.takes(requests) == requests
    ledger.restart()
    ledger.refused()
    assert [state.limit for state in ledger.book.states(ledger.now)] == ([] if known is None else [known])
