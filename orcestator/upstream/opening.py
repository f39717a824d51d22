"""From a 200 to an answer: which decoder reads it, up to its commit point."""

from orcestator.dialects.openai.reply import ReplyTerms, chat_reply, plain_reply, text_reply
from orcestator.dialects.openai.stream import ChatStream, StreamTerms
from orcestator.dialects.openai.text_stream import TextStream
from orcestator.upstream.answers import RawAnswer, StreamAnswer
from orcestator.upstream.client import Response
from orcestator.upstream.order import Answer, Order, WholeAnswer

JSON = "application/json"
EVENT_STREAMS = {"chat": ChatStream, "completions": TextStream}
_REPLIES = {"chat": chat_reply, "completions": text_reply}


async def open_answer(response: Response, order: Order, provider: str, *, comments_count: bool) -> Answer:
    """The answer in a 200. Raises UpstreamError while another candidate may still be tried.

    The caller of this function closes the response when it raises.
    """
    content_type = response.headers.get(b"content-type") or b""
    is_json = content_type.startswith(b"application/json")
    stream = EVENT_STREAMS.get(order.endpoint)
    if order.streamed and stream is not None:
        decoder = stream(stream_terms(order, provider))
        if is_json:
            return await _converted(response, decoder, order, provider)
        answer = StreamAnswer(response, decoder, comments_count=comments_count)
        await answer.commit()
        return answer
    if stream is None and not is_json:
        return await RawAnswer.opened(response, provider)
    return whole_answer_of(await response.read_all(), order, provider)


def whole_answer_of(body: bytes, order: Order, provider: str) -> WholeAnswer:
    """The answer in a complete reply, whose connection is already back in its pool. Raises UpstreamError."""
    read = _REPLIES.get(order.endpoint, plain_reply)
    reply = read(body, reply_terms(order, provider))
    prompt, completion, estimated = reply.usage
    return WholeAnswer(reply.body, JSON, reply.text, prompt, completion, estimated=estimated, wire=reply.wire)


async def _converted(response: Response, decoder: ChatStream, order: Order, provider: str) -> Answer:
    """An upstream that ignored ``stream`` and sent one JSON object."""
    reply = _REPLIES[order.endpoint](await response.read_all(), reply_terms(order, provider))
    decoder.feed_reply(reply.wire)
    return StreamAnswer(response, decoder, comments_count=False)


def stream_terms(order: Order, provider: str) -> StreamTerms:
    """What a stream decoder needs of an order."""
    return StreamTerms(
        provider=provider,
        shown_model=order.shown_model,
        include_usage=order.include_usage,
        prompt_bytes=len(order.body),
        created=order.created,
        text_cap=order.text_cap,
        new_id=order.new_id,
    )


def reply_terms(order: Order, provider: str) -> ReplyTerms:
    """What a reply reader needs of an order."""
    return ReplyTerms(provider, order.shown_model, len(order.body), order.created, order.new_id)
