"""The health of deployments: when they leave routing, how they come back, and what never moves them."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orcestator.errors import (
    SPENT,
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
from orcestator.routing.offer import Deployment
from orcestator.routing.state.circuit_breaker import MOST_RECORDS, BreakerPolicy, CircuitBreakers, Standing, State
from orcestator.routing.verdict import judge
from tests.routing.failures import deployment, failure, limited

A, B = deployment("a"), deployment("b")
POLICY = BreakerPolicy()


class Board:
    """A board at one moment, with its events."""

    def __init__(self, policy: BreakerPolicy = POLICY, rng: float = 0.0) -> None:
        self.events: list[Event] = []
        self.health = CircuitBreakers(policy, self.events.append, lambda: rng)
        self.now = 1000.0

    def fail(self, error: UpstreamError | None = None, times: int = 1, at: Deployment = A) -> None:
        for _ in range(times):
            self.health.started(at, self.now)
            self.health.failed(at, error or failure(), judge(error or failure()), self.now)

    def succeed(self, times: int = 1, at: Deployment = A) -> None:
        for _ in range(times):
            self.health.started(at, self.now)
            self.health.succeeded(at, self.now)

    def allows(self, at: Deployment = A) -> bool:
        return self.health.allows(at, self.now)

    @property
    def states(self) -> list[tuple[str, float]]:
        return [(event.state, event.seconds) for event in self.events if isinstance(event, HealthChanged)]


def down_for(seconds: float) -> Board:
    """A board on which A has been down for so long, each probe a bad one, and may be probed again."""
    board = Board()
    began = board.now
    board.fail(times=5)
    while board.now < began + seconds:
        board.now = min(began + seconds, board.now + 1.0)
        if board.now < began + seconds and board.allows():
            board.fail()
    board.health.probe_now("a", board.now)
    return board


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

    board.health.abandoned(A, board.now - 1)
    board.health.abandoned(B, board.now)
    assert not board.allows(), "an older attempt has no place to give back"

    board.health.abandoned(A, board.now)
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
    assert board.health.records[A[:3]].state is State.HALF_OPEN


@pytest.mark.parametrize(
    ("error", "state", "seconds"),
    [
        (limited(), "cooldown", 5.0),
        (limited(12.5), "cooldown", 12.5),
        (limited(86_400.0), "cooldown", 86_400.0),
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
    assert board.health.soonest((A, deployment("c"))) == deployment("c")


@pytest.mark.parametrize("kind", [UpstreamModelMissing, UpstreamUnavailable])
def test_names_that_callers_invent_push_no_open_breaker_out(kind: type[UpstreamError]) -> None:
    board = Board()
    for _ in range(POLICY.consecutive_failures):
        board.fail(failure())
    assert not board.health.allows(A, board.now)
    for number in range(MOST_RECORDS + 50):
        for _ in range(1 if kind is UpstreamModelMissing else POLICY.consecutive_failures):
            board.fail(failure(kind), at=A._replace(model=f"invented-{number}"))
    assert not board.health.allows(A, board.now)
    assert len(board.health.records) <= MOST_RECORDS


def test_names_that_callers_invent_do_not_grow_the_table() -> None:
    board = Board()
    for number in range(MOST_RECORDS + 50):
        board.fail(failure(UpstreamModelMissing), at=deployment("a", f"invented-{number}"))
        board.fail(limited(60.0), at=deployment("b", f"invented-{number}"))

    assert len(board.health.records) <= MOST_RECORDS
    assert len(board.health.pauses) <= MOST_RECORDS


_errors = st.sampled_from(
    [
        UpstreamUnavailable,
        UpstreamUnavailable,
        UpstreamTimeout,
        UpstreamBroken,
        UpstreamRateLimited,
        UpstreamRejected,
        UpstreamKeyRefused,
        UpstreamModelMissing,
    ]
)


A2 = A._replace(credential="2")
EVERYONE = (A, A2, B)


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order, the board keeps its promises."""

    def __init__(self) -> None:
        super().__init__()
        policy = BreakerPolicy(consecutive_failures=3, minimum_calls=6, success_threshold=2)
        self.board = Board(policy, rng=0.3)
        self.under_way: list[tuple[Deployment, float]] = []
        self.gone: set[tuple[str, ...]] = set()

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.board.now += seconds

    @rule(at=st.sampled_from(EVERYONE), forced=st.booleans())
    def an_attempt_starts(self, at: Deployment, forced: bool) -> None:
        health, now = self.board.health, self.board.now
        if (forced and at[:3] not in self.gone) or health.allows(at, now):
            health.started(at, now)
            self.under_way.append((at, now))
            record = health.records.get(at[:3])
            if record is not None and record.state is not State.CLOSED:
                assert not health.allows(at, now), "only one probe at a time"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), kind=_errors, seconds=st.none() | st.floats(0, 9000))
    def one_fails(self, data: Any, kind: type[UpstreamError], seconds: float | None) -> None:
        at, started = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = {other: self.board.allows(other) for other in EVERYONE if other.provider != at.provider}
        error = failure(kind, seconds)
        self.board.health.failed(at, error, judge(error), self.board.now, started=started)
        assert before == {other: self.board.allows(other) for other in before}, "one deployment's failure is its own"
        if kind is UpstreamModelMissing:
            self.gone.add(at[:3])

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_succeeds(self, data: Any) -> None:
        at, started = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        record = self.board.health.records.get(at[:3])
        is_news = record is None or started >= record.out_since
        pauses = [pause for place, pause in self.board.health.pauses.items() if place[3:] in ((), (at.credential,))]
        self.board.health.succeeded(at, started)
        if is_news:
            self.gone.discard(at[:3])
        if is_news and all(started >= pause.since for pause in pauses):
            assert self.board.allows(at), "proof of health brings it back, or leaves the place to the next probe"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), breaks=st.booleans())
    def one_succeeds_and_its_stream_ends(self, data: Any, breaks: bool) -> None:
        at, started = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.board.health.succeeded(at, started)
        if breaks:
            error = failure(UpstreamBroken)
            self.board.health.broke(at, error, judge(error), self.board.now, started=started)
        else:
            self.board.health.finished(at)
        if started >= self.board.now:
            self.gone.discard(at[:3])

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_is_abandoned(self, data: Any) -> None:
        at, started = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.board.health.abandoned(at, started)

    @rule(at=st.sampled_from(EVERYONE), is_listed=st.booleans())
    def a_person_or_a_listing_forgives(self, at: Deployment, is_listed: bool) -> None:
        if is_listed:
            self.board.health.readmit(at.provider, at.worker, {at.model})
        else:
            self.board.health.reset(at.provider, at.model)
            assert self.board.allows(at)
        self.gone.discard(at[:3])

    @invariant()
    def nobody_is_out_for_ever_but_who_is_missing(self) -> None:
        later = self.board.now + POLICY.longest_cooldown_seconds + self.board.health.probe_seconds + 1
        for record in self.board.health.records.values():
            assert record.failures <= record.calls
        for pause in self.board.health.pauses.values():
            assert pause.until - self.board.now <= POLICY.longest_cooldown_seconds + 1e-6
        states = self.board.health.states(later)
        assert {state[:3] for state in states if state.seconds != 0.0} == self.gone
        assert self.board.health.soonest(EVERYONE) in EVERYONE

    @invariant()
    def a_standing_says_what_is_allowed(self) -> None:
        now = self.board.now
        for at in EVERYONE:
            standing = self.board.health.standing(at, now)
            assert (standing is not None and standing.until > now) is not self.board.allows(at)
            if standing is not None:
                assert 0.0 < standing.share <= 1.0
                assert standing.share == 1.0 or standing.state == "recovering"
                assert standing.is_final is (at[:3] in self.gone)
                assert not self.board.health.is_quiet
            else:
                assert at[:3] not in self.gone

    @invariant()
    def every_pause_is_within_its_bounds(self) -> None:
        for state, seconds in self.board.states:
            longest = POLICY.longest_open_seconds if state == "open" else POLICY.longest_cooldown_seconds
            assert 0 <= seconds <= longest


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase


