"""One connection, driven by its transport's callbacks alone."""

import asyncio
from typing import Any

from orcestator.upstream.http.connection import PAUSE_AT_BYTES, Connection


class Transport(asyncio.Transport):
    """Counts what is asked of it; nothing is written."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = self.resumed = self.aborted = 0

    def write(self, data: Any) -> None:
        """Gone at once."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """Count."""
        self.paused += 1

    def resume_reading(self) -> None:
        """Count."""
        self.resumed += 1

    def abort(self) -> None:
        """Count."""
        self.aborted += 1


def test_a_connection_that_was_asked_to_wait_is_not_used_again() -> None:
    """A transport may hand on what it had read before it paused, so that the answer is whole and nobody has resumed the reading."""

    async def scenario() -> None:
        size = PAUSE_AT_BYTES + 2
        for is_resumed in (False, True):
            transport = Transport()
            connection = Connection(asyncio.get_running_loop(), "upstream", lambda _connection: None)
            connection.connection_made(transport)
            connection.begin(b"GET / HTTP/1.1\r\n\r\n", b"", 60.0, asyncio.get_running_loop().time() + 60.0)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            connection.data_received(head + b"x" * (size - 1))
            assert transport.paused == 1
            if is_resumed:
                connection.take()
                connection.expect()
            connection.data_received(b"x")
            assert connection.is_complete
            assert connection.rest(60.0) is is_resumed
            assert (transport.resumed, transport.aborted) == (int(is_resumed), int(not is_resumed))
            connection.connection_lost(None)

    asyncio.run(scenario())
