"""The stock worker's HTTP routes, served by an app of ours: the stock app loses a permit whenever a gate raises."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from orcestator.json_text import Json
from orcestator.server.asgi import Send, send_json

_OCTETS = (b"content-type", b"application/octet-stream")


class StockWorker(Protocol):
    """A ``BaseModelWorker`` subclass as these routes see it."""

    def get_status(self) -> Json:
        """Model names, speed, queue length, and our offer."""

    def get_conv_template(self) -> Json:
        """The conversation template."""

    def model_details(self) -> Json:
        """The context length."""

    def count_token(self, params: Json) -> Json:
        """How many tokens a prompt has."""

    def generate_stream_gate(self, params: Json) -> AsyncGenerator[bytes, None]:
        """Frames."""

    def generate_gate(self, params: Json) -> Awaitable[Json]:
        """One answer."""

    def get_embeddings(self, params: Json) -> Awaitable[Json]:
        """Embeddings."""


def stock_routes(worker: StockWorker, permits: int) -> dict[str, Callable[[Json, Send], Awaitable[None]]]:
    """Path to handler, for ``WorkerApp``. ``permits`` bounds concurrent generations."""
    gate = asyncio.Semaphore(permits)

    async def generate_stream(params: Json, send: Send) -> None:
        # Closed here, not by the garbage collector: a caller that leaves ends the upstream call before the permit is free.
        async with gate, aclosing(worker.generate_stream_gate(params)) as frames:
            await send({"type": "http.response.start", "status": 200, "headers": [_OCTETS]})
            async for frame in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def generate(params: Json, send: Send) -> None:
        async with gate:
            await send_json(send, 200, await worker.generate_gate(params))

    async def embed(params: Json, send: Send) -> None:
        async with gate:
            await send_json(send, 200, await worker.get_embeddings(params))

    def answering(answer: Callable[[Json], Json]) -> Callable[[Json, Send], Awaitable[None]]:
        async def handler(params: Json, send: Send) -> None:
            await send_json(send, 200, answer(params))

        return handler

    return {
        "/worker_generate_stream": generate_stream,
        "/worker_generate": generate,
        "/worker_get_embeddings": embed,
        "/worker_get_status": answering(lambda _params: worker.get_status()),
        "/worker_get_conv_template": answering(lambda _params: worker.get_conv_template()),
        "/model_details": answering(lambda _params: worker.model_details()),
        "/count_token": answering(worker.count_token),
    }
