"""From a 200 to an answer: which decoder reads it, up to its commit point."""

from typing import Any

from orcestator.dialects.canonical import ReadTerms, UpstreamDialect
from orcestator.dialects.embeddings import embeddings_reply
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.gathering import Gatherer
from orcestator.dialects.openai.reply import (
    Reply,
    ReplyTerms,
    chat_reply,
    parsed_object,
    plain_reply,
    text_reply,
    translated_reply,
)
from orcestator.dialects.openai.stream import ChatStream
from orcestator.dialects.openai.text_stream import TextStream
from orcestator.dialects.relay import RelayStream, with_model
from orcestator.dialects.sniffing import BLANK, begins_as_events, begins_as_json, begins_as_page, is_text
from orcestator.dialects.sse import LONGEST_EVENT_BYTES, SseSplitter
from orcestator.errors import UpstreamBroken
from orcestator.json_text import dumps, loads
from orcestator.providers.rows import EMBEDDINGS
from orcestator.upstream.answers import RawAnswer, StreamAnswer
from orcestator.upstream.call import Answer, UpstreamCall, WholeAnswer
from orcestator.upstream.http.client import Response
from orcestator.upstream.upstream_request import PLAIN, UpstreamRequest
from orcestator.usage import Usage

JSON = "application/json"
EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
EVENT_STREAMS = {"chat": ChatStream, "completions": TextStream}
MOST_TOLD_BY = 16
"""So many bytes tell what a body is."""
_RAW_ENDPOINTS = frozenset({"audio", "images"})
"""Endpoints whose answers need not be JSON."""
_TEXT_PATHS = ("/audio/transcriptions", "/audio/translations")
"""What is heard may be asked for as plain text or subtitles."""
_PAGES = (b"text/html", b"application/xhtml+xml")


async def open_answer(
    response: Response, order: UpstreamCall, provider: str, *, comments_count: bool, speech: UpstreamRequest
) -> Answer:
    """The answer in a 200. Raises UpstreamError while another candidate may still be tried.

    What it is, events or JSON, is told by its first bytes: labels are wrong too often. The caller of this function closes the
    response when it raises.
    """
    if order.endpoint not in EVENT_STREAMS:
        return await _opened_other(response, order, provider, speech)
    if order.streamed:
        return await _opened_stream(response, order, provider, speech, comments_count=comments_count)
    body = response.whole()
    if body is None:
        body = await response.read_all()
    may_be_streamed = order.endpoint == "chat" and (speech.dialect is not None or not body.startswith(b"{"))
    if may_be_streamed and _is_streamed(body, speech):
        return _put_together(body, order, provider, speech)
    return whole_answer_of(body, order, provider, speech)


async def _opened_other(response: Response, order: UpstreamCall, provider: str, speech: UpstreamRequest) -> Answer:
    """The answer of an endpoint that is no chat: JSON, or, where the endpoint has such a thing, sound, pictures, events or text."""
    first = await response.read()
    while len(first.strip(BLANK)) < MOST_TOLD_BY and (piece := await response.read()):
        first += piece
    media_type = (response.headers.get(b"content-type") or b"").partition(b";")[0].strip().lower()
    is_labelled = media_type == b"application/json" or media_type.endswith(b"+json")
    if is_labelled or begins_as_json(first):
        body = first + await response.read_all()
        if is_labelled or not order.path.startswith(_TEXT_PATHS) or _is_json(body):
            return whole_answer_of(body, order, provider, speech)
        first = body  # a text that begins with a bracket
    elif first and not _may_pass(first, media_type, order):
        raise UpstreamBroken(f"{provider} answered 200 with something that is not JSON.", cause="not_json")
    if begins_as_events(first):
        _check_first_event(first, provider)
    return RawAnswer.opened(response, first, provider)


def _may_pass(first: bytes, media_type: bytes, order: UpstreamCall) -> bool:
    """Whether bytes that are not JSON can be what was asked for, and not a page or a complaint of whoever is in between."""
    if order.endpoint not in _RAW_ENDPOINTS or begins_as_page(first) or media_type in _PAGES:
        return False
    if order.path.startswith(_TEXT_PATHS) or media_type.startswith((b"audio/", b"image/")):
        return True
    return begins_as_events(first) or not is_text(first)