@pytest.mark.parametrize(
    ("cause", "is_out"), [("http_401", True), ("http_402", True), (SPENT, True), ("http_403", False)]
)
def test_a_refused_key_takes_every_model_of_its_provider_out(cause: str, is_out: bool) -> None:
    """A 403 may only mean that the key does not open this one model."""
    board = Board()
    other = A._replace(model="another-model")
    second = A._replace(credential="2")
    board.fail(failure(UpstreamKeyRefused, cause=cause))

    assert not board.allows()
    assert board.allows(other) is not is_out
    assert board.allows(B)
    assert board.allows(second), "another key of the same provider goes on"
    assert board.health.soonest((A, other, second)) == (second if is_out else other)

    board.succeed(at=other)
    assert board.allows(other)
    assert board.allows(A) is is_out, "proof of the key is proof for every model of it"


def test_a_rate_limit_is_the_models_with_this_key() -> None:
    board = Board()
    board.fail(limited(30.0))

    assert not board.allows()
    assert board.allows(A._replace(credential="2"))
    assert board.allows(A._replace(model="another-model"))


def test_a_breaker_is_the_deployments_whatever_the_key() -> None:
    board = Board()
    second = A._replace(credential="2")
    board.fail(times=3)
    board.fail(times=2, at=second)

    assert not board.allows()
    assert not board.allows(second)
    assert board.health.standing(second, board.now) == Standing(
        "open", board.now + 2.5, 1.0, False, "UpstreamUnavailable: x"
    )


