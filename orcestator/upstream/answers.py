"""Answers that flow: an upstream response, its decoder, and the commit point between them."""

from collections.abc import Awaitable, Callable
from typing import Any

from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.sse import KEEP_ALIVE
from orcestator.errors import OrcestatorError, StreamInterrupted, UpstreamBroken, UpstreamError
from orcestator.providers.masking import KeyMask
from orcestator.upstream.call import Sink
from orcestator.upstream.http.client import Response
from orcestator.upstream.http.connection import CONTENT, ENOUGH, LIFE, SILENCE
from orcestator.usage import UNTOLD, Usage

LONGEST_ERROR_BYTES = 64 << 10
"""Of an event that tells of an error; longer ones are pictures and sounds."""
PASSED_TYPES = frozenset(
    {"application/json", "application/octet-stream", "application/x-ndjson", "application/x-subrip", "text/event-stream", "text/plain", "text/srt", "text/vtt"}
)  # fmt: skip


class StreamAnswer:
    """A decoded event stream. ``commit`` reads up to the first content; ``next`` gives what follows."""

    __slots__ = (
        "_comments_count", "_decode", "_decoder", "_failure", "_response", "_shows_life", "_sink", "content_type", "dropped", "on_failure",
    )  # fmt: skip

    def __init__(
        self,
        response: Response,
        decoder: ChatStream,
        *,
        comments_count: bool,
        shows_life: bool = False,
        content_type: str = "text/event-stream",
        dropped: tuple[str, ...] = (),
    ) -> None:
        """``comments_count``: every byte is a sign of life for the time-outs, and not content alone.

        ``shows_life``: whoever reads this is told, by comments, of content that came and has to wait, and gets it as an answer
        from then on. Anybody else gets an answer when there is content to send, and until then another candidate may be tried.
        """
        self.content_type = content_type
        self.dropped = dropped
        self._response = response
        self._decoder = decoder
        self._decode: Callable[[bytes], None] = decoder.feed
        self._failure: UpstreamError | None = None
        self.on_failure: Callable[[UpstreamError], None] | None = None
        """Is told what broke the answer after its first content."""
        self._comments_count = comments_count
        self._shows_life = shows_life
        self._sink: Sink | None = None
        response.auto_touch = False

    async def commit(self, first: bytes = b"") -> None:
        """Read until there is content for the caller, or the end; ``first`` is what was read already.

        Raises UpstreamError: another candidate may still be tried.
        """
        decoder = self._decoder
        if first:
            await self._read(first)
        while not (decoder.done or (decoder.committed and decoder.has_frames) or (self._shows_life and decoder.moves)):
            await self._read()

    async def next(self) -> bytes:
        """Frames for the caller, b"" at the end. Raises StreamInterrupted, after everything that came before it."""
        decoder = self._decoder
        moves = decoder.moves
        while True:
            frames = decoder.take()
            if frames:
                if self.is_over:
                    self._response.release()
                return frames
            if self._shows_life and decoder.moves != moves:
                return KEEP_ALIVE
            if self._failure is not None:
                raise StreamInterrupted(self._failure)
            if decoder.done:
                self._response.release()
                return b""
            try:
                await self._read()
            except UpstreamError as error:
                self._note_failure(error)

    @property
    def is_over(self) -> bool:
        """Whether ``next`` has given all there is."""
        return self._decoder.done and self._failure is None and not self._decoder.has_frames

    def push(self, sink: Sink) -> Awaitable[None] | None:
        """Hand frames to ``sink`` as they come, until ``next`` has something to say; see ``FlowingAnswer.push``."""
        if self._failure is not None or self._decoder.done or self._decoder.has_frames:
            return None
        self._sink = sink
        return self._response.push(self._pushed)

    def _pushed(self, piece: bytes) -> int:
        """What a piece was for the time-outs, or that the next one may not be pushed."""
        decoder, sink = self._decoder, self._sink
        if sink is None:
            return ENOUGH
        moves = decoder.moves
        try:
            self._decode(piece)
        except UpstreamError as error:
            self._note_failure(error)
            return ENOUGH
        said = CONTENT if decoder.moves != moves else LIFE if self._comments_count else SILENCE
        if decoder.done:
            # What is last is for ``next``: whoever sends it may have to keep the answer first.
            return said | ENOUGH
        frames = decoder.take()
        if not frames and self._shows_life and said == CONTENT:
            frames = KEEP_ALIVE
        if frames and not sink(frames):
            # Nobody reads on until the caller has taken it.
            return said | ENOUGH
        return said

    def _note_failure(self, error: UpstreamError) -> None:
        self._failure = error.kept()
        if self.on_failure is not None:
            self.on_failure(error)

    async def _read(self, first: bytes = b"") -> None:
        decoder = self._decoder
        try:
            piece = first or await self._response.read()
        except UpstreamError:
            # Whatever happens after the finish reason, the answer itself is whole.
            if decoder.complete:
                decoder.end()
                return
            raise
        if not piece:
            self._end()
            return
        moves = decoder.moves
        self._decode(piece)
        if decoder.moves != moves:
            self._response.touch()
        elif self._comments_count:
            self._response.prolong()

    def _end(self) -> None:
        self._decoder.end()

    def failure_frames(self, error: OrcestatorError) -> bytes:
        """The three frames that clients show as an error."""
        return self._decoder.failure_frames(error)

    def close(self) -> None:
        """Free the connection: back to the pool when the response was read to its end, else cut."""
        self._sink = None
        self._response.close()

    @property
    def text(self) -> str:
        """The text so far, capped."""
        return "".join(self._decoder.text)

    @property
    def usage(self) -> Usage:
        """What the upstream reported, or an estimate of what came."""
        return self._decoder.usage_so_far

    @property
    def native(self) -> dict[str, Any] | None:
        """The whole answer in the caller's dialect, where its stream ends with it."""
        return self._decoder.native


