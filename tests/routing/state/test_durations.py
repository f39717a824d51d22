"""When a call has taken so long that another is better started."""

import random
from collections.abc import Callable
from math import exp

import pytest

from orcestator.routing.state.durations import BUCKETS, ENOUGH_CALLS, HALF_LIFE_SECONDS, Durations

NEVER = 500.0
"""More than anything a test draws."""


def learned(draw: Callable[[], float], calls: int = 500, every: float = 1.0) -> Durations:
    """What so many calls told."""
    durations = Durations()
    for number in range(calls):
        durations.add(draw(), number * every)
    return durations


def two_humps(rng: random.Random, share: float) -> Callable[[], float]:
    """A tenth of a second, and this share of them 4 s."""
    return lambda: (4.0 if rng.random() < share else 0.1) * exp(rng.gauss(0.0, 0.2))


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_with_two_humps_it_is_between_them_after_two_or_three_medians(share: float) -> None:
    late = learned(two_humps(random.Random(1), share)).anew_after(0.0, 0.5)
    assert late is not None
    assert 0.15 <= late <= 0.3


def test_with_one_hump_hardly_any_call_is_late() -> None:
    rng = random.Random(1)
    late = learned(lambda: 0.5 * exp(rng.gauss(0.0, 0.55))).anew_after(0.0, 0.5)
    assert late is not None
    assert late > 0.5 * exp(1.9 * 0.55)  # three calls in a hundred take longer


def test_whoever_is_slow_throughout_is_not_late_at_once_because_others_are_quicker() -> None:
    rng = random.Random(1)
    durations = learned(lambda: 4.0 * exp(rng.gauss(0.0, 0.2)))
    late = durations.anew_after(0.1, 0.5)
    assert late is not None
    assert late > 6.0


def test_where_a_new_start_takes_long_it_is_later_or_never() -> None:
    durations = learned(two_humps(random.Random(1), 0.1))
    assert (durations.anew_after(0.1, 0.5) or 0.0) < 0.3
    assert (durations.anew_after(60.0, 0.5) or 0.0) > 4.0


def test_nothing_is_late_before_the_share_of_calls_that_was_asked_for() -> None:
    durations = learned(two_humps(random.Random(1), 0.1))
    assert (durations.anew_after(0.0, 0.95) or 0.0) > 2.0


def test_calls_that_are_all_alike_are_late_after_half_as_long_again() -> None:
    late = learned(lambda: 0.5, 3000).anew_after(0.0, 0.5)
    assert late is not None
    assert 0.75 <= late <= 1.2


def test_before_there_are_enough_calls_nothing_is_late() -> None:
    durations = learned(lambda: 0.1, ENOUGH_CALLS - 1)
    assert durations.anew_after(0.0, 0.5) is None
    durations.add(0.1, 100.0)
    assert durations.anew_after(0.0, 0.5) is not None


def test_calls_that_are_always_cut_off_do_not_make_the_tail_be_forgotten() -> None:
    """Of a call that lost against its hedge only that it would have taken longer is known."""
    rng = random.Random(1)
    draw, durations = two_humps(rng, 0.1), learned(two_humps(rng, 0.1))
    for number in range(3000):
        seconds = draw()
        late = durations.anew_after(0.0, 0.5) or NEVER
        if seconds > late + 0.1:
            durations.cut_off(late + 0.1, 500.0 + number)
        else:
            durations.add(seconds, 500.0 + number)
    assert durations.mean() > 0.3
    assert durations.percentile(0.99) > 2.0
    assert 0.15 <= (durations.anew_after(0.0, 0.5) or 0.0) <= 0.3


def test_it_forgets_with_calls_and_with_time() -> None:
    durations = learned(lambda: 4.0, 1000)
    for number in range(1000):
        durations.add(0.1, 1000.0 + number)
    assert durations.percentile(0.9) < 0.2
    durations = learned(lambda: 4.0, 1000, every=0.01)
    for number in range(ENOUGH_CALLS + 1):
        durations.add(0.1, 20 * HALF_LIFE_SECONDS + number)
    assert durations.percentile(0.5) < 0.2


def test_a_quiet_deployment_keeps_enough_to_go_by() -> None:
    durations = learned(two_humps(random.Random(1), 0.1), 100, every=600.0)
    assert 0.15 <= (durations.anew_after(0.0, 0.5) or 0.0) <= 0.3


def test_percentiles_and_the_mean_are_those_of_the_calls_to_a_fifth() -> None:
    durations = learned(two_humps(random.Random(1), 0.1))
    assert durations.percentile(0.5) == pytest.approx(0.1, rel=0.2)
    assert durations.percentile(0.97) == pytest.approx(4.0, rel=0.35)
    assert durations.mean() == pytest.approx(0.49, rel=0.3)
    assert (Durations().percentile(0.5), Durations().mean()) == (0.0, 0.0)


def test_any_duration_and_any_silence_is_taken() -> None:
    durations = Durations()
    for now, seconds in enumerate([0.0, 1e-9, 1e-3, 1.0, 599.0, 1e9, 0.1]):
        durations.add(seconds, 1e7 * now)
    assert durations.residual(1e9) == 1e9
    for _ in range(20_000):
        durations.add(0.1, 1e8)
    assert durations.percentile(0.5) == pytest.approx(0.1, rel=0.2)
    assert BUCKETS == 72
