"""A raw TCP upstream that plays the steps of a shape, byte by byte."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Self

Step = bytes | float | str
"""Bytes to send, seconds to wait, or one of the words below."""

FIN, RST, HOLD = "fin", "rst", "hold"
"""Close, close with a reset, or stay silent until the other side leaves. Without one the connection serves on."""

Steps = Sequence[Step]
BETWEEN_READS = 0.002
"""Seconds between two pieces, so that the other side usually sees them in two reads. No verdict depends on it."""


class ShapeUpstream:
    """Answers every POST with the steps that ``script`` makes of the request's bytes, every GET with a 404."""

    def __init__(self, script: Callable[[bytes], Steps]) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the product left, or the run is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Whether another may come on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if head.startswith(b"GET "):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        return await play(self._script(head + body), reader, writer)


async def play(steps: Steps, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Do the steps. Whether the connection is still of use."""
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            await asyncio.sleep(BETWEEN_READS if len(steps) < 500 else 0)
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step == RST:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        elif step == HOLD:
            while await reader.read(65536):
                pass
            return False
        else:
            return False
    return True
