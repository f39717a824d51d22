"""Our worker called by a stock API server: stock parameters in, frames out, a failure is an answer, no permit is lost."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.stock.gates import StockGates
from orcestator.cluster.router import Router
from orcestator.json_text import Json
from orcestator.providers.rows import find_row
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.quota import QuotaBook
from orcestator.sandbox.server import SandboxServer
from orcestator.settings import Settings
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts
from orcestator.web.stock_routes import StockWorker, stock_routes
from tests.upstream.scripted_upstream import Peer, ScriptedUpstream, answers, eventually, plain, upstream_client

CONTEXT = 4096


class Worker(NamedTuple):
    """The gates of a worker for the provider ``sandbox``, and the client it calls with."""

    gates: StockGates
    client: UpstreamClient


@asynccontextmanager
async def worker(base_url: str, total_timeout: float = 10.0) -> AsyncIterator[Worker]:
    """A worker over an upstream; at the end every connection slot was given back."""
    row = find_row("sandbox")
    assert row is not None
    async with upstream_client() as client:
        link = ProviderClient(row, base_url, (), 1, client, ProviderTimeouts())
        catalog = Catalog([link.offer])
        settings = Settings(attempts=2, first_backoff_seconds=0.0)
        brain = Router.of(settings, lambda: catalog, lambda _event: None, QuotaBook())
        gates = StockGates(
            brain.attempts,
            LocalCarrier({"sandbox": link}.get),
            brain.planner,
            context_length=CONTEXT,
            total_timeout=total_timeout,
        )
        yield Worker(gates, client)
        # the last bytes after [DONE] may come for a moment longer
        await eventually(lambda: client.in_use() == 0)
        assert not [figures for figures in brain.planner.stats.records.values() if figures.in_flight]


def run(scenario: Callable[[SandboxServer, Worker], Awaitable[None]]) -> None:
    """Run a scenario against the sandbox within a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(20), SandboxServer() as sandbox, worker(sandbox.base_url) as ours:
            await scenario(sandbox, ours)

    asyncio.run(bounded())


def params(model: str = "sandbox/echo", prompt: str = "hello there", **more: Any) -> Json:
    return {"model": model, "prompt": prompt, "temperature": 0.7, "max_new_tokens": 50, **more}


async def frames_of(ours: Worker, asked: Json) -> list[Json]:
    """Every frame of a stream, each ended by its NUL."""
    async with aclosing(ours.gates.stream(asked)) as pieces:
        whole = b"".join([piece async for piece in pieces])
    assert whole.endswith(b"\0")
    return [json.loads(frame) for frame in whole.split(b"\0")[:-1]]


def test_a_stream_repeats_the_whole_text_in_each_frame() -> None:
    async def scenario(sandbox: SandboxServer, ours: Worker) -> None:
        frames = await frames_of(ours, params())
        texts = [frame["text"] for frame in frames]
        assert len(texts) > 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert "hello there" in texts[-1]
        assert [frame["finish_reason"] for frame in frames] == [None] * (len(frames) - 1) + ["stop"]
        assert frames[-1]["usage"]["completion_tokens"] > 0
        assert all(frame["error_code"] == 0 for frame in frames)
        assert json.loads(sandbox.records[-1].body)["messages"] == [{"role": "user", "content": "hello there"}]

    run(scenario)


def test_one_answer() -> None:
    async def scenario(_: SandboxServer, ours: Worker) -> None:
        answer = await ours.gates.generate(params())
        assert "hello there" in answer["text"]
        assert (answer["error_code"], answer["finish_reason"]) == (0, "stop")
        assert answer["usage"]["prompt_tokens"] > 0

    run(scenario)


def test_embeddings() -> None:
    async def scenario(_: SandboxServer, ours: Worker) -> None:
        answer = await ours.gates.embed({"model": "sandbox/echo", "input": ["one", "two"]})
        assert len(answer["embedding"]) == 2
        assert all(isinstance(number, float) for vector in answer["embedding"] for number in vector)
        assert answer["token_num"] > 0

    run(scenario)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (params("sandbox/fault:H1:500"), 50001),
        (params("sandbox/fault:H1:400"), 40302),
        (params("nobody-has-this"), 40301),
        ({"model": "sandbox/echo"}, 40302),
        ({"model": "sandbox/echo", "prompt": 7}, 40302),
        ({}, 40302),
    ],
)
def test_a_failure_is_an_answer_with_fastchats_number(asked: Json, code: int) -> None:
    async def scenario(_: SandboxServer, ours: Worker) -> None:
        whole = await ours.gates.generate(asked)
        streamed = await frames_of(ours, asked)
        assert whole["error_code"] == code
        assert whole["text"]
        assert [frame["error_code"] for frame in streamed] == [code]

    run(scenario)


def test_a_stream_that_breaks_ends_in_an_error_frame() -> None:
    async def scenario(_: SandboxServer, ours: Worker) -> None:
        *good, last = await frames_of(ours, params("sandbox/fault:S4:rst"))
        assert good
        assert all(frame["error_code"] == 0 and frame["finish_reason"] is None for frame in good)
        assert last["error_code"] != 0

    run(scenario)


async def embedded(reply: bytes) -> Json:
    """What the gate answers when its upstream answers so."""
    async with (
        asyncio.timeout(20),
        ScriptedUpstream(answers(reply)) as odd,
        worker(f"http://127.0.0.1:{odd.port}/v1") as w,
    ):
        return await w.gates.embed({"model": "sandbox/echo", "input": ["one"]})


