"""What our worker does when a stock API server calls it: stock parameters to a call, the attempt loop, frames back.

Contract C1. The loop runs here, over this worker's own deployments, since a stock API server has none.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from orcestator.bridge.carrier import LocalCarrier
from orcestator.bridge.stock.frames import StockFrames, failure_frame, stock_answer_of, stock_failure
from orcestator.bridge.stock.prompt import MARKER, call_from_stock, has_messages
from orcestator.dialects.openai.usage import BYTES_PER_TOKEN
from orcestator.dialects.sse import SseSplitter
from orcestator.errors import OrcestatorError, UpstreamBroken
from orcestator.json_text import Json, dumps, loads
from orcestator.routing.attempts.attempt import records_of
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.events import RequestEnded, cost_of_serving
from orcestator.routing.planning.plan import Planner
from orcestator.routing.reading.request import RoutingRequest
from orcestator.upstream.call import Answer, UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id
from orcestator.usage import NOTHING

ROUTE = "stock"
"""What the log calls the requests of a stock API server."""


class _Given(NamedTuple):
    """An answer of the loop, and what it did for it; the moments are monotonic seconds."""

    answer: Answer
    tally: Tally
    order: UpstreamCall
    began: float
    """When the loop began."""
    spoke: float
    """When the answer did."""


class StockGates:
    """The gates of a worker: each takes stock parameters; none raises, a failure is an answer of the protocol."""

    def __init__(
        self,
        attempts: AttemptLoop[Answer],
        carrier: LocalCarrier,
        planner: Planner,
        *,
        context_length: int,
        total_timeout: float,
        marker: str = MARKER,
    ) -> None:
        self._attempts = attempts
        self._carrier = carrier
        self._planner = planner
        self._context_length = context_length
        self.total_timeout = total_timeout
        self._marker = marker

    def count_tokens(self, params: Json) -> int:
        """An estimate: which tokenizer will read the prompt is only known once a provider is chosen."""
        return -(-len(str(params.get("prompt", "")).encode("utf-8", "replace")) // BYTES_PER_TOKEN)

    async def generate(self, params: Json) -> Json:
        """The answer of ``/worker_generate``."""
        try:
            answer = self._whole(await self._answer(params, streamed=False))
        except OrcestatorError as error:
            return stock_failure(error)
        return stock_answer_of(answer.wire or {})

    async def embed(self, params: Json) -> Json:
        """The answer of ``/worker_get_embeddings``."""
        call = {"model": params.get("model"), "input": params.get("input"), "encoding_format": "float"}
        try:
            answer = self._whole(await self._run("embeddings", call, streamed=False))
            return {"embedding": _vectors(answer), "token_num": answer.usage.prompt_tokens}
        except OrcestatorError as error:
            return stock_failure(error)

    async def stream(self, params: Json) -> AsyncGenerator[bytes, None]:
        """The frames of ``/worker_generate_stream``."""
        given: _Given | None = None
        failure: OrcestatorError | None = None
        try:
            given = await self._answer(params, streamed=True)
            async for frame in _frames(given.answer):
                yield frame
        except OrcestatorError as error:
            failure = error
            yield failure_frame(error)
        finally:
            if given is not None:
                self._end(given, failure)

    def _whole(self, given: "_Given") -> WholeAnswer:
        self._end(given, None)
        if isinstance(given.answer, WholeAnswer):
            return given.answer
        raise UpstreamBroken("The upstream answered with something that is not JSON.", cause="not_json")

    def _end(self, given: "_Given", failure: OrcestatorError | None) -> None:
        """The answer came to its end, or broke."""
        answer = given.answer
        if isinstance(answer, WholeAnswer):
            seconds = 0.0
        else:
            answer.close()
            seconds = time.monotonic() - given.spoke
        self._attempts.ended(given.tally, usage=answer.usage, seconds=seconds, failure=failure)
        self._tell(given.order, given.tally, given.began, failure)

    async def _answer(self, params: Json, *, streamed: bool) -> "_Given":
        room = self._context_length - self.count_tokens(params)
        call = call_from_stock(params, room=room, marker=self._marker)
        endpoint = "chat" if has_messages(str(params.get("prompt", "")), self._marker) else "completions"
        if endpoint == "completions":
            # A stock chat server with a template of its own, or a legacy completion: chat models take it as a message.
            call = {**{k: v for k, v in call.items() if k != "prompt"}, "messages": _as_message(call["prompt"])}
        return await self._run("chat", call, streamed=streamed)

    async def _run(self, endpoint: str, call: Json, *, streamed: bool) -> "_Given":
        name = str(call.get("model") or "")
        call = {**call, "stream": streamed} if endpoint == "chat" else call
        now = asyncio.get_running_loop().time()
        plan = self._planner.plan(RoutingRequest((name,), endpoint, streamed=streamed), now)
        order = UpstreamCall(
            endpoint=endpoint,
            path="/chat/completions" if endpoint == "chat" else "/embeddings",
            body=dumps(call),
            call=call,
            content_type="application/json",
            shown_model=name,
            streamed=streamed,
            include_usage=True,
            request_id=new_id("stock-"),
            deadline=now + self.total_timeout,
            text_cap=0,
            created=int(time.time()),
            new_id=new_id,
        )
        tally, began = Tally(), self._attempts.now()
        try:
            answer = await self._attempts.run(
                order.request_id,
                plan,
                lambda candidate, taken_at: self._carrier.attempt(candidate.deployment, order, taken_at),
                tally,
                order.deadline,
                order.tokens,
            )
        except OrcestatorError as failure:
            self._tell(order, tally, began, failure)
            raise
        return _Given(answer, tally, order, began, time.monotonic())

    def _tell(self, order: UpstreamCall, tally: Tally, began: float, failure: OrcestatorError | None) -> None:
        """The one event of a request, for this worker's own log."""
        winner, tried = tally.winner, records_of(tally.made, began, order.tokens)
        served = None if winner is None else winner.candidate.deployment
        self._attempts.emit(
            RequestEnded(
                request_id=order.request_id,
                started_at=float(order.created),
                route=ROUTE,
                streamed=order.streamed,
                outcome="ok" if failure is None else "client_error" if failure.http_status < 500 else "upstream_error",
                status=200 if failure is None else failure.http_status,
                error="" if failure is None else type(failure).__name__,
                caller="",
                requested_model=order.shown_model,
                served_by="" if served is None else "attempt",
                provider="" if served is None else served.provider,
                model="" if served is None else served.model,
                usage=NOTHING if winner is None else winner.usage or NOTHING,
                nano_usd=cost_of_serving(tried),
                latency_s=self._attempts.now() - began,
                attempts=tally.attempts,
                retries=tally.retries,
                fallbacks=tally.fallbacks,
                tried=tried,
                message="" if failure is None else failure.message,
            )
        )


async def _frames(answer: Answer) -> AsyncIterator[bytes]:
    if isinstance(answer, WholeAnswer):
        yield dumps(stock_answer_of(answer.wire or {})) + b"\0"
        return
    frames, events = StockFrames(), SseSplitter()
    while piece := await answer.next():
        for data in events.feed(piece):
            if data != b"[DONE]" and (frame := frames.feed(loads(data))):
                yield frame
    yield frames.end()


def _vectors(answer: WholeAnswer) -> list[Any]:
    data = (answer.wire or {}).get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) and "embedding" in item for item in data):
        raise UpstreamBroken("The upstream answered without embeddings.", cause="empty")
    return [item["embedding"] for item in data]


def _as_message(prompt: Any) -> list[Json]:
    return [{"role": "user", "content": str(prompt)}]