def test_nothing_to_look_at_is_quiet_and_becomes_so_again() -> None:
    board = Board()
    board.succeed()
    assert board.health.is_quiet
    assert board.health.standing(A, board.now) is None

    board.fail()
    assert not board.health.is_quiet
    board.now += POLICY.window_seconds + 1
    board.succeed()
    assert board.health.is_quiet, "an old failure is forgotten"

    board.fail(limited(5.0))
    board.now += 5.0
    assert board.allows()
    assert board.health.is_quiet, "a cooldown that is over is forgotten when it is looked at"


def test_two_good_probes_where_two_are_asked_for() -> None:
    board = Board(BreakerPolicy(success_threshold=2))
    board.fail(times=5)
    board.now += 3
    board.succeed()
    assert [state for state, _ in board.states] == ["open", "half_open"]
    assert board.allows(), "the next probe"

    board.succeed()
    assert board.states[-1] == ("closed", 0.0)


def test_a_bad_probe_between_starts_the_count_of_good_ones_anew() -> None:
    board = Board(BreakerPolicy(success_threshold=2))
    board.fail(times=5)
    board.now += 3
    board.succeed()
    board.fail()
    board.now += 6
    board.succeed()

    assert board.states[-1] == ("half_open", 0.0)


def test_the_share_grows_from_a_tenth_to_the_whole() -> None:
    board = down_for(300.0)
    board.succeed()

    shares = []
    for _ in range(4):
        standing = board.health.standing(A, board.now)
        shares.append(standing.share if standing else None)
        assert standing is None or (standing.state, standing.until) == ("recovering", board.now)
        board.now += 10.0
    assert shares == [pytest.approx(0.1), pytest.approx(0.4), pytest.approx(0.7), None]
    assert board.health.is_quiet


def test_who_was_out_for_moments_is_back_in_moments() -> None:
    board = down_for(10.0)
    board.succeed()
    board.now += 0.5
    standing = board.health.standing(A, board.now)
    assert standing is not None
    assert standing.share == pytest.approx(0.55)
    board.now += 0.5
    assert board.health.standing(A, board.now) is None


def test_one_that_breaks_again_while_it_recovers_stays_out_longer_than_one_that_was_well() -> None:
    board = down_for(300.0)
    board.succeed()
    board.fail(times=5)
    assert board.states[-1] == ("open", 75.0)
    board.now += 75.0
    board.succeed()
    board.now += POLICY.slow_start_seconds
    board.fail(times=5)

    assert board.states[-1] == ("open", 2.5)


def test_what_is_well_half_of_the_time_is_noticed_each_time() -> None:
    """However often it went down: the next pause follows this outage, not all that were before."""
    board, noticed = Board(), []
    for began in range(1000, 5000, 80):
        board.now = began
        while not board.allows():
            board.now += 0.5
        board.fail(times=5)
        while board.now < began + 40:
            board.now += 0.5
            if board.allows():
                board.fail()
        while not board.allows():
            board.now += 0.5
        noticed.append(board.now - began - 40)
        board.succeed()
    assert max(noticed) <= 15.0


