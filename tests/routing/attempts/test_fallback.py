"""Which option comes next after a failure, by the rules alone: no loop, no time that passes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.errors import (
    CannotExpress,
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
from orcestator.routing.attempts.fallback import FallbackPolicy, LoopPolicy, Progress, Step
from orcestator.routing.attempts.permits import Permits
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.verdict import judge
from tests.routing.failures import deployment, failure
from tests.routing.plans import candidate_of

NOW = 1000.0
LONG = 600.0
FAILURES = (
    *(UpstreamBroken, UpstreamContextExceeded, UpstreamKeyRefused, UpstreamModelMissing, UpstreamRateLimited),
    *(UpstreamTimeout, UpstreamUnavailable, WorkerLost),
)


class Request:
    """One request over the rules: what is tried, and what follows from each failure."""

    def __init__(
        self, *candidates: Candidate, budget: RetryBudget | None = None, chance: float = 0.5, **policy: Any
    ) -> None:
        self.health = CircuitBreakers(BreakerPolicy(), lambda event: None, lambda: 0.5)
        self.falling = FallbackPolicy(LoopPolicy(**policy), self.health, Permits(), budget or RetryBudget())
        self.progress = Progress(candidates)
        self.chance = chance
        self.at = candidates[0]

    def fails(self, error: UpstreamError, time_left: float = LONG) -> Step | None:
        """The attempt where the request is fails; it goes on to what is told."""
        self.progress.started(self.at)
        verdict = judge(error)
        self.health.failed(self.at.deployment, error, verdict, NOW)
        step = self.falling.after(self.at, error, verdict, self.progress, time_left, NOW, self.chance)
        if step is not None:
            self.at = step.candidate
        return step

    def is_passed_over(self, *, was_started: bool = False) -> Candidate | None:
        """A quota ledger lets nobody ask where the request is; it goes on to whom is told."""
        if was_started:
            self.progress.started(self.at)
        self.progress.pass_over(self.at, was_started=was_started)
        later = self.falling.past(self.at, self.progress, NOW)
        if later is not None:
            self.at = later
        return later


def of(provider: str, model: str = "m", worker: str = "", **traits: Any) -> Candidate:
    return candidate_of(deployment(provider, model, worker), **traits)


def keys_of(provider: str, model: str = "m", count: int = 3) -> tuple[Candidate, ...]:
    """The model with each of its provider's keys, as a catalog lists them."""
    names = ("", *(str(number) for number in range(2, count + 1)))
    return tuple(candidate_of(Deployment(provider, model, "", "proxy", credential=name)) for name in names)


def paid(provider: str = "paid", **traits: Any) -> Candidate:
    return candidate_of(deployment(provider), 9, is_paid_fallback=True, **traits)


@pytest.mark.parametrize("kind", [UpstreamKeyRefused, UpstreamRateLimited])
def test_a_failure_of_a_credential_alone_leaves_the_others(kind: type[UpstreamError]) -> None:
    """They do not count against the provider, however few attempts at it are allowed."""
    first, second, third = keys_of("a")
    other = of("b")
    request = Request(first, second, third, other, attempts=9, attempts_per_provider=1)

    assert request.fails(failure(kind)) == Step(second)
    assert request.fails(failure(kind)) == Step(third)
    assert request.fails(failure(kind)) == Step(other)
    assert request.progress.forgiven == [first, second, third]
    assert request.progress.times_at(first) == 0
    assert not request.progress.dead


@pytest.mark.parametrize("kind", [UpstreamUnavailable, UpstreamTimeout, UpstreamBroken])
def test_a_failure_of_health_spares_the_other_credentials(kind: type[UpstreamError]) -> None:
    """Another key would be told the same."""
    first, second, third = keys_of("a")
    other = of("b")
    request = Request(first, second, third, other)

    assert request.fails(failure(kind)) == Step(other)
    assert request.progress.dead == {("a", "m", "")}


def test_a_deployment_that_died_is_dead_for_itself_only() -> None:
    """Another model of the provider, or the same one at another worker, may be well."""
    dead, other_key = keys_of("a", count=2)
    elsewhere, other_model = of("a", worker="http://w2"), of("a", "m2")
    request = Request(dead, other_key, elsewhere, other_model)

    assert request.fails(failure()) == Step(elsewhere)
    assert request.fails(failure()) == Step(other_model)


def test_a_forgiven_failure_frees_no_place_of_another_one() -> None:
    """One that failed in its health still counts as an attempt at the provider."""
    first, second = keys_of("a", count=2)
    other_model, other = of("a", "m2"), of("b")
    request = Request(first, second, other_model, other, attempts=9, attempts_per_provider=1)

    assert request.fails(failure(UpstreamRateLimited)) == Step(second)
    assert request.fails(failure()) == Step(other)
    assert request.progress.times_at(first) == 1


