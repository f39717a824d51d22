"""The faults of a chat stream (H8 line, S1 to S13): its events, spoiled. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, cycle, zip_longest

import orjson

from orcestator.sandbox import tools
from orcestator.sandbox.call import Call, nonce_of, text_of
from orcestator.sandbox.dialects import chat
from orcestator.sandbox.dialects.chat import Completion, chunk_choice
from orcestator.sandbox.faults.faults_chat import offered_calls, with_deltas
from orcestator.sandbox.faults.faults_http import error_answer
from orcestator.sandbox.faults.faults_transport import Spoil
from orcestator.sandbox.problem import error_body
from orcestator.sandbox.wire.script import (
    DONE,
    STALL_SECONDS,
    Answer,
    Event,
    HangUp,
    Pause,
    Raw,
    Reset,
    Stall,
    Step,
    event,
    json_answer,
)

TOKENS = 12
AFTER_TOKENS = 3
LINE_BYTES = 64 * 1024 * 1024
FLOOD_BYTES = 32 * 1024 * 1024
LARGE_BYTES = 1_000_000
FLOOD_PIECE_BYTES = 16 * 1024
TINY_CHUNKS = 100_000
COMMENTS = 10_000
COMMENT = b": keep-alive\n\n"
COMMENT_SECONDS = 1.0
GARBAGE = b'data: {"id": "chatcmpl-garbage", "choices": [{"delta": {"conte\n\n'
MANY_GARBAGE = 10
ERROR = error_body("The sandbox was told to break this stream.", kind="server_error", code="sandbox_fault")
ERROR_DATA = event(ERROR)
ERROR_EVENT = Event(b"event: error\n" + event({"type": "error", **ERROR}))
WIDE_TEXT = "Grüße, 漢字, 🙂 und Ελληνικά — "
"""Characters of two, three and four bytes."""

Scripted = Callable[[Completion], Iterator[Step]]


def _stream(script: Scripted, call: Call, answer: Answer) -> Answer:
    """The script of a completion that is long enough to break in the middle."""
    return chat.streamed(call, script(_completion(call)))


def _completion(call: Call, text: str | None = None) -> Completion:
    """One choice of at least ``after`` tokens and some."""
    wanted = call.settings
    tokens = wanted.tokens or max(TOKENS, _after(call) + TOKENS // 2)
    settings = replace(wanted, tokens=tokens, answer=wanted.answer if text is None else text)
    return chat.complete(replace(call, model=replace(call.model, settings=settings), body=call.body | {"n": 1}))


def _after(call: Call) -> int:
    after = call.model.options.after
    return AFTER_TOKENS if after is None else after


def _begun(done: Completion) -> Iterator[Step]:
    """The role and the first ``after`` tokens; never the finish."""
    return iter(_parts(done)[0])


def _parts(done: Completion) -> tuple[list[Step], list[Step]]:
    """The stream before and after the place where it breaks."""
    chunks = [chunk for chunk in chat.chunks(done) if chunk["choices"]]
    finish = next(place for place, chunk in enumerate(chunks) if chunk["choices"][0]["finish_reason"])
    place = min(1 + _after(done.call), finish)
    events: list[Step] = list(chat.events(done))
    return events[:place], events[place:]


def _said(done: Completion) -> str:
    """What an invented chunk says: the nonce, or a letter."""
    messages = done.call.body["messages"]
    return nonce_of("\n".join(text_of(message.get("content")) for message in messages)) or "x"


def _content(done: Completion, text: str) -> Event:
    return event(done.chunk(chunk_choice(0, {"content": text})))


def _finish(done: Completion) -> Event:
    return event(done.chunk(chunk_choice(0, {}, "stop")))


# S1: before the first content


def _only(*events: Event) -> Scripted:
    return lambda done: iter(events)


def _role_then_error(done: Completion) -> Iterator[Step]:
    yield event(done.chunk(chunk_choice(0, {"role": "assistant", "content": ""})))
    yield ERROR_DATA


def _http_error(call: Call, answer: Answer) -> Answer:
    return error_answer(call, 500)


# S2 to S5: broken after the first content


def _then(*steps: Step) -> Scripted:
    return lambda done: chain(_begun(done), steps)


def _finish_error(done: Completion) -> Iterator[Step]:
    yield from _begun(done)
    yield event(done.chunk(chunk_choice(0, {"content": ""}, "error")) | ERROR)
    yield DONE


def _no_done(done: Completion) -> Iterator[Step]:
    return (step for step in chat.events(done) if step != DONE)


def _unframed(call: Call, answer: Answer) -> Answer:
    begun = _stream(_begun, call, answer)
    return replace(begun, chunked=False, closes=True)


def _half_event(ending: Step | None, done: Completion) -> Iterator[Step]:
    yield from _begun(done)
    yield bytes(_content(done, "half of this is missing")[:-20])
    if ending is not None:
        yield ending


def _half_chunk(done: Completion) -> Iterator[Step]:
    yield from _begun(done)
    half = _content(done, "half of this is missing")
    yield Raw(b"%x\r\n%s" % (len(half), half[:-20]))
    yield HangUp()


def _comments_only(done: Completion) -> Iterator[Step]:
    options = done.call.model.options
    interval = COMMENT_SECONDS if options.interval is None else max(options.interval, 0.001)
    seconds = STALL_SECONDS if options.seconds is None else options.seconds
    yield from _begun(done)
    for _ in range(int(seconds / interval)):
        yield COMMENT
        yield Pause(interval)
    yield HangUp()


def _stalled(done: Completion) -> Iterator[Step]:
    seconds = done.call.model.options.seconds
    yield from _begun(done)
    yield Stall(STALL_SECONDS if seconds is None else seconds)


# S6 to S8: the shape of events


def _more_after_done(done: Completion) -> Iterator[Step]:
    yield from chat.events(done)
    yield _content(done, f"{_said(done)} after the end")


def _done_twice(done: Completion) -> Iterator[Step]:
    yield from chat.events(done)
    yield DONE


def _done_without_newline(done: Completion) -> Iterator[Step]:
    yield from _no_done(done)
    yield Event(DONE.rstrip())


def _rewritten(rewrite: Callable[[Event], bytes]) -> Scripted:
    """Every event rewritten by itself."""
    return lambda done: (Event(rewrite(step)) for step in chat.events(done) if isinstance(step, Event))


def _no_space(data: Event) -> bytes:
    return data.replace(b"data: ", b"data:", 1)


def _sliced(call: Call, answer: Answer) -> Answer:
    return chat.streamed(call, _bytewise(_completion(call, WIDE_TEXT + _answer_text(call))))


def _answer_text(call: Call) -> str:
    return call.settings.answer or "{text}"


def _bytewise(done: Completion) -> Iterator[Step]:
    """One byte a write; the last byte counts as the event."""
    for step in chat.events(done):
        if isinstance(step, bytes):
            yield from (bytes([byte]) for byte in step[:-1])
            yield Event(step[-1:])


def _with_inserted(inserted: bytes) -> Scripted:
    """Bytes at the start of the first content."""

    def script(done: Completion) -> Iterator[Step]:
        for place, step in enumerate(chat.events(done)):
            is_first_content = place == 1
            if is_first_content and isinstance(step, bytes):
                yield Event(step.replace(b'"content":"', b'"content":"' + inserted, 1))
            else:
                yield step

    return script


def _line_ends(*ends: bytes) -> Scripted:
    """Each LF replaced by the next of ``ends``, in turn."""

    def script(done: Completion) -> Iterator[Step]:
        turn = cycle(ends)
        for step in chat.events(done):
            if isinstance(step, bytes):
                lines = step.split(b"\n")
                yield Event(lines[0] + b"".join(next(turn) + line for line in lines[1:]))

    return script


def _multiline(data: Event) -> bytes:
    if data == DONE:
        return data
    laid_out = orjson.dumps(orjson.loads(data[len(b"data: ") :]), option=orjson.OPT_INDENT_2)
    return b"".join(b"data: " + line + b"\n" for line in laid_out.split(b"\n")) + b"\n"


def _fields(data: Event) -> bytes:
    return b"event: message\nid: 7\n" + data[:-1] + b"retry: 3000\n\n"


def _marked(done: Completion) -> Iterator[Step]:
    yield b"\xef\xbb\xbf"
    yield from chat.events(done)


def _flooded(done: Completion) -> Iterator[Step]:
    count = done.call.model.options.count
    comments = COMMENT * (COMMENTS if count is None else count)
    for step in chat.events(done):
        yield comments
        yield step


# S9, S10: events that make no sense


def _garbage(count: int | None, done: Completion) -> Iterator[Step]:
    begun, rest = _parts(done)
    wanted = done.call.model.options.count or MANY_GARBAGE
    yield from begun
    yield from [GARBAGE] * (wanted if count is None else count)
    yield from rest


def _interleaved(done: Completion) -> Iterator[Step]:
    streams = [tools.deltas(made, place, pieces=6) for place, made in enumerate(offered_calls(done.call, 2))]
    deltas = (delta for turn in zip_longest(*streams) for delta in turn if delta is not None)
    return with_deltas(done, deltas)


def _after_finish(extra: Callable[[Completion], Event], done: Completion) -> Iterator[Step]:
    for chunk in chat.chunks(done):
        yield event(chunk)
        if chunk["choices"] and chunk["choices"][0]["finish_reason"]:
            yield extra(done)
    yield DONE


# H8 line, S11 to S13: sizes, and no stream at all


def _tiny(done: Completion) -> Iterator[Step]:
    count = done.call.model.options.count
    yield Event(_content(done, _said(done)) * (TINY_CHUNKS if count is None else count))
    yield _finish(done)
    yield DONE


def _large(done: Completion) -> Iterator[Step]:
    yield _content(done, _filled(done, min(_size(done, LARGE_BYTES), LINE_BYTES)))
    yield _finish(done)
    yield DONE


def _flood(done: Completion) -> Iterator[Step]:
    piece = _content(done, _filled(done, FLOOD_PIECE_BYTES))
    for _ in range(max(1, _size(done, FLOOD_BYTES) // len(piece))):
        yield piece
    yield _finish(done)
    yield DONE


def _endless_line(done: Completion) -> Iterator[Step]:
    """One event in pieces, for it is too large to hold."""
    start, end = _content(done, "\0").split(b"\\u0000")
    piece = b"a" * FLOOD_PIECE_BYTES
    yield start
    for _ in range(_size(done, LINE_BYTES) // len(piece)):
        yield piece
    yield Event(end)
    yield _finish(done)
    yield DONE


def _size(done: Completion, default: int) -> int:
    wanted = done.call.model.options.bytes
    return default if wanted is None else wanted


def _filled(done: Completion, size: int) -> str:
    said = _said(done)
    return said + "x" * (size - len(said))


def _no_stream(call: Call, answer: Answer) -> Answer:
    return json_answer(chat.body(chat.complete(call)))


SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("H8", "line"): _endless_line,
    ("S1", "data"): _only(ERROR_DATA),
    ("S1", "event"): _only(ERROR_EVENT),
    ("S1", "role"): _role_then_error,
    ("S1", "empty"): _only(),
    ("S2", "data"): _then(ERROR_DATA, DONE),
    ("S2", "event"): _then(ERROR_EVENT),
    ("S2", "finish-error"): _finish_error,
    ("S3", "no-finish"): _begun,
    ("S3", "finish"): _no_done,
    ("S4", "rst"): partial(_half_event, Reset()),
    ("S4", "truncated"): _half_chunk,
    ("S4", "mid-event"): partial(_half_event, None),
    ("S5", "stall"): _stalled,
    ("S5", "comments"): _comments_only,
    ("S6", "more"): _more_after_done,
    ("S6", "twice"): _done_twice,
    ("S6", "no-newline"): _done_without_newline,
    ("S6", "no-space"): _rewritten(_no_space),
    ("S7", "invalid"): _with_inserted(b"\xff\xc3("),
    ("S7", "surrogate"): _with_inserted(b"\\ud800"),
    ("S7", "nul"): _with_inserted(b"\\u0000"),
    ("S7", "separator"): _with_inserted("\u2028".encode()),
    ("S8", "mixed"): _line_ends(b"\r\n", b"\n", b"\r"),
    ("S8", "cr"): _line_ends(b"\r"),
    ("S8", "crlf"): _line_ends(b"\r\n"),
    ("S8", "multiline"): _rewritten(_multiline),
    ("S8", "fields"): _rewritten(_fields),
    ("S8", "bom"): _marked,
    ("S8", "comments"): _flooded,
    ("S9", "one"): partial(_garbage, 1),
    ("S9", "three"): partial(_garbage, 3),
    ("S9", "many"): partial(_garbage, None),
    ("S10", "interleaved"): _interleaved,
    ("S10", "finish-twice"): partial(_after_finish, _finish),
    ("S10", "finish-then-content"): partial(_after_finish, lambda done: _content(done, _said(done))),
    ("S11", "tiny"): _tiny,
    ("S11", "large"): _large,
    ("S12", "flood"): _flood,
}

STREAM_FAULTS: Mapping[tuple[str, str], Spoil] = {
    **{fault: partial(_stream, script) for fault, script in SCRIPTS.items()},
    ("S1", "http"): _http_error,
    ("S3", "close"): _unframed,
    ("S7", "slicer"): _sliced,
    ("S13", "json"): _no_stream,
}
