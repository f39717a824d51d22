"""Whole answers on the wire in every legal way, and in the grammar of events and lines."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.shapes import framing
from tests.shapes.forms import (
    DONE,
    FORMS,
    PLAIN,
    UPSTREAMS,
    Answer,
    Form,
    Told,
    chunk,
    streamed,
    whole,
)  # fmt: skip
from tests.shapes.framing import chunked, sized, until_close
from tests.shapes.rows import EITHER, EITHER_AFTER, SSE, W
from tests.shapes.shape import Shape
from tests.shapes.upstream import FIN, RST, Steps

FRAMINGS: dict[str, Callable[[Answer], Steps]] = {
    "chunk_an_event": chunked,
    "with_a_length": sized,
    "one_write": framing.in_one_write,
    "until_close": until_close,
    "byte_by_byte": framing.by_bytes,
    "seven_bytes": partial(framing.by_bytes, size=7),
    "chunks_of_5": partial(framing.in_chunks_of, size=5),
    "chunk_extensions": framing.with_extensions,
    "trailers": framing.with_trailers,
    "padded_chunk_sizes": framing.padded_sizes,
    "shouting_fields": framing.shouting,
    "dripped_head": framing.dripped_head,
    "http_1_0": framing.http_1_0,
    "gzip": framing.gzipped,
    "gzip_flushed": framing.gzip_flushed,
    "gzip_members": framing.gzip_members,
    "gzip_by_bytes": framing.gzip_by_bytes,
    "deflate": framing.deflated,
}
INTERIM = {
    "interim_100": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "interim_103_twice": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",) * 2,
    "interim_102_slow": (b"HTTP/1.1 102 Processing\r\n\r\n",) * 3,
}


def framings() -> Iterator[Shape]:
    """Whole answers on the wire in every legal way: the caller has all of it."""
    for name, frame in FRAMINGS.items():
        for dialect in UPSTREAMS:
            form = FORMS[dialect]
            yield Shape(name, dialect, True, W, lambda frame=frame, form=form: frame(streamed(form)))
            if dialect in ("openai", "anthropic"):
                yield Shape(name, dialect, False, W, lambda frame=frame, form=form: frame(whole(form)))
    for name, interim in INTERIM.items():
        for is_stream, made in ((True, streamed), (False, whole)):
            yield Shape(name, "openai", is_stream, W, partial(framing.informed, made(FORMS["openai"]), *interim))
    answer = streamed(FORMS["openai"])
    # RFC 9110 8.4.1.2 notes that some send raw deflate under this name; clients take both, or refuse both in the open.
    yield Shape("raw_deflate", "openai", True, EITHER, partial(framing.raw_deflated, answer))
    yield Shape("identity_named", "openai", True, W, partial(chunked, answer, b"Content-Encoding: identity"))
    yield Shape(
        "keep_alive_fields",
        "openai",
        True,
        W,
        partial(chunked, answer, b"Keep-Alive: timeout=5", b"Connection: keep-alive"),
    )
    yield Shape("close_named", "openai", True, W, lambda: [*chunked(answer, b"Connection: close"), FIN])
    yield Shape("rst_after_all", "openai", True, W, lambda: [*chunked(answer), RST])
    yield Shape(
        "charset", "openai", True, W, partial(chunked, answer.with_(content_type="text/event-stream; charset=UTF-8"))
    )
    yield Shape("loud_type", "openai", True, W, partial(chunked, answer.with_(content_type="Text/Event-Stream")))


GRAMMAR: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "crlf": lambda events: [event.replace(b"\n", b"\r\n") for event in events],
    "cr": lambda events: [event.replace(b"\n", b"\r") for event in events],
    "ends_mixed": lambda events: [
        event.replace(b"\n", (b"\n", b"\r\n", b"\r")[place % 3]) for place, event in enumerate(events)
    ],
    "crlf_split": lambda events: [
        part for event in events for part in (event.replace(b"\n", b"\r\n")[:-1], b"\n")
    ],
    "bom": lambda events: [b"\xef\xbb\xbf" + events[0], *events[1:]],
    "comments": lambda events: [b": hello\n\n", *(b": ping\n" + event + b":\n\n" for event in events)],
    "no_space": lambda events: [event.replace(b"data: ", b"data:") for event in events],
    "ids_and_retry": lambda events: [b"id: 7\nretry: 3000\n" + event for event in events],
    "unknown_fields": lambda events: [b"foo: bar\n" + event for event in events],
    "more_blank_lines": lambda events: [b"\n\n" + event + b"\n\n" for event in events],
    "long_comment": lambda events: [events[0], b": " + b"x" * 100_000 + b"\n\n", *events[1:]],
    "all_in_one": lambda events: [b"".join(events)],
}  # fmt: skip
LINE_GRAMMAR: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "crlf": lambda events: [event.replace(b"\n", b"\r\n") for event in events],
    "blank_lines": lambda events: [b"\n" + event + b"\n" for event in events],
    "spaces": lambda events: [b"  " + event.replace(b"\n", b"  \n") for event in events],
    "no_last_newline": lambda events: [*events[:-1], events[-1].rstrip()],
    "all_in_one": lambda events: [b"".join(events)],
}


def grammars() -> Iterator[Shape]:
    """Events and lines in every way that the grammar allows."""
    for dialect in UPSTREAMS:
        form = FORMS[dialect]
        for name, bend in (GRAMMAR if form.is_sse else LINE_GRAMMAR).items():
            yield Shape(name, dialect, True, W, lambda form=form, bend=bend: chunked(bent(form, bend)))
    for dialect in SSE:
        form = FORMS[dialect]
        # The grammar drops an event that no blank line ends; the answer is there nevertheless, so both are right.
        no_end = bent(form, lambda events: [*events[:-1], events[-1].rstrip()])
        yield Shape("last_event_without_blank_line", dialect, True, EITHER_AFTER, partial(chunked, no_end))
    split = [b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",\n'
             b'data: "choices":[{"index":0,"delta":{"content":"two lines"},"finish_reason":null}]}\n\n']  # fmt: skip
    answer = Answer([chunk({"role": "assistant"}), *split, chunk({}, "stop"), DONE], "text/event-stream")
    yield Shape("data_on_two_lines", "openai", True, W, partial(chunked, answer), Told(("two lines",)))


def bent(form: Form, bend: Callable[[list[bytes]], list[bytes]], told: Told = PLAIN) -> Answer:
    """A healthy stream whose events are changed."""
    answer = streamed(form, told)
    return answer.with_(pieces=bend(answer.pieces))