@pytest.mark.parametrize("kind", [UpstreamKeyRefused, UpstreamRateLimited])
def test_the_keys_of_one_provider_never_use_up_another_ones_turn(kind: type[UpstreamError]) -> None:
    """However many it has, and however few attempts there are: another provider is asked before they are spent."""
    request = Request(*keys_of("a", count=8), of("b"), attempts=3)
    while request.at != of("b"):
        assert request.fails(failure(kind)) is not None


def test_attempts_at_one_provider_are_bounded() -> None:
    candidates = [of("a", f"m{number}") for number in range(4)]
    request = Request(*candidates, of("b"), attempts=9, attempts_per_provider=2)

    assert request.fails(failure()) == Step(candidates[1])
    assert request.fails(failure()) == Step(of("b"))


def test_what_a_ledger_lets_nobody_ask_uses_up_no_attempt() -> None:
    """Nobody was asked, so nothing was spent, at a worker either."""
    first, second, third = keys_of("a")
    other, last = of("b"), of("c")
    request = Request(first, second, third, other, last, attempts=2)

    for expected in (second, third, other):
        assert request.is_passed_over() == expected
        assert request.progress.spent == 0
    assert request.fails(failure()) == Step(last)
    assert request.is_passed_over(was_started=True) is None
    assert request.progress.spent == 1


def test_a_ledgers_refusal_is_not_waited_for() -> None:
    """Its time is known, and it is not now; only what an upstream said itself is tried again."""
    assert Request(of("a")).is_passed_over() is None
    assert Request(of("a")).fails(failure(UpstreamRateLimited, 0.5)) == Step(of("a"), 0.5, is_retry=True)


def test_a_retry_that_the_ledger_lets_nobody_make_goes_on_to_another() -> None:
    request = Request(of("a"), of("b"), attempts=3)
    assert request.fails(failure()) == Step(of("b"))
    request.at = of("a")
    assert request.is_passed_over() == of("b")


def test_a_paid_fallback_that_is_used_up_gives_no_attempt_back() -> None:
    """It was none of the ordinary ones."""
    request = Request(of("a"), paid(), attempts=1)

    assert request.fails(failure()) == Step(paid())
    assert request.is_passed_over(was_started=True) is None
    assert request.progress.spent == 1


def test_the_paid_fallback_comes_last_and_once() -> None:
    """Also where the attempts are used up: it has one of its own. After it there is nothing, however few were spent."""
    request = Request(paid(), of("a"), of("b"), attempts=2)
    request.at = request.falling.first([of("a"), of("b"), paid()], NOW)

    assert request.fails(failure()) == Step(of("b"))
    assert request.fails(failure()) == Step(paid())
    assert request.fails(failure()) is None

    early = Request(of("a"), paid(), attempts=9)
    assert early.fails(failure(UpstreamKeyRefused)) == Step(paid())
    assert early.fails(failure(UpstreamRateLimited, 0.1)) is None


def test_the_paid_fallback_answers_where_the_others_have_no_room() -> None:
    """Nobody waits in the line for what is free while the paid one could answer at once."""
    full, spare = of("b", max_concurrent=1), paid(max_concurrent=1)
    for taken, expected in (((full,), spare), ((full, spare), full)):
        request = Request(of("a"), full, spare)
        for candidate in taken:
            assert request.falling.permits.take(candidate)
        assert request.fails(failure(UpstreamTimeout)) == Step(expected)


def test_the_paid_fallback_stands_before_those_that_are_out() -> None:
    """With it behind them nobody is tried who is known to be unwell; without it the one that is back first is."""
    out = of("b")
    for spare, expected in (((paid(),), paid()), ((), out)):
        request = Request(of("a"), out, *spare)
        request.health.failed(out.deployment, failure(UpstreamModelMissing), judge(failure(UpstreamRateLimited)), NOW)
        assert not request.health.allows(out.deployment, NOW)
        assert request.fails(failure(UpstreamKeyRefused)) == Step(expected)


def test_a_paid_fallback_that_is_out_stands_there_too() -> None:
    """It is asked before those of the others that would be back sooner: they are known to be unwell for longer than a moment."""
    out, spare = of("b"), paid()
    request = Request(of("a"), out, spare)
    for candidate, seconds in ((out, 10.0), (spare, 100.0)):
        request.health.failed(
            candidate.deployment, failure(UpstreamKeyRefused, seconds), judge(failure(UpstreamRateLimited)), NOW
        )
    assert request.fails(failure(UpstreamKeyRefused)) == Step(spare)


