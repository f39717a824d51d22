"""One TCP connection: bytes in, bytes out, and the moment the peer leaves. It knows nothing of HTTP.

End of input counts as leaving: a peer that half-closes after its request gets no answer, as most servers do it.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

READ_LIMIT_BYTES = 64 * 1024
LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Close at once with RST; Windows declares both fields as short."""


class PeerLeft(ConnectionError):
    """The peer closed or reset the connection."""


class Connection(asyncio.Protocol):
    """A connection; ``serve`` is started as its task when the peer has connected, ``on_left`` is called once."""

    def __init__(
        self, serve: Callable[["Connection"], Coroutine[Any, Any, None]], on_left: Callable[["Connection"], None]
    ) -> None:
        self.reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
        self._serve = serve
        self._on_left = on_left
        self._left = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport
        self.task: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports are no subclass of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.reader.set_transport(self.transport)
        self.task = asyncio.get_running_loop().create_task(self._serve(self))

    def data_received(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def eof_received(self) -> None:
        self._note_left()

    def connection_lost(self, exc: Exception | None) -> None:
        self._note_left()

    def pause_writing(self) -> None:
        if not self._left.is_set():
            self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    @property
    def local_port(self) -> int:
        """The port the peer connected to."""
        return int(self.transport.get_extra_info("sockname")[1])

    async def send(self, data: bytes) -> None:
        """Hand the bytes over, as fast as the peer takes them. Raises ``PeerLeft``."""
        self._require_peer()
        self.transport.write(data)
        await self._writable.wait()
        # A long script without pauses must not keep the loop from everybody else.
        await asyncio.sleep(0)

    async def pause(self, seconds: float) -> None:
        """Wait; raises ``PeerLeft`` as soon as the peer leaves."""
        try:
            async with asyncio.timeout(seconds):
                await self._left.wait()
        except TimeoutError:
            return
        raise PeerLeft

    async def flush(self) -> None:
        """Return when the kernel has every byte. Raises ``PeerLeft``."""
        self.transport.set_write_buffer_limits(high=0)
        if self.transport.get_write_buffer_size():
            await self._writable.wait()
        self.transport.set_write_buffer_limits()
        self._require_peer()

    async def reset(self) -> None:
        """Send what is left, then RST."""
        await self.flush()
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.transport.abort()

    async def hang_up(self) -> None:
        """Send what is left, then FIN."""
        await self.flush()
        self.transport.close()

    def abandon(self) -> None:
        """End the connection and its task at once."""
        self.task.cancel()
        self.transport.abort()

    def _note_left(self) -> None:
        if self._left.is_set():
            return
        self._left.set()
        self._writable.set()
        self.reader.feed_eof()
        self._on_left(self)

    def _require_peer(self) -> None:
        if self._left.is_set() or self.transport.is_closing():
            raise PeerLeft