def _check_first_event(first: bytes, provider: str) -> None:
    """Raises UpstreamError for a stream that begins with an error: nothing of it has been sent yet."""
    for data in SseSplitter().feed(first)[:1]:
        try:
            event = loads(data)
        except ValueError:
            continue
        if isinstance(event, dict) and (event.get("error") or event.get("type") == "error"):
            raise error_in_answer(provider, event.get("error") or event)


def _is_json(body: bytes) -> bool:
    try:
        loads(body)
    except ValueError:
        return False
    return True


async def _opened_stream(
    response: Response, order: UpstreamCall, provider: str, speech: UpstreamRequest, *, comments_count: bool
) -> Answer:
    first = await _beginning(response, comments_count=comments_count)
    is_lines = speech.dialect is not None and speech.dialect.is_lines
    if begins_as_json(first) and not is_lines:
        return await _unstreamed(first, response, order, provider, speech)
    answer = _stream_answer(
        response,
        order,
        speech,
        _decoder(order, provider, speech, response.longest_event, is_lines=begins_as_json(first)),
        comments_count,
    )
    await answer.commit(first)
    return answer


def _stream_answer(
    response: Response, order: UpstreamCall, speech: UpstreamRequest, decoder: ChatStream, comments_count: bool
) -> StreamAnswer:
    return StreamAnswer(
        response,
        decoder,
        comments_count=comments_count,
        shows_life=order.is_carried,
        content_type=_stream_type(order, speech),
        dropped=speech.dropped,
    )


async def _beginning(response: Response, *, comments_count: bool) -> bytes:
    """The first bytes that are not blank, and what came with them; b"" when there are none."""
    response.auto_touch = False
    while (first := await response.read()) and not first.strip(BLANK):
        if comments_count:
            response.prolong()
    return first


async def _unstreamed(
    first: bytes, response: Response, order: UpstreamCall, provider: str, speech: UpstreamRequest
) -> Answer:
    """The stream that an upstream's JSON becomes: it ignored ``stream``, or sent its events as one array (Gemini without ``alt=sse``)."""
    response.auto_touch = True
    response.touch()
    body = first + await response.read_all()
    if first.lstrip(BLANK).startswith(b"["):
        decoder = _decoder(order, provider, speech, response.longest_event)
        for event in _events_in(body, provider):
            decoder.feed(b"data: " + dumps(event) + b"\n\n")
        decoder.end()
    elif order.is_carried and speech.relays:
        return whole_answer_of(body, order, provider, speech)
    else:
        decoder = _decoder(order, provider, UpstreamRequest() if speech.relays else speech, response.longest_event)
        decoder.feed_reply(_reply(body, order, provider, speech).wire)
    return _stream_answer(response, order, speech, decoder, comments_count=False)


def _events_in(body: bytes, provider: str) -> list[Any]:
    try:
        events = loads(body.strip(BLANK))
    except ValueError:
        events = None
    if not isinstance(events, list):
        raise UpstreamBroken(f"{provider} answered 200 with something that is not JSON.", cause="not_json")
    return events


def _put_together(body: bytes, order: UpstreamCall, provider: str, speech: UpstreamRequest) -> WholeAnswer:
    """The whole answer in a body that is streamed though nobody asked for it."""
    if order.is_carried and speech.relays:
        answer = WholeAnswer(body, EVENTS)
        answer.dropped = speech.dropped
        return answer
    return _answer_of(_gathered(body, order, provider, speech), order, speech, is_relayed=False)


def _is_streamed(body: bytes, speech: UpstreamRequest) -> bool:
    if speech.dialect is None or not speech.dialect.is_lines:
        return begins_as_events(body)
    lines = [line for line in body.split(b"\n", 8) if line.strip()]
    # A whole reply may be written over several lines, none of which is JSON by itself.
    return len(lines) > 1 and all(begins_as_json(line) and line.rstrip().endswith(b"}") for line in lines[:2])


