"""The waiting line: who goes first, who is refused and with which advice, and that no wake-up is ever lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orcestator.errors import Overloaded
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.attempts.wait_queue import Waiter, WaitQueue, WaitQueuePolicy
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.reading.request import RoutingRequest
from orcestator.simulator.virtual_loop import run_virtually
from tests.routing.failures import deployment, failure
from tests.routing.plans import candidate_of, plan_of
from tests.routing.virtual_world import Fate, VirtualWorld

A = candidate_of(deployment("a"), max_concurrent=1)
B = candidate_of(deployment("b"), max_concurrent=2)
FREE = candidate_of(deployment("c"))


class Bell:
    """A seat that only notes that it was woken."""

    def __init__(self) -> None:
        self.rung = 0

    def wake(self) -> None:
        self.rung += 1

    async def wait(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


def asks(caller: str = "", priority: int = 0) -> RoutingRequest:
    return RoutingRequest(("m",), "chat", caller=caller, priority=priority)


def join(line: WaitQueue, caller: str = "", priority: int = 0, seconds: float = 10.0, *candidates: Candidate) -> Waiter:
    return line.join(asks(caller, priority), candidates or (A,), Bell(), seconds)


def served(line: WaitQueue, waiters: dict[str, Waiter]) -> str:
    """Give A's permit back; who has it now?"""
    before = {name for name, waiter in waiters.items() if waiter.granted}
    line.give_back(A, 1.0)
    (name,) = {name for name, waiter in waiters.items() if waiter.granted} - before
    return name


def full_line(**policy: float) -> WaitQueue:
    line = WaitQueue(WaitQueuePolicy(**policy))  # type: ignore[arg-type]
    assert line.permits.take(A)
    return line


def test_the_next_gets_the_permit_itself_so_that_nobody_can_overtake() -> None:
    line = full_line()
    waiter = join(line)
    line.give_back(A, 1.0)

    assert waiter.granted is A
    assert isinstance(waiter.seat, Bell)
    assert waiter.seat.rung == 1
    assert not line.permits.take(A)


def test_a_free_permit_is_granted_at_once() -> None:
    line = full_line()

    assert join(line, "", 0, 10.0, A, B).granted is B
    assert len(line) == 0


def test_higher_priorities_go_first() -> None:
    line = full_line()
    waiters = {name: join(line, name, priority) for name, priority in (("low", -1), ("usual", 0), ("high", 1))}

    assert [served(line, waiters) for _ in range(3)] == ["high", "usual", "low"]


def test_callers_take_turns_however_many_requests_each_has() -> None:
    line = full_line()
    waiters = {name: join(line, name[0]) for name in ("x1", "x2", "x3", "x4", "y1", "z1", "y2")}

    assert [served(line, waiters) for _ in range(7)] == ["x1", "y1", "z1", "x2", "y2", "x3", "x4"]


def test_a_caller_that_comes_again_and_again_keeps_nobody_waiting() -> None:
    line = full_line()
    waiters = {f"x{number}": join(line, "x") for number in range(3)}
    order = []
    for number in range(6):
        waiters[f"y{number}"] = join(line, "y")
        order.append(served(line, waiters)[0])

    assert order == ["x", "y", "x", "y", "x", "y"]


def test_one_that_cannot_use_what_comes_free_is_passed_over() -> None:
    line = full_line()
    assert line.permits.take(B)
    assert line.permits.take(B)
    for_b, for_a = join(line, "", 1, 10.0, B), join(line)
    line.give_back(A, 1.0)

    assert (for_b.granted, for_a.granted) == (None, A)


def test_one_that_leaves_gives_its_place_up_at_once_and_its_permit_on() -> None:
    line = full_line()
    first, second, third = (join(line) for _ in range(3))
    line.leave(first)
    line.give_back(A, 1.0)
    assert second.granted is A

    line.leave(second)
    assert third.granted is A
    line.leave(third)
    assert (line.permits.taken, len(line)) == ({}, 0)


