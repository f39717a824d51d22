"""Serves the metrics on a port of their own, so that a scraper neither needs a caller key nor competes for permits.

A deliberately small HTTP/1.1 server: one request a connection, GET and HEAD only. Must never hold a connection
longer than its timeouts, nor render on the event loop.
"""

import asyncio
import errno
import inspect
import ipaddress
import os
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from orcestator.errors import StartupProblem
from orcestator.telemetry.exposition import CONTENT_TYPE

Render = Callable[[], bytes | Awaitable[bytes]]

HEADER_SECONDS = 5.0
"""How long a request's head may take to arrive."""
ANSWER_SECONDS = 10.0
"""How long the answer may take to leave."""
CLOSE_SECONDS = 1.0
"""How long ``close`` waits for a rendering that is under way."""
LARGEST_HEAD_BYTES = 16 * 1024
MOST_CONNECTIONS = 32

_HOST = re.compile(rb"\r\nhost:[ \t]*(\[[^\]\r]*\]|[^:\r \t]*)", re.IGNORECASE)
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
"""Of names that the public DNS does not have."""
_INDEX = b'<!doctype html><title>orcestator metrics</title><a href="/metrics">/metrics</a>\n'


class MetricsServer:
    """``GET /metrics`` answers what ``render`` returns. ``render`` is called in a thread; an awaitable that it
    returns is awaited on the event loop."""

    def __init__(self, host: str, port: int, render: Render) -> None:
        self.host = host
        self._is_local = _is_loopback(host)
        self.port = port  # after start(): the port in use, also when 0 was asked for
        self._render = render
        self._server: asyncio.Server | None = None
        self._answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listen. Raises StartupProblem when the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=LARGEST_HEAD_BYTES)
        except OSError as problem:
            raise StartupProblem(self._why_not(problem)) from problem
        if not self._server.sockets:
            # What could not be made is left out by asyncio without a word.
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and cut off whoever is still being answered."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._answering.values():
            writer.transport.abort()
        if self._answering:
            await asyncio.wait(self._answering, timeout=CLOSE_SECONDS)

    def _why_not(self, problem: OSError) -> str:
        if problem.errno == errno.EADDRINUSE:
            return f"port {self.port} is taken (metrics); set OR_METRICS_PORT"
        return f"cannot listen on {self.host}:{self.port} (metrics): {problem.strerror}; check OR_METRICS_HOST and OR_METRICS_PORT"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._answering) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._answering[task] = writer
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # The scraper is gone or too slow; there is nobody to tell.
        finally:
            del self._answering[task]
            # Not close(): it would wait for a reader that never reads.
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            answer = await self._answer_to(head)
        except asyncio.LimitOverrunError:
            answer = _head(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "text/plain", 0)
        async with asyncio.timeout(ANSWER_SECONDS):
            await _send(writer, answer)

    async def _answer_to(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _head(HTTPStatus.BAD_REQUEST, "text/plain", 0)
        if self._is_local and not _names_this_machine(head):
            return _head(HTTPStatus.FORBIDDEN, "text/plain", 0)
        method, path = words[0], words[1].split(b"?", 1)[0]
        if path not in (b"/", b"/metrics"):
            return _head(HTTPStatus.NOT_FOUND, "text/plain", 0)
        if method not in (b"GET", b"HEAD"):
            return _head(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", 0, b"allow: GET, HEAD\r\n")
        content_type, body = ("text/html", _INDEX) if path == b"/" else (CONTENT_TYPE, await self._rendered())
        return _head(HTTPStatus.OK, content_type, len(body)) + (body if method == b"GET" else b"")

    async def _rendered(self) -> bytes:
        rendered = await asyncio.to_thread(self._render)
        return await rendered if inspect.isawaitable(rendered) else rendered


def _names_this_machine(head: bytes) -> bool:
    """Whether the Host, where there is one, is a name that no web page can have: one that rebinds its own name to 127.0.0.1 sends that."""
    hosts = (host.decode("latin-1").strip("[]").lower().rstrip(".") for host in _HOST.findall(head))
    return all("." not in host or host.endswith(_PRIVATE_SUFFIXES) or _is_address(host) for host in hosts)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _head(status: HTTPStatus, content_type: str, length: int, extra: bytes = b"") -> bytes:
    first = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n"
    return first.encode() + extra + b"connection: close\r\n\r\n"


async def _send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.transport.set_write_buffer_limits(0)  # drain() then waits until the kernel has every byte
    writer.write(answer)
    await writer.drain()
