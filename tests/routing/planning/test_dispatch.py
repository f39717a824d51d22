"""The controller's choice of a worker: who is passed over, how the methods choose, and what a report is worth saying."""

import random
from collections import Counter
from itertools import product

import pytest

from orcestator.routing.planning.dispatch import NOTHING, Place, Report, chosen

METHODS = ("shortest_queue", "lottery", "score", "adaptive")
NOW = 1000.0


def place(worker: str, *, load: float = 0.0, speed: float = 1.0, report: Report | None = None, **unwell: bool) -> Place:
    return Place(worker, speed, load, measure=report.measure(NOW) if report else None, **unwell)


def picked(method, *places: Place, times: int = 200, seed: int = 1) -> Counter[str]:
    draw = random.Random(seed).random
    return Counter(chosen(places, method, NOW, draw).worker for _ in range(times))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trouble", ["is_down", "is_stale", "is_out"])
def test_who_is_unwell_is_passed_over(method, trouble):
    """However much it is fancied otherwise."""
    best = Report(calls=16.0, successes=16.0, seconds=0.01)
    worst = Report(calls=16.0, successes=8.0, seconds=9.0)
    unwell = place("unwell", speed=100.0, report=best, **{trouble: True})
    assert picked(method, unwell, place("well", load=50.0, report=worst)) == {"well": 200}


@pytest.mark.parametrize("method", METHODS)
def test_a_model_is_never_without_an_address(method):
    for down, stale, out in product((True, False), repeat=3):
        assert picked(method, place("only", is_down=down, is_stale=stale, is_out=out), times=1) == {"only": 1}


@pytest.mark.parametrize("method", METHODS)
def test_of_the_unwell_the_least_so(method):
    """Checks that failed weigh more than silence, and silence more than trouble, which may be over."""
    down, stale, out = place("down", is_down=True), place("stale", is_stale=True), place("out", is_out=True)
    assert picked(method, down, stale, out) == {"out": 200}
    assert picked(method, down, stale) == {"stale": 200}
    assert picked(method, down, place("down too", is_down=True, is_out=True)) == {"down": 200}


def test_score_takes_the_surer_and_the_quicker():
    sure, unsure = Report(16.0, 16.0, 1.0), Report(16.0, 8.0, 1.0)
    assert picked("score", place("unsure", report=unsure), place("sure", report=sure)) == {"sure": 200}
    quick, slow = Report(16.0, 16.0, 0.2), Report(16.0, 16.0, 3.0)
    assert picked("score", place("slow", report=slow), place("quick", report=quick)) == {"quick": 200}


def test_equals_are_taken_by_what_they_have_to_do():
    assert picked("score", place("busy", load=2.0), place("idle", load=1.0)) == {"idle": 200}


def test_adaptive_prefers_the_better_and_tries_the_doubtful():
    quick, slow = Report(16.0, 16.0, 0.3), Report(16.0, 16.0, 3.0)
    found = picked("adaptive", place("slow", report=slow), place("quick", report=quick))
    assert found["quick"] == 200
    long_ago = Report(16.0, 16.0, 3.0, age=900.0)
    assert 0 < picked("adaptive", place("was slow", report=long_ago), place("quick", report=quick))["was slow"] < 200


def test_who_reports_nothing_is_fine():
    """A stock worker beside one of ours that fails half of the time."""
    ours = place("ours", report=Report(16.0, 8.0, 2.0))
    assert picked("score", ours, place("stock")) == {"stock": 200}
    assert picked("adaptive", ours, place("stock"))["stock"] > 190


def test_the_lottery_goes_by_speed():
    found = picked("lottery", place("a", speed=3.0), place("b", speed=1.0), times=4000)
    assert 2850 < found["a"] < 3150


@pytest.mark.parametrize(
    ("told", "now", "is_news"),
    [
        (None, NOTHING, False),
        (None, Report(1.0, 1.0, 0.5), True),
        (None, Report(is_out=True), True),
        (Report(9.0, 9.0, 0.5), Report(9.0, 9.0, 0.5, is_out=True), True),
        (Report(9.0, 9.0, 0.5, is_out=True), Report(9.0, 9.0, 0.5), True),
        (Report(9.0, 9.0, 0.5), Report(10.0, 10.0, 0.55), False),
        (Report(9.0, 9.0, 0.5), Report(9.0, 9.0, 0.7), True),
        (Report(9.0, 9.0, 0.5), Report(9.0, 9.0, 0.3), True),
        (Report(9.0, 9.0, 0.5), Report(9.0, 7.0, 0.5), True),
        (Report(2.0, 2.0, 0.5), Report(12.0, 12.0, 0.5), True),
    ],
)
def test_only_what_would_change_a_choice_is_news(told, now, is_news):
    assert now.is_news(told, 0.0) is is_news


def test_that_calls_go_on_is_news_once_they_are_taken_to_have_stopped():
    steady = Report(16.0, 16.0, 0.5)
    assert not steady.is_news(steady, 20.0)
    assert steady.is_news(steady, 90.0)
    # What has really stopped fades there as it does here.
    assert not steady._replace(age=90.0).is_news(steady, 90.0)
