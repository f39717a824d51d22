"""One answer, pulled piece by piece. It holds a slot of its pool until it is read to the end or closed."""

import asyncio
from collections.abc import Callable

from orcestator.errors import UpstreamBroken, UpstreamError
from orcestator.upstream.http.connection import Connection, Step
from orcestator.upstream.http.decoding import Decoder
from orcestator.upstream.http.headers import Headers
from orcestator.upstream.http.pool import OriginPool

LONGEST_EVENT_BYTES = 64 << 20
"""How long one event of a stream may be, where nobody says otherwise."""


class Response:
    """The head of an answer, and its body as it comes.

    Whoever gets one reads it to the end or calls ``close``. ``auto_touch`` (the default) counts every byte that is not blank as
    content for the time-outs; a stream reader turns it off and calls ``touch`` for what really is content. ``blame`` may put another
    failure in place of the one that ended the body: whoever asked may know better whose it is.
    """

    __slots__ = (
        "_connection",
        "_failure",
        "_has_ended",
        "_idle_seconds",
        "_max_bytes",
        "_pool",
        "_received",
        "auto_touch",
        "blame",
        "headers",
        "longest_event",
        "status",
    )

    def __init__(
        self, connection: Connection, pool: OriginPool, headers: Headers, idle_seconds: float, max_bytes: int
    ) -> None:
        """``max_bytes`` caps the body."""
        self.status = connection.status
        self.headers = headers
        self.auto_touch = True
        self.blame: Callable[[UpstreamError], UpstreamError] | None = None
        self.longest_event = LONGEST_EVENT_BYTES
        self._connection: Connection | None = connection
        self._pool = pool
        self._idle_seconds = idle_seconds
        self._max_bytes = max_bytes
        self._received = 0
        self._has_ended = False
        self._failure: UpstreamError | None = None

    @property
    def failure(self) -> UpstreamError | None:
        """What ended the body too early, None while nothing did; a reader's own complaint is not in it."""
        return self._failure

    async def read(self) -> bytes:
        """Everything of the body that has come and was not read yet; ``b""`` at its clean end.

        A cancelled read loses nothing and may be repeated. Raises ``UpstreamBroken`` (``closed`` and ``reset`` for a
        cut answer, ``garbage``, ``too_large``, ``encoding``) and ``UpstreamTimeout`` (``first_content_timeout``,
        ``idle_timeout``, ``total_timeout``), after all that came before the failure was read.
        """
        while (connection := self._connection) is not None:
            if connection.pieces:
                return self._take(connection)
            if connection.failure is not None:
                raise self._failed(connection.failure)
            elif connection.is_complete:
                self._has_ended = True
                self.close()
            else:
                await connection.expect()
        if self._has_ended:
            return b""
        if self._failure is not None:
            raise self._failure.anew()
        raise UpstreamBroken("the answer was closed before its end", cause="closed")

    async def read_all(self) -> bytes:
        """The rest of the body; raises what ``read`` raises."""
        whole = self.whole()
        if whole is not None:
            return whole
        piece = await self.read()
        if self._connection is None and self._has_ended:
            return piece
        pieces = []
        while piece:
            pieces.append(piece)
            piece = await self.read()
        return b"".join(pieces)

    def push(self, step: Step) -> "asyncio.Future[None] | None":
        """Have ``step`` called with each piece as it comes, without anybody being woken, until it has enough.

        What to await: it is done when ``read`` has something to say, and raises what ``step`` raises. None where that is so now.
        """
        connection = self._connection
        if connection is None or connection.pieces or connection.failure is not None or connection.is_complete:
            return None
        left = self._max_bytes - self._received - connection.pushed_bytes
        return connection.listen(step, self._idle_seconds, left)

    def whole(self) -> bytes | None:
        """The body where all of it is here and nothing was read of it; None otherwise: ``read_all`` waits for it, or tells why not."""
        connection = self._connection
        if connection is None or not connection.is_complete or connection.failure is not None or self._received:
            return None
        pieces = connection.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(body) > self._max_bytes:
            return None
        self._received = len(body)
        self._has_ended = True
        self._connection = None
        self._pool.end(connection)
        return body

    def touch(self) -> None:
        """Content came: the next is due an idle timeout from now."""
        if self._connection is not None:
            self._connection.allow(self._idle_seconds)

    def prolong(self) -> None:
        """No content came, but a sign of life that counts: wait an idle timeout from now, or longer for the first content."""
        if self._connection is not None:
            self._connection.prolong(self._idle_seconds)

    def close(self) -> None:
        """Let go: a finished connection goes back to its pool, any other is cut. Safe to call again."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._pool.end(connection)

    def release(self) -> None:
        """All that matters was read: keep the connection if the body ends within a moment, as after ``[DONE]``."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._has_ended = True
            self._pool.wind_up(connection)

    def _take(self, connection: Connection) -> bytes:
        piece = connection.take()
        self._received += len(piece)
        if self._received + connection.pushed_bytes > self._max_bytes:
            raise self._failed(UpstreamBroken(f"the answer of {connection.name} is too large", cause="too_large"))
        if connection.is_complete and connection.failure is None:
            self._has_ended = True
            self.close()
        elif self.auto_touch and not piece.isspace():
            connection.allow(self._idle_seconds)
        return piece

    def _failed(self, failure: UpstreamError) -> UpstreamError:
        """Let go for good; what to raise."""
        self._failure = self.blame(failure) if self.blame is not None else failure
        self.close()
        return self._failure.anew()


class EncodedResponse(Response):
    """An answer whose body is compressed; ``read`` gives it plain."""

    __slots__ = ("_decoder",)

    def __init__(
        self,
        connection: Connection,
        pool: OriginPool,
        headers: Headers,
        idle_seconds: float,
        max_bytes: int,
        decoder: Decoder,
    ) -> None:
        """``max_bytes`` caps what comes over the wire; the decoder caps what it becomes."""
        super().__init__(connection, pool, headers, idle_seconds, max_bytes)
        self._decoder = decoder

    async def read(self) -> bytes:
        """The next plain bytes, in bounded pieces; see ``Response.read``."""
        if self._failure is not None:
            raise self._failure.anew()
        try:
            while not (plain := self._decoder.step()):
                piece = await super().read()
                if not piece:
                    self._decoder.finish()
                    return b""
                self._decoder.feed(piece)
        except UpstreamBroken as failure:
            if self._failure is None:
                self._has_ended = False
                self._failed(failure.anew())
            raise
        return plain

    def whole(self) -> bytes | None:
        """It has to be unpacked."""
        return None

    def push(self, step: Step) -> "asyncio.Future[None] | None":
        """Nothing is pushed: it has to be unpacked in bounded steps."""
        return None

    async def read_all(self) -> bytes:
        """The rest of the plain body; raises what ``read`` raises."""
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)
