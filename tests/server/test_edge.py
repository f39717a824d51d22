"""The edge, through raw sockets, against a real uvicorn server.

The server's loop runs on a clock that a test can put forward, so that ten-second rules take no time and depend on no
timing: ``Edge.advance`` lets everything in flight arrive first, moves the clock, and lets what is due happen. The real time
passes as well: where something must not be due yet, two seconds and more are left for a machine that is busy.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from orcestator.server import connection_limits, edge
from orcestator.server.edge import EdgeLimits
from orcestator.server.json_body import read_body
from orcestator.server.serving import serve_config

DEADLINE = 9.0  # under every limit of the edge: what must come is due by the advanced clock, not by the real one
HEAD = b"POST /echo HTTP/1.1\r\nHost: gateway\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: gateway\r\n\r\n"
HELD = b"GET /hold HTTP/1.1\r\nHost: gateway\r\n\r\n"
NO_PEER_LIMIT = EdgeLimits(max_connections_per_peer=0)


class PresettableLoop(asyncio.SelectorEventLoop):
    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Application:
    """A raw ASGI application whose path says what it does; it notes what happened to it."""

    def __init__(self) -> None:
        self.connections: Any = ()
        self.started: list[str] = []
        self.holding = threading.Event()
        self.release = threading.Event()
        self.reading = threading.Event()
        self.blocked = threading.Event()
        self.left = threading.Event()
        self.told = 0
        self.outcomes: list[str] = []
        self.ended = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.started.append(scope["path"])
        scope["orcestator.on_disconnect"] = self._on_disconnect
        await getattr(self, scope["path"].strip("/"))(scope, receive, send)

    def _on_disconnect(self) -> None:
        self.told += 1
        self.left.set()

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.outcomes.append("disconnected")
                self.ended.set()
                return
            self.reading.set()
            body += event["body"]
            more = event["more_body"]
        await self._answer(scope, send, body)

    async def early(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers before the body has been read."""
        await self._answer(scope, send, b"")

    async def hold(self, scope: Any, receive: Any, send: Any) -> None:
        self.holding.set()
        await asyncio.to_thread(self.release.wait, DEADLINE)
        await self._answer(scope, send, b"")

    async def late(self, scope: Any, receive: Any, send: Any) -> None:
        self.holding.set()
        await asyncio.to_thread(self.release.wait, DEADLINE)
        await self.echo(scope, receive, send)

    async def half(self, scope: Any, receive: Any, send: Any) -> None:
        """Starts a response and waits for the caller to leave."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.outcomes.append("disconnected")
        self.ended.set()

    async def flood(self, scope: Any, receive: Any, send: Any) -> None:
        """Writes until the caller does not keep up."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.left.is_set():
            sending = asyncio.ensure_future(
                send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            )
            await asyncio.sleep(0)
            if not sending.done():
                self.blocked.set()
            await sending

    async def remainder(self, scope: Any, receive: Any, send: Any) -> None:
        """Ends when the caller has some kilobytes left to read that the kernel does not take."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        [connection] = self.connections
        while not connection.transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"x" * 4096, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
        self.ended.set()

    async def _answer(self, scope: Any, send: Any, body: bytes) -> None:
        seen = {
            "method": scope["method"],
            "http_version": scope["http_version"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": body.decode(),
        }
        answer = json.dumps(seen).encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


class Edge:
    """A running server, its application, and what its edge refused."""

    def __init__(self, limits: EdgeLimits) -> None:
        self.application = Application()
        self.rejected: list[tuple[int, str, str]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.loop = PresettableLoop()
        config = serve_config(self.application, limits, on_rejected=lambda *facts: self.rejected.append(facts))
        self.server = uvicorn.Server(config)
        self.application.connections = self.server.server_state.connections
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.server.serve(sockets=[self.listener]))

    def stop(self) -> None:
        self.application.release.set()
        self.server.should_exit = self.server.force_exit = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), DEADLINE, source_address=(source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what was sent must be there at once
        return connection

    def advance(self, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self._advance(seconds), self.loop).result(DEADLINE)

    def settle(self) -> None:
        """Let everything that was sent arrive."""
        self.advance(0.0)

    async def _advance(self, seconds: float) -> None:
        await self._turns()
        self.loop.ahead += seconds
        await self._turns()

    async def _turns(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    def open_connections(self) -> int:
        self.settle()
        return len(self.server.server_state.connections)


@contextmanager
def serving(limits: EdgeLimits) -> Iterator[Edge]:
    running = Edge(limits)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Edge]:
    """A server for rules that leave no trace in it."""
    with serving(NO_PEER_LIMIT) as running:
        yield running


@pytest.fixture
def own() -> Iterator[Edge]:
    with serving(NO_PEER_LIMIT) as running:
        yield running


class Answer:
    """One response, read from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        response = HTTPResponse(connection)
        response.begin()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def read_answers(connection: socket.socket, count: int) -> list[Answer]:
    """``HTTPResponse`` reads ahead, so that several responses on one socket need a splitting by length."""
    file = connection.makefile("rb")
    answers = []
    for _ in range(count):
        left, right = socket.socketpair()
        with left, right:
            head = b"".join(iter(file.readline, b"\r\n"))
            length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.startswith(b"content-length"))
            right.sendall(head + b"\r\n" + file.read(length))
            answers.append(Answer(left))
    return answers


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has ended its side, and in order: a reset would raise."""
    return connection.recv(1) == b""


def check_refusal(running: Edge, answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert "close" in answer.headers["connection"]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"] == code
    assert (status, code, answer.headers["x-request-id"]) in running.rejected


def refused(running: Edge, raw: bytes, status: int, code: str) -> Answer:
    with closing(running.connect()) as connection:
        connection.sendall(raw)
        answer = Answer(connection)
        check_refusal(running, answer, status, code)
        assert is_closed(connection)
    return answer


def served(running: Edge, raw: bytes) -> Any:
    with closing(running.connect()) as connection:
        connection.sendall(raw)
        answer = Answer(connection)
        assert answer.status == 200
        return answer.json()


# Heads


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"GET /echo HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", id="two hosts"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost:\r\n\r\n", id="empty host"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a/admin?x=\r\n\r\n", id="path in host"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a, b\r\n\r\n", id="list of hosts"),
        pytest.param(HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL and TE"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", id="TE and CL"),
        pytest.param(HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", id="two CL"),
        pytest.param(HEAD + b"Content-Length: +7\r\n\r\nabcdefg", id="signed CL"),
        pytest.param(HEAD + b"Content-Length: 0x7\r\n\r\nabcdefg", id="hex CL"),
        pytest.param(HEAD + b"Content-Length: 3, 3\r\n\r\nabc", id="list CL"),
        pytest.param(HEAD + b"Content-Length: \r\n\r\n", id="empty CL"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", id="huge CL"),
        pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="TE xchunked"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="TE gzip"),
        pytest.param(HEAD + b"Transfer-Encoding: identity\r\n\r\n", id="TE identity"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="two TE"),
        pytest.param(b"GET /echo HTTP/1.1\nHost: a\n\n", id="bare LF"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", id="bare LF after a field"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", id="bare CR"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", id="space before colon"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", id="folded field"),
        pytest.param(b"GET /echo HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", id="NUL in a field"),
        pytest.param(HEAD + b"Content_Length: 3\r\n\r\n", id="underscored framing"),
        pytest.param(HEAD + b"x_api-key: k\r\n\r\n", id="underscored credential"),
        pytest.param(HEAD + b"X-Forwarded_For: k\r\n\r\n", id="underscored proxy field"),
        pytest.param(HEAD + b"Authorization: a\r\nAuthorization: b\r\n\r\n", id="two credentials"),
        pytest.param(HEAD + b"x-api-key: a\r\nX-API-Key: a\r\n\r\n", id="two keys"),
        pytest.param(b"GET http://other/echo HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute form"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", id="asterisk form"),
        pytest.param(b"GET /echo\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", id="HTTP/2.0 in text"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="HTTP/1.0 chunked"),
        pytest.param(b"get /echo HTTP/1.1\r\nHost: a\r\n\r\n", id="lower-case method"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="TLS on a plain port"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", id="bare LF after a chunk size"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", id="chunk longer than said"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", id="negative chunk"),
    ],
)
def test_a_request_that_two_parsers_could_read_differently_is_refused(shared: Edge, raw: bytes) -> None:
    refused(shared, raw, 400, "malformed_request")


@pytest.mark.parametrize("host", [b"localhost:8000", b"127.0.0.1", b"[::1]:8000", b"orcestator_gateway", b"a.b:"])
def test_ordinary_hosts_pass(shared: Edge, host: bytes) -> None:
    served(shared, b"GET /echo HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")


def test_every_request_of_a_connection_is_checked(shared: Edge) -> None:
    with closing(shared.connect()) as connection:
        connection.sendall(GET)
        assert Answer(connection).status == 200
        connection.sendall(b"GET /echo HTTP/1.1\r\nHost: gateway:x\r\n\r\n")
        check_refusal(shared, Answer(connection), 400, "malformed_request")


def test_harmless_oddities_pass(shared: Edge) -> None:
    seen = served(
        shared,
        HEAD + b"X_Custom: 1\r\nCookie: a\r\nCookie: b\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b"3;name=value\r\nabc\r\n0\r\n\r\n",
    )
    assert seen["body"] == "abc"
    assert ["x_custom", "1"] in seen["headers"]


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"PROPFIND"])
def test_other_methods_are_refused(shared: Edge, method: bytes) -> None:
    target = b"a:80" if method == b"CONNECT" else b"/echo"
    answer = refused(shared, method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_http_1_0_is_served_and_closed(shared: Edge) -> None:
    with closing(shared.connect()) as connection:
        connection.sendall(b"GET /echo HTTP/1.0\r\n\r\n")
        assert Answer(connection).json()["http_version"] == "1.0"
        assert is_closed(connection)


def test_a_compressed_body_is_refused(shared: Edge) -> None:
    refused(shared, HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415, "unsupported_media_type")
    assert served(shared, HEAD + b"Content-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc")["body"] == "abc"


def test_a_long_piece_of_nonsense_is_refused_once(own: Edge) -> None:
    refused(own, b"nonsense" * 6000, 400, "malformed_request")
    own.settle()
    assert len(own.rejected) == 1


# Sizes


def padded(size: int) -> bytes:
    """A whole head of ``size`` bytes without its request line's fixed parts."""
    return HEAD + b"X: " + b"a" * size + b"\r\n\r\n"


