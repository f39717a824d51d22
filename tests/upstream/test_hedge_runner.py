"""A race on a real event loop: the first to speak is the answer, the other is cut, and the caller who leaves cuts both."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from orcestator.errors import UpstreamTimeout, UpstreamUnavailable
from orcestator.simulator.virtual_loop import run_virtually
from orcestator.upstream.hedge_runner import AsyncioConcurrency

RUNNERS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]


class Attempts:
    """Attempts that end when they are told to, and what became of them."""

    def __init__(self) -> None:
        self.races: AsyncioConcurrency[str] = AsyncioConcurrency(lambda answer: None)
        self.ends = {name: asyncio.get_running_loop().create_future() for name in ("first", "second")}
        self.closed: list[str] = []
        self.second_began = asyncio.Event()

    async def attempt(self, name: str) -> str:
        try:
            if name == "second":
                self.second_began.set()
            return str(await self.ends[name])
        finally:
            self.closed.append(name)

    def race(self, delay: float = 0.0, *, has_second: bool = True) -> "asyncio.Task[str]":
        second = (lambda: self.attempt("second")) if has_second else lambda: None
        return asyncio.create_task(self.races.race(self.attempt("first"), delay, second))

    def speak(self, name: str) -> None:
        self.ends[name].set_result(name)

    def fail(self, name: str, error: Exception | None = None) -> None:
        self.ends[name].set_exception(error or UpstreamUnavailable(name, cause="x"))


def scenario(run: Run, play: Callable[[Attempts], Awaitable[None]]) -> None:
    """Play it within a deadline; nothing is left running."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await play(Attempts())
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(bounded())


