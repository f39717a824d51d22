"""A raw TCP server whose every byte a test decides, and what the tests of the client share."""

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from orcestator.upstream.http.client import Response, UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts

Run = Callable[[Callable[[], Awaitable[Any]]], Any]
"""What the ``run`` fixture gives: it runs a coroutine function to its end."""

Script = Callable[["Peer"], Awaitable[None]]

PATIENT = Timeouts(connect=5.0, tls=5.0, first_byte=5.0, idle=5.0, total=10.0, pool=5.0)
LONG = 1000.0


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests: list[bytes] = []

    async def request(self) -> bytes:
        """Read one request; its body follows the head in what is returned."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        whole = head + await self.reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError("the client has left")
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        )
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the other side has closed."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class ScriptedUpstream:
    """Plays one script per connection, the last one for every further connection."""

    def __init__(self, *scripts: Script, ssl_context: ssl.SSLContext | None = None, host: str = "localhost") -> None:
        self._scripts = list(scripts)
        self._ssl_context = ssl_context
        self._host = host
        self._running: set[asyncio.Task[Any]] = set()
        self.peers: list[Peer] = []
        self.ended = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._play, "127.0.0.1", 0, ssl=self._ssl_context, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def stop_listening(self) -> None:
        """Refuse further connections; those that are open stay."""
        self._server.close()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def origin(self) -> Origin:
        scheme = "https" if self._ssl_context else "http"
        return Origin(scheme, self._host if self._ssl_context else "127.0.0.1", self.port, private=True)

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        peer = Peer(reader, writer)
        self.peers.append(peer)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._running.discard(task)
            self.ended += 1
            writer.close()


def plain(body: bytes = b"ok", *, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """A whole answer with a length."""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def chunked(*pieces: bytes, end: bool = True, headers: bytes = b"") -> bytes:
    """A whole answer in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return CHUNKED_HEAD[:-2] + headers + b"\r\n" + chunks + (b"0\r\n\r\n" if end else b"")


CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answers(*replies: bytes, close: bool = False) -> Script:
    """One reply a request, the last one for ever (or, with ``close``, once and then FIN)."""

    async def script(peer: Peer) -> None:
        left = list(replies)
        while True:
            await peer.request()
            await peer.send(left.pop(0) if len(left) > 1 or close else left[0])
            if not left:
                return

    return script


async def silent(peer: Peer) -> None:
    """Take a request and never answer."""
    await peer.request()
    await peer.gone()


async def hang_up(peer: Peer) -> None:
    """Take a request and close without an answer."""
    await peer.request()


@asynccontextmanager
async def upstream_client(**settings: Any) -> AsyncIterator[UpstreamClient]:
    """A client that must have given every slot back at the end."""
    client = UpstreamClient(**settings)
    try:
        yield client
        assert client.in_use() == 0, "a slot leaked"
        assert client.waiting() == 0
    finally:
        await client.close()


async def post(
    client: UpstreamClient,
    origin: Origin,
    body: bytes = b"{}",
    *,
    timeouts: Timeouts = PATIENT,
    deadline: float | None = None,
) -> Response:
    """Send a POST with one header of the caller's."""
    return await client.send(
        origin, b"POST", b"/v1/chat", b"Content-Type: application/json\r\n", body, timeouts, deadline=deadline
    )


async def fetch(client: UpstreamClient, origin: Origin, body: bytes = b"{}", **waits: Any) -> tuple[int, bytes]:
    """Send a POST and read the whole answer."""
    response = await post(client, origin, body, **waits)
    try:
        return response.status, await response.read_all()
    finally:
        response.close()


async def eventually(is_true: Callable[[], bool]) -> None:
    """Let the loop run until something holds; the test's own deadline bounds it."""
    while not is_true():  # noqa: ASYNC110  what is waited for is the state of the code under test, which has no event
        await asyncio.sleep(0.001)