class RawAnswer:
    """Bytes passed on as they come: speech, image events. It has no way to report a failure but to be cut.

    ``mask`` takes keys out of errors that come as events among the others, and whole keys out of any text.
    """

    __slots__ = ("_first", "_held", "_response", "content_type", "dropped", "mask")

    def __init__(self, response: Response, first: bytes, content_type: str) -> None:
        self._response = response
        self._first = first
        self._held = b""
        self.content_type = content_type
        self.dropped: tuple[str, ...] = ()
        self.mask: KeyMask | None = None

    @classmethod
    def opened(cls, response: Response, first: bytes, provider: str) -> "RawAnswer":
        """The answer that begins with ``first``. Raises UpstreamBroken when there is nothing in it."""
        if not first:
            raise UpstreamBroken(f"{provider} answered with an empty body.", cause="empty")
        return cls(response, first, passed_type(response.headers.get(b"content-type") or b""))

    async def next(self) -> bytes:
        """The next bytes, b"" at the end. Raises StreamInterrupted."""
        mask = self.mask
        if mask is None or not self.content_type.startswith("text/"):
            return await self._piece()
        while piece := await self._piece():
            if lines := self._masked(piece, mask):
                return lines
        rest, self._held = self._held, b""
        return _masked_line(rest, mask)

    async def _piece(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        try:
            return await self._response.read()
        except UpstreamError as error:
            raise StreamInterrupted(error.kept()) from None

    @property
    def is_over(self) -> bool:
        """Nobody knows before the end is there."""
        return False

    def push(self, sink: Sink) -> Awaitable[None] | None:
        """Nothing is pushed: lines are masked as a whole."""
        return None

    def _masked(self, piece: bytes, mask: KeyMask) -> bytes:
        """The whole lines of what came; no reader can use a part of an event before the rest is there."""
        whole, end, self._held = (self._held + piece).rpartition(b"\n")
        if len(self._held) > LONGEST_ERROR_BYTES:
            # A picture or a sound, and no error: it is not kept waiting.
            whole, end, self._held = whole + end + self._held, b"", b""
        return b"\n".join(_masked_line(line, mask) for line in whole.split(b"\n")) + end

    def failure_frames(self, error: OrcestatorError) -> bytes:
        """Nothing can be said inside audio: the connection is cut, which no client takes for an end."""
        return b""

    def close(self) -> None:
        """Free the connection."""
        self._response.close()

    @property
    def text(self) -> str:
        """There is no text."""
        return ""

    @property
    def usage(self) -> Usage:
        """Nobody reports what raw bytes used."""
        return UNTOLD

    @property
    def native(self) -> dict[str, Any] | None:
        """There is none."""
        return None


def passed_type(content_type: bytes) -> str:
    """An upstream's content type as it is passed on: what a browser would run as a page or a script becomes plain bytes."""
    kind = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    is_harmless = kind in PASSED_TYPES or (kind.startswith(("audio/", "image/", "video/")) and "xml" not in kind)
    return content_type.decode("latin-1") if is_harmless else "application/octet-stream"


def _masked_line(line: bytes, mask: KeyMask) -> bytes:
    if len(line) > LONGEST_ERROR_BYTES:
        return line
    text = line.decode("utf-8", "surrogateescape")
    # A failure need not be called an error; a picture or a sound is too long to be looked through as thoroughly.
    if b"rror" not in line and not mask.is_in(text):
        return line
    return mask(text).encode("utf-8", "surrogateescape")
