"""The bulkhead: its limit, its queue, and that no way of ending an exchange costs a slot."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orcestator.errors import Overloaded, ShuttingDown, UpstreamTimeout
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts
from tests.upstream.scripted_upstream import (
    PATIENT,
    Peer,
    Run,
    ScriptedUpstream,
    answers,
    chunked,
    eventually,
    fetch,
    plain,
    post,
    silent,
    upstream_client,
)


async def _cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_slots_survive_four_thousand_cancelled_requests(run: Run) -> None:
    """What leaves httpcore 1.0.9 with a full pool for ever (encode/httpcore#1093)."""

    async def scenario() -> None:
        async def slow(peer: Peer) -> None:
            while True:
                await peer.request()
                await asyncio.sleep(0.002)
                await peer.send(plain())

        async with (
            ScriptedUpstream(slow) as upstream,
            upstream_client(connections_per_origin=10, pending_per_origin=5000) as client,
        ):
            for wave in range(40):
                tasks = [asyncio.ensure_future(fetch(client, upstream.origin)) for _ in range(100)]
                for number, task in enumerate(tasks):
                    if number % 10 == wave % 10:
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert client.in_use() == 0
            assert await asyncio.gather(*[fetch(client, upstream.origin) for _ in range(10)]) == [(200, b"ok")] * 10

    run(scenario)


def test_nobody_beyond_the_limit_runs_and_those_who_wait_are_served_in_order(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(connections_per_origin=2) as client:
            held = [await post(client, upstream.origin) for _ in range(2)]
            order: list[int] = []

            async def wait_in_line(number: int) -> None:
                response = await post(client, upstream.origin)
                order.append(number)
                await response.read_all()

            waiting = [asyncio.ensure_future(wait_in_line(number)) for number in range(5)]
            await eventually(lambda: client.waiting() == 5)
            assert len(upstream.peers) == 2
            for response in held:
                response.close()
            await asyncio.gather(*waiting)
            assert order == [0, 1, 2, 3, 4]
            assert len(upstream.peers) == 2

    run(scenario)


def test_who_waits_too_long_or_finds_the_queue_full_is_turned_away(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(silent) as upstream,
            upstream_client(connections_per_origin=1, pending_per_origin=1) as client,
        ):
            running = asyncio.ensure_future(post(client, upstream.origin))
            await eventually(lambda: len(upstream.requests) == 1)
            waits = asyncio.ensure_future(post(client, upstream.origin, timeouts=Timeouts(pool=0.75)))
            await eventually(lambda: client.waiting() == 1)
            with pytest.raises(Overloaded) as full:
                await post(client, upstream.origin, timeouts=Timeouts(pool=5.0))
            with pytest.raises(Overloaded) as late:
                await waits
            assert (late.value.status, late.value.code) == (503, "pool_full")
            assert late.value.headers == {"retry-after-ms": "750", "retry-after": "1"}
            assert full.value.headers["retry-after-ms"] == "5000"
            await _cancelled(running)

    run(scenario)


def test_a_full_origin_does_not_touch_another(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(silent) as stuck,
            ScriptedUpstream(answers(plain())) as healthy,
            upstream_client(connections_per_origin=1, pending_per_origin=0) as client,
        ):
            running = asyncio.ensure_future(post(client, stuck.origin))
            await eventually(lambda: len(stuck.requests) == 1)
            with pytest.raises(Overloaded):
                await post(client, stuck.origin)
            assert await fetch(client, healthy.origin) == (200, b"ok")
            await _cancelled(running)

    run(scenario)


async def _stalled_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    await peer.gone()


async def _stalled_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(chunked(b"one", end=False))
    await peer.gone()


async def _read_through(client: UpstreamClient, origin: Origin) -> None:
    response = await post(client, origin, timeouts=Timeouts())
    try:
        await response.read()
        await response.read()
    finally:
        response.close()


async def _only_send(client: UpstreamClient, origin: Origin) -> None:
    (await post(client, origin, timeouts=Timeouts())).close()


@pytest.mark.parametrize(
    ("script", "act"),
    [(silent, _only_send), (_stalled_head, _only_send), (_stalled_body, _read_through)],
    ids=["before the head", "in the head", "in the body"],
)
def test_cancelling_frees_the_slot_and_tells_the_upstream(run: Run, script: Callable[..., object], act: object) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(script) as upstream, upstream_client() as client:  # type: ignore[arg-type]
            task = asyncio.ensure_future(act(client, upstream.origin))  # type: ignore[operator]
            await eventually(lambda: len(upstream.requests) == 1)
            for _ in range(20):
                await asyncio.sleep(0)
            await _cancelled(task)
            assert client.in_use() == 0
            await eventually(lambda: upstream.ended == 1)

    run(scenario)


def test_cancelling_while_the_name_is_looked_up_or_waited_for_frees_the_slot(run: Run) -> None:
    async def scenario() -> None:
        async def never(host: str) -> list[str]:
            await asyncio.Event().wait()
            return [host]

        origin = Origin("https", "upstream.example", 443, private=False)
        async with upstream_client(lookup=never, connections_per_origin=1) as client:
            looking = asyncio.ensure_future(post(client, origin))
            await eventually(lambda: client.in_use() == 1)
            waiting = asyncio.ensure_future(post(client, origin))
            await eventually(lambda: client.waiting() == 1)
            await _cancelled(waiting)
            assert (client.in_use(), client.waiting()) == (1, 0)
            await _cancelled(looking)
            assert client.in_use() == 0

    run(scenario)


def test_a_slot_given_to_somebody_who_is_cancelled_at_once_goes_on(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(connections_per_origin=1) as client:
            held = await post(client, upstream.origin)
            first = asyncio.ensure_future(fetch(client, upstream.origin))
            second = asyncio.ensure_future(fetch(client, upstream.origin))
            await eventually(lambda: client.waiting() == 2)
            held.close()
            await _cancelled(first)
            assert await second == (200, b"ok")

    run(scenario)


def test_a_failed_connection_frees_its_slot(run: Run) -> None:
    async def scenario() -> None:
        async def slow(host: str) -> list[str]:
            await asyncio.Event().wait()
            return [host]

        origin = Origin("https", "upstream.example", 443, private=False)
        async with upstream_client(lookup=slow, connections_per_origin=1) as client:
            for _ in range(3):
                with pytest.raises(UpstreamTimeout) as caught:
                    await post(client, origin, timeouts=Timeouts(connect=0.02))
                assert (caught.value.cause, caught.value.sent) == ("dns", False)
                assert client.in_use() == 0

    run(scenario)


def test_connections_stay_within_the_limit_when_a_stale_one_is_replaced(run: Run) -> None:
    async def scenario() -> None:
        async def answers_once(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await peer.request()

        async with (
            ScriptedUpstream(answers_once, answers_once, answers(plain(b"fresh"))) as upstream,
            upstream_client(connections_per_origin=2) as client,
        ):
            both = [await post(client, upstream.origin) for _ in range(2)]
            for response in both:
                await response.read_all()
            assert client.idle() == 2
            response = await post(client, upstream.origin, timeouts=PATIENT)
            assert await response.read_all() == b"fresh"
            await eventually(lambda: upstream.ended == 2)
            assert client.idle() == 1

    run(scenario)


def test_closing_turns_those_who_wait_away(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(silent) as upstream, upstream_client(connections_per_origin=1) as client:
            running = asyncio.ensure_future(post(client, upstream.origin))
            waiting = asyncio.ensure_future(post(client, upstream.origin))
            await eventually(lambda: client.waiting() == 1)
            await client.close()
            with pytest.raises(ShuttingDown):
                await waiting
            await asyncio.gather(running, return_exceptions=True)

    run(scenario)
