"""The attempt loop: what it tries, in which order, how often, and how it ends."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.errors import (
    TOTAL_TIMEOUT,
    AttemptsExhausted,
    Overloaded,
    StreamInterrupted,
    UpstreamBroken,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    WorkerLost,
)
from orcestator.routing.attempts.attempt import records_of
from orcestator.routing.attempts.fallback import LoopPolicy
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.events import AttemptEnded, Event
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.verdict import Override, Verdicts, When
from orcestator.usage import Usage
from tests.routing.failures import deployment, failure, limited
from tests.routing.plans import Alone, candidate_of, plan_of

A, B, C, D = (deployment(provider) for provider in "abcd")
Script = Sequence[UpstreamError | str | BaseException]


class World:
    """A loop in a time of its own: an attempt takes ``attempt_seconds``, a sleep as long as asked."""

    def __init__(self, policy: LoopPolicy | None = None, budget: RetryBudget | None = None, rng: float = 0.5) -> None:
        self.time = 1000.0
        self.attempt_seconds = 1.0
        self.tried: list[Deployment] = []
        self.slept: list[float] = []
        self.events: list[Event] = []
        self.tally = Tally()
        self.on_sleep: Callable[[], None] = lambda: None
        self.health = CircuitBreakers(BreakerPolicy(), self.events.append, lambda: rng)
        self.loop: AttemptLoop[str] = AttemptLoop(
            policy or LoopPolicy(), self.health, budget or RetryBudget(), lambda: self.time, self._sleep,
            lambda: rng, self.events.append, Alone(),
        )  # fmt: skip

    async def _sleep(self, seconds: float) -> None:
        self.on_sleep()
        self.slept.append(seconds)
        self.time += seconds

    def run(self, script: Script, *deployments: Deployment | Candidate, seconds: float = 600.0) -> str:
        """Each attempt ends as the script says; a script that ends too early fails the test."""
        outcomes = iter(script)
        self.tally = Tally()
        self.tried.clear()

        async def attempt(at: Candidate, _taken_at: float) -> str:
            self.tried.append(at.deployment)
            self.time += self.attempt_seconds
            outcome = next(outcomes)
            if isinstance(outcome, str):
                return outcome
            raise outcome

        return asyncio.run(self.loop.run("r1", plan_of(deployments), attempt, self.tally, self.time + seconds))

    def exhausted(
        self, script: Script, *deployments: Deployment | Candidate, seconds: float = 600.0
    ) -> AttemptsExhausted:
        with pytest.raises(AttemptsExhausted) as caught:
            self.run(script, *deployments, seconds=seconds)
        return caught.value

    @property
    def served(self) -> Deployment | None:
        return self.tally.served.deployment if self.tally.served else None

    @property
    def attempts(self) -> list[AttemptEnded]:
        return list(records_of(self.tally.made, 1000.0, prompt_tokens=0))


def test_the_first_answer_is_the_answer() -> None:
    world = World()

    assert world.run(["hi"], A, B) == "hi"

    assert (world.tally.attempts, world.tally.fallbacks, world.tally.retries) == (1, 0, 0)
    assert world.served == A
    (told,) = world.attempts
    assert (told.number, told.provider, told.model, told.kind, told.error, told.verdict) == (1, "a", "m", "", "", "")
    assert (told.upstream_status, told.started_s, told.latency_s, told.maybe_billed) == (200, 0.0, 1.0, False)


@pytest.mark.parametrize(
    "kind",
    [
        UpstreamUnavailable,
        UpstreamTimeout,
        UpstreamBroken,
        UpstreamRateLimited,
        UpstreamKeyRefused,
        UpstreamModelMissing,
    ],
)
def test_a_failure_falls_back_to_the_next_without_waiting(kind: type[UpstreamError]) -> None:
    world = World()

    assert world.run([failure(kind), "hi"], A, B) == "hi"

    assert (world.tried, world.slept) == ([A, B], [])
    assert (world.tally.fallbacks, world.tally.retries, world.served) == (1, 0, B)
    assert [(end.number, end.error, end.verdict) for end in world.attempts] == [
        (1, kind.__name__, "fall_back"),
        (2, "", ""),
    ]


def test_a_refused_request_is_the_answer_and_no_other_is_asked() -> None:
    world = World()
    error = failure(UpstreamRejected)

    with pytest.raises(UpstreamRejected) as caught:
        world.run([error], A, B)

    assert caught.value is error
    assert world.attempts[0].verdict == "give_up"


def test_a_refusal_after_a_failure_is_still_the_answer() -> None:
    with pytest.raises(UpstreamRejected):
        World().run([failure(), failure(UpstreamRejected)], A, B)


def test_a_persons_word_on_one_provider_decides_what_the_caller_is_told() -> None:
    """The same failure is the last word of one provider, and at another one only an attempt among others."""
    world = World()
    gives_up = Override(When(providers=frozenset({"b"})), {"falls_back": False, "retries": False})
    falls_back = Override(When(providers=frozenset({"a"})), {"falls_back": True})
    world.loop.verdicts = Verdicts((gives_up, falls_back))
    last = failure()

    with pytest.raises(UpstreamUnavailable) as caught:
        world.run([failure(UpstreamRejected), last], A, B, C)
    assert caught.value is last

    error = world.exhausted([failure(UpstreamRejected), failure(UpstreamTimeout)], A, C)
    assert error.message.startswith("All 2 attempts failed: ")


def late(cause: str = TOTAL_TIMEOUT) -> UpstreamError:
    return failure(UpstreamTimeout, cause=cause)


@pytest.mark.parametrize(
    ("took", "cause", "counts"),
    [(299.0, TOTAL_TIMEOUT, False), (300.0, TOTAL_TIMEOUT, True), (0.2, "idle_timeout", True)],
)
def test_a_deadline_that_left_no_time_says_nothing_about_health(took: float, cause: str, counts: bool) -> None:
    """Callers may be impatient, and those that were tried before may have taken all the time: before the first content and after."""
    world = World(LoopPolicy(total_seconds=600.0))
    world.attempt_seconds = took
    for _ in range(5):
        world.exhausted([late(cause)], A)
    assert world.health.allows(A, world.time) is not counts

    world = World(LoopPolicy(total_seconds=600.0))
    world.attempt_seconds = took
    for _ in range(5):
        world.run(["hi"], A)
        world.loop.ended(world.tally, usage=Usage(0, 1), seconds=1.0, failure=StreamInterrupted(late(cause)))
    assert world.health.allows(A, world.time) is not counts
    measure = world.loop.stats.of(A)
    assert measure is not None
    assert (measure.in_flight, measure.total_failures) == (0, 5 if counts else 0)


def test_streams_that_break_open_the_breaker_like_any_other_failure() -> None:
    world = World()
    for _ in range(5):
        assert world.health.allows(A, world.time)
        world.run(["hi"], A)
        world.loop.ended(
            world.tally, usage=Usage(0, 1), seconds=1.0, failure=StreamInterrupted(failure(UpstreamBroken))
        )
    assert not world.health.allows(A, world.time)

    world = World()
    for broke in (True, True, True, True, False, True, True, True, True):
        world.run(["hi"], A)
        error = StreamInterrupted(failure(UpstreamBroken)) if broke else None
        world.loop.ended(world.tally, usage=Usage(0, 1), seconds=1.0, failure=error)
    assert world.health.allows(A, world.time)


@pytest.mark.parametrize(
    ("kind", "wait"), [(UpstreamUnavailable, 0.025), (UpstreamBroken, 0.025), (UpstreamRateLimited, 1.0)]
)
def test_the_only_deployment_is_retried_after_a_short_wait(kind: type[UpstreamError], wait: float) -> None:
    world = World()

    assert world.run([failure(kind), "hi"], A) == "hi"

    assert (world.tried, world.slept) == ([A, A], [wait])
    assert (world.tally.retries, world.tally.fallbacks) == (1, 0)
    assert world.attempts[0].verdict == "retry"


@pytest.mark.parametrize("kind", [UpstreamTimeout, UpstreamKeyRefused, UpstreamModelMissing])
def test_what_a_retry_cannot_change_is_not_retried(kind: type[UpstreamError]) -> None:
    world = World()

    error = world.exhausted([failure(kind)], A)

    assert (error.http_status, error.message) == (failure(kind).http_status, failure(kind).message)


def test_attempts_are_limited() -> None:
    world = World()

    error = world.exhausted([failure()] * 3, A, B, C, D)

    assert world.tried == [A, B, C]
    assert len(error.failures) == 3
    assert error.message.startswith("All 3 attempts failed: ")


def test_attempts_at_one_provider_are_limited() -> None:
    models = [deployment("a", model) for model in "xyz"]
    world = World()
    world.exhausted([failure(UpstreamModelMissing)] * 2, *models)
    assert world.tried == models[:2]

    assert world.run([failure(), failure(), "hi"], *[deployment("b", model) for model in "xyz"], C) == "hi"
    assert world.tried[-1] == C


def test_replicas_of_one_provider_are_tried_each() -> None:
    replicas = [deployment("a", worker=f"http://w:{number}") for number in range(3)]
    world = World()

    assert world.run([failure(), failure(), "hi"], *replicas) == "hi"


def test_the_last_deployment_may_be_retried_within_the_limits() -> None:
    world = World()

    world.exhausted([failure()] * 3, A, B)

    assert world.tried == [A, B, B]
    assert [end.verdict for end in world.attempts] == ["fall_back", "retry", "give_up"]


@pytest.mark.parametrize(("asked", "waits"), [(0.0, []), (0.5, [0.5]), (2.0, [2.0]), (2.1, None), (3600.0, None)])
def test_a_wait_the_upstream_asks_for_is_kept_or_not_begun(asked: float, waits: list[float] | None) -> None:
    world = World()

    if waits is None:
        assert world.exhausted([limited(asked)], A).http_status == 429
    else:
        assert world.run([limited(asked), "hi"], A) == "hi"

    assert world.slept == (waits or [])


def test_the_wait_grows_with_each_retry_up_to_its_cap() -> None:
    world = World(LoopPolicy(attempts=9, attempts_per_provider=9), rng=0.999)
    world.run([failure()] * 8 + ["hi"], A)

    assert all(later == pytest.approx(min(2 * earlier, 0.999)) for earlier, later in pairwise(world.slept))
    assert world.slept[0] == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize(("seconds", "tried"), [(0.5, [A]), (1.0, [A]), (1.5, [A, B]), (9.0, [A, B, B])])
def test_nothing_starts_after_the_deadline(seconds: float, tried: list[Deployment]) -> None:
    world = World()

    world.exhausted([failure()] * 3, A, B, seconds=seconds)

    assert world.tried == tried


def test_no_wait_goes_past_the_deadline() -> None:
    world = World()

    world.exhausted([limited(1.5)], A, seconds=2.0)

    assert world.slept == []


def test_without_a_retry_budget_there_is_fallback_but_no_retry() -> None:
    world = World(budget=RetryBudget(percent=0.0, floor=0))

    world.exhausted([failure(), failure()], A, B)

    assert world.tried == [A, B]


def test_the_budget_bounds_retries_over_requests() -> None:
    world = World(budget=RetryBudget(percent=0.0, floor=2, window_seconds=1e9))
    tries = []
    for number in range(5):
        with pytest.raises(AttemptsExhausted):
            world.run([failure(), failure()], deployment(f"p{number}"))
        tries.append(len(world.tried))

    assert tries == [2, 2, 1, 1, 1]


def test_a_deployment_that_is_out_is_passed_over() -> None:
    world = World()
    world.run([limited(60.0), "hi"], A, B)

    assert world.run(["hi"], A, B) == "hi"
    assert world.tried == [B]


def test_with_everyone_out_the_one_that_is_back_first_is_tried_all_the_same() -> None:
    world = World()
    world.exhausted([limited(60.0), limited(20.0)], A, B)

    assert world.run(["hi"], A, B) == "hi"
    assert world.tried == [B]


def test_a_success_brings_a_deployment_back() -> None:
    world = World()
    world.exhausted([limited(60.0)], A)
    world.run(["hi"], A)

    assert world.health.records == {}


@pytest.mark.parametrize("leaving", [asyncio.CancelledError(), KeyError("a bug")])
def test_an_attempt_that_tells_nothing_gives_its_probe_back(leaving: BaseException) -> None:
    world = World()
    for _ in range(5):
        world.exhausted([failure(UpstreamTimeout)], A)
    world.time += 300

    with pytest.raises(type(leaving)):
        world.run([leaving], A)

    assert world.health.allows(A, world.time)


def test_the_attempt_is_told_before_the_wait_and_without_it() -> None:
    world = World()
    told: list[str] = []
    world.on_sleep = lambda: told.extend(end.verdict for end in world.attempts)

    world.run([limited(1.5), "hi"], A)

    assert told == ["retry"]
    assert [end.latency_s for end in world.attempts] == [1.0, 1.0]


def test_a_caller_who_leaves_during_the_wait_loses_no_event() -> None:
    world = World()

    def leave() -> None:
        raise asyncio.CancelledError

    world.on_sleep = leave
    with pytest.raises(asyncio.CancelledError):
        world.run([limited(1.5)], A)

    assert [end.verdict for end in world.attempts] == ["retry"]


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([UpstreamRateLimited, UpstreamRateLimited], 429),
        ([UpstreamRateLimited, UpstreamUnavailable], 503),
        ([UpstreamKeyRefused, UpstreamTimeout], 504),
        ([UpstreamKeyRefused, UpstreamKeyRefused], 424),
        ([UpstreamModelMissing, UpstreamKeyRefused], 404),
        ([UpstreamBroken, UpstreamUnavailable], 502),
    ],
)
def test_the_status_of_the_most_useful_failure(kinds: list[type[UpstreamError]], status: int) -> None:
    error = World(LoopPolicy(attempts=2)).exhausted([failure(kind) for kind in kinds], A, B)

    assert error.http_status == status
    assert all(kind.__name__ in error.message for kind in kinds)


def test_a_failure_after_sending_may_have_been_billed() -> None:
    world = World()
    refused = UpstreamUnavailable("no", cause="refused", sent=False)

    world.run([refused, failure(UpstreamTimeout), "hi"], A, B, C)

    assert [end.maybe_billed for end in world.attempts] == [False, True, False]


_outcomes = st.lists(
    st.sampled_from(
        [
            UpstreamRejected,
            UpstreamRateLimited,
            UpstreamKeyRefused,
            UpstreamModelMissing,
            UpstreamUnavailable,
            UpstreamTimeout,
            UpstreamBroken,
            None,
        ]
    ),
    min_size=4,
    max_size=4,
)


@given(
    _outcomes, st.integers(1, 4), st.none() | st.floats(0, 4), st.floats(0.1, 10), st.integers(1, 4), st.integers(1, 3)
)
@settings(deadline=None)
def test_the_limits_hold_and_the_books_balance(
    kinds: list[type[UpstreamError] | None], many: int, asked: float | None, seconds: float, attempts: int, each: int
) -> None:
    world = World(LoopPolicy(attempts=attempts, attempts_per_provider=each))
    started = world.time
    script: Script = ["hi" if kind is None else failure(kind, asked) for kind in kinds]
    ended: object = None
    try:
        ended = world.run(script, *(A, B, C, D)[:many], seconds=seconds)
    except UpstreamRejected as error:
        ended = error
    except AttemptsExhausted as error:
        ended = error

    assert not isinstance(ended, AttemptsExhausted) or list(ended.failures) == world.tally.failures
    assert 1 <= len(world.tried) <= attempts
    assert max(map(world.tried.count, world.tried)) <= max(each, 1 + world.loop.policy.rate_limit_retries)
    assert (
        world.tally.attempts
        == len(world.tried)
        == len(world.attempts)
        == 1 + world.tally.fallbacks + world.tally.retries
    )
    assert sum(world.slept) <= min(seconds, 2.0 * attempts)
    assert world.time - started < seconds + world.attempt_seconds
    assert [end.number for end in world.attempts] == list(range(1, len(world.tried) + 1))
    assert world.attempts[-1].verdict == ("" if ended == "hi" else "give_up")
    assert (world.tally.served is not None) == (ended == "hi")


def test_a_full_pool_falls_back_and_says_nothing_about_health() -> None:
    world = World()
    full = Overloaded("all are in use", code="pool_full")

    assert world.run([full, "hi"], A, B) == "hi"

    assert (world.tried, world.tally.fallbacks) == ([A, B], 1)
    assert world.health.records == {}
    assert [(end.error, end.cause, end.upstream_status, end.verdict) for end in world.attempts] == [
        ("Overloaded", "pool_full", 0, "fall_back"),
        ("", "", 200, ""),
    ]


def test_with_every_pool_full_the_caller_is_told_to_come_back() -> None:
    world = World()
    last = Overloaded("all are in use", code="pool_full")

    with pytest.raises(Overloaded) as caught:
        world.run([Overloaded("here too"), last], A, B)

    assert caught.value is last
    assert [end.verdict for end in world.attempts] == ["fall_back", "give_up"]


def test_a_rate_limit_or_a_lost_connection_is_retried_at_the_same_place_so_often() -> None:
    for error in (limited(), UpstreamUnavailable("cut", cause="reset")):
        world = World(LoopPolicy(attempts=9, attempts_per_provider=9, rate_limit_retries=2))

        world.exhausted([error] * 3, A)

        assert len(world.tried) == 3


@pytest.mark.parametrize(("rng", "wait"), [(0.0, 0.25), (0.5, 0.5), (0.999, 0.7495)])
def test_the_wait_after_a_rate_limit_is_about_as_long_as_was_set(rng: float, wait: float) -> None:
    world = World(LoopPolicy(retry_delay_seconds=0.5), rng=rng)

    world.run([limited(), "hi"], A)

    assert world.slept == [pytest.approx(wait)]


def test_the_paid_fallback_has_an_attempt_beyond_the_limit_and_only_one() -> None:
    paid = candidate_of(D, is_paid_fallback=True)
    world = World()

    assert world.run([failure()] * 3 + ["hi"], A, B, C, paid) == "hi"
    assert (world.tried, world.tally.fallback_used, world.tally.fallbacks) == ([A, B, C, D], True, 3)

    world = World()
    world.exhausted([failure()] * 4, A, B, C, paid)
    assert world.tried == [A, B, C, D]


def test_money_is_spent_after_the_retries_and_not_at_all_where_another_answers() -> None:
    paid = candidate_of(D, is_paid_fallback=True)
    world = World()

    assert world.run([failure(), failure(), "hi"], A, paid) == "hi"
    assert world.tried == [A, A, D]

    world.run(["hi"], A, paid)
    assert (world.tried, world.tally.fallback_used) == ([A], False)


def test_a_request_that_is_refused_for_itself_costs_no_money() -> None:
    world = World()

    with pytest.raises(UpstreamRejected):
        world.run([failure(UpstreamRejected)], A, candidate_of(D, is_paid_fallback=True))


def test_a_prompt_too_long_falls_only_to_a_larger_known_context() -> None:
    small, same, unknown, large = (
        candidate_of(at, context_length=size) for at, size in ((A, 8000), (B, 8000), (C, None), (D, 32_000))
    )
    world = World()

    assert world.run([failure(UpstreamContextExceeded), "hi"], small, same, unknown, large) == "hi"
    assert world.tried == [A, D]

    error = world.exhausted([failure(UpstreamContextExceeded)], small, same, unknown)
    assert (world.tried, error.http_status) == ([A], 400)
    assert world.health.records == {}


def test_the_need_for_a_larger_context_outlives_the_next_failure() -> None:
    sizes = [candidate_of(at, context_length=size) for at, size in ((A, 8000), (B, 32_000), (C, 4000), (D, 16_000))]
    world = World()

    assert world.run([failure(UpstreamContextExceeded), failure(), "hi"], *sizes) == "hi"

    assert world.tried == [A, B, D]


def test_every_attempt_leaves_a_note_of_words_and_numbers() -> None:
    world = World()

    world.run([limited(1.5), failure(), "hi"], A, B, C)

    assert [(made.candidate.deployment, made.error, made.verdict) for made in world.tally.made] == [
        (A, "UpstreamRateLimited", "fall_back"),
        (B, "UpstreamUnavailable", "fall_back"),
        (C, "", ""),
    ]
    assert [(told.started_s, told.latency_s) for told in world.attempts] == [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]


def test_the_attempt_after_an_open_breaker_is_noted_as_a_probe() -> None:
    world = World()
    for _ in range(5):
        world.exhausted([failure(UpstreamTimeout)], A)
    world.time += 300

    world.run(["hi"], A)

    assert [made.is_probe for made in world.tally.made] == [True]


def test_an_answer_is_in_hand_until_it_ends() -> None:
    world = World()
    world.run(["hi"], A)
    figures = world.loop.stats.of(A)
    assert figures is not None
    assert (figures.in_flight, figures.total_calls) == (1, 1)

    world.loop.ended(world.tally, usage=Usage(0, 10), seconds=2.0, failure=None)

    assert (figures.in_flight, figures.rate, figures.success_rate()) == (0, 5.0, 1.0)


def test_an_answer_that_breaks_counts_against_its_deployment() -> None:
    world = World()
    for _ in range(11):
        world.run(["hi"], A)
        world.loop.ended(
            world.tally, usage=Usage(0, 1), seconds=1.0, failure=StreamInterrupted(failure(UpstreamBroken))
        )

    figures = world.loop.stats.of(A)
    assert figures is not None
    assert figures.in_flight == 0
    assert figures.success_rate() < 1.0
    assert not world.health.allows(A, world.time)


def test_an_answer_that_we_end_ourselves_says_nothing_of_its_deployment() -> None:
    world = World()
    world.run(["hi"], A)
    world.loop.ended(world.tally, usage=Usage(0, 1), seconds=1.0, failure=StreamInterrupted(Overloaded("bye")))

    assert world.health.records == {}


def test_without_an_answer_there_is_no_end_to_count() -> None:
    world = World()
    world.exhausted([failure(UpstreamTimeout)], A)

    world.loop.ended(world.tally, usage=Usage(0, 0), seconds=0.0, failure=None)

    figures = world.loop.stats.of(A)
    assert figures is not None
    assert figures.in_flight == 0


def lost(*, sent: bool) -> WorkerLost:
    return WorkerLost("gone", cause="refused", retry_after=1.0, sent=sent)


def test_a_lost_worker_is_out_for_a_moment_only() -> None:
    world = World()

    for _ in range(10):
        assert world.run([lost(sent=True), "hi"], A, B) == "hi"
        assert not world.health.allows(A, world.time - 0.5)
        world.time += 1.0
        assert world.health.allows(A, world.time)


def test_with_all_others_out_they_are_still_tried() -> None:
    world = World()
    world.attempt_seconds = 0.0
    world.run([lost(sent=False), lost(sent=False), "hi"], A, B, C)

    assert world.run(["hi"], A, B, C) == "hi"
    assert world.tried == [C]

    assert world.run([lost(sent=False), "hi"], B, A) == "hi"
    assert len(world.tried) == 2, "the first failed, the second was out, and it was tried all the same"


def test_what_an_attempt_at_one_that_is_out_may_cost_is_bounded_by_the_retry_budget() -> None:
    world = World(budget=RetryBudget(percent=0, floor=0))
    world.attempt_seconds = 0.0
    world.run([failure(UpstreamRateLimited, 60.0), "hi"], A, B)

    world.exhausted([failure(UpstreamBroken)], B, A)
    assert world.tried == [B], "A is out, and an attempt at it would be a repetition that nobody has paid for"
    assert world.run([lost(sent=False), "hi"], B, A) == "hi"
    world.time += 10.0
    assert world.run([lost(sent=True), "hi"], B, A) == "hi", "a worker of ours died: the upstream failed at nothing"


def test_after_lost_workers_the_one_that_is_back_first_is_tried_again() -> None:
    world = World()

    assert world.run([lost(sent=False), lost(sent=True), "hi"], A, B) == "hi"

    assert (world.tried, world.slept) == ([A, B, A], [1.0])


def test_an_attempt_says_why_it_was_made() -> None:
    world = World(LoopPolicy(attempts=9, attempts_per_provider=9))

    world.run([failure(), failure(), failure(), "hi"], A, B)

    assert [(told.provider, told.kind) for told in world.attempts] == [
        ("a", ""),
        ("b", "fallback"),
        ("b", "retry"),
        ("b", "retry"),
    ]


def test_the_end_of_an_answer_tells_what_it_used_and_how_long_it_took() -> None:
    world = World()
    world.run([failure(UpstreamTimeout), "hi"], A, B)

    world.loop.ended(world.tally, usage=Usage(7, 3), seconds=4.0, failure=None)

    failed, served = world.attempts
    assert (failed.usage.tokens_estimated, failed.total_s) == (True, 1.0)
    assert (served.usage, served.latency_s, served.total_s, served.verdict) == (Usage(7, 3), 1.0, 5.0, "")


def test_an_answer_that_breaks_is_told_of_its_attempt() -> None:
    world = World()
    world.run(["hi"], A)
    error = UpstreamBroken("cut", cause="closed")

    world.loop.ended(
        world.tally, usage=Usage(7, 3, tokens_estimated=True), seconds=4.0, failure=StreamInterrupted(error)
    )

    (told,) = world.attempts
    assert (told.error, told.cause, told.verdict, told.usage.completion_tokens) == (
        "UpstreamBroken",
        "closed",
        "broke",
        3,
    )
