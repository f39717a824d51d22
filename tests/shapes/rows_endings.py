"""Streams that end, or fall silent, too early or too late."""

import zlib
from collections.abc import Iterator
from typing import Any

from tests.shapes import framing
from tests.shapes.forms import (
    FORMS,
    PLAIN,
    UPSTREAMS,
    Form,
    streamed,
)  # fmt: skip
from tests.shapes.framing import CHUNKED, LAST, chunk_of, chunked, unfinished
from tests.shapes.rows import AFTER, BEFORE, EITHER_AFTER, LATE, TALK, W, text_until
from tests.shapes.shape import Right, Shape
from tests.shapes.upstream import FIN, HOLD, RST, Step, Steps


def endings() -> Iterator[Shape]:
    """Streams that end, or fall silent, too early or too late."""
    for dialect in UPSTREAMS:
        form = FORMS[dialect]
        yield from _early_ends(form)
        yield from _late_ends(form)
        yield from _silences(form)


def _row(form: Form, name: str, right: Right, *steps: Step, **more: Any) -> Shape:
    return Shape(name, form.name, True, right, lambda: steps, **more)


def _early_ends(form: Form) -> Iterator[Shape]:
    answer = streamed(form)
    head = answer.head(CHUNKED)
    opening = [chunk_of(event) for event in form.events(PLAIN)[: form.opening]]
    talk = [chunk_of(event) for event in text_until(form, TALK)]
    half = form.events(PLAIN)[form.opening + TALK][:-9]
    for end in (FIN, RST):
        yield _row(form, f"{end}_before_head", BEFORE, end)
        yield _row(form, f"{end}_in_head", BEFORE, head[:20], end)
        yield _row(form, f"{end}_after_head", BEFORE, head, end)
        yield _row(form, f"{end}_in_words", AFTER, head, *talk, end)
        if opening:
            yield _row(form, f"{end}_after_opening", BEFORE, head, *opening, end)
    yield _row(form, "fin_in_event", AFTER, head, *talk, chunk_of(half), FIN)
    yield _row(form, "fin_in_chunk", AFTER, head, *talk, chunk_of(half)[:-7], FIN)
    yield _row(form, "clean_end_in_words", AFTER, head, *talk, LAST)
    yield _row(form, "clean_end_in_event", AFTER, head, *talk, chunk_of(half), LAST)
    yield _row(form, "clean_end_at_once", BEFORE, head, LAST)
    yield _row(form, "clean_end_after_opening", BEFORE, head, *opening, LAST)
    yield _row(form, "close_in_words", AFTER, answer.head(b"Connection: close"), *text_until(form, TALK), FIN)
    short = b"".join(text_until(form, TALK))
    yield _row(form, "length_too_long", AFTER, answer.head(b"Content-Length: 9999") + short, FIN)
    yield _row(form, "error_first", BEFORE, *chunked(answer.with_(pieces=[form.error_event])))
    yield _row(
        form, "error_in_words", AFTER, *chunked(answer.with_(pieces=[*text_until(form, TALK), form.error_event]))
    )
    yield _row(
        form,
        "error_after_opening",
        BEFORE,
        *chunked(answer.with_(pieces=[*form.events(PLAIN)[: form.opening], form.error_event])),
    )
    yield _row(form, "gzip_cut", AFTER, *_gzip_cut(form))
    yield _row(form, "gzip_garbage", AFTER, *_gzip_garbage(form))
    yield _row(form, "gzip_is_plain", BEFORE, *framing.encoded(answer, b"gzip", answer.pieces))


def _gzip_cut(form: Form) -> Steps:
    maker = zlib.compressobj(wbits=31)
    coded = [maker.compress(event) + maker.flush(zlib.Z_SYNC_FLUSH) for event in text_until(form, TALK)]
    return framing.encoded(streamed(form), b"gzip", coded)


def _gzip_garbage(form: Form) -> Steps:
    maker = zlib.compressobj(wbits=31)
    coded = [maker.compress(event) + maker.flush(zlib.Z_SYNC_FLUSH) for event in text_until(form, TALK)]
    return framing.encoded(streamed(form), b"gzip", [*coded, b"\xff" * 64])


def _late_ends(form: Form) -> Iterator[Shape]:
    answer = streamed(form)
    yield _row(form, "held_after_all", W, *framing.held(answer))
    yield _row(form, "fin_for_last_chunk", W, *unfinished(answer))
    # A reset may overtake what was sent before it, so that the last words are lost: then the caller must be told.
    yield _row(form, "rst_for_last_chunk", EITHER_AFTER, *unfinished(answer, RST))
    body = b"".join(answer.pieces)
    yield _row(form, "length_longer_than_all", W, answer.head(b"Content-Length: %d" % (len(body) + 50)) + body, FIN)
    yield _row(form, "garbage_for_last_chunk", EITHER_AFTER, *[*unfinished(answer)[:-1], b"zz\r\n", FIN])


def _silences(form: Form) -> Iterator[Shape]:
    head = streamed(form).head(CHUNKED)
    talk = [chunk_of(event) for event in text_until(form, TALK)]
    opening = [chunk_of(event) for event in form.events(PLAIN)[: form.opening]]
    yield _row(form, "silent", BEFORE, HOLD)
    yield _row(form, "silent_after_head", BEFORE, head, HOLD)
    if opening:
        yield _row(form, "silent_after_opening", BEFORE, head, *opening, HOLD)
    yield _row(form, "silent_in_words", AFTER, head, *talk, HOLD)
    if form.is_sse:
        dripping: list[Step] = [piece for _ in range(20) for piece in (0.3, chunk_of(b": ping\n\n"))]
    else:
        dripping = [piece for _ in range(20) for piece in (0.3, chunk_of(b"\n"))]
    rest = [chunk_of(event) for event in form.events(PLAIN)[form.opening :]]
    yield _row(form, "late_after_head", W, head, LATE, *opening, *rest, LAST)
    if opening:
        yield _row(form, "late_after_opening", W, head, *opening, LATE, *rest, LAST)
    yield _row(form, "late_with_comments", W, head, *opening, *dripping[:16], *rest, LAST)
    yield _row(form, "comments_for_content", BEFORE, head, *opening, *dripping, HOLD)
    yield _row(form, "comments_in_words", AFTER, head, *talk, *dripping, HOLD)
