"""The figures of deployments: what is counted, what fades, and what is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.routing.state.stats import (
    HALF_LIFE_SECONDS,
    MOST_FAILING,
    MOST_RECORDS,
    MOST_TRUST,
    TRUST_HALF_LIFE_SECONDS,
    USUAL_SUCCESS,
    DeploymentStats,
    Stats,
)
from tests.routing.failures import deployment

A = deployment("a")
NOW = 1000.0


def called(*seconds: float, now: float = NOW, streamed: bool = False) -> Stats:
    """The measures after these calls."""
    stats = Stats()
    for one in seconds:
        stats.started(A)
        stats.answered(A, one, now, streamed=streamed)
        stats.finished(A, 0, 0.0)
    return stats


def record_of(stats: Stats) -> DeploymentStats:
    """The record of the one deployment."""
    record = stats.of(A)
    assert record is not None
    return record


def test_nothing_is_known_before_the_first_call() -> None:
    assert Stats().of(A) is None
    fresh = DeploymentStats()
    assert (fresh.success_rate(), fresh.mean_seconds(True), fresh.trust(NOW), fresh.likely_success(0.0)) == (
        1.0,
        0.0,
        0.0,
        USUAL_SUCCESS,
    )
    assert fresh.likely_seconds(0.0, 2.0, True) == 2.0


def test_what_is_in_hand_is_counted_to_the_end() -> None:
    stats = Stats()
    for _ in range(5):
        stats.started(A)
    stats.answered(A, 1.0, NOW, streamed=True)
    assert record_of(stats).in_flight == 5
    stats.finished(A, 50, 0.5)
    stats.failed(A, "UpstreamTimeout", NOW)
    stats.abandoned(A)
    stats.outlasted(A, 3.0, NOW, streamed=True)
    record = record_of(stats)
    assert (record.in_flight, record.total_calls, record.total_failures, record.last_error) == (
        1,
        3,
        1,
        "UpstreamTimeout",
    )
    assert record.rate == 100.0


def test_calls_fade_and_the_rate_stays() -> None:
    stats = called(1.0, 1.0, 1.0)
    stats.started(A)
    stats.failed(A, "x", NOW)
    record = record_of(stats)
    assert record.success_rate() == 0.75
    assert record.recent_calls(NOW + HALF_LIFE_SECONDS) == pytest.approx(2.0)
    stats.started(A)
    stats.failed(A, "x", NOW + HALF_LIFE_SECONDS)
    assert record.success_rate() == pytest.approx(0.5)


def test_trust_grows_to_a_bound_and_fades_while_nobody_calls() -> None:
    record = record_of(called(*[1.0] * 100))
    assert record.trust(NOW) == MOST_TRUST
    assert record.trust(NOW + TRUST_HALF_LIFE_SECONDS) == pytest.approx(MOST_TRUST / 2)
    assert 0.9 < record.likely_seconds(record.trust(NOW), 0.1, False) < 1.0
    assert record.likely_seconds(record.trust(NOW + 3600), 0.1, False) == pytest.approx(0.1, rel=0.01)


def test_after_a_long_silence_one_call_says_how_it_is_now() -> None:
    stats = called(*[10.0] * 50)
    stats.started(A)
    stats.answered(A, 1.0, NOW + 3600, streamed=False)
    assert record_of(stats).mean_seconds(False) == pytest.approx(1.0, rel=0.01)


def test_streams_and_whole_replies_are_apart_and_stand_in_for_each_other() -> None:
    record = record_of(called(0.5, streamed=True))
    assert (record.mean_seconds(True), record.mean_seconds(False)) == (0.5, 0.5)
    stats = called(4.0)
    stats.started(A)
    stats.answered(A, 0.5, NOW, streamed=True)
    record = record_of(stats)
    assert (record.mean_seconds(True), record.mean_seconds(False)) == (0.5, 4.0)


def test_who_was_given_up_was_at_least_that_slow() -> None:
    stats = called(*[1.0] * 20)
    stats.started(A)
    stats.outlasted(A, 0.5, NOW, streamed=False)
    assert record_of(stats).mean_seconds(False) == 1.0
    stats.started(A)
    stats.outlasted(A, 6.0, NOW, streamed=False)
    # It cost a second call, too, and so counts twice; most of that counts slowly.
    assert record_of(stats).mean_seconds(False) == pytest.approx(1.26, abs=0.01)


def test_a_tail_makes_a_deployment_expected_to_be_slower_and_one_very_slow_call_hardly_does() -> None:
    """Of two that are equally quick in the median the one with a tail is the worse choice."""
    quick, once = called(*[0.1] * 60), called(*[0.1] * 59, 4.0)
    tailed = called(*([0.1] * 9 + [4.0]) * 12)
    assert record_of(quick).mean_seconds(False) == pytest.approx(0.1)
    assert 0.1 < record_of(once).mean_seconds(False) < 0.2
    assert record_of(tailed).mean_seconds(False) > 0.3


def test_a_tail_that_is_gone_is_forgotten_with_calls() -> None:
    assert record_of(called(*([0.1] * 9 + [4.0]) * 12, *[0.1] * 400)).mean_seconds(False) == pytest.approx(0.1, rel=0.1)


def test_a_tail_of_long_ago_is_forgotten_with_time() -> None:
    stats = called(*([0.1] * 9 + [4.0]) * 12)
    before = record_of(stats).mean_seconds(False)
    for number in range(10):
        stats.started(A)
        stats.answered(A, 0.1, NOW + 3600 + number, streamed=False)
    assert record_of(stats).mean_seconds(False) - 0.1 < 0.4 * (before - 0.1)


def test_failures_in_a_row_are_held_against_nobody_until_the_next_call_tells_what_they_were() -> None:
    """An outage is the breaker's to judge: else two failures would keep a deployment from ever being called again."""
    stats = called(*[1.0] * 3)
    for _ in range(MOST_FAILING):
        stats.started(A)
        stats.failed(A, "x", NOW)
    record = record_of(stats)
    before = record.likely_success(16.0)
    assert before > 0.9
    stats.started(A)
    stats.answered(A, 1.0, NOW, streamed=False)
    assert record.likely_success(16.0) < 0.8
    for _ in range(2 * MOST_FAILING):
        stats.started(A)
        stats.failed(A, "x", NOW)
    assert record.trials > record.wins + MOST_FAILING


