"""Limits that an upstream keeps to itself."""

import pytest

from orcestator.simulator.meter import Meter
from orcestator.simulator.scenario import Limits


def taken(limits: Limits, seconds: list[float]) -> list[bool]:
    meter = Meter()
    found = []
    for now in seconds:
        has_room = meter.back_at(limits, now) <= now
        if has_room:
            meter.take(limits, now)
            meter.release()
        found.append(has_room)
    return found


def test_a_sliding_window_forgets_each_request_a_minute_after_it() -> None:
    limits = Limits(2, "sliding")
    assert taken(limits, [0.0, 50.0, 59.0, 60.0, 61.0, 110.0]) == [True, True, False, True, False, True]


def test_a_fixed_window_begins_anew_with_the_minute() -> None:
    limits = Limits(2, "fixed")
    assert taken(limits, [50.0, 58.0, 59.0, 60.0, 61.0, 62.0]) == [True, True, False, True, True, False]


def test_a_bucket_leaks_all_the_time() -> None:
    limits = Limits(6, "bucket")
    assert taken(limits, [0.0] * 7) == [True] * 6 + [False]
    assert taken(limits, [*[0.0] * 6, 9.0, 10.0, 10.5]) == [True] * 6 + [False, True, False]


@pytest.mark.parametrize(("window", "back_at"), [("sliding", 62.0), ("fixed", 60.0), ("bucket", 32.0)])
def test_it_knows_when_there_is_room_again(window: str, back_at: float) -> None:
    limits, meter = Limits(2, window), Meter()  # type: ignore[arg-type]
    meter.take(limits, 2.0)
    meter.take(limits, 2.0)
    assert meter.back_at(limits, 2.0) == pytest.approx(back_at)


def test_only_so_many_at_a_time() -> None:
    limits, meter = Limits(concurrency=1), Meter()
    meter.take(limits, 0.0)
    assert meter.back_at(limits, 0.0) > 0.0
    meter.release()
    assert meter.back_at(limits, 0.0) == 0.0


@pytest.mark.parametrize(("window", "told"), [("sliding", (2, 42.0)), ("fixed", (2, 40.0)), ("bucket", (3, 18.0))])
def test_it_tells_what_is_left_and_when_it_comes_back_as_real_ones_do(window: str, told: tuple[int, float]) -> None:
    limits, meter = Limits(5, window), Meter()  # type: ignore[arg-type]
    for now in (2.0, 11.0, 20.0):
        meter.take(limits, now)

    assert meter.remaining(limits, 20.0) == told