def _gathered(body: bytes, order: UpstreamCall, provider: str, speech: UpstreamRequest) -> Reply:
    gatherer = Gatherer()
    dialect = speech.dialect
    reader = None if dialect is None else dialect.reader(_read_terms(order, provider))
    decoder = ChatStream(stream_terms(order, provider, speech), reader, gatherer)
    if not begins_as_events(body):
        decoder.split_lines()
    decoder.feed(body)
    if not decoder.done:
        decoder.end()
    return translated_reply(gatherer.reply, reply_terms(order, provider, speech), speech.remember)


def _decoder(
    order: UpstreamCall, provider: str, speech: UpstreamRequest, longest_event: int, *, is_lines: bool = False
) -> ChatStream:
    """What reads a stream; ``is_lines``: it is one JSON a line."""
    terms, dialect = stream_terms(order, provider, speech, longest_event), speech.dialect
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
    if is_lines:
        decoder.split_lines()
    return decoder


def _stream_type(order: UpstreamCall, speech: UpstreamRequest) -> str:
    if order.caller is not None:
        return order.caller.stream_type
    return LINES if speech.relays and speech.dialect is not None and speech.dialect.is_lines else EVENTS


def whole_answer_of(body: bytes, order: UpstreamCall, provider: str, speech: UpstreamRequest) -> WholeAnswer:
    """The answer in a complete reply, whose connection is already back in its pool. Raises UpstreamError."""
    is_relayed = order.caller is not None and speech.relays
    return _answer_of(_reply(body, order, provider, speech), order, speech, is_relayed=is_relayed)


def _answer_of(reply: Reply, order: UpstreamCall, speech: UpstreamRequest, *, is_relayed: bool) -> WholeAnswer:
    shown, native = reply.body, None
    if order.caller is not None and not is_relayed:
        native = order.caller.reply(reply.wire, order.write_terms())
        shown = dumps(native)
    answer = WholeAnswer(
        shown,
        JSON,
        reply.text,
        reply.usage if order.endpoint != "images" else _with_pictures(reply),
        wire=reply.wire,
        native=native,
        is_relayed=is_relayed,
    )
    answer.dropped = speech.dropped
    return answer


def _with_pictures(reply: Reply) -> Usage:
    made = reply.wire.get("data")
    return reply.usage._replace(images=len(made) if isinstance(made, list) else 0)


def _reply(body: bytes, order: UpstreamCall, provider: str, speech: UpstreamRequest) -> Reply:
    terms, dialect = reply_terms(order, provider, speech), speech.dialect
    if dialect is not None and order.endpoint == "chat":
        return _translated(body, dialect, order, terms, speech)
    if order.endpoint == "chat":
        return chat_reply(body, terms, speech.remember)
    if dialect is not None and dialect.embedder is not None and order.endpoint == EMBEDDINGS:
        vectors, tokens = dialect.embedder.reply(parsed_object(body, terms.provider))
        return plain_reply(dumps(embeddings_reply(vectors, tokens, terms.shown_model)), terms)
    return (text_reply if order.endpoint == "completions" else plain_reply)(body, terms)


def _translated(
    body: bytes, dialect: UpstreamDialect, order: UpstreamCall, terms: ReplyTerms, speech: UpstreamRequest
) -> Reply:
    has_calls = dialect.calls != b"" and dialect.calls in body
    wire = parsed_object(body, terms.provider, exactly=has_calls)
    canonical = dialect.reply(wire, _read_terms(order, terms.provider))
    reply = translated_reply(canonical, terms, speech.remember)
    if not speech.relays:
        return reply
    return reply._replace(body=with_model(body.lstrip(BLANK), wire, order.shown_model))


def _read_terms(order: UpstreamCall, provider: str) -> ReadTerms:
    return ReadTerms(provider, order.new_id, order.created)


def stream_terms(
    order: UpstreamCall, provider: str, speech: UpstreamRequest = PLAIN, longest_event: int = LONGEST_EVENT_BYTES
) -> StreamTerms:
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
        longest_event=longest_event,
    )


def reply_terms(order: UpstreamCall, provider: str, speech: UpstreamRequest = PLAIN) -> ReplyTerms:
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