def test_an_answer_that_breaks_counts_more_than_a_call_that_fails() -> None:
    """The one is hidden from the caller, the other is not."""
    failed, broken = called(*[0.1] * 50), called(*[0.1] * 50)
    failed.started(A)
    failed.failed(A, "x", NOW)
    failed.started(A)
    failed.answered(A, 0.1, NOW, streamed=False)
    broken.started(A)
    broken.answered(A, 0.1, NOW, streamed=False)
    broken.broke(A, "x")
    mean = 0.1
    drawn = [record_of(one).drawn_seconds(NOW, mean, mean, 0.0) for one in (failed, broken)]
    assert 0.1 < drawn[0] < 0.3 < drawn[1]


def test_forgetting_keeps_what_is_in_hand() -> None:
    stats = called(1.0)
    stats.forget(A)
    assert stats.of(A) is None
    stats.forget(A)
    stats.started(A)
    stats.forget(A)
    assert record_of(stats).in_flight == 1


def test_the_table_is_bounded() -> None:
    stats = Stats()
    for number in range(MOST_RECORDS + 5):
        stats.started(deployment(str(number)))
    assert len(stats.records) <= MOST_RECORDS


_steps = st.lists(st.tuples(st.booleans(), st.floats(0.001, 100), st.floats(0, 1000)), min_size=1, max_size=30)


@given(_steps, st.floats(0, 1e5), st.floats(0.01, 50), st.floats(-0.5, 0.499))
def test_what_is_believed_lies_between_what_was_seen_and_the_guess(
    steps: list[tuple[bool, float, float]], silence: float, guess: float, luck: float
) -> None:
    stats, now = Stats(), NOW
    for went_well, seconds, passed in steps:
        now += passed
        stats.started(A)
        if went_well:
            stats.answered(A, seconds, now, streamed=False)
            stats.finished(A, 5, 1.0)
        else:
            stats.failed(A, "x", now)
    record, now = record_of(stats), now + silence
    trust = record.trust(now)
    mean = record.mean_seconds(False)
    seen = [seconds for went_well, seconds, _ in steps if went_well]
    assert record.in_flight == 0
    assert 0.0 <= trust <= MOST_TRUST
    assert 0.0 < record.likely_success(trust) <= 1.0
    assert (min(seen) * 0.999 <= mean <= max(seen) * 1.001) if seen else mean == 0.0
    between = record.likely_seconds(trust, guess, False)
    assert min(mean or guess, guess) * 0.999 <= between <= max(mean, guess) * 1.001
    assert record.drawn_seconds(now, mean or guess, guess, luck) > 0.0


def test_failures_of_an_outage_are_forgotten_once_health_has_it_out() -> None:
    stats = called(*[1.0] * 5)
    for _ in range(20):
        stats.started(A)
        stats.failed(A, "UpstreamUnavailable", NOW)
    assert record_of(stats).likely_success(16.0) < 0.3
    stats.excused(A)
    assert record_of(stats).likely_success(16.0) == USUAL_SUCCESS
    assert record_of(stats).success_rate() < 0.3


def test_an_answer_that_breaks_is_no_success_and_no_second_call() -> None:
    stats, at = Stats(), deployment("a")
    stats.started(at)
    stats.answered(at, 0.5, 10.0, streamed=True)
    stats.broke(at, "UpstreamBroken")
    record = stats.of(at)
    assert record is not None
    assert (record.in_flight, record.calls, record.successes, record.wins) == (0, 1.0, 0.0, 0.0)
    assert (record.total_calls, record.total_failures, record.last_error) == (1, 1, "UpstreamBroken")