def test_a_probe_that_another_call_outran_is_tried_again_soon_and_not_at_once() -> None:
    board = down_for(300.0)
    board.health.started(A, board.now)
    board.health.outrun(A, board.now, started=board.now)
    assert board.states[-1] == ("open", pytest.approx(0.5 * 0.125 * 300.0))
    assert not board.allows()
    board.now += 20.0
    board.succeed()
    assert board.states[-1] == ("closed", 0.0)
    board.health.outrun(A, board.now, started=board.now)
    assert board.allows()


def test_a_model_that_is_missing_is_out_until_it_is_listed_or_reset() -> None:
    board = Board()
    board.fail(failure(UpstreamModelMissing))
    board.fail(times=9)
    board.now += 1e6

    standing = board.health.standing(A, board.now)
    assert standing == Standing("permanently_unavailable", math.inf, 1.0, True, "UpstreamModelMissing: x")
    assert board.states == [("permanently_unavailable", 0.0)]
    board.health.readmit("a", "", {"another"})
    board.health.readmit("a", "worker", {"m"})
    assert not board.allows()

    board.health.readmit("a", "", {"m"})
    assert board.allows()
    assert board.states[-1] == ("closed", 0.0)

    board.fail(failure(UpstreamModelMissing))
    assert board.health.reset("a", "m")
    assert board.health.is_quiet
    assert not board.health.reset("a", "m")


def test_a_reset_forgets_what_is_held_against_one_model_and_its_keys_only() -> None:
    board = Board()
    other = A._replace(model="another-model")
    board.fail(times=5)
    board.fail(limited(60.0))
    board.fail(failure(UpstreamKeyRefused))
    board.fail(limited(60.0), at=other)

    assert board.health.reset("a", "m")

    assert board.allows()
    assert not board.allows(other)
    assert board.health.reset("a")
    assert board.health.is_quiet


def test_the_states_for_people() -> None:
    board = Board()
    gone, busy, back = deployment("gone"), deployment("busy"), deployment("back")
    board.fail(failure(UpstreamModelMissing), at=gone)
    board.fail(limited(30.0), at=busy._replace(credential="2"))
    board.fail(times=5, at=back)
    board.now += 3
    board.succeed(at=back)
    board.fail(times=5)
    board.fail(times=2, at=B)

    states = {state.provider: state for state in board.health.states(board.now)}

    assert {name: (s.state, s.seconds) for name, s in states.items()} == {
        "gone": ("permanently_unavailable", -1.0), "back": ("recovering", 0.0), "a": ("open", 2.5), "b": ("closed", 0.0),
        "busy": ("cooldown", 27.0),
    }  # fmt: skip
    assert (states["busy"].credential, states["b"].consecutive_failures, states["a"].times_opened) == ("2", 2, 1)
    assert states["back"].share == pytest.approx(0.1)


def test_every_way_of_failing_leaves_the_probes_place() -> None:
    for kind in UpstreamError.__subclasses__():
        board = Board()
        board.fail(times=5)
        board.now += 3
        board.fail(failure(kind))
        standing = board.health.standing(A, board.now + 3600.0)
        assert standing is not None
        assert standing.until <= board.now + 3600.0 or standing.is_final


def break_streams(board: Board, times: int, at: Deployment = A) -> None:
    """Streams that begin well and break after their first content."""
    error = failure(UpstreamBroken)
    for _ in range(times):
        board.succeed(at=at)
        board.health.broke(at, error, judge(error), board.now, started=board.now)


def test_streams_that_break_after_their_first_content_open_it_as_soon_as_others() -> None:
    """Each was told as a success before: that must not start the count anew."""
    board = Board()
    break_streams(board, POLICY.consecutive_failures - 1)
    assert board.allows()

    break_streams(board, 1)

    assert board.states == [("open", 2.5)]


