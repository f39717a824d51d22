"""The faults of the connection and of HTTP itself (U3, U4, U7 to U10): a good answer, spoiled on its way. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from orcestator.sandbox.call import Call
from orcestator.sandbox.wire.script import Answer, HangUp, Headers, NextRequest, Pause, Reset, Stall, Step

Spoil = Callable[[Call, Answer], Answer]

SLOW_SECONDS = 1.0
NO_READ_SECONDS = 60.0


def without_length(headers: Headers) -> Headers:
    """The headers without content-length."""
    return tuple((name, value) for name, value in headers if name != "content-length")


def silence(seconds: float | None = None) -> Answer:
    """No answer (U4). Input that nobody reads hides the peer's leaving, so this ends by itself after a minute."""
    return Answer(None, steps=(Stall(NO_READ_SECONDS if seconds is None else seconds),))


def _silent(call: Call, answer: Answer) -> Answer:
    return silence(call.model.options.seconds)


def _ending(step: Step) -> Spoil:
    return lambda call, answer: Answer(None, steps=(step,))


def _next_request(fate: NextRequest) -> Spoil:
    return lambda call, answer: replace(answer, next_request=fate)


def _slow_head(call: Call, answer: Answer) -> Answer:
    head = answer.head(keeps_alive=True)
    headless = replace(answer, status=None)
    return Answer(None, steps=_concatenated(_slowly(call, head), headless.wire_steps(keeps_alive=True)))


def _slow_body(call: Call, answer: Answer) -> Answer:
    head = answer.head(keeps_alive=True)
    body = _bytes_of(replace(answer, status=None))
    return Answer(None, steps=_concatenated(iter([head]), _slowly(call, body)))


def _slowly(call: Call, data: bytes) -> Iterator[Step]:
    interval = call.model.options.interval
    for byte in data:
        yield bytes([byte])
        yield Pause(SLOW_SECONDS if interval is None else interval)


def _concatenated(first: Iterator[Step], second: Iterator[Step]) -> Iterator[Step]:
    yield from first
    yield from second


def _bytes_of(answer: Answer) -> bytes:
    return b"".join(step for step in answer.wire_steps(keeps_alive=True) if isinstance(step, bytes))


def _http10(call: Call, answer: Answer) -> Answer:
    return replace(_close_delimited(call, answer), version="1.0")


def _close_delimited(call: Call, answer: Answer) -> Answer:
    return replace(answer, headers=without_length(answer.headers), chunked=False, closes=True)


def _after(interim: bytes) -> Spoil:
    def spoil(call: Call, answer: Answer) -> Answer:
        steps = _concatenated(iter([interim]), answer.wire_steps(keeps_alive=True))
        return Answer(None, steps=steps, delay_seconds=answer.delay_seconds)

    return spoil


def _trailers(call: Call, answer: Answer) -> Answer:
    return replace(_chunked(answer), trailers=b"x-sandbox-trailer: seen\r\n")


def _chunk_extension(call: Call, answer: Answer) -> Answer:
    return replace(_chunked(answer), chunk_extension=b';sandbox="an extension"')


def _chunked(answer: Answer) -> Answer:
    return replace(answer, headers=without_length(answer.headers), chunked=True)


def _redirect(status: int) -> Spoil:
    def spoil(call: Call, answer: Answer) -> Answer:
        headers = (("location", call.elsewhere + call.path), ("content-length", "0"))
        return Answer(status, headers)

    return spoil


TRANSPORT_FAULTS: Mapping[tuple[str, str], Spoil] = {
    ("U3", "rst"): _ending(Reset()),
    ("U3", "fin"): _ending(HangUp()),
    ("U4", "no-read"): _silent,
    ("U7", "fin"): _next_request("fin"),
    ("U7", "rst"): _next_request("rst"),
    ("U7", "idle"): _next_request("idle"),
    ("U7", "silent"): _next_request("silent"),
    ("U8", "headers"): _slow_head,
    ("U8", "body"): _slow_body,
    ("U9", "http10"): _http10,
    ("U9", "close-delimited"): _close_delimited,
    ("U9", "100"): _after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("U9", "103"): _after(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"),
    ("U9", "trailers"): _trailers,
    ("U9", "chunk-ext"): _chunk_extension,
    ("U10", "301"): _redirect(301),
    ("U10", "302"): _redirect(302),
    ("U10", "307"): _redirect(307),
    ("U10", "308"): _redirect(308),
}
