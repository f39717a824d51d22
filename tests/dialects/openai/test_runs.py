"""Chunks that come together and differ only in their text: relayed at once, they are what they are one by one."""

import sys
from contextlib import suppress
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import UpstreamError
from tests.dialects.test_calls_a_piece import calls_of

HEAD = b'{"id":"c1","object":"chat.completion.chunk","created":1,"model":"theirs","choices":[{"index":0,"delta":{'
TAIL = b'},"finish_reason":null}]}'
FIRST = b"data: " + HEAD + b'"role":"assistant","content":""' + TAIL + b"\n\n"


def chunk(text: bytes) -> bytes:
    """An event whose text is written as it is, right or wrong."""
    return b"data: " + HEAD + b'"content":"' + text + b'"' + TAIL + b"\n\n"


def told(pieces: list[bytes]) -> tuple[bytes, str, int, int, str]:
    """What a caller gets of these pieces, the text that is kept, how much of it, how it moved, and how it failed."""
    stream = ChatStream(StreamTerms("p", "ours", False, 10, 1, 100_000, lambda prefix: prefix + "1"))
    failure, frames = "", b""
    for piece in pieces:
        try:
            stream.feed(piece)
        except UpstreamError as error:
            failure = error.message
        frames += stream.take()
        if failure:
            break
    return frames, "".join(stream.text), stream.completion_chars, stream.moves, failure


ODD = [
    "a",
    "b c",
    "",
    '\\"',
    "\\\\",
    "\\",
    '"',
    '","',
    '\\","',
    '","x\\',
    "\\n",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\u12",
    "é",
    "\\q",
    "}",
    ",",
]


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=12))
def test_together_as_one_by_one(texts: list[str]) -> None:
    """Also where one of them is no JSON, or only becomes some beside another."""
    events = [FIRST, chunk(b"start"), *(chunk(text.encode()) for text in texts)]
    together = told([FIRST + chunk(b"start"), b"".join(events[2:])])
    apart = told(events)
    assert together == apart


@pytest.mark.parametrize("text", [b"word", b"\\n", b"\\u00e9", b"\xc3\xa9"])
def test_many_cost_no_call_each(text: bytes) -> None:
    stream = ChatStream(StreamTerms("p", "ours", False, 10, 1, 100_000, lambda prefix: prefix + "1"))
    stream.feed(FIRST + chunk(b"start"))
    piece = chunk(text) * 100
    assert calls_of(lambda: stream.feed(piece)) <= 10
    assert stream.take().count(b'"model":"ours"') == 102


@pytest.mark.parametrize("odd", [b'\\"', b"\\ud83d", b"\x00"])
def test_one_that_is_odd_does_not_have_all_before_it_looked_at_again(odd: bytes) -> None:
    """Looked at again and again for the one at its end, a run of thousands would stop the loop for a quarter of a second."""

    def looks(count: int) -> int:
        stream = ChatStream(StreamTerms("p", "ours", False, 10, 1, 100_000, lambda prefix: prefix + "1"))
        stream.feed(FIRST + chunk(b"start"))

        piece, made = chunk(b"x") * count + chunk(odd), 0

        def note(_frame: FrameType, event: str, _arg: object) -> None:
            nonlocal made
            made += event == "c_call"

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            with suppress(UpstreamError):
                stream.feed(piece)
        finally:
            sys.setprofile(before)
        return made

    assert looks(400) < 5 * looks(100)


def test_a_text_that_cannot_be_read_is_not_passed_on_in_a_run() -> None:
    frames, text, _, _, failure = told(
        [FIRST + chunk(b"start"), chunk(b"a") + chunk(b"\x00") + chunk(b"b") + chunk(b"\\")]
    )
    assert failure
    assert text.startswith("starta")
    assert b'"\\"' not in frames