def test_a_full_line_refuses_with_the_time_that_it_will_take() -> None:
    line = full_line(length=2)
    line.service[A.deployment] = 7.0
    for _ in range(2):
        join(line, seconds=100.0)

    with pytest.raises(Overloaded) as caught:
        join(line, seconds=100.0)

    assert (caught.value.http_status, caught.value.code, caught.value.headers) == (
        503,
        "line_full",
        {"retry-after": "21"},
    )


def test_one_that_cannot_be_served_in_time_is_told_at_once() -> None:
    line = full_line()
    line.service[A.deployment] = 4.0
    join(line, seconds=5.0)

    with pytest.raises(Overloaded) as caught:
        join(line, seconds=5.0)
    assert (caught.value.code, caught.value.headers) == ("no_time", {"retry-after": "8"})
    with pytest.raises(Overloaded):
        join(line, seconds=0.0)
    assert len(line) == 1


def test_a_line_of_no_length_lets_nobody_wait() -> None:
    with pytest.raises(Overloaded, match="line is full"):
        join(full_line(length=0))


def test_service_times_are_learned() -> None:
    line = full_line()
    line.give_back(A, 10.0)
    assert line.service == {A.deployment: 10.0}
    assert line.permits.take(A)
    line.give_back(A, 20.0)
    assert line.service == {A.deployment: 12.0}


