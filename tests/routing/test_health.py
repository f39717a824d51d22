"""The health of deployments: when they leave routing, how they come back, and what never moves them."""

import math
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orcestator.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.routing.events import Event, HealthChanged
from orcestator.routing.health import MOST_RECORDS, BreakerPolicy, HealthBoard, State
from orcestator.routing.offer import Candidate
from orcestator.routing.verdict import judge
from tests.routing.failures import candidate, failure, limited

A, B = candidate("a"), candidate("b")
POLICY = BreakerPolicy()


class Board:
    """A board at one moment, with its events."""

    def __init__(self, policy: BreakerPolicy = POLICY, rng: float = 0.0) -> None:
        self.events: list[Event] = []
        self.health = HealthBoard(policy, self.events.append, lambda: rng)
        self.now = 1000.0

    def fail(self, error: UpstreamError | None = None, times: int = 1, at: Candidate = A) -> None:
        for _ in range(times):
            self.health.started(at, self.now)
            self.health.failed(at, error or failure(), judge(error or failure()), self.now)

    def succeed(self, times: int = 1, at: Candidate = A) -> None:
        for _ in range(times):
            self.health.started(at, self.now)
            self.health.succeeded(at, self.now)

    def allows(self, at: Candidate = A) -> bool:
        return self.health.allows(at, self.now)

    @property
    def states(self) -> list[tuple[str, float]]:
        return [(event.state, event.seconds) for event in self.events if isinstance(event, HealthChanged)]


@pytest.mark.parametrize("kind", [UpstreamUnavailable, UpstreamTimeout, UpstreamBroken])
def test_five_failures_in_a_row_open_it(kind: type[UpstreamError]) -> None:
    board = Board()
    board.fail(failure(kind), 4)
    assert board.allows()

    board.fail(failure(kind))

    assert not board.allows()
    assert board.allows(B)
    assert board.states == [("open", 2.5)]
    assert isinstance(board.events[0], HealthChanged)
    assert board.events[0].reason == f"{kind.__name__}: x"


def test_a_success_between_starts_the_count_anew() -> None:
    board = Board()
    for _ in range(3):
        board.fail(times=4)
        board.succeed()

    assert board.allows()


def test_half_of_twenty_calls_open_it() -> None:
    board = Board()
    board.fail()
    for _ in range(9):
        board.succeed()
        board.fail()
    assert board.allows(), "19 calls are too few to judge by"

    board.fail()

    assert not board.allows()


def test_failures_of_an_old_window_do_not_count() -> None:
    board = Board()
    for _ in range(9):
        board.fail()
        board.succeed()
    board.now += POLICY.window_seconds + 1
    board.fail()
    board.fail()

    assert board.allows()


@pytest.mark.parametrize("error", [failure(UpstreamRejected), failure(UpstreamRejected, 30.0)])
def test_a_refused_request_says_nothing_about_health(error: UpstreamError) -> None:
    board = Board()
    board.fail(error, 100)

    assert board.allows()
    assert board.health.records == {}
    assert board.events == []


def test_one_probe_at_a_time_after_the_pause() -> None:
    board = Board()
    board.fail(times=5)
    board.now += 2.5
    assert board.allows()

    board.health.started(A, board.now)

    assert not board.allows()
    assert board.states[-1] == ("half_open", 0.0)


def test_a_probe_that_succeeds_closes_it_and_forgets() -> None:
    board = Board()
    board.fail(times=5)
    board.now += 3
    board.succeed()
    assert board.states[-1] == ("closed", 0.0)

    board.fail(times=4)

    assert board.allows(), "the failures of before are forgotten"


def test_a_probe_that_fails_opens_it_twice_as_long_up_to_the_cap() -> None:
    board = Board()
    board.fail(times=5)
    for _ in range(2000):
        board.now += 301
        board.fail()

    lengths = [seconds for state, seconds in board.states if state == "open"]
    assert lengths[:8] == [2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 150.0, 150.0]
    assert lengths[-1] == 150.0


@pytest.mark.parametrize(("rng", "seconds"), [(0.0, 2.5), (0.5, 3.75), (math.nextafter(1, 0), 5.0)])
def test_the_pause_is_jittered_by_half(rng: float, seconds: float) -> None:
    board = Board(rng=rng)
    board.fail(times=5)

    assert board.states == [("open", pytest.approx(seconds))]


def test_failures_that_were_under_way_when_it_opened_do_not_lengthen_the_pause() -> None:
    board = Board()
    for _ in range(100):
        board.health.started(A, board.now)
    for _ in range(100):
        board.health.failed(A, failure(), judge(failure()), board.now)

    assert board.states == [("open", 2.5)]


def test_a_success_that_was_under_way_when_it_went_out_does_not_bring_it_back() -> None:
    board = Board()
    board.fail(limited(30.0))

    board.health.succeeded(A, board.now - 5)
    assert not board.allows()

    board.succeed()
    assert board.allows(), "an attempt made since then is proof"


def test_an_abandoned_probe_gives_its_place_back() -> None:
    board = Board()
    board.fail(times=5)
    board.now += 3
    board.health.started(A, board.now)

    board.health.abandoned(A)
    board.health.abandoned(B)

    assert board.allows()


def test_a_probe_that_never_ends_loses_its_place() -> None:
    board = Board()
    board.fail(times=5)
    board.now += 3
    board.health.started(A, board.now)
    board.now += board.health.probe_seconds + 1

    assert board.allows()


