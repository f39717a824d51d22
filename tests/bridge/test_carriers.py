"""Attempts across a process border: the order, the secret, failures that keep their class, and workers that die."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.bridge.carrier import Carriers, LocalCarrier
from orcestator.bridge.control import ControlClient
from orcestator.bridge.protocol import ATTEMPT_PATH, order_from_wire, order_to_wire
from orcestator.bridge.registration_policy import SECRET_HEADER
from orcestator.bridge.stock.carrier import StockCarrier
from orcestator.bridge.worker_carrier import WorkerCarrier
from orcestator.errors import (
    QUOTA,
    InvalidRequest,
    OrcestatorError,
    Overloaded,
    QuotaUsedUp,
    StreamInterrupted,
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    WorkerLost,
)
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Deployment
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.edge import EdgeLimits
from orcestator.server.in_flight import InFlight
from orcestator.server.serving import Server, listen
from orcestator.upstream.call import Answer, Sink, UpstreamCall, WholeAnswer
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.ids import new_id
from orcestator.upstream.provider_client import ProviderTimeouts
from orcestator.usage import UNTOLD
from orcestator.web.worker_app import WorkerApp
from tests.upstream.scripted_upstream import (
    CHUNKED_HEAD,
    LONG,
    Peer,
    ScriptedUpstream,
    answers,
    eventually,
    hang_up,
    plain,
    silent,
    upstream_client,
)

SECRET = Secret("worker-s3cret")
PATIENT = ProviderTimeouts(first_token=5.0, first_token_reasoning=5.0, whole_reply=5.0, idle=5.0, total=10.0)
REPLY = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip


def order_of(*, endpoint: str = "chat", streamed: bool = False, **call: Any) -> UpstreamCall:
    call = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **call}
    return UpstreamCall(
        endpoint=endpoint,
        path="/embeddings" if endpoint == "embeddings" else "/chat/completions",
        body=json.dumps(call).encode(),
        call=call,
        content_type="application/json",
        shown_model="shown",
        streamed=streamed,
        include_usage=True,
        request_id="req-1",
        deadline=asyncio.get_running_loop().time() + LONG,
        text_cap=100,
        created=1_700_000_000,
        new_id=new_id,
    )


class Attempts:
    """A carrier whose attempts end as the test says."""

    def __init__(self, outcome: Answer | OrcestatorError) -> None:
        self.outcome = outcome
        self.orders: list[tuple[Deployment, UpstreamCall]] = []

    async def attempt(self, deployment: Deployment, order: UpstreamCall, _taken_at: float) -> Answer:
        self.orders.append((deployment, order))
        if isinstance(self.outcome, OrcestatorError):
            raise self.outcome
        return self.outcome


class Flowing:
    """An answer that gives some frames, and then ends or fails."""

    content_type = "text/event-stream"
    text = ""
    usage = UNTOLD
    native = None
    is_over = False
    dropped: tuple[str, ...] = ()

    def __init__(self, *frames: bytes, failure: StreamInterrupted | None = None) -> None:
        self._left = list(frames)
        self._failure = failure
        self.may_fail = asyncio.Event()
        self.is_closed = False

    async def next(self) -> bytes:
        if self._left:
            return self._left.pop(0)
        if self._failure is not None:
            await self.may_fail.wait()
            raise self._failure
        return b""

    def push(self, _sink: Sink) -> None:
        """Each frame is asked for."""

    def failure_frames(self, error: OrcestatorError) -> bytes:
        return b""

    def close(self) -> None:
        self.is_closed = True


def whole() -> WholeAnswer:
    return WholeAnswer(json.dumps(REPLY).encode(), "application/json", wire=REPLY)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"


@asynccontextmanager
async def worker(
    attempts: Attempts, secret: Secret | None = None, *, on_loopback: bool = False, quota: QuotaBook | None = None
) -> AsyncIterator[str]:
    """A real worker server; its address."""
    routes = {"/worker_generate": _never}
    app = WorkerApp(
        attempts,  # type: ignore[arg-type]
        routes,
        secret,
        1 << 20,
        InFlight(),
        limits=list,
        reset=lambda _provider, _model: None,
        quota=quota or QuotaBook(),
        on_loopback=on_loopback,
    )
    server = Server(app, listen("127.0.0.1", 0, "--port"), EdgeLimits())
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()


async def _never(params: Any, send: Any) -> None:
    raise AssertionError("a stock route was reached without the secret")


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario within a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def deployment(address: str, kind: Any = "proxy") -> Deployment:
    return Deployment("alpha", "m", address, kind)


# The order.


@given(
    provider=st.text(max_size=40),
    model=st.text(max_size=200),
    shown=st.text(max_size=200),
    streamed=st.booleans(),
    seconds=st.floats(-10, 1e6),
)
def test_an_order_crosses_the_border_unchanged(
    provider: str, model: str, shown: str, streamed: bool, seconds: float
) -> None:
    async def scenario() -> None:
        order = order_of(streamed=streamed)
        order.shown_model = shown
        text = order_to_wire(Deployment(provider, model, "w", "proxy"), order, seconds)
        assert text.isascii()
        assert text.isprintable(), "it is one header line"
        got_deployment, got = order_from_wire(text, order.body, order.call, order.content_type, 100.0)
        assert (got_deployment.provider, got_deployment.model) == (provider, model)
        same = ("endpoint", "path", "body", "call", "content_type", "shown_model", "streamed", "request_id", "created")
        assert [getattr(got, name) for name in same] == [getattr(order, name) for name in same]
        assert got.deadline == pytest.approx(100.0 + seconds, abs=0.001)

    run(scenario)


@pytest.mark.parametrize("spoiled", [{"path": "/../admin"}, {"path": 7}, {"seconds": "soon"}, {"created": None}])
def test_an_order_of_another_form_is_refused(spoiled: dict[str, Any]) -> None:
    async def scenario() -> None:
        wire = json.loads(order_to_wire(deployment("w"), order_of(), 5.0))
        with pytest.raises(InvalidRequest):
            order_from_wire(json.dumps({**wire, **spoiled}), b"{}", {}, "application/json", 0.0)

    run(scenario)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '"order"', "{"])
def test_a_header_that_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        order_from_wire(text, b"{}", {}, "application/json", 0.0)


# Our own worker.


def test_a_worker_attempts_what_it_is_told_and_its_answer_comes_back() -> None:
    async def scenario() -> None:
        attempts = Attempts(whole())
        async with worker(attempts, SECRET) as address, upstream_client() as client:
            order = order_of(temperature=0.5)
            answer = await WorkerCarrier(client, SECRET, PATIENT).attempt(deployment(address), order, 0.0)
        assert isinstance(answer, WholeAnswer)
        assert answer.text == "hello"
        (told, received), *_ = attempts.orders
        assert (told.provider, told.model) == ("alpha", "m")
        assert received.body == order.body
        assert received.deadline == pytest.approx(order.deadline, abs=10.0)

    run(scenario)


def test_without_the_secret_nothing_is_attempted() -> None:
    async def scenario() -> None:
        attempts = Attempts(whole())
        async with worker(attempts, SECRET) as address, upstream_client() as client:
            for secret in (None, Secret("a-guess")):
                with pytest.raises(UpstreamKeyRefused) as caught:
                    await WorkerCarrier(client, secret, PATIENT).attempt(deployment(address), order_of(), 0.0)
                assert "OR_WORKER_SECRET" in caught.value.message
            async with httpx.AsyncClient(trust_env=False) as stranger:
                assert (await stranger.post(address + ATTEMPT_PATH, content=b"{}")).status_code == 401
                assert (await stranger.post(address + "/worker_generate", content=b"{}")).status_code == 401
                assert (await stranger.get(address + "/health")).status_code == 200
        assert attempts.orders == []

    run(scenario)


@pytest.mark.parametrize("kind", UpstreamError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_a_failure_keeps_its_class_and_facts(kind: type[UpstreamError]) -> None:
    async def scenario() -> None:
        told = kind(
            "what went wrong", cause="a_cause", upstream_status=418, upstream_code="a_code", retry_after=1.5,
            sent=False, param="tools",
        )  # fmt: skip
        async with worker(Attempts(told)) as address, upstream_client() as client:
            for streamed in (False, True):
                with pytest.raises(UpstreamError) as caught:
                    await WorkerCarrier(client, None, PATIENT).attempt(
                        deployment(address), order_of(streamed=streamed), 0.0
                    )
                failure = caught.value
                assert type(failure) is kind
                assert (failure.body(), failure.http_status) == (told.body(), told.http_status)
                facts = ("cause", "upstream_status", "upstream_code", "retry_after", "sent")
                assert [getattr(failure, name) for name in facts] == [getattr(told, name) for name in facts]

    run(scenario)


def test_what_a_worker_s_ledger_lets_nobody_ask_is_no_failure() -> None:
    """The ledger is where the key is, and the loop elsewhere: nobody is asked, and the loop is told that, why, and for how long."""

    async def scenario() -> None:
        quota, attempts = QuotaBook(), Attempts(whole())
        quota.limit("alpha", "", "m", {"rpm": 1.0})
        async with worker(attempts, quota=quota) as address, upstream_client() as client:
            carrier = WorkerCarrier(client, None, PATIENT)
            await carrier.attempt(deployment(address), order_of(), 0.0)
            for streamed in (False, True):
                with pytest.raises(QuotaUsedUp) as caught:
                    await carrier.attempt(deployment(address), order_of(streamed=streamed), 0.0)
                assert caught.value.cause == QUOTA
                assert 50.0 < caught.value.retry_after < 70.0
        assert len(attempts.orders) == 1

    run(scenario)


def test_a_full_pool_at_the_worker_is_no_failure_of_the_upstream() -> None:
    async def scenario() -> None:
        full = Overloaded("all are in use", code="pool_full", headers={"retry-after-ms": "250", "retry-after": "1"})
        async with worker(Attempts(full)) as address, upstream_client() as client:
            with pytest.raises(Overloaded) as caught:
                await WorkerCarrier(client, None, PATIENT).attempt(deployment(address), order_of(), 0.0)
        assert caught.value.body() == full.body()
        assert caught.value.headers == full.headers

    run(scenario)


def test_an_upstream_that_fails_in_the_stream_keeps_its_class() -> None:
    async def scenario() -> None:
        limited = UpstreamRateLimited("slow down", cause="http_429", upstream_status=429, retry_after=3.0)
        flowing = Flowing(event({"role": "assistant", "content": "hel"}), failure=StreamInterrupted(limited))
        async with worker(Attempts(flowing)) as address, upstream_client() as client:
            answer = await WorkerCarrier(client, None, PATIENT).attempt(
                deployment(address), order_of(streamed=True), 0.0
            )
            assert not isinstance(answer, WholeAnswer)
            assert b"hel" in await answer.next()
            flowing.may_fail.set()
            with pytest.raises(StreamInterrupted) as caught:
                await answer.next()
            answer.close()
            await eventually(lambda: flowing.is_closed)
        failure = caught.value.failure
        assert isinstance(failure, UpstreamRateLimited)
        assert (failure.message, failure.cause, failure.retry_after) == ("slow down", "http_429", 3.0)

    run(scenario)


async def cut_in_a_reply(peer: Peer) -> None:
    await peer.request()
    await peer.send(plain(json.dumps(REPLY).encode(), headers=b"Content-Type: application/json\r\n")[:-20])


async def cut_in_a_stream(peer: Peer) -> None:
    await peer.request()
    frame = event({"role": "assistant", "content": "hel"})
    head = CHUNKED_HEAD[:-2] + b"Content-Type: text/event-stream\r\n\r\n"
    await peer.send(head + b"%x\r\n%b\r\n" % (len(frame), frame))
    await peer.reader.read(1)
    peer.reset()


@pytest.mark.parametrize("script", [hang_up, cut_in_a_reply], ids=["no-answer", "half-an-answer"])
def test_a_worker_that_dies_before_its_answer_is_lost_and_not_the_upstream(script: Any) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(script) as dying, upstream_client() as client:
            with pytest.raises(WorkerLost) as caught:
                await WorkerCarrier(client, None, PATIENT).attempt(deployment(url(dying)), order_of(), 0.0)
        assert caught.value.sent
        assert caught.value.retry_after is not None

    run(scenario)


def test_a_dead_worker_is_lost_and_nothing_was_sent() -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(silent) as gone, upstream_client() as client:
            address = url(gone)
            gone.stop_listening()
            with pytest.raises(WorkerLost) as caught:
                await WorkerCarrier(client, None, PATIENT).attempt(deployment(address), order_of(), 0.0)
        assert not caught.value.sent

    run(scenario)


def test_a_worker_that_dies_in_the_stream_interrupts_it() -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(cut_in_a_stream) as dying, upstream_client() as client:
            order = order_of(streamed=True)
            answer = await WorkerCarrier(client, None, PATIENT).attempt(deployment(url(dying)), order, 0.0)
            assert not isinstance(answer, WholeAnswer)
            assert b"hel" in await answer.next()
            dying.peers[0].reset()
            with pytest.raises(StreamInterrupted) as caught:
                await answer.next()
            assert b'"error"' in answer.failure_frames(caught.value)
            answer.close()

    run(scenario)


def test_a_worker_that_sends_nothing_is_given_up_when_its_own_time_for_a_first_content_is_over() -> None:
    """A whole reply may take it the whole time; whether it runs is not told by that."""

    async def scenario() -> None:
        waiting = ProviderTimeouts(
            connect=0.01, tls=0.01, first_token=0.01, first_token_reasoning=0.01, whole_reply=0.01, idle=0.01,
            total=LONG,
        )  # fmt: skip
        async with ScriptedUpstream(silent) as stopped, upstream_client() as client:
            carrier = WorkerCarrier(client, None, waiting, slack_seconds=0.05)
            with pytest.raises(UpstreamTimeout):
                await carrier.attempt(deployment(url(stopped)), order_of(streamed=True), 0.0)

    run(scenario)


def test_a_worker_may_live_at_any_address_that_the_controller_let_in() -> None:
    async def scenario() -> None:
        async def lookup(_host: str) -> list[str]:
            return ["127.0.0.1"]

        async with worker(Attempts(whole())) as address, upstream_client(lookup=lookup) as client:
            named = address.replace("127.0.0.1", "worker-1.example.com")
            answer = await WorkerCarrier(client, None, PATIENT).attempt(deployment(named), order_of(), 0.0)
        assert isinstance(answer, WholeAnswer)

    run(scenario)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1:1", "http://127.0.0.1:99999", "http://"])
def test_an_address_that_is_none_fails_the_attempt_only(address: str) -> None:
    async def scenario() -> None:
        async with upstream_client() as client:
            for carrier in (WorkerCarrier(client, None, PATIENT), stock_carrier(client)):
                with pytest.raises((UpstreamUnavailable, WorkerLost)):
                    await carrier.attempt(deployment(address), order_of(), 0.0)

    run(scenario)


def test_the_deployment_chooses_its_carrier() -> None:
    async def scenario() -> None:
        local, proxy, stock = (Attempts(whole()) for _ in range(3))
        carriers = Carriers(local, proxy, stock)
        for kind, address in (("proxy", ""), ("proxy", "http://w:1"), ("stock", "http://w:2")):
            await carriers.attempt(deployment(address, kind), order_of(), 0.0)
        assert [len(each.orders) for each in (local, proxy, stock)] == [1, 1, 1]
        with pytest.raises(UpstreamUnavailable):
            await LocalCarrier(lambda _provider: None).attempt(deployment(""), order_of(), 0.0)

    run(scenario)


# An unmodified FastChat worker.


def url(upstream: ScriptedUpstream) -> str:
    return f"http://127.0.0.1:{upstream.port}"


def stock_carrier(client: Any) -> StockCarrier:
    waiting = Timeouts(connect=5.0, first_byte=5.0, idle=5.0, total=10.0)
    return StockCarrier(client, ControlClient(client, None), waiting)


def stock_json(answer: Any) -> bytes:
    return plain(json.dumps(answer).encode(), headers=b"Content-Type: application/json\r\n")


def test_embeddings_of_a_stock_worker() -> None:
    async def scenario() -> None:
        script = answers(stock_json({"embedding": [[1.0, 2.0]], "token_num": 3}))
        async with ScriptedUpstream(script) as stock, upstream_client() as client:
            order = order_of(endpoint="embeddings", input="text")
            answer = await stock_carrier(client).attempt(deployment(url(stock), "stock"), order, 0.0)
        assert isinstance(answer, WholeAnswer)
        assert json.loads(answer.body) == {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}],
            "model": "shown",
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
        assert json.loads(stock.requests[0].partition(b"\r\n\r\n")[2])["input"] == ["text"]

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"text": "out of memory", "error_code": 50002}, UpstreamUnavailable),
        ({"text": "too long", "error_code": 40303}, UpstreamRejected),
        ({"embedding": "no list", "token_num": 3}, UpstreamBroken),
        ([1], UpstreamBroken),
    ],
)
def test_embeddings_that_a_stock_worker_refuses(answer: Any, kind: type[UpstreamError]) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(stock_json(answer))) as stock, upstream_client() as client:
            order = order_of(endpoint="embeddings", input=["text"])
            with pytest.raises(UpstreamError) as caught:
                await stock_carrier(client).attempt(deployment(url(stock), "stock"), order, 0.0)
            assert type(caught.value) is kind

    run(scenario)


def test_embeddings_that_nobody_waits_for_any_more_give_their_connection_back() -> None:
    async def scenario() -> None:
        async def half(peer: Peer) -> None:
            await peer.request()
            await peer.send(stock_json({"embedding": [[1.0]], "token_num": 3})[:-5])
            await peer.gone()

        async with ScriptedUpstream(half) as stock, upstream_client() as client:
            order = order_of(endpoint="embeddings", input=["text"])
            attempt = asyncio.create_task(stock_carrier(client).attempt(deployment(url(stock), "stock"), order, 0.0))
            await eventually(lambda: bool(stock.requests))
            attempt.cancel()
            await asyncio.wait([attempt])
            await eventually(lambda: stock.ended == 1)

    run(scenario)


@pytest.mark.parametrize("answer", [{"detail": "starting"}, {"conv": "text"}, {"conv": None}])
def test_a_stock_worker_without_a_template_is_asked_again(answer: Any) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(stock_json(answer))) as stock, upstream_client() as client:
            carrier = stock_carrier(client)
            for _ in range(2):
                with pytest.raises(UpstreamBroken):
                    await carrier.attempt(deployment(url(stock), "stock"), order_of(), 0.0)
        assert len(stock.requests) == 2

    run(scenario)


def test_what_a_stock_worker_cannot_carry_is_refused_before_it_is_sent() -> None:
    async def scenario() -> None:
        template = {
            "name": "t", "system_template": "{system_message}", "system_message": "", "roles": ["USER", "ASSISTANT"],
            "messages": [], "offset": 0, "sep_style": 1, "sep": "\n", "sep2": None, "stop_str": None,
            "stop_token_ids": None,
        }  # fmt: skip
        async with (
            ScriptedUpstream(answers(stock_json({"conv": template}))) as stock,
            upstream_client() as client,
        ):
            tools = [{"type": "function", "function": {"name": "f"}}]
            with pytest.raises(UpstreamRejected) as caught:
                await stock_carrier(client).attempt(deployment(url(stock), "stock"), order_of(tools=tools), 0.0)
        assert "tools" in caught.value.message
        assert not caught.value.sent
        assert [request.split()[1] for request in stock.requests] == [b"/worker_get_conv_template"]
        assert SECRET_HEADER.encode() not in b"".join(stock.requests)

    run(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "content-type": "text/plain"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"host": "evil.example:8002"},
    ],
)
def test_a_worker_talks_to_no_page(headers: dict[str, str]) -> None:
    """Neither through somebody's browser nor by a name that was rebound to this machine; also where no secret is set."""

    async def scenario() -> None:
        attempts = Attempts(whole())
        async with worker(attempts, None, on_loopback=True) as address, httpx.AsyncClient(trust_env=False) as page:
            for path in (ATTEMPT_PATH, "/worker_generate", "/health"):
                method = "GET" if path == "/health" else "POST"
                answer = await page.request(method, address + path, headers=headers)
                assert answer.status_code == 403, answer.text
        assert attempts.orders == []

    run(scenario)