class LineMachine(RuleBasedStateMachine):
    """Requests come, wait, are served, end and leave in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.line = WaitQueue(WaitQueuePolicy(length=6))
        self.waiting: list[Waiter] = []
        self.holding: list[Candidate] = []

    @rule(
        caller=st.sampled_from("xyz"),
        priority=st.integers(-1, 1),
        candidates=st.sampled_from([(A,), (B,), (A, B), (B, A)]),
    )
    def come(self, caller: str, priority: int, candidates: tuple[Candidate, ...]) -> None:
        is_busy = all(self.line.permits.is_full(o.deployment, o.traits.max_concurrent) for o in candidates)
        if is_busy and len(self.waiting) == 6:
            with pytest.raises(Overloaded, match="line is full"):
                self.line.join(asks(caller, priority), candidates, Bell(), 1e9)
            return
        self.waiting.append(self.line.join(asks(caller, priority), candidates, Bell(), 1e9))

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        candidate = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        deployments = [waiter for waiter in self.waiting if waiter.wants(candidate.deployment)]
        self.line.give_back(candidate, 1.0)
        granted = [waiter for waiter in self.waiting if waiter.granted]
        assert len(granted) == min(1, len(deployments))
        if granted:
            assert granted[0].priority == max(waiter.priority for waiter in deployments)
            same = [w for w in deployments if (w.priority, w.caller) == (granted[0].priority, granted[0].caller)]
            assert granted[0] is same[0], "within one caller the first come is the first served"

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.line.leave(waiter)

    @invariant()
    def books_balance(self) -> None:
        for waiter in [waiter for waiter in self.waiting if waiter.granted]:
            assert isinstance(waiter.seat, Bell)
            self.waiting.remove(waiter)
            assert waiter.granted is not None
            self.holding.append(waiter.granted)
        for candidate in (A, B):
            held = self.holding.count(candidate)
            assert self.line.permits.taken.get(candidate.deployment, 0) == held <= candidate.traits.max_concurrent
            if held < candidate.traits.max_concurrent:
                assert not any(waiter.wants(candidate.deployment) for waiter in self.waiting), (
                    "it waits for what is free"
                )
        assert len(self.line) == len(self.waiting)


TestLine = LineMachine.TestCase
TestLine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def play(
    scenario: Callable[[VirtualWorld], Awaitable[None]],
    line: WaitQueuePolicy | None = None,
) -> None:
    """A scenario with the loop, in virtual time; nothing is left behind."""

    async def whole() -> None:
        world = VirtualWorld(lambda _candidate: Fate(0.1), line=line)
        await scenario(world)
        world.assert_nothing_leaks()

    run_virtually(whole())


def test_a_permit_is_kept_until_the_answer_ends() -> None:
    async def scenario(world: VirtualWorld) -> None:
        asking = [asyncio.create_task(world.ask(plan_of([A]), lasts=1.0)) for _ in range(3)]
        await asyncio.gather(*asking)
        assert world.clock() == pytest.approx(3 * 1.1)

    play(scenario)


def test_one_with_room_is_preferred_to_waiting() -> None:
    async def scenario(world: VirtualWorld) -> None:
        replies = await asyncio.gather(*(world.ask(plan_of([A, B, FREE]), lasts=1.0) for _ in range(5)))
        assert [reply.candidate for reply in replies] == [A, B, B, FREE, FREE]
        assert world.clock() == pytest.approx(1.1)

    play(scenario)


def test_with_all_full_the_first_permit_of_any_will_do() -> None:
    async def scenario(world: VirtualWorld) -> None:
        long = [asyncio.create_task(world.ask(plan_of([A]), lasts=50.0))]
        long += [asyncio.create_task(world.ask(plan_of([B]), lasts=seconds)) for seconds in (50.0, 2.0)]
        await asyncio.sleep(0.5)

        assert (await world.ask(plan_of([A, B]))).candidate is B
        assert world.clock() == pytest.approx(2.2)
        await asyncio.gather(*long)

    play(scenario, line=WaitQueuePolicy(longest_wait_seconds=100.0))


@pytest.mark.parametrize(("patience", "longest", "waited"), [(3.0, 30.0, 3.0), (600.0, 5.0, 5.0)])
def test_nobody_waits_beyond_the_deadline_or_the_longest_wait(patience: float, longest: float, waited: float) -> None:
    async def scenario(world: VirtualWorld) -> None:
        holding = asyncio.create_task(world.ask(plan_of([A]), lasts=100.0))
        await asyncio.sleep(1.0)

        with pytest.raises(Overloaded) as caught:
            await world.ask(plan_of([A]), patience=patience)

        assert caught.value.code == "no_time"
        assert int(caught.value.headers["retry-after"]) >= 1
        assert world.clock() == pytest.approx(1.0 + waited)
        await holding

    play(scenario, line=WaitQueuePolicy(longest_wait_seconds=longest))


def test_one_that_leaves_the_line_is_not_waited_for() -> None:
    async def scenario(world: VirtualWorld) -> None:
        holding = asyncio.create_task(world.ask(plan_of([A]), lasts=1.0))
        await asyncio.sleep(0.1)
        leaving, staying = (asyncio.create_task(world.ask(plan_of([A]))) for _ in range(2))
        await asyncio.sleep(0.1)
        leaving.cancel()

        await asyncio.gather(holding, staying)
        assert leaving.cancelled()
        assert world.clock() == pytest.approx(1.2)

    play(scenario)


def test_one_that_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    async def scenario(world: VirtualWorld) -> None:
        assert world.loop.line.permits.take(A)
        leaving, staying = (asyncio.create_task(world.ask(plan_of([A]))) for _ in range(2))
        await asyncio.sleep(0)
        world.loop.line.give_back(A, 1.0)
        leaving.cancel()

        assert (await staying).candidate is A
        assert leaving.cancelled()

    play(scenario)


def test_a_failed_attempt_gives_its_permit_back_before_the_wait() -> None:
    async def scenario(world: VirtualWorld) -> None:
        fates = iter([Fate(0.1, failure()), Fate(0.1), Fate(0.1)])
        world.fate = lambda _candidate: next(fates)
        tallies = [Tally(), Tally()]

        await asyncio.gather(*(world.ask(plan_of([A]), tally) for tally in tallies))

        assert [tally.attempts for tally in tallies] == [2, 1]

    play(scenario)


def test_high_priority_overtakes_in_the_line() -> None:
    async def scenario(world: VirtualWorld) -> None:
        order: list[int] = []

        async def ask(priority: int) -> None:
            await world.ask(plan_of([A], priority=priority))
            order.append(priority)

        await asyncio.gather(*(ask(priority) for priority in (0, -1, 0, 1)))
        assert order == [0, 1, 0, -1]

    play(scenario)