def test_one_that_is_out_costs_the_retry_budget_only_where_the_upstream_was_asked() -> None:
    """The budget bounds what a failing upstream is asked, not what never left us."""
    for error, budget_is_spent in ((failure(UpstreamKeyRefused), True), (CannotExpress("no form for it"), False)):
        out = of("b")
        request = Request(of("a"), out, budget=RetryBudget(percent=0.0, floor=0))
        request.health.failed(out.deployment, failure(), judge(failure(UpstreamRateLimited)), NOW)
        assert request.fails(error) == (None if budget_is_spent else Step(out))


def test_several_paid_fallbacks_are_tried_as_one() -> None:
    """One attempt, at one that is well."""
    unwell, well = paid("p1"), paid("p2")
    request = Request(of("a"), unwell, well)
    request.health.failed(unwell.deployment, failure(UpstreamKeyRefused), judge(failure(UpstreamRateLimited)), NOW)

    assert request.fails(failure(UpstreamKeyRefused)) == Step(well)
    assert request.fails(failure()) is None


def test_a_paid_fallback_never_hedges() -> None:
    request = Request(of("a"), paid())
    request.progress.started(of("a"))
    assert request.falling.hedge(request.progress, NOW) is None


def test_after_too_small_a_context_only_a_larger_one_is_tried() -> None:
    """One of the same size, a smaller one and one that nobody knows the size of would only fail in the same way."""
    small, same, smaller = (of(name, context_length=size) for name, size in (("a", 8000), ("b", 8000), ("c", 4000)))
    unknown, larger, largest = of("d"), of("e", context_length=9000), of("f", context_length=128_000)
    request = Request(small, same, smaller, unknown, larger, largest, attempts=9)

    assert request.fails(failure(UpstreamContextExceeded)) == Step(larger)
    assert request.fails(failure(UpstreamContextExceeded)) == Step(largest)
    assert request.fails(failure(UpstreamContextExceeded)) is None


def test_a_context_that_was_too_small_is_remembered_over_another_failure() -> None:
    small, larger, smaller = (of(name, context_length=size) for name, size in (("a", 8000), ("b", 9000), ("c", 4000)))
    request = Request(small, larger, smaller, attempts=9, attempts_per_provider=1)

    assert request.fails(failure(UpstreamContextExceeded)) == Step(larger)
    assert request.fails(failure(UpstreamKeyRefused)) is None


def test_one_of_unknown_context_that_is_too_small_leaves_those_that_are_known() -> None:
    known = of("c", context_length=4000)
    request = Request(of("a"), of("b"), known)

    assert request.fails(failure(UpstreamContextExceeded)) == Step(known)


def test_the_paid_fallback_needs_the_larger_context_too() -> None:
    small = of("a", context_length=8000)
    assert Request(small, paid(context_length=8000)).fails(failure(UpstreamContextExceeded)) is None
    large = paid(context_length=16_000)
    assert Request(small, large).fails(failure(UpstreamContextExceeded)) == Step(large)


def test_a_lost_worker_sends_nobody_back_to_too_small_a_context() -> None:
    """Of those that were tried only one that was lost, too, may be back sooner; for any other reason it would fail again."""
    large = of("b", context_length=16_000)
    request = Request(of("a", context_length=8000), large, attempts=9)

    assert request.fails(failure(UpstreamContextExceeded)) == Step(large)
    step = request.fails(failure(WorkerLost))
    assert step is not None
    assert (step.candidate, step.is_retry) == (large, True)


def test_a_lost_worker_sends_nobody_back_to_what_has_no_words_for_it() -> None:
    request = Request(of("a"), of("b"), attempts=9)

    assert request.fails(CannotExpress("no form for it")) == Step(of("b"))
    step = request.fails(failure(WorkerLost))
    assert step is not None
    assert (step.candidate, step.is_retry) == (of("b"), True)


def test_of_two_lost_workers_the_one_that_is_back_first_is_tried_again() -> None:
    request = Request(of("a"), of("b"), attempts=9)

    assert request.fails(failure(WorkerLost, 0.2)) == Step(of("b"))
    step = request.fails(failure(WorkerLost, 1.0))
    assert step is not None
    assert (step.candidate, step.is_retry) == (of("a"), True)


def test_no_hedge_has_too_small_a_context() -> None:
    large = of("b", context_length=16_000)
    request = Request(of("a", context_length=8000), large, of("c", context_length=4000), attempts=9)
    request.fails(failure(UpstreamContextExceeded))
    request.progress.started(large)
    assert request.falling.hedge(request.progress, NOW) is None


