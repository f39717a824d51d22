"""The quota ledger is asked by the loop: whom it lets nobody ask is passed over, whether the ledger is here or at a worker."""

import asyncio
from collections.abc import Callable

import pytest

from orcestator.errors import QUOTA, QUOTA_GUESSED, QUOTA_SIZE, AttemptsExhausted, NothingLeft, QuotaUsedUp
from orcestator.routing.attempts.fallback import LoopPolicy
from orcestator.routing.attempts.hedging import HedgePolicy, Hedging, hedge_budget
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.events import Event, QuotaRefused
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.plan import Plan
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import MOST_ACCOUNTS, QuotaBook
from orcestator.simulator.virtual_loop import run_virtually
from tests.routing.failures import deployment, failure
from tests.routing.plans import Alone, candidate_of, plan_of
from tests.routing.virtual_world import VirtualWorld

WORKER = "http://w1"
TOKENS = 100


class World:
    """A loop before upstreams that all answer, some of whose quotas are used up: in the ledger ``here`` or in that of their worker."""

    def __init__(self, worker: str, *used_up: str, seconds: float = 30.0) -> None:
        self.worker = worker
        self.used_up = {self.at(provider) for provider in used_up}
        self.seconds = seconds
        self.time = 1000.0
        self.sent: list[tuple[str, float]] = []
        self.events: list[Event] = []
        self.tally = Tally()
        self.quota = QuotaBook()
        self.health = CircuitBreakers(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.loop: AttemptLoop[str] = AttemptLoop(
            LoopPolicy(attempts=2), self.health, RetryBudget(), lambda: self.time, self._sleep, lambda: 0.5,
            self.events.append, Alone(), quota=self.quota,
        )  # fmt: skip
        for place in () if worker else self.used_up:
            self._close(place)

    def at(self, provider: str) -> Deployment:
        return deployment(provider, "m", self.worker)

    def _close(self, place: Deployment) -> None:
        """As after a refusal that named a wait."""
        self.quota.refused(place.provider, "", "m", taken_at=0.0, wait=self.seconds, readings=(), now=self.time)

    async def _sleep(self, _seconds: float) -> None:
        raise AssertionError("what a ledger refuses is not waited for")

    async def attempt(self, candidate: Candidate, taken_at: float) -> str:
        self.time += 1.0
        if self.worker and candidate.deployment in self.used_up:
            raise QuotaUsedUp(QUOTA, self.seconds)
        self.sent.append((candidate.deployment.provider, taken_at))
        return candidate.deployment.provider

    def run(self, *candidates: str | Candidate, fails: Callable[[Candidate], None] = lambda _candidate: None) -> str:
        self.tally = Tally()
        self.plan = plan_of([self.at(one) if isinstance(one, str) else one for one in candidates])

        async def attempt(candidate: Candidate, taken_at: float) -> str:
            fails(candidate)
            return await self.attempt(candidate, taken_at)

        return asyncio.run(self.loop.run("r1", self.plan, attempt, self.tally, self.time + 600.0, TOKENS))

    def refused(self) -> list[QuotaRefused]:
        return [event for event in self.events if isinstance(event, QuotaRefused)]


BOTH_WIRINGS = pytest.mark.parametrize("worker", ["", WORKER], ids=["here", "at a worker"])


@BOTH_WIRINGS
def test_a_candidate_without_quota_is_passed_over(worker: str) -> None:
    """It is no attempt, no failure and no fallback, and nothing of it is held against the deployment's health."""
    world = World(worker, "a")

    assert world.run("a", "b") == "b"

    tally = world.tally
    assert (tally.attempts, tally.fallbacks, tally.retries, tally.failures) == (1, 0, 0, [])
    assert [made.candidate.deployment.provider for made in tally.made] == ["b"]
    assert world.refused() == [QuotaRefused("r1", "a", "m", QUOTA, 30.0)]
    left_out = [(one.candidate.deployment.provider, one.reason) for one in world.plan.excluded]
    assert left_out == [("a", "quota")]
    assert world.plan.excluded[0].until == pytest.approx(world.time + 30.0, abs=2.0)
    assert world.health.is_quiet
    record = world.loop.stats.records.get(world.at("a"))
    assert record is None or (record.in_flight, record.calls) == (0, 0.0)


@BOTH_WIRINGS
def test_the_next_plan_knows_it(worker: str) -> None:
    """Whoever has the ledger: until then no request is sent there to be refused."""
    world = World(worker, "a")
    world.run("a", "b")

    assert world.quota.back_at(world.at("a"), TOKENS, world.time) == pytest.approx(1030.0, abs=2.0)
    assert not world.quota.is_guessed(world.at("a"), TOKENS, world.time)
    assert world.quota.back_at(world.at("b"), TOKENS, world.time) == 0.0
    world.events.clear()
    assert world.run("a", "b") == "b"
    assert len(world.refused()) == 1
    world.time += 60.0
    world.used_up.clear()
    assert world.run("a", "b") == "a"


@BOTH_WIRINGS
def test_where_no_quota_is_left_the_caller_is_told_as_by_the_plan(worker: str) -> None:
    world = World(worker, "a", "b")

    with pytest.raises(NothingLeft) as caught:
        world.run("a", "b")

    assert "2 by quota" in caught.value.message
    assert caught.value.retry_after == pytest.approx(30.0, abs=2.0)
    assert (world.tally.attempts, world.sent) == (0, [])


@BOTH_WIRINGS
def test_only_what_was_asked_is_told_of_where_others_failed(worker: str) -> None:
    world = World(worker, "b")

    def fails(candidate: Candidate) -> None:
        if candidate.deployment.provider != "b":
            raise failure()

    with pytest.raises(AttemptsExhausted) as caught:
        world.run("a", "b", "c", fails=fails)

    assert caught.value.message.startswith("All 2 attempts failed: ")
    assert world.tally.attempts == 2


@BOTH_WIRINGS
def test_the_paid_fallback_stands_in(worker: str) -> None:
    """Once: when it is used up, too, nobody is left."""
    world = World(worker, "a")
    paid = candidate_of(world.at("paid"), 9, is_paid_fallback=True)
    assert world.run("a", paid) == "paid"
    assert world.tally.fallback_used

    world = World(worker, "a", "paid")
    with pytest.raises(NothingLeft):
        world.run("a", candidate_of(world.at("paid"), 9, is_paid_fallback=True))


@BOTH_WIRINGS
def test_a_permit_is_given_back(worker: str) -> None:
    """And the wait for one is not expected to be as short as nothing."""
    world = World(worker, "a")
    narrow = candidate_of(world.at("a"), max_concurrent=1)

    assert world.run(narrow, "b") == "b"

    assert world.loop.line.permits.taken == {}
    if not worker:
        assert world.loop.line.service == {}


def test_the_attempt_is_told_when_it_was_counted() -> None:
    """The same moment: by it the ledger finds the request again when it was refused."""
    world = World("")
    world.run("a")

    ((_, taken_at),) = world.sent
    assert list(world.quota.accounts["a", "", "m"].marks) == [taken_at]


def test_nothing_is_counted_here_for_a_worker() -> None:
    world = World(WORKER)
    world.run("a")

    assert world.quota.accounts == {}


def test_a_refusal_for_its_size_is_of_this_request_alone() -> None:
    book, place = QuotaBook(), deployment("a", "m", WORKER)
    book.refused_elsewhere(place, QuotaUsedUp(QUOTA_SIZE, 30.0), 0.0)
    assert book.is_empty


def test_what_a_worker_only_guesses_holds_no_last_resort_back() -> None:
    book, place = QuotaBook(), deployment("a", "m", WORKER)
    book.refused_elsewhere(place, QuotaUsedUp(QUOTA_GUESSED, 30.0), 0.0)

    assert book.is_guessed(place, 1, 1.0)
    with pytest.raises(QuotaUsedUp):
        book.admit(place, 1, 1.0)
    book.admit(place, 1, 1.0, is_last_resort=True)
    assert not book.is_empty
    book.refused_elsewhere(deployment("gone", "m", WORKER), QuotaUsedUp(QUOTA, 40.0), 0.0)
    book.admit(place, 1, 30.0)
    assert not book.is_empty
    book.admit(place, 1, 40.0)
    assert book.is_empty, "what is over is forgotten, also of a worker that nobody asks any more"


def test_what_workers_said_is_bounded() -> None:
    book = QuotaBook()
    for number in range(MOST_ACCOUNTS + 1):
        place = deployment("a", str(number), WORKER)
        book.refused_elsewhere(place, QuotaUsedUp(QUOTA, 1.0 if number < MOST_ACCOUNTS else 30.0), 0.1 * number)
    assert len(book.elsewhere) == 10, "those that are over are forgotten first"


def test_a_person_s_reset_forgets_what_workers_said() -> None:
    book = QuotaBook()
    for provider in "ab":
        book.refused_elsewhere(deployment(provider, "m", WORKER), QuotaUsedUp(QUOTA, 30.0), 0.0)

    assert book.reset("a", "m") == [("a", "m")]
    assert [place.provider for place in book.elsewhere] == ["b"]
    assert book.forget_elsewhere() == [("b", "m")]
    assert book.is_empty


@BOTH_WIRINGS
def test_a_hedge_whose_quota_is_used_up_is_none(worker: str) -> None:
    """The first goes on alone; a worker's refusal comes while it does."""

    async def scenario() -> None:
        first, second = deployment("a", "m", worker), deployment("b", "m", worker)
        hedging = Hedging(HedgePolicy(True, 0.5, 0.1), hedge_budget(100.0))

        def fate(candidate: Candidate) -> tuple[float, QuotaUsedUp | None]:
            return (5.0, None) if candidate.deployment == first else (0.5, QuotaUsedUp(QUOTA, 30.0))

        world = VirtualWorld(fate, hedging=hedging)
        plan: Plan = plan_of([first, second])
        one, other = plan.candidates
        world.learn(one, [0.2] * 20)
        world.learn(other, [0.2] * 20)
        if not worker:
            now = world.clock()
            world.loop.quota.refused("b", "", "m", taken_at=now - 1.0, wait=60.0, readings=(), now=now)
        tally = Tally()
        reply = await world.ask(plan, tally)
        assert reply.candidate == one
        assert tally.attempts == 1
        assert [type(event) for event in world.events if isinstance(event, QuotaRefused)] == [QuotaRefused]
        assert [event.verdict for event in world.attempts] == [""]
        world.assert_nothing_leaks()

    run_virtually(scenario())
