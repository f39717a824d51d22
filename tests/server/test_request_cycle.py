"""What an application sends, as it comes out of a real server's socket."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn

from orcestator.server.edge import EdgeLimits
from orcestator.server.serving import serve_config

SECONDS = 20.0
LENGTH_5 = (b"content-length", b"5")


class Scripted:
    """A raw ASGI application that sends what it was last told to, and notes what it was refused."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refusal = ""
        self.unsent = 0
        """The most bytes that lay in the server when it took the next message."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.refusal = ""
        try:
            for message in self.messages:
                await send(message)
                self.unsent = max(self.unsent, send.__self__.unsent_bytes)
        except RuntimeError as error:
            self.refusal = str(error)
            raise


class House:
    """The application behind the edge."""

    def __init__(self, port: int, app: Scripted) -> None:
        self.port = port
        self.app = app

    def said(self, *messages: dict[str, Any], method: str = "POST", more: bytes = b"connection: close\r\n") -> bytes:
        """Everything that comes when the application sends these."""
        self.app.messages = list(messages)
        with closing(socket.create_connection(("127.0.0.1", self.port), SECONDS)) as caller:
            caller.sendall(f"{method} / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n".encode() + more + b"\r\n")
            came = b""
            while piece := caller.recv(65536):
                came += piece
        return came


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    app = Scripted()
    config = serve_config(app, EdgeLimits(), date_header=False)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server._serve([listener])))
    thread.start()
    yield House(listener.getsockname()[1], app)
    server.should_exit = True
    thread.join(SECONDS)
    loop.close()


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(part: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}


def test_a_body_of_a_known_length(house: House) -> None:
    came = house.said(start(LENGTH_5, (b"x-a", b"1")), body(b"he", more=True), body(b"llo"))
    assert came == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: 1\r\nconnection: close\r\n\r\nhello"


@pytest.mark.parametrize("status", [460, 520, 529, 599])
def test_a_status_that_has_no_name_is_sent_as_any_other(house: House, status: int) -> None:
    came = house.said(start(LENGTH_5, status=status), body(b"hello"))
    assert came == b"HTTP/1.1 %d \r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello" % status


def test_a_body_of_an_unknown_length_is_chunked(house: House) -> None:
    came = house.said(start(), body(more=True), body(b"he", more=True), body(b"llo"))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert came == head + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


def test_an_empty_end_ends_the_chunks(house: House) -> None:
    assert house.said(start(), body(b"x", more=True), body()).endswith(b"\r\n\r\n1\r\nx\r\n0\r\n\r\n")


def test_an_application_may_say_itself_that_it_is_chunked(house: House) -> None:
    came = house.said(start((b"transfer-encoding", b"Chunked"), LENGTH_5), body(b"abc"))
    assert came.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_not_chunked(house: House, status: int) -> None:
    came = house.said(start(status=status), body())
    assert came.startswith(b"HTTP/1.1 %d " % status)
    assert came.endswith(b"\r\nconnection: close\r\n\r\n")
    assert b"chunked" not in came


def test_a_head_has_no_body(house: House) -> None:
    came = house.said(start(LENGTH_5), body(b"hello"), method="HEAD")
    assert came == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
    said = house.said(start((b"transfer-encoding", b"chunked")), body(b"he", more=True), body(b"llo"), method="HEAD")
    assert said == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("value", [b"close", b"Keep-Alive, Close"])
def test_an_application_may_end_the_connection(house: House, value: bytes) -> None:
    came = house.said(start(LENGTH_5, (b"connection", value)), body(b"hello"), more=b"")
    assert came == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: " + value + b"\r\n\r\nhello"


@pytest.mark.parametrize(
    "header",
    [(b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"1\n"), (b"x-a", b"\0"), (b"x a", b"1"), (b"x-a:", b"1"), (b"x\r\n", b"1")],
)
def test_no_header_ends_another(house: House, header: tuple[bytes, bytes]) -> None:
    assert house.said(start(LENGTH_5, header), body(b"hello")) == b""
    assert "characters" in house.app.refusal


@pytest.mark.parametrize(
    ("messages", "refusal"),
    [
        ((start(LENGTH_5), body(b"hell")), "shorter"),
        ((start(LENGTH_5), body(b"hello!")), "longer"),
        ((start(LENGTH_5), body(b"hello", more=True), body(b"!")), "longer"),
        ((start(), start()), "out of its turn"),
        ((body(b"x"),), "out of its turn"),
        ((start(LENGTH_5), body(b"hello"), body()), "after the end"),
    ],
)
def test_what_asgi_does_not_allow_is_refused(house: House, messages: tuple[dict[str, Any], ...], refusal: str) -> None:
    house.said(*messages)
    assert refusal in house.app.refusal


def test_answers_follow_each_other_on_one_connection(house: House) -> None:
    house.app.messages = [start(LENGTH_5), body(b"hello")]
    with closing(socket.create_connection(("127.0.0.1", house.port), SECONDS)) as caller:
        request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n"
        caller.sendall(request + b"\r\n" + request + b"connection: close\r\n\r\n")
        came = b""
        while piece := caller.recv(65536):
            came += piece
    first = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert came == first + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


def test_a_piece_of_a_stream_is_sent_when_its_caller_has_taken_it(house: House) -> None:
    """Until then nothing more is asked of whoever makes the pieces: it would lie here."""
    piece = b"y" * 262_144
    house.app.unsent = 0
    body = {"type": "http.response.body", "body": piece, "more_body": True}
    house.app.messages = [start(), *[body] * 64, {"type": "http.response.body", "body": b""}]
    with closing(socket.socket()) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        caller.settimeout(SECONDS)
        caller.connect(("127.0.0.1", house.port))
        caller.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        came = b"".join(iter(lambda: caller.recv(1 << 20), b""))
    assert came.count(b"y") == 64 * len(piece)
    assert house.app.unsent <= 65_536
