"""A worker that hangs takes connections and says nothing: it is told from one whose upstream is slow, before and within an answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from orcestator.bridge.worker_carrier import WorkerCarrier
from orcestator.bridge.worker_ping import HUNG, WorkerPing
from orcestator.errors import StreamInterrupted, WorkerLost
from orcestator.upstream.call import WholeAnswer
from orcestator.upstream.provider_client import ProviderTimeouts
from tests.bridge.test_carriers import REPLY, deployment, event, order_of
from tests.upstream.scripted_upstream import CHUNKED_HEAD, Peer, ScriptedUpstream, eventually, plain, upstream_client

PATIENT = ProviderTimeouts(first_token=900.0, first_token_reasoning=900.0, whole_reply=900.0, idle=900.0, total=900.0)
FIRST = event({"role": "assistant", "content": "hello"})


class Worker:
    """Takes every connection. Once ``is_well`` is cleared nothing comes out of it any more, until it is set again."""

    def __init__(self, answer: Callable[[Peer], Awaitable[None]]) -> None:
        self.is_well = asyncio.Event()
        self.is_well.set()
        self.attempts = 0
        self.looks = 0
        self._answer = answer

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            is_look = request.startswith(b"GET /health ")
            self.looks += is_look
            self.attempts += not is_look
            await self.is_well.wait()
            if is_look:
                await peer.send(plain(b"{}"))
            else:
                await self._answer(peer)


@asynccontextmanager
async def carried(worker: Worker, **patience: float) -> AsyncIterator[tuple[WorkerCarrier, WorkerPing, str]]:
    async with asyncio.timeout(30), ScriptedUpstream(worker) as server, upstream_client() as client:
        pulse = WorkerPing(client, **patience)
        looking = asyncio.create_task(pulse.run())
        try:
            yield WorkerCarrier(client, None, PATIENT, pulse), pulse, f"http://127.0.0.1:{server.port}"
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


async def think(worker: "list[Worker]", peer: Peer) -> None:
    """Answer after the worker has been asked twice how it is."""
    before = worker[0].looks
    await eventually(lambda: worker[0].looks > before + 1)
    await peer.send(plain(json.dumps(REPLY).encode(), headers=b"Content-Type: application/json\r\n"))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_worker_that_hangs_is_left_before_it_answers(streamed: bool) -> None:
    async def scenario() -> None:
        worker = Worker(never)
        worker.is_well.clear()
        async with carried(worker, answer_seconds=0.05) as (carrier, pulse, address):
            with pytest.raises(WorkerLost, match="The worker of alpha does not answer") as lost:
                await carrier.attempt(deployment(address), order_of(streamed=streamed), 0.0)
            assert (lost.value.cause, lost.value.sent, lost.value.retry_after) == (HUNG, True, 1.0)
            assert worker.attempts == 1, "it is not asked again on another connection"
            assert pulse.hung == {address}
            with pytest.raises(WorkerLost) as lost:
                await carrier.attempt(deployment(address), order_of(streamed=streamed), 0.0)
            assert not lost.value.sent
            assert worker.attempts == 1, "who is known to hang is not asked"
            worker.is_well.set()
            await eventually(lambda: not pulse.hung)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await carrier.attempt(deployment(address), order_of(streamed=streamed), 0.0)
            assert worker.attempts == 2

    asyncio.run(scenario())


def test_one_whose_upstream_thinks_is_waited_for() -> None:
    async def scenario() -> None:
        holder: list[Worker] = []
        worker = Worker(lambda peer: think(holder, peer))
        holder.append(worker)
        async with carried(worker, answer_seconds=5.0) as (carrier, pulse, address):
            answer = await carrier.attempt(deployment(address), order_of(), 0.0)
            assert answer.text == "hello"
            assert not pulse.hung
            asked = worker.looks
            await asyncio.sleep(0.6)
            assert worker.looks <= asked + 1, "nobody is asked when nothing waits"

    asyncio.run(scenario())


def test_one_that_hangs_within_its_answer_ends_the_answer_later() -> None:
    async def scenario() -> None:
        worker = Worker(begin)
        async with carried(worker, answer_seconds=0.05, mid_answer_seconds=0.5) as (carrier, pulse, address):
            answer = await carrier.attempt(deployment(address), order_of(streamed=True), 0.0)
            assert not isinstance(answer, WholeAnswer)
            assert b"hello" in await answer.next()
            worker.is_well.clear()
            await eventually(lambda: bool(pulse.hung))
            with pytest.raises(StreamInterrupted) as broken:
                await answer.next()
            assert isinstance(broken.value.failure, WorkerLost)
            answer.close()

    asyncio.run(scenario())


def test_one_that_is_gone_does_not_hang() -> None:
    async def scenario() -> None:
        async with carried(Worker(never), answer_seconds=5.0) as (carrier, pulse, _):
            gone = "http://127.0.0.1:1"
            pulse.hung.add(gone)
            pulse.origin(gone)
            await eventually(lambda: not pulse.hung)
            with pytest.raises(WorkerLost) as lost:
                await carrier.attempt(deployment(gone), order_of(), 0.0)
            assert lost.value.cause == "refused"

    asyncio.run(scenario())


async def never(peer: Peer) -> None:
    await peer.gone()


async def begin(peer: Peer) -> None:
    head = CHUNKED_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n")
    await peer.send(head + b"%x\r\n%b\r\n" % (len(FIRST), FIRST))
    await peer.gone()