def test_what_is_well_and_full_comes_after_what_has_room() -> None:
    full, free = of("b", max_concurrent=1), of("c")
    request = Request(of("a"), full, free)
    assert request.falling.permits.take(full)

    assert request.fails(failure()) == Step(free)
    assert request.fails(failure()) == Step(full)


def test_a_request_that_nobody_would_answer_otherwise_ends_at_once() -> None:
    request = Request(of("a"), of("b"), paid())
    assert request.fails(failure(UpstreamRejected)) is None


def test_no_time_left_is_the_end() -> None:
    assert Request(of("a"), of("b")).fails(failure(), time_left=0.0) is None
    assert Request(of("a")).fails(failure(UpstreamRateLimited, 1.5), time_left=1.5) is None


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    assert Request(of("a"), longest_wait_seconds=2.0).fails(failure(UpstreamRateLimited, 2.5)) is None
    assert Request(of("a"), longest_wait_seconds=3.0).fails(failure(UpstreamRateLimited, 2.5)) is not None


def test_waits_grow_and_are_spread() -> None:
    """Doubling up to their longest, each drawn from nothing to all of it."""
    policy: dict[str, Any] = {"attempts": 9, "attempts_per_provider": 9, "longest_backoff_seconds": 0.15}
    for chance in (0.0, 0.5, 0.99):
        request = Request(of("a"), chance=chance, **policy)
        steps = [request.fails(failure()) for _ in range(4)]
        waits = [step.wait for step in steps if step]
        assert waits == pytest.approx([chance * longest for longest in (0.05, 0.1, 0.15, 0.15)])


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[Candidate], list[UpstreamError | None], dict[str, int]]:
    """Candidates of a few providers with keys, workers and contexts, and what goes wrong; None: the quota is used up."""
    sizes = st.sampled_from([None, 4000, 8000, 16_000])
    places = st.tuples(st.sampled_from("abc"), st.sampled_from(["m", "n"]), st.sampled_from(["", "w"]))
    ordinary = draw(st.lists(st.tuples(places, st.sampled_from(["", "2", "3"])), min_size=1, max_size=8, unique=True))
    contexts = {place: draw(sizes) for place in sorted({place for place, _ in ordinary})}
    candidates = [
        candidate_of(Deployment(*place, "proxy", credential=key), context_length=contexts[place])
        for place, key in ordinary
    ]
    candidates += [paid(context_length=draw(sizes))] if draw(st.booleans()) else []
    errors = st.one_of(st.builds(failure, st.sampled_from(FAILURES), st.sampled_from([None, 0.5])), st.none())
    policy = {"attempts": draw(st.integers(1, 5)), "attempts_per_provider": draw(st.integers(1, 3))}
    return candidates, draw(st.lists(errors, min_size=24, max_size=24)), policy


@given(requests())
def test_whatever_fails_the_bounds_hold(
    drawn: tuple[list[Candidate], list[UpstreamError | None], dict[str, int]],
) -> None:
    """Attempts that reach an upstream stay within their number, the paid one is the last, and nothing fails twice for nothing."""
    candidates, errors, policy = drawn
    request = Request(*candidates, budget=None, **policy)
    asked: list[Candidate] = []
    for error in errors:
        tried, progress = request.at, request.progress
        if error is None:
            later = request.is_passed_over(was_started=len(asked) % 2 == 0)
            step = None if later is None else Step(later)
        else:
            asked += [] if tried.is_paid_fallback else [tried]
            step = request.fails(error)
        assert len(asked) <= policy["attempts"]
        if step is None:
            break
        assert not tried.is_paid_fallback or isinstance(error, WorkerLost)
        assert not step.candidate.is_paid_fallback or step.candidate not in asked
        assert progress.fits(step.candidate) or tried == step.candidate
        if not step.is_retry:
            assert not progress.is_spent(step.candidate)
            is_new = step.candidate.deployment[:3] not in progress.dead
            assert (
                is_new or not request.health.allows(step.candidate.deployment, NOW) or step.candidate.is_paid_fallback
            )
    else:
        raise AssertionError("it never ended")


def test_a_hedge_is_for_another_deployment_before_another_key_of_the_slow_one() -> None:
    first, second = keys_of("a", count=2)
    other = of("b")
    for candidates, expected in (((first, second, other), other), ((first, second), second), ((first,), None)):
        request = Request(*candidates)
        request.progress.started(first)
        assert request.falling.hedge(request.progress, NOW) == expected
