"""HTTP/1.1 requests off the wire, bounded. It never looks at what a body means, but for one fault (U4)."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from orcestator.sandbox.problem import Refused
from orcestator.sandbox.wire.connection import Connection

BODY_LIMIT_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 256 * 1024
STOPS_READING = re.compile(rb'"model"\s*:\s*"(fault:U4[^"]*)"')
"""U4 has to show before the body is complete: reading stops at this model name, if it is in the first 64 KiB."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came. ``is_complete`` is False when reading stopped on purpose in the middle of the body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keeps_alive: bool
    is_complete: bool = True

    @property
    def path(self) -> str:
        """The decoded path, without the query."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return urlsplit(self.target).query


async def read_request(connection: Connection) -> Request | None:
    """The next request, or None when the peer left between two. Raises ``Refused`` for what is not HTTP."""
    head = await _read_head(connection.reader)
    if head is None:
        return None
    method, target, version, headers = _parsed_head(head)
    if headers.get("expect", "").lower() == "100-continue":
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    body, is_complete = await _read_body(connection.reader, headers)
    return Request(method, target, headers, body, _keeps_alive(version, headers), is_complete)


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Refused(431, "The request's headers are over 64 KiB.", closes=True) from None


def _parsed_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    start = lines[0].split(" ")
    if len(start) != 3 or start[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise Refused(400, "The request line is not HTTP/1.1.", closes=True)
    headers: dict[str, str] = {}
    for line in filter(None, lines[1:]):
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise Refused(400, f"The header line {line[:40]!r} is not HTTP/1.1.", closes=True)
        headers[name.lower()] = value.strip()
    return start[0], start[1], start[2], headers


def _keeps_alive(version: str, headers: dict[str, str]) -> bool:
    wish = headers.get("connection", "").lower()
    return "close" not in wish if version == "HTTP/1.1" else "keep-alive" in wish


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[bytes, bool]:
    try:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await _read_chunked(reader), True
        return await _read_sized(reader, _content_length(headers))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise Refused(400, "The body ended before it was complete.", closes=True) from None


def _content_length(headers: dict[str, str]) -> int:
    stated = headers.get("content-length", "0")
    if not (stated.isascii() and stated.isdigit()):
        raise Refused(400, "Content-Length is not a number.", closes=True)
    return _bounded(int(stated))


async def _read_sized(reader: asyncio.StreamReader, length: int) -> tuple[bytes, bool]:
    body = bytearray()
    while len(body) < length:
        piece = await reader.read(min(PIECE_BYTES, length - len(body)))
        if not piece:
            raise asyncio.IncompleteReadError(bytes(body), length)
        looks_for_fault = len(body) < 64 * 1024
        body += piece
        if looks_for_fault and len(body) < length and STOPS_READING.search(body):
            return bytes(body), False
    return bytes(body), True


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while length := _chunk_length(await reader.readuntil(b"\r\n")):
        _bounded(len(body) + length)
        body += await reader.readexactly(length)
        if await reader.readexactly(2) != b"\r\n":
            raise Refused(400, "A chunk of the body does not end where it said.", closes=True)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers say nothing the sandbox would use
    return bytes(body)


def _chunk_length(line: bytes) -> int:
    digits = line.split(b";")[0].strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits):
        raise Refused(400, "A chunk length of the body is not a hexadecimal number.", closes=True)
    return int(digits, 16)


def _bounded(length: int) -> int:
    if length > BODY_LIMIT_BYTES:
        raise Refused(413, f"The body is over {BODY_LIMIT_BYTES} bytes.", closes=True)
    return length
