"""An answer made of a whole canonical reply, for middleware that has one: in the caller's dialect, and as a stream where one is asked for."""

from collections.abc import Awaitable

from orcestator.dialects.openai.reply import translated_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import InvalidRequest, OrcestatorError
from orcestator.json_text import Json, dumps
from orcestator.upstream.answer_reader import EVENT_STREAMS, EVENTS, JSON, reply_terms, stream_terms
from orcestator.upstream.call import Answer, Sink, UpstreamCall, WholeAnswer
from orcestator.usage import Usage

REPLAYED = "chat"
"""The endpoint whose replies have a canonical shape of their own."""


def replay(order: UpstreamCall, reply: Json, source: str) -> Answer:
    """The answer to a chat that is ``reply``, a canonical one; ``source`` is what an error calls the place that it comes from.

    Raises UpstreamBroken for a reply that is none, InvalidRequest for an order of another endpoint.
    """
    if order.endpoint != REPLAYED:
        raise InvalidRequest(f"A reply to '{order.endpoint}' cannot be replayed: only chats can.", param="endpoint")
    if order.streamed:
        decoder = EVENT_STREAMS[order.endpoint](stream_terms(order, source), writer=order.writer())
        decoder.feed_reply(translated_reply(reply, reply_terms(order, source)).wire)
        return ReplayedStream(decoder, EVENTS if order.caller is None else order.caller.stream_type)
    read = translated_reply(reply, reply_terms(order, source))
    native = None if order.caller is None else order.caller.reply(read.wire, order.write_terms())
    body = read.body if native is None else dumps(native)
    return WholeAnswer(body, JSON, read.text, read.usage, wire=read.wire, native=native)


class ReplayedStream:
    """A stream that has come to its end already."""

    __slots__ = ("_decoder", "_frames", "content_type", "dropped")

    def __init__(self, decoder: ChatStream, content_type: str) -> None:
        self._decoder = decoder
        self._frames = decoder.take()
        self.content_type = content_type
        self.dropped: tuple[str, ...] = ()

    async def next(self) -> bytes:
        """All of it, then b""."""
        frames, self._frames = self._frames, b""
        return frames

    @property
    def is_over(self) -> bool:
        """Whether ``next`` has given all there is."""
        return not self._frames

    def push(self, sink: Sink) -> Awaitable[None] | None:
        """Nothing is still to come."""
        return None

    def failure_frames(self, error: OrcestatorError) -> bytes:
        """The end of one whose reply could not be finished."""
        return self._decoder.failure_frames(error)

    def close(self) -> None:
        """There is nothing to free."""

    @property
    def text(self) -> str:
        """The text, capped."""
        return "".join(self._decoder.text)

    @property
    def usage(self) -> Usage:
        """That of the reply."""
        return self._decoder.usage_so_far

    @property
    def native(self) -> Json | None:
        """The whole answer in the caller's dialect, where its stream ends with it."""
        return self._decoder.native
