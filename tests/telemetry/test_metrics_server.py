"""The metrics' own HTTP server, over real sockets."""

import asyncio
import errno
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest

from orcestator.errors import StartupProblem
from orcestator.telemetry import metrics_server
from orcestator.telemetry.metrics_server import MetricsServer, Render

if sys.platform == "linux":
    import resource


def serving(render: Render, talk: Callable[[MetricsServer], Awaitable[object]]) -> object:
    async def run() -> object:
        server = MetricsServer("127.0.0.1", 0, render)
        await server.start()
        try:
            async with asyncio.timeout(30):
                return await talk(server)
        finally:
            await server.close()

    return asyncio.run(run())


async def ask(server: MetricsServer, head: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def answered(server: MetricsServer) -> bool:
    try:
        return bool(await ask(server, b"GET / HTTP/1.1\r\n\r\n"))
    except ConnectionError:
        return False


def answer_to(head: bytes, render: Render = lambda: b"up 1\n") -> bytes:
    answer = serving(render, lambda server: ask(server, head))
    assert isinstance(answer, bytes)
    return answer


def test_get_metrics_answers_what_is_rendered() -> None:
    head, body = answer_to(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: text/plain; version=0.0.4; charset=utf-8" in head
    assert b"content-length: 5" in head
    assert body == b"up 1\n"


def test_render_may_be_a_coroutine_function() -> None:
    async def render() -> bytes:
        await asyncio.sleep(0)
        return b"merged 2\n"

    assert answer_to(b"GET /metrics HTTP/1.1\r\n\r\n", render).endswith(b"\r\n\r\nmerged 2\n")


def test_a_large_answer_arrives_whole() -> None:
    large = b"x" * 5_000_000
    assert answer_to(b"GET /metrics HTTP/1.1\r\n\r\n", lambda: large).endswith(b"\r\n\r\n" + large)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /secret HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics SPDY/3\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 40_000, b"431 Request Header Fields Too Large"),
    ],
)
def test_everything_else_gets_its_status_and_no_body(head: bytes, status: bytes) -> None:
    answer = answer_to(head)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"\r\n\r\n")


def test_the_root_links_to_the_metrics() -> None:
    assert b'href="/metrics"' in answer_to(b"GET / HTTP/1.1\r\n\r\n")


def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "HEADER_SECONDS", 0.05)
    assert answer_to(b"GET /metrics HT") == b""


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "MOST_CONNECTIONS", 1)

    async def talk(server: MetricsServer) -> None:
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        assert not await answered(server), "the idle connection has the only place"
        idle.close()
        await idle.wait_closed()
        async with asyncio.timeout(20):
            while not await answered(server):
                pass

    serving(lambda: b"", talk)


def test_closing_cuts_off_whoever_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "HEADER_SECONDS", 1_000)

    async def talk(server: MetricsServer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /metr")
        await ask(server, b"GET / HTTP/1.1\r\n\r\n")  # by now the first connection is being served
        await server.close()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)

    serving(lambda: b"", talk)


def test_a_taken_port_stops_the_start() -> None:
    async def talk(server: MetricsServer) -> str:
        with pytest.raises(StartupProblem) as problem:
            await MetricsServer("127.0.0.1", server.port, lambda: b"").start()
        return problem.value.message.replace(str(server.port), "8001")

    assert serving(lambda: b"", talk) == "port 8001 is taken (metrics); set OR_METRICS_PORT"


def test_an_impossible_address_stops_the_start() -> None:
    async def run() -> None:
        with pytest.raises(StartupProblem, match="cannot listen on 192\\.0\\.2\\.1:0"):
            await MetricsServer("192.0.2.1", 0, lambda: b"").start()

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of this process")
def test_without_a_descriptor_left_it_says_so() -> None:
    """asyncio would give a server without a socket."""

    async def start() -> None:
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, usual[1]))
        try:
            await MetricsServer("127.0.0.1", 0, lambda: b"").start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)

    with pytest.raises(OSError, match="Too many open files") as failed:
        asyncio.run(start())
    assert failed.value.errno == errno.EMFILE