@RUNNERS
def test_the_first_answers_before_the_second_begins(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race(delay=100.0)
        attempts.speak("first")

        assert await race == "first"
        assert attempts.closed == ["first"]

    scenario(run, play)


@RUNNERS
def test_the_second_answers_and_the_first_is_cut(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.speak("second")

        assert await race == "second"
        assert sorted(attempts.closed) == ["first", "second"]
        assert (race.cancelling(), attempts.ends["first"].cancelled()) == (0, True)

    scenario(run, play)


@RUNNERS
def test_the_first_answers_after_all_and_the_second_is_cut(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.speak("first")

        assert await race == "first"
        await asyncio.sleep(0)
        assert attempts.ends["second"].cancelled()

    scenario(run, play)


@RUNNERS
@pytest.mark.parametrize(("loser", "winner"), [("first", "second"), ("second", "first")])
def test_when_one_fails_the_other_goes_on(run: Run, loser: str, winner: str) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.fail(loser)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attempts.speak(winner)

        assert await race == winner

    scenario(run, play)


@RUNNERS
@pytest.mark.parametrize(("earlier", "later"), [("first", "second"), ("second", "first")])
def test_when_both_fail_the_later_failure_is_raised(run: Run, earlier: str, later: str) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.fail(earlier)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attempts.fail(later)

        with pytest.raises(UpstreamUnavailable, match=later):
            await race

    scenario(run, play)


@RUNNERS
def test_a_failure_before_the_second_begins_is_raised_at_once(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race(delay=100.0)
        attempts.fail("first")

        with pytest.raises(UpstreamUnavailable):
            await race

    scenario(run, play)


@RUNNERS
def test_where_there_is_no_second_the_first_goes_on(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race(has_second=False)
        await asyncio.sleep(0.01)
        attempts.speak("first")

        assert await race == "first"

    scenario(run, play)


@RUNNERS
@pytest.mark.parametrize("failed", [None, "first", "second"])
def test_a_caller_who_leaves_cuts_both(run: Run, failed: str | None) -> None:
    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        if failed is not None:
            attempts.fail(failed)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        race.cancel()

        with pytest.raises(asyncio.CancelledError):
            await race
        await asyncio.sleep(0)
        assert sorted(attempts.closed) == ["first", "second"]

    scenario(run, play)


@RUNNERS
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("who", ["first", "second"])
def test_a_caller_who_leaves_as_an_answer_comes_has_left(run: Run, who: str, turns: int) -> None:
    """Whatever turn of the event loop the two meet in: the answer, or the leaving, and never neither."""

    async def play(attempts: Attempts) -> None:
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.speak(who)
        for _ in range(turns):
            await asyncio.sleep(0)
        has_answer = race.done()
        race.cancel()

        try:
            answer = await race
        except asyncio.CancelledError:
            assert not has_answer
        else:
            assert answer == who
            assert has_answer
        await asyncio.sleep(0)
        assert sorted(attempts.closed) == ["first", "second"]

    scenario(run, play)


@RUNNERS
def test_leaving_is_not_hidden_by_an_attempt_that_fails_of_it(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        async def first() -> str:
            try:
                return await attempts.attempt("first")
            except asyncio.CancelledError:
                raise UpstreamUnavailable("cut", cause="aborted") from None

        race = asyncio.create_task(attempts.races.race(first(), 0.0, lambda: attempts.attempt("second")))
        await attempts.second_began.wait()
        race.cancel()
        await asyncio.wait([race], timeout=0.01)
        if not attempts.ends["second"].done():
            attempts.speak("second")

        with pytest.raises(asyncio.CancelledError):
            await race
        await asyncio.sleep(0)
        assert sorted(attempts.closed) == ["first", "second"]

    scenario(run, play)


@RUNNERS
def test_both_in_the_same_turn_give_one_answer(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        for order in (("first", "second"), ("second", "first")):
            attempts.ends = {name: asyncio.get_running_loop().create_future() for name in order}
            attempts.second_began.clear()
            race = attempts.race()
            await attempts.second_began.wait()
            for name in order:
                attempts.speak(name)

            assert await race in order
            assert race.cancelling() == 0

    scenario(run, play)


@RUNNERS
def test_an_outer_timeout_is_told_from_our_cut(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await attempts.races.race(attempts.attempt("first"), 0.0, lambda: attempts.attempt("second"))
        attempts.ends = {name: asyncio.get_running_loop().create_future() for name in attempts.ends}
        attempts.speak("second")

        async with asyncio.timeout(9):
            answer = await attempts.races.race(attempts.attempt("first"), 0.0, lambda: attempts.attempt("second"))
            await asyncio.sleep(0)

        assert answer == "second"

    scenario(run, play)


def test_many_races_share_one_timer_and_each_begins_in_its_time() -> None:
    async def play(attempts: Attempts) -> None:
        began: list[int] = []

        async def first() -> str:
            await asyncio.get_running_loop().create_future()
            return "never"

        async def second(number: int) -> str:
            began.append(number)
            return str(number)

        def race(number: int, delay: float) -> Coroutine[Any, Any, str]:
            return attempts.races.race(first(), delay, lambda: second(number))

        found = await asyncio.gather(race(0, 6.0), race(1, 0.0), race(2, 3.0), race(3, 1.0))

        assert list(found) == ["0", "1", "2", "3"]
        assert began == [1, 3, 2, 0]

    scenario(run_virtually, play)


@RUNNERS
def test_a_bug_in_the_second_is_told_and_fails_nobody(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        race = attempts.race()
        await attempts.second_began.wait()
        attempts.fail("second", KeyError("a bug"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attempts.speak("first")

        assert await race == "first"
        assert [type(context["exception"]) for context in told] == [KeyError]

    scenario(run, play)


@RUNNERS
def test_an_attempt_has_only_so_long(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        with pytest.raises(UpstreamTimeout) as caught:
            await attempts.races.within(0.01, attempts.attempt("first"))
        assert (caught.value.cause, attempts.closed) == ("attempt_timeout", ["first"])

        attempts.speak("second")
        assert await attempts.races.within(9.0, attempts.attempt("second")) == "second"

    scenario(run, play)


@RUNNERS
def test_a_seat_is_left_when_it_is_woken_or_late(run: Run) -> None:
    async def play(attempts: Attempts) -> None:
        late, early, woken = (attempts.races.seat() for _ in range(3))
        early.wake()
        asyncio.get_running_loop().call_soon(woken.wake)

        await late.wait(0.01)
        await early.wait(9.0)
        await woken.wait(9.0)
        woken.wake()

    scenario(run, play)