def test_a_probe_that_is_rate_limited_leaves_the_next_probe_to_come() -> None:
    board = Board()
    board.fail(times=5)
    board.now += 3
    board.fail(limited(7.0))
    assert not board.allows()

    board.now += 7
    assert board.allows()
    assert board.health.records[A].state is State.HALF_OPEN


@pytest.mark.parametrize(
    ("error", "state", "seconds"),
    [
        (limited(), "cooldown", 5.0),
        (limited(12.5), "cooldown", 12.5),
        (limited(86_400.0), "cooldown", 3600.0),
        (failure(UpstreamModelMissing), "cooldown", 600.0),
        (failure(UpstreamKeyRefused), "key_refused", 3600.0),
        (failure(UpstreamKeyRefused, 60.0), "key_refused", 60.0),
    ],
)
def test_a_cooldown_lasts_as_long_as_asked_within_the_cap(error: UpstreamError, state: str, seconds: float) -> None:
    board = Board()
    board.fail(error)
    assert board.states == [(state, seconds)]

    board.now += seconds - 0.01
    assert not board.allows()
    board.now += 0.01
    assert board.allows()


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_cooldown_of_nothing_is_none(seconds: float) -> None:
    board = Board()
    board.fail(limited(seconds))

    assert board.allows()
    assert board.events == []


def test_a_shorter_cooldown_or_pause_does_not_cut_a_longer_one() -> None:
    board = Board()
    board.fail(limited(60.0))
    board.fail(limited(1.0))
    board.fail(times=5)
    board.now += 59

    assert not board.allows()


def test_with_everyone_out_the_one_that_is_back_first_is_tried() -> None:
    board = Board()
    board.fail(limited(60.0))
    board.fail(limited(20.0), at=B)

    assert board.health.soonest((A, B)) == B
    assert board.health.soonest((A,)) == A
    assert board.health.soonest((A, candidate("c"))) == candidate("c")


def test_names_that_callers_invent_do_not_grow_the_table() -> None:
    board = Board()
    for number in range(MOST_RECORDS + 50):
        board.fail(failure(UpstreamModelMissing), at=candidate("a", f"invented-{number}"))

    assert len(board.health.records) == MOST_RECORDS


_errors = st.sampled_from(
    [
        UpstreamUnavailable,
        UpstreamUnavailable,
        UpstreamTimeout,
        UpstreamBroken,
        UpstreamRateLimited,
        UpstreamRejected,
        UpstreamKeyRefused,
    ]
)


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order, the board keeps its promises."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board(BreakerPolicy(consecutive_failures=3, minimum_calls=6), rng=0.3)
        self.under_way: list[tuple[Candidate, float]] = []

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.board.now += seconds

    @rule(at=st.sampled_from([A, B]), forced=st.booleans())
    def an_attempt_starts(self, at: Candidate, forced: bool) -> None:
        health, now = self.board.health, self.board.now
        if forced or health.allows(at, now):
            health.started(at, now)
            self.under_way.append((at, now))
            record = health.records.get(at)
            if record is not None and record.state is not State.CLOSED:
                assert not health.allows(at, now), "only one probe at a time"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), kind=_errors, seconds=st.none() | st.floats(0, 9000))
    def one_fails(self, data: Any, kind: type[UpstreamError], seconds: float | None) -> None:
        at, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = {other: self.board.allows(other) for other in (A, B) if other != at}
        error = failure(kind, seconds)
        self.board.health.failed(at, error, judge(error), self.board.now)
        assert before == {other: self.board.allows(other) for other in before}, "one deployment's failure is its own"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_succeeds(self, data: Any) -> None:
        at, started = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        record = self.board.health.records.get(at)
        is_news = record is None or started >= record.out_since
        self.board.health.succeeded(at, started)
        if is_news:
            assert self.board.allows(at), "proof of health brings it back at once"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_is_abandoned(self, data: Any) -> None:
        at, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.board.health.abandoned(at)

    @invariant()
    def nobody_is_out_for_ever(self) -> None:
        for at in (A, B):
            record = self.board.health.records.get(at)
            if record is not None:
                rounding = 1e-6
                assert record.out_until - self.board.now <= POLICY.longest_cooldown_seconds + rounding
                assert record.failures <= record.calls
        later = self.board.now + POLICY.longest_cooldown_seconds + self.board.health.probe_seconds + 1
        assert all(self.board.health.allows(at, later) for at in (A, B))
        assert self.board.health.soonest((A, B)) in (A, B)

    @invariant()
    def every_pause_is_within_its_bounds(self) -> None:
        for state, seconds in self.board.states:
            longest = POLICY.longest_open_seconds if state == "open" else POLICY.longest_cooldown_seconds
            assert 0 <= seconds <= longest


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase


@pytest.mark.parametrize(("status", "is_out"), [(401, True), (402, True), (403, False)])
def test_a_refused_key_takes_every_model_of_its_provider_out(status: int, is_out: bool) -> None:
    """A 403 may only mean that the key does not open this one model."""
    board = Board()
    other = A._replace(model="another-model")
    board.fail(UpstreamKeyRefused("no", cause=f"http_{status}", upstream_status=status))

    assert not board.allows()
    assert board.allows(other) is not is_out
    assert board.allows(B)

    board.succeed(at=other)
    assert board.allows(other)