@pytest.mark.parametrize(
    "reply",
    [
        plain(b"RIFF-audio", headers=b"Content-Type: audio/wav\r\n"),
        plain(b'{"data": "none"}', headers=b"Content-Type: application/json\r\n"),
        plain(b'{"data": [{"index": 0}]}', headers=b"Content-Type: application/json\r\n"),
        plain(b'{"object": "list"}', headers=b"Content-Type: application/json\r\n"),
        plain(b'{"error": {"message": "no"}}', headers=b"Content-Type: application/json\r\n"),
    ],
    ids=["not-json", "no-list", "no-vector", "no-data", "error"],
)
def test_embeddings_of_another_shape_are_a_failure_and_not_an_empty_answer(reply: bytes) -> None:
    async def scenario() -> None:
        answer = await embedded(reply)
        assert answer["error_code"] != 0
        assert "embedding" not in answer

    asyncio.run(scenario())


def test_an_answer_of_another_kind_that_does_not_end_is_given_up_in_time() -> None:
    async def scenario() -> None:
        async def speaks_on(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 1000\r\n\r\nRIFF")
            await peer.gone()

        async with (
            asyncio.timeout(20),
            ScriptedUpstream(speaks_on) as odd,
            worker(f"http://127.0.0.1:{odd.port}/v1", total_timeout=1.0) as ours,
        ):
            answer = await ours.gates.embed({"model": "sandbox/echo", "input": ["one"]})
            assert answer["error_code"] != 0
            assert ours.client.in_use() == 0

    asyncio.run(scenario())


def test_odd_usage_does_not_spoil_embeddings() -> None:
    async def scenario() -> None:
        reply = b'{"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": "many"}}'
        answer = await embedded(plain(reply, headers=b"Content-Type: application/json\r\n"))
        assert answer["embedding"] == [[1.0]]
        assert isinstance(answer["token_num"], int)

    asyncio.run(scenario())


def test_a_caller_that_leaves_ends_the_upstream_call() -> None:
    async def scenario(sandbox: SandboxServer, ours: Worker) -> None:
        async with aclosing(ours.gates.stream(params("sandbox/echo?tps=1&tokens=50"))) as pieces:
            await anext(pieces)
            assert ours.client.in_use() == 1
        assert ours.client.in_use() == 0
        await sandbox.wait_for(lambda records: records[-1].peer_closed_at is not None)

    run(scenario)


# The routes around the gates: permits.


class Scripted(StockWorker):
    """A worker whose gates raise, or wait until they are let go."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.let_go = asyncio.Event()
        self.running = 0
        self.at_once = 0

    async def generate_stream_gate(self, params: Json) -> AsyncGenerator[bytes, None]:
        yield b"{}\0"
        yield json.dumps(await self._work()).encode() + b"\0"

    async def generate_gate(self, params: Json) -> Json:
        return await self._work()

    async def get_embeddings(self, params: Json) -> Json:
        return await self._work()

    async def _work(self) -> Json:
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        try:
            await self.let_go.wait()
            if self.failure:
                raise self.failure
            return {"text": "done"}
        finally:
            self.running -= 1


GENERATING = ["/worker_generate_stream", "/worker_generate", "/worker_get_embeddings"]


async def sent_by(worker: StockWorker, path: str, permits: int, count: int) -> list[Any]:
    """What each of ``count`` requests at once ended in: the number of messages sent, or its exception."""
    handler = stock_routes(worker, permits)[path]

    async def one() -> int:
        sent: list[Any] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await handler({}, send)
        return len(sent)

    return await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)


@pytest.mark.parametrize("path", GENERATING)
def test_a_gate_that_raises_gives_its_permit_back(path: str) -> None:
    async def scenario() -> None:
        scripted = Scripted(ValueError("a bug"))
        scripted.let_go.set()
        outcomes = await sent_by(scripted, path, permits=1, count=3)
        assert [type(outcome) for outcome in outcomes] == [ValueError] * 3

    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("path", GENERATING)
def test_permits_bound_what_runs_at_once(path: str) -> None:
    async def scenario() -> None:
        scripted = Scripted()
        running = asyncio.create_task(sent_by(scripted, path, permits=2, count=5))
        await eventually(lambda: scripted.running == 2)
        scripted.let_go.set()
        assert all(isinstance(outcome, int) for outcome in await running)
        assert scripted.at_once == 2

    asyncio.run(asyncio.wait_for(scenario(), 20))


@pytest.mark.parametrize("path", GENERATING)
def test_a_caller_that_leaves_gives_its_permit_back(path: str) -> None:
    async def scenario() -> None:
        scripted = Scripted()
        handler = stock_routes(scripted, 1)[path]

        async def send(_message: MutableMapping[str, Any]) -> None:
            return

        leaving = asyncio.create_task(handler({}, send))
        await eventually(lambda: scripted.running == 1)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert scripted.running == 0
        scripted.let_go.set()
        await handler({}, send)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_stream_whose_reader_fails_is_over_before_its_permit_is_free() -> None:
    """While we wait for a slow reader the gate is between two frames: it must not outlive the request."""

    async def scenario() -> None:
        ended: list[str] = []

        class Streaming(Scripted):
            async def generate_stream_gate(self, params: Json) -> AsyncGenerator[bytes, None]:
                try:
                    yield b"{}\0"
                finally:
                    ended.append("gate")

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                raise ConnectionResetError("the reader is gone")

        kept = Streaming()
        with pytest.raises(ConnectionResetError) as caught:
            await stock_routes(kept, 1)["/worker_generate_stream"]({}, send)
        # the traceback still holds the generator: nothing but an explicit close has ended it
        assert caught.value.__traceback__ is not None
        assert ended == ["gate"]

    asyncio.run(asyncio.wait_for(scenario(), 20))