def test_a_stream_that_ends_well_starts_the_count_of_broken_ones_anew() -> None:
    board = Board()
    for _ in range(3):
        break_streams(board, POLICY.consecutive_failures - 1)
        board.now += POLICY.window_seconds + 1
        board.succeed()
        board.health.finished(A)

    assert board.allows()
    board.succeed()
    assert board.health.is_quiet, "all is forgotten"


def test_a_broken_stream_is_one_call_and_not_two() -> None:
    """Of twenty calls eleven broke, none after another."""
    board = Board()
    board.fail()
    for _ in range(9):
        board.succeed()
        board.health.finished(A)
        break_streams(board, 1)
    assert board.allows(), "19 calls are too few to judge by"

    break_streams(board, 1)

    assert not board.allows()
    assert board.health.records[A[:3]].calls == 20


def test_a_stream_that_breaks_after_it_brought_a_deployment_back_takes_it_out_again() -> None:
    board = Board()
    break_streams(board, POLICY.consecutive_failures)
    board.now += 30
    break_streams(board, 1)

    assert [state for state in board.states if state[0] == "open"] == [("open", 2.5), ("open", 5.0)]


def test_an_attempt_from_before_the_outage_is_no_bad_probe() -> None:
    board = Board()
    before = board.now - 1
    board.fail(times=5)
    board.now += 3
    board.health.started(A, board.now)

    board.health.failed(A, failure(), judge(failure()), board.now, started=before)

    assert board.health.records[A[:3]].state is State.HALF_OPEN
    assert not board.allows(), "the probe that is under way keeps its place"
    board.health.succeeded(A, board.now)
    assert board.states[-1] == ("closed", 0.0)


def test_attempts_for_want_of_anything_else_do_not_lengthen_the_outage() -> None:
    """With everyone out, requests go on being tried; each that fails would double the pause."""
    board = Board()
    board.fail(times=5)
    board.now += 1
    board.fail(times=20)
    assert board.states == [("open", 2.5)]

    board.succeed()
    assert board.states[-1] == ("closed", 0.0), "one that goes well is proof"


def test_a_good_attempt_before_its_time_is_one_of_the_good_probes_asked_for() -> None:
    board = Board(BreakerPolicy(success_threshold=2))
    board.fail(times=5)
    board.succeed()
    assert board.states[-1] == ("half_open", 0.0)
    assert board.allows()

    board.succeed()
    assert board.states[-1] == ("closed", 0.0)


def test_what_counts_may_be_taken_out_as_well() -> None:
    """A person's ``cooldown_seconds`` on a failure that the breaker counts."""
    board = Board()
    verdict = replace(judge(failure()), cooldown_seconds=60.0)

    board.health.failed(A, failure(), verdict, board.now)

    assert board.states == [("cooldown", 60.0)]
    assert board.health.records[A[:3]].consecutive == 1


def test_background_checks_set_a_provider_aside_with_all_its_keys_and_are_told_once() -> None:
    board = Board()
    board.health.set_aside("a", "", ["one", "two"], 60.0, "unreachable", board.now)
    board.health.set_aside("a", "", ["one", "two"], 90.0, "unreachable", board.now)

    assert board.states == [("open", 60.0)]
    held = {place[-1]: pause for place, pause in board.health.pauses.items()}
    assert held.keys() == {"one", "two"}
    assert {pause.until for pause in held.values()} == {board.now + 90.0}

    board.health.probe_now("b", board.now)
    assert board.states == [("open", 60.0)]
    board.health.probe_now("a", board.now)
    assert board.states == [("open", 60.0), ("closed", 0.0)]
    assert board.health.pauses == {}


def test_a_provider_that_is_well_may_be_probed_before_its_time() -> None:
    board = Board()
    board.fail(times=POLICY.consecutive_failures)
    board.fail(times=POLICY.consecutive_failures, at=B)
    assert not board.allows()

    board.health.probe_now("a", board.now)

    assert board.allows()
    assert not board.allows(B)


def test_other_keys_are_held_to_nothing() -> None:
    board = Board()
    board.health.set_aside("a", "", ["one"], 60.0, "unreachable", board.now)
    board.health.set_aside("b", "", ["one"], 60.0, "unreachable", board.now)
    board.health.has_other_keys("a")

    assert [place[0] for place in board.health.pauses] == ["b"]
    assert board.states[-1] == ("closed", 0.0)
