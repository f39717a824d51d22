"""The seams at their places: a limiter before the body, a reserver before the first attempt, each with a real user."""

import asyncio

import pytest

from orcestator.gateway.caller import Caller
from orcestator.providers.secret import Secret
from tests.gateway.parts import Budget, GcraLimiter, Places, ResponseCache
from tests.gateway.served import DOLLARS_PER_TOKEN, KEY, OTHER_KEY, chat, run, served
from tests.gateway.test_leases import HANGS, has_asked, opened

ME = Caller.of(Secret(KEY)).id
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@WAYS
def test_a_rate_is_each_callers_own(stream: bool) -> None:
    async def work() -> None:
        async with served(limiters=(GcraLimiter(3, 3600.0),)) as gateway:
            statuses = [(await gateway.post(chat("plain/echo", stream=stream))).status_code for _ in range(3)]
            refused = await gateway.post(chat("plain/echo", stream=stream))
            assert (statuses, refused.status_code) == ([200] * 3, 429)
            assert 1100 < int(refused.headers["retry-after"]) <= 1200
            assert refused.json()["error"]["code"] == "rate_limited"
            assert (await gateway.post(chat("plain/echo", stream=stream), key=OTHER_KEY)).status_code == 200
            record = await gateway.record(4)
            assert (record.outcome, record.status, record.attempts) == ("client_error", 429, 0)

    run(work)


def test_who_is_refused_is_not_read() -> None:
    """The answer is there before the body is."""

    async def work() -> None:
        async with served(limiters=(GcraLimiter(1, 3600.0),)) as gateway:
            assert (await gateway.post(chat("plain/echo"))).status_code == 200
            writer = await opened(gateway, b"{", length=1_000_000)
            assert (await gateway.kept[0].readline()).startswith(b"HTTP/1.1 429")
            writer.close()

    run(work)


def test_a_wrong_key_is_counted_for_nobody() -> None:
    """Authentication comes first."""

    async def work() -> None:
        places = Places(1)
        async with served(limiters=(places,)) as gateway:
            assert (await gateway.post(chat("plain/echo"), key="wrong")).status_code == 401
            assert not places.taken

    run(work)


@pytest.mark.parametrize("by_peer", [False, True])
def test_a_place_is_free_again(by_peer: bool) -> None:
    """One request at a time, of a caller or of an address; who left makes room."""

    async def work() -> None:
        places = Places(1, by_peer=by_peer)
        async with served(limiters=(places,)) as gateway:
            hanging = asyncio.create_task(gateway.post(chat(HANGS)))
            await has_asked(gateway)
            assert (await gateway.post(chat("plain/echo"))).status_code == 429
            other = await gateway.post(chat("plain/echo"), key=OTHER_KEY)
            assert other.status_code == (429 if by_peer else 200)
            hanging.cancel()
            assert (await gateway.record(3)).outcome == "cancelled"
            assert set(places.taken.values()) == {0}
            assert (await gateway.post(chat("plain/echo"))).status_code == 200

    run(work)


@WAYS
def test_a_budget_is_spent_by_what_was_used(stream: bool) -> None:
    """What may be used is held; a request that could go over it is refused before anybody is called."""

    async def work() -> None:
        budget = Budget(1_000_000)
        async with served(reservers=(budget,)) as gateway:
            assert (await gateway.post(chat("paid", max_tokens=100, stream=stream))).status_code == 200
            record = await gateway.record(1)
            used = record.usage.prompt_tokens + record.usage.completion_tokens
            assert budget.spent == {ME: round(used * DOLLARS_PER_TOKEN * 1e9)}
            assert budget.held == {ME: 0}
            refused = await gateway.post(chat("paid", max_tokens=1000, stream=stream))
            assert (refused.status_code, refused.json()["error"]["param"]) == (429, "max_tokens")
            assert len(gateway.calls) == 1
            assert budget.held == {ME: 0}
            assert (await gateway.post(chat("paid", max_tokens=1000), key=OTHER_KEY)).status_code == 429

    run(work)


@WAYS
def test_what_is_held_is_not_there_for_others(stream: bool) -> None:
    """Until its request has ended, whose caller may leave."""

    async def work() -> None:
        budget = Budget(1_000_000)
        async with served(reservers=(budget,)) as gateway:
            hanging = asyncio.create_task(gateway.post(chat("paid-and-silent", max_tokens=400, stream=stream)))
            await has_asked(gateway)
            assert 800_000 < budget.held[ME] < 900_000
            assert (await gateway.post(chat("paid", max_tokens=100))).status_code == 429
            hanging.cancel()
            await gateway.record(2)
            assert (budget.held, budget.spent) == ({ME: 0}, {ME: 0})
            assert (await gateway.post(chat("paid", max_tokens=100))).status_code == 200

    run(work)


def test_a_hit_costs_nothing() -> None:
    """The record tells the budget that nobody served."""

    async def work() -> None:
        budget, cache = Budget(1_000_000), ResponseCache()
        async with served(reservers=(budget,), middleware=(cache,)) as gateway:
            assert (await gateway.post(chat("paid", max_tokens=100))).status_code == 200
            await gateway.record(1)
            spent = dict(budget.spent)
            assert (await gateway.post(chat("paid", max_tokens=100))).status_code == 200
            assert (await gateway.record(2)).served_by == "cache"
            assert (budget.spent, budget.held, len(gateway.calls)) == (spent, {ME: 0}, 1)

    run(work)