def test_headers_are_bounded_in_bytes(shared: Edge) -> None:
    served(shared, padded(31 * 1024))
    refused(shared, padded(33 * 1024), 431, "headers_too_large")
    refused(shared, HEAD + b"X: " + b"a" * 33 * 1024, 431, "headers_too_large")  # never ends
    refused(shared, HEAD + b"X" * 33 * 1024, 431, "headers_too_large")


def test_headers_are_bounded_in_a_pipeline_too(shared: Edge) -> None:
    with closing(shared.connect()) as connection:
        connection.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc" + padded(33 * 1024))
        first, second = read_answers(connection, 2)
    assert first.status == 200
    check_refusal(shared, second, 431, "headers_too_large")


def test_headers_are_bounded_in_number(shared: Edge) -> None:
    served(shared, HEAD + b"X: a\r\n" * 99 + b"\r\n")
    refused(shared, HEAD + b"X: a\r\n" * 100 + b"\r\n", 431, "headers_too_large")


def test_the_url_is_bounded(shared: Edge) -> None:
    served(shared, b"GET /echo?" + b"a" * 16_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    refused(shared, b"GET /echo?" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "url_too_long")
    refused(shared, b"GET /echo?" + b"a" * 64_000, 414, "url_too_long")


def test_a_body_read_together_with_its_head_is_not_taken_for_headers(shared: Edge) -> None:
    post = HEAD + b"Content-Length: 60000\r\n\r\n" + b"a" * 60_000
    with closing(shared.connect()) as connection:
        connection.sendall(post + GET)
        first, second = read_answers(connection, 2)
    assert len(first.json()["body"]) == 60_000
    assert second.json()["body"] == ""


@pytest.fixture(scope="module")
def small() -> Iterator[Edge]:
    with serving(EdgeLimits(max_body_bytes=1000, max_connections_per_peer=0)) as running:
        yield running


def test_a_declared_body_over_the_limit_is_refused_before_it_is_read(small: Edge) -> None:
    assert len(served(small, HEAD + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000)["body"]) == 1000
    started = len(small.application.started)
    refused(small, HEAD + b"Content-Length: 1001\r\n\r\n", 413, "body_too_large")
    refused(small, HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413, "body_too_large")
    assert len(small.application.started) == started


def test_a_chunked_body_is_refused_as_soon_as_it_exceeds_the_limit(small: Edge) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert len(served(small, head + b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n")["body"]) == 1000
    refused(small, head + b"fffff\r\n" + b"a" * 1001, 413, "body_too_large")
    assert small.application.ended.wait(DEADLINE)
    assert small.application.outcomes == ["disconnected"]


def test_the_refusal_can_be_read_while_the_body_is_still_being_sent(small: Edge) -> None:
    with closing(small.connect()) as connection:
        connection.sendall(HEAD + b"Content-Length: 2000000\r\n\r\n")
        connection.sendall(b"a" * 2_000_000)
        check_refusal(small, Answer(connection), 413, "body_too_large")


@pytest.mark.parametrize("filler", [b"3;" + b"x" * 40_000, b"0\r\nX: " + b"a" * 40_000, b"0\r\n" + b"X: a\r\n" * 7000])
def test_chunk_extensions_and_trailers_are_bounded(shared: Edge, filler: bytes) -> None:
    with closing(shared.connect()) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        shared.settle()
        connection.sendall(filler)
        check_refusal(shared, Answer(connection), 431, "headers_too_large")


def test_trailers_do_not_become_headers(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /late HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert own.application.holding.wait(DEADLINE)
        connection.sendall(b"0\r\nAuthorization: Bearer other\r\n\r\n")
        own.settle()
        own.application.release.set()
        seen = Answer(connection).json()
    assert seen["body"] == "abc"
    assert [name for name, _ in seen["headers"]] == ["host", "transfer-encoding"]


# Time


@pytest.mark.parametrize("start", [b"", b"\r\n", b"GE", HEAD, HEAD + b"Content-Length: 3\r\n"])
def test_headers_must_come_in_time(own: Edge, start: bytes) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(start)
        own.advance(8)
        assert own.rejected == []
        own.advance(2.1)
        check_refusal(own, Answer(connection), 408, "request_timeout")
        assert is_closed(connection)


def test_dribbling_does_not_extend_the_time_for_headers(own: Edge) -> None:
    with closing(own.connect()) as connection:
        for byte in HEAD[:10]:
            own.advance(1.01)
            connection.sendall(bytes([byte]))
        check_refusal(own, Answer(connection), 408, "request_timeout")


def test_a_later_request_has_its_own_time_for_headers(own: Edge) -> None:
    with closing(own.connect()) as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert Answer(connection).status == 200
            own.advance(70)  # idle, and welcome to be
            connection.sendall(GET[:10])
            own.advance(8)
            connection.sendall(GET[10:])
            assert Answer(connection).status == 200


def test_a_half_sent_request_on_an_idle_connection_is_refused_in_time(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(GET)
        assert Answer(connection).status == 200
        own.advance(20)
        connection.sendall(GET[:10])
        own.advance(10.1)
        check_refusal(own, Answer(connection), 408, "request_timeout")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 99\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 99\r\n\r\nabc"]
)
def test_a_body_must_go_on(own: Edge, framing: bytes) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HEAD + framing)
        own.advance(8)
        assert own.rejected == []
        own.advance(2.1)
        check_refusal(own, Answer(connection), 408, "request_timeout")
        assert is_closed(connection)
    assert own.application.ended.wait(DEADLINE)
    assert own.application.outcomes == ["disconnected"]
    own.settle()
    assert own.application.told == 1


def test_chunk_extensions_do_not_count_as_going_on(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3;")
        for _ in range(3):
            own.advance(4)
            connection.sendall(b"x")
        check_refusal(own, Answer(connection), 408, "request_timeout")


def test_an_application_that_does_not_read_is_not_held_against_the_caller(own: Edge) -> None:
    body = b"a" * 200_000
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body)
        assert own.application.holding.wait(DEADLINE)
        for _ in range(5):
            own.advance(9)
        own.application.release.set()
        assert Answer(connection).json()["body"] == body.decode()
    assert own.rejected == []


def test_a_caller_has_its_time_again_when_the_application_reads_on(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 120001\r\n\r\n")
        for _ in range(2):
            connection.sendall(b"a" * 60_000)  # the second half makes the edge stop reading
            own.settle()
        own.advance(10.1)
        own.advance(7)
        own.application.release.set()
        assert own.application.reading.wait(DEADLINE)
        own.advance(7)
        connection.sendall(b"a")
        assert len(Answer(connection).json()["body"]) == 120_001


def test_an_application_that_delays_100_continue_is_not_held_against_the_caller(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /late HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert own.application.holding.wait(DEADLINE)
        for _ in range(5):
            own.advance(9)
        own.application.release.set()
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert Answer(connection).json()["body"] == "abc"


def test_an_idle_connection_is_closed_quietly(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(GET)
        assert Answer(connection).status == 200
        own.advance(72)
        assert own.open_connections() == 1
        own.advance(3.1)
        assert is_closed(connection)
    assert own.rejected == []


@pytest.mark.parametrize("sent", [b"", b"a", b"5\r\nabcde\r\n"], ids=["nothing", "a byte", "a chunk"])
def test_an_answer_before_the_end_of_the_body_ends_the_connection(own: Edge, sent: bytes) -> None:
    """Whoever has its answer cannot keep the place by going on with its body for ever."""
    framing = b"Transfer-Encoding: chunked" if b"\r" in sent else b"Content-Length: 30000000"
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (framing, sent))
        answer = Answer(connection)
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert is_closed(connection)
        own.advance(2.1)
        assert own.open_connections() == 0
    assert own.rejected == []
    assert own.application.told == 0


def test_an_answer_before_the_end_of_the_body_can_be_read_while_the_body_is_sent(own: Edge) -> None:
    """Closing at once would reset the connection, and the answer would be lost with it."""
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
        own.settle()
        connection.sendall(b"x" * 1_000_000)
        assert Answer(connection).status == 200


def test_an_answer_after_the_end_of_the_body_keeps_the_connection(own: Edge) -> None:
    """An application that does not look at a body which is there is no reason to connect anew."""
    with closing(own.connect()) as connection:
        for _ in range(3):
            connection.sendall(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            answer = Answer(connection)
            assert answer.status == 200
            assert "connection" not in answer.headers
        own.advance(72)
        assert own.open_connections() == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 30000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_refused(own: Edge, framing: bytes) -> None:
    """It never pauses for long, and would hold its place for as long as it likes."""
    with closing(own.connect()) as connection:
        connection.sendall(HEAD + framing + b"\r\n\r\n")
        for _ in range(2):
            connection.sendall(b"1\r\na\r\n")
            own.advance(4)
        assert own.open_connections() == 1
        connection.sendall(b"1\r\na\r\n")
        own.advance(4)
        check_refusal(own, Answer(connection), 408, "body_too_slow")
        assert is_closed(connection)


def test_a_slow_body_has_a_second_for_every_sixteen_kibibytes(own: Edge) -> None:
    """Ten seconds and what it has earned: an uplink may be slow."""
    with closing(own.connect()) as connection:
        connection.sendall(HEAD + b"Content-Length: 163840\r\n\r\n")
        for _ in range(5):
            connection.sendall(b"x" * 32768)
            own.advance(2.5)
        assert Answer(connection).status == 200
    assert own.rejected == []


def test_a_body_that_stops_during_the_answer_ends_both(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        own.advance(10.1)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.endswith(b"4\r\nhalf\r\n")  # no last chunk: a visible cut
    assert own.application.ended.wait(DEADLINE)


def test_a_caller_that_does_not_read_is_cut_off(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        assert own.application.blocked.wait(DEADLINE)
        own.advance(57)
        assert not own.application.left.is_set()
        own.advance(3.1)
        assert own.application.left.wait(DEADLINE)
        assert own.open_connections() == 0


def test_a_caller_that_reads_again_has_its_time_again(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            assert own.application.blocked.wait(DEADLINE)
            own.advance(40)
            own.application.blocked.clear()
            while not own.application.blocked.is_set():
                connection.recv(1 << 20)
        assert not own.application.left.is_set()


def test_a_closing_connection_does_not_wait_for_ever_for_its_reader(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"GET /remainder HTTP/1.1\r\nHost: a\r\n\r\n")
        assert own.application.ended.wait(DEADLINE)
        assert own.open_connections() == 1
        own.advance(61)
        assert own.open_connections() == 0


def test_a_refused_caller_that_never_closes_is_dropped(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
        assert Answer(connection).status == 400
        connection.sendall(b"more")
        assert own.open_connections() == 1
        own.advance(2.1)
        assert own.open_connections() == 0


# Numbers


def test_one_peer_may_hold_so_many_connections() -> None:
    with serving(EdgeLimits(max_connections_per_peer=2)) as running, ExitStack() as stack:
        first = stack.enter_context(closing(running.connect()))
        stack.enter_context(closing(running.connect()))
        running.settle()
        extra = stack.enter_context(closing(running.connect()))
        answer = Answer(extra)
        check_refusal(running, answer, 503, "too_many_connections")
        assert answer.headers["retry-after"] == "1"
        assert is_closed(extra)
        other = stack.enter_context(closing(running.connect(source="127.0.0.2")))
        other.sendall(GET)
        assert Answer(other).status == 200
        first.close()
        running.settle()
        served(running, GET)


def test_all_peers_together_may_hold_so_many_connections() -> None:
    with serving(EdgeLimits(max_connections=2)) as running, ExitStack() as stack:
        first = stack.enter_context(closing(running.connect()))
        stack.enter_context(closing(running.connect(source="127.0.0.2")))
        running.settle()
        extra = stack.enter_context(closing(running.connect(source="127.0.0.3")))
        check_refusal(running, Answer(extra), 503, "too_many_connections")
        first.close()
        running.settle()
        served(running, GET)


def test_the_last_places_are_kept_for_newcomers_and_for_this_machine() -> None:
    """Few peers that hold all they may shut out neither those who hold little nor the health check."""
    door = connection_limits.ConnectionLimits(320, 100)
    held = [sum(door.admit(peer) for _ in range(200)) for peer in ("10.0.0.1", "10.0.0.2", "10.0.0.3")]
    assert held == [100, 100, 100]
    newcomers = [sum(door.admit(peer) for _ in range(200)) for peer in ("10.0.0.4", "10.0.0.5", "10.0.0.6")]
    assert newcomers == [8, 2, 0]
    assert sum(door.admit(peer) for peer in ("127.0.0.1", "::/64", "127.0.0.9") * 9) == 10
    door.leave("10.0.0.1")
    assert not door.admit("10.0.0.2"), "a place that is free again is a newcomer's"


def test_a_crowd_over_the_limit_is_not_held_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_LINGERING_AT_ONCE", 1)
    with serving(EdgeLimits(max_connections=1)) as running, ExitStack() as stack:
        stack.enter_context(closing(running.connect()))
        running.settle()
        told = stack.enter_context(closing(running.connect()))
        assert Answer(told).status == 503
        dropped = stack.enter_context(closing(running.connect()))
        assert is_closed(dropped)
        assert len(running.rejected) == 1


def test_slow_callers_do_not_keep_an_honest_one_out(own: Edge) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(own.connect())) for _ in range(200)]
        for connection in slow:
            connection.sendall(HEAD[:20])
        assert served(own, GET)["method"] == "GET"
        assert own.open_connections() >= 200
        own.advance(10.1)
        for connection in slow:
            assert Answer(connection).status == 408
    assert len(own.rejected) == 200


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("socket", "socket"),
    ],
)
def test_an_ipv6_subscriber_is_one_peer(host: str, peer: str) -> None:
    assert connection_limits.peer(host) == peer


def test_responses_do_not_wait_for_acknowledgements(own: Edge) -> None:
    with closing(own.connect()):
        own.settle()
        [connection] = own.server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# Upgrades


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


def test_an_offer_of_h2c_is_ignored(shared: Edge) -> None:
    seen = served(shared, HEAD + UPGRADE + b"X-Kept: 1\r\nContent-Length: 3\r\n\r\nabc")
    assert (seen["method"], seen["http_version"], seen["body"]) == ("POST", "1.1", "abc")
    assert ["x-kept", "1"] in seen["headers"]


def test_an_offer_of_h2c_in_small_pieces_and_in_a_pipeline(own: Edge) -> None:
    offer = HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with closing(own.connect()) as connection:
        for byte in offer:
            connection.sendall(bytes([byte]))
            own.settle()
        assert Answer(connection).json()["body"] == "abc"
        connection.sendall(offer * 3 + GET)
        assert [answer.json()["body"] for answer in read_answers(connection, 4)] == ["abc", "abc", "abc", ""]


def test_the_rules_hold_behind_an_offer_of_h2c(shared: Edge) -> None:
    refused(shared, HEAD + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n3\nabc", 400, "malformed_request")
    refused(shared, HEAD + UPGRADE + b"Content-Length: 99999999999\r\n\r\n", 413, "body_too_large")
    with closing(shared.connect()) as connection:
        connection.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n")
        assert Answer(connection).status == 200
        assert is_closed(connection)


def test_websocket_callers_are_sent_back_to_http(shared: Edge) -> None:
    answer = refused(
        shared,
        b"GET /v1/responses HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        b"Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n\r\n",
        426,
        "upgrade_required",
    )
    assert answer.headers["upgrade"] == "HTTP/1.1"
    assert "use HTTP" in answer.json()["error"]["message"]


# Pipelines and disconnects


def test_pipelined_requests_are_answered_in_order(own: Edge) -> None:
    requests = [HEAD + b"Content-Length: 3\r\n\r\n%03d" % number for number in range(100)]
    with closing(own.connect()) as connection:
        connection.sendall(b"".join(requests))
        answers = read_answers(connection, 100)
    assert [answer.json()["body"] for answer in answers] == [f"{number:03d}" for number in range(100)]


def test_a_caller_that_leaves_cancels_its_whole_pipeline(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HELD + GET * 50)
        assert own.application.holding.wait(DEADLINE)
    assert own.application.left.wait(DEADLINE)
    own.application.release.set()
    own.settle()
    assert own.application.started == ["/hold"]
    assert own.application.told == 1


def test_too_many_pipelined_requests_are_refused_after_the_others(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HELD + GET * 200)
        assert own.application.holding.wait(DEADLINE)
        own.settle()
        own.application.release.set()
        answers = read_answers(connection, 130)
        assert is_closed(connection)
    assert [answer.status for answer in answers] == [200] * 129 + [400]
    check_refusal(own, answers[-1], 400, "too_many_pipelined_requests")


@pytest.mark.parametrize("waiting", [0, 2])
@pytest.mark.parametrize(
    "bad", [b"nonsense\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense", b"GET /echo HTTP/1.1\r\n\r\n"]
)
def test_a_bad_request_is_refused_in_its_turn(own: Edge, bad: bytes, waiting: int) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HELD + GET * waiting + bad)
        assert own.application.holding.wait(DEADLINE)
        own.settle()
        assert own.rejected == []
        own.application.release.set()
        *answers, last = read_answers(connection, waiting + 2)
        check_refusal(own, last, 400, "malformed_request")
        assert is_closed(connection)
    assert [answer.status for answer in answers] == [200] * (waiting + 1)
    assert len(own.application.started) == waiting + 1


def test_the_application_is_told_once_that_the_caller_left(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HELD)
        assert own.application.holding.wait(DEADLINE)
    assert own.application.left.wait(DEADLINE)
    own.settle()
    assert own.application.told == 1


def test_a_reset_tells_the_application_too(own: Edge) -> None:
    with closing(own.connect()) as connection:
        connection.sendall(HELD)
        assert own.application.holding.wait(DEADLINE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert own.application.left.wait(DEADLINE)


def test_a_caller_whose_large_body_came_in_one_read_is_seen_to_leave() -> None:
    """Its body was taken whole: nothing lies here for which it would have to wait."""

    async def scenario() -> bytes:
        loop, holding, left = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        bodies: list[bytes] = []

        async def application(scope: Any, receive: Any, _send: Any) -> None:
            scope["orcestator.on_disconnect"] = left.set
            bodies.append(await read_body(receive, 1 << 20))
            holding.set()
            await left.wait()

        config = serve_config(application, EdgeLimits(), date_header=False)
        config.load()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, protocol = await loop.connect_accepted_socket(
                lambda: config.http_protocol_class(config, ServerState(), {}), ours
            )
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
            protocol.data_received(head + b"x" * 100_000)
            await asyncio.wait_for(holding.wait(), DEADLINE)
        await asyncio.wait_for(left.wait(), DEADLINE)
        transport.abort()
        return bodies[0]

    assert asyncio.run(scenario()) == b"x" * 100_000


def test_nobody_is_told_after_a_complete_response(own: Edge) -> None:
    served(own, GET)
    assert own.open_connections() == 0
    assert own.application.told == 0


# Settings


def test_the_server_settings_go_with_the_edge() -> None:
    config = serve_config(Application(), EdgeLimits(keep_alive_seconds=33), host="127.0.0.9", backlog=7)
    config.load()
    assert issubclass(config.http_protocol_class, edge.EdgeProtocol)
    assert config.ws_protocol_class is None
    assert (config.timeout_keep_alive, config.host, config.backlog) == (33, "127.0.0.9", 7)
    assert [config.access_log, config.server_header, config.proxy_headers] == [False, False, False]


def test_two_servers_count_their_own_connections(shared: Edge) -> None:
    with serving(EdgeLimits(max_connections=1)) as full, closing(full.connect()):
        full.settle()
        served(shared, GET)
