"""The metrics port, over real sockets behind the hardened edge."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from orcestator.cluster.metrics import LIMITS
from orcestator.server.serving import Server, listen
from orcestator.telemetry.exposition import CONTENT_TYPE
from orcestator.web.metrics_app import MetricsApp, Render

HOST = b"host: localhost\r\n"


async def rendered() -> bytes:
    return b"up 1\n"


def serving(talk: Callable[[Server], Awaitable[bytes]], render: Render = rendered, *, is_local: bool = True) -> bytes:
    async def run() -> bytes:
        server = Server(MetricsApp(render, CONTENT_TYPE, is_local=is_local), listen("127.0.0.1", 0, "--port"), LIMITS)
        await server.start()
        try:
            async with asyncio.timeout(30):
                return await talk(server)
        finally:
            await server.close()

    return asyncio.run(run())


def answer_to(head: bytes, render: Render = rendered, *, is_local: bool = True) -> bytes:
    """The whole answer to a request that is the last one of its connection."""

    async def talk(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head + b"connection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    return serving(talk, render, is_local=is_local)


def test_get_metrics_answers_what_is_rendered() -> None:
    head, body = answer_to(b"GET /metrics?x=1 HTTP/1.1\r\n" + HOST).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: text/plain; version=0.0.4; charset=utf-8" in head
    assert b"content-length: 5" in head
    assert body == b"up 1\n"


def test_a_large_answer_arrives_whole() -> None:
    async def large() -> bytes:
        return b"x" * 5_000_000

    assert answer_to(b"GET /metrics HTTP/1.1\r\n" + HOST, large).endswith(b"\r\n\r\n" + b"x" * 5_000_000)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HEAD /metrics HTTP/1.1\r\n" + HOST, b"200 OK"),
        (b"GET /secret HTTP/1.1\r\n" + HOST, b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n" + HOST, b"405 Method Not Allowed"),
        (b"GET /metrics HTTP/1.1\r\nhost: pages.example\r\n", b"403 Forbidden"),
    ],
)
def test_everything_else_gets_its_status_and_no_body(head: bytes, status: bytes) -> None:
    answer = answer_to(head)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"\r\n\r\n")


def test_a_wrong_method_is_told_the_right_ones() -> None:
    assert b"\r\nallow: GET, HEAD\r\n" in answer_to(b"DELETE /metrics HTTP/1.1\r\n" + HOST)


def test_a_port_that_others_reach_answers_any_name() -> None:
    """By whatever name a scraper of the network has for it."""
    assert b" 200 OK" in answer_to(b"GET /metrics HTTP/1.1\r\nhost: metrics.example\r\n", is_local=False)


def test_the_root_links_to_the_metrics() -> None:
    assert b'href="/metrics"' in answer_to(b"GET / HTTP/1.1\r\n" + HOST)


def test_a_scraper_may_keep_its_connection() -> None:
    async def talk(server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n")
            await reader.readuntil(b"up 1\n")
        writer.close()
        await writer.wait_closed()
        return b""

    serving(talk)


def test_connections_are_bounded() -> None:
    """Idle ones fill it up, and whoever comes then is told so; when they leave there is room again."""

    async def talk(server: Server) -> bytes:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(LIMITS.max_connections)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        answer = await reader.read()
        assert not answer or b" 503 " in answer, answer
        for each in [*(pair[1] for pair in idle), writer]:
            each.close()
            await each.wait_closed()
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            if answer.endswith(b"up 1\n"):
                return answer

    assert serving(talk).startswith(b"HTTP/1.1 200 OK")
