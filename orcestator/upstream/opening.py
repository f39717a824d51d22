"""From a 200 to an answer: which decoder reads it, up to its commit point."""

from orcestator.dialects.canonical import ReadTerms, UpstreamDialect
from orcestator.dialects.json_text import dumps
from orcestator.dialects.openai.reply import (
    Reply,
    ReplyTerms,
    chat_reply,
    parsed_object,
    plain_reply,
    text_reply,
    translated_reply,
)
from orcestator.dialects.openai.stream import ChatStream, StreamTerms
from orcestator.dialects.openai.text_stream import TextStream
from orcestator.dialects.relay import RelayStream, with_model
from orcestator.errors import UpstreamBroken
from orcestator.upstream.answers import RawAnswer, StreamAnswer
from orcestator.upstream.client import Response
from orcestator.upstream.order import Answer, Order, WholeAnswer
from orcestator.upstream.speech import PLAIN, Speech

JSON = "application/json"
EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
EVENT_STREAMS = {"chat": ChatStream, "completions": TextStream}


async def open_answer(
    response: Response, order: Order, provider: str, *, comments_count: bool, speech: Speech
) -> Answer:
    """The answer in a 200. Raises UpstreamError while another candidate may still be tried.

    The caller of this function closes the response when it raises.
    """
    content_type = response.headers.get(b"content-type") or b""
    # A stream of lines is called JSON by some that send one; a whole reply would be its one line.
    is_lines = order.streamed and speech.dialect is not None and speech.dialect.is_lines
    is_json = content_type.startswith(b"application/json") and not is_lines
    if order.endpoint not in EVENT_STREAMS:
        if not is_json:
            return await RawAnswer.opened(response, provider)
    elif order.streamed:
        return await _opened_stream(response, order, provider, speech, comments_count=comments_count, is_json=is_json)
    return whole_answer_of(await response.read_all(), order, provider, speech)


async def _opened_stream(
    response: Response, order: Order, provider: str, speech: Speech, *, comments_count: bool, is_json: bool
) -> Answer:
    decoder = _decoder(order, provider, speech)
    answer = StreamAnswer(
        response,
        decoder,
        comments_count=comments_count and not is_json,
        content_type=_stream_type(order, speech),
        dropped=speech.dropped,
    )
    if not is_json:
        await answer.commit()
        return answer
    # An upstream that ignored ``stream`` and sent one JSON object.
    if speech.relays:
        raise UpstreamBroken(f"{provider} answered a stream with a whole reply.", cause="not_a_stream")
    decoder.feed_reply(_reply(await response.read_all(), order, provider, speech).wire)
    return answer


def _decoder(order: Order, provider: str, speech: Speech) -> ChatStream:
    terms, dialect = stream_terms(order, provider, speech), speech.dialect
    if dialect is None:
        kind = EVENT_STREAMS[order.endpoint]
        return kind(terms, writer=order.writer(), remember=speech.remember)
    reader = dialect.reader(_read_terms(order, provider))
    decoder: ChatStream
    if speech.relays:
        decoder = RelayStream(
            terms, reader, order.writer(), names_events=dialect.names_events, is_lines=dialect.is_lines
        )
    else:
        decoder = ChatStream(terms, reader, order.writer(), remember=speech.remember)
    if dialect.is_lines:
        decoder.split_lines()
    return decoder


def _stream_type(order: Order, speech: Speech) -> str:
    if order.caller is not None:
        return order.caller.stream_type
    return LINES if speech.relays and speech.dialect is not None and speech.dialect.is_lines else EVENTS


def whole_answer_of(body: bytes, order: Order, provider: str, speech: Speech) -> WholeAnswer:
    """The answer in a complete reply, whose connection is already back in its pool. Raises UpstreamError."""
    reply = _reply(body, order, provider, speech)
    prompt, completion, estimated = reply.usage
    shown, native = reply.body, None
    is_relayed = order.caller is not None and speech.relays
    if order.caller is not None and not is_relayed:
        native = order.caller.reply(reply.wire, order.write_terms())
        shown = dumps(native)
    answer = WholeAnswer(
        shown,
        JSON,
        reply.text,
        prompt,
        completion,
        estimated=estimated,
        wire=reply.wire,
        native=native,
        is_relayed=is_relayed,
    )
    answer.dropped = speech.dropped
    return answer


def _reply(body: bytes, order: Order, provider: str, speech: Speech) -> Reply:
    terms, dialect = reply_terms(order, provider, speech), speech.dialect
    if dialect is not None and order.endpoint == "chat":
        return _translated(body, dialect, order, terms, speech)
    if order.endpoint == "chat":
        return chat_reply(body, terms, speech.remember)
    return (text_reply if order.endpoint == "completions" else plain_reply)(body, terms)


def _translated(body: bytes, dialect: UpstreamDialect, order: Order, terms: ReplyTerms, speech: Speech) -> Reply:
    has_calls = dialect.calls != b"" and dialect.calls in body
    wire = parsed_object(body, terms.provider, exactly=has_calls)
    canonical = dialect.reply(wire, _read_terms(order, terms.provider))
    reply = translated_reply(canonical, terms, speech.remember)
    if not speech.relays:
        return reply
    return reply._replace(body=with_model(body, wire, order.shown_model))


def _read_terms(order: Order, provider: str) -> ReadTerms:
    return ReadTerms(provider, order.new_id, order.created)


def stream_terms(order: Order, provider: str, speech: Speech = PLAIN) -> StreamTerms:
    """What a stream decoder needs of an order."""
    return StreamTerms(
        provider=provider,
        shown_model=order.shown_model,
        include_usage=order.include_usage,
        prompt_bytes=len(order.body),
        created=order.created,
        text_cap=order.text_cap,
        new_id=order.new_id,
        custom_tools=speech.custom_tools,
        tool_names=speech.tool_names,
    )


def reply_terms(order: Order, provider: str, speech: Speech = PLAIN) -> ReplyTerms:
    """What a reply reader needs of an order."""
    return ReplyTerms(
        provider,
        order.shown_model,
        len(order.body),
        order.created,
        order.new_id,
        speech.custom_tools,
        speech.tool_names,
        is_shown=order.caller is None,
    )
