"""Server-sent events by the WHATWG rules, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.sse import LineSplitter, SseSplitter
from orcestator.errors import UpstreamBroken

LONGEST = 1 << 20


def split(*pieces: bytes) -> list[bytes]:
    splitter = SseSplitter()
    return [data for piece in pieces for data in splitter.feed(piece)] + splitter.flush()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("lines", "events"),
    [
        ([b"data: a", b"", b"data: b", b""], [b"a", b"b"]),
        ([b"data:a", b""], [b"a"]),
        ([b"data:  a ", b""], [b" a "]),
        ([b"data: a", b"data: b", b""], [b"a\nb"]),
        ([b": comment", b"", b":", b"", b"data: a", b": inside", b""], [b"a"]),
        ([b"event: x", b"id: 1", b"retry: 5", b"data: a", b""], [b"a"]),
        ([b"event: x", b"", b"data", b"", b"database: a", b""], []),
        ([b"", b"", b"", b"data: a", b"", b"", b""], [b"a"]),
        ([b"data: ", b"", b"data:", b"", b"data: a", b""], [b"a"]),
        ([b" data: a", b""], []),
        (["data: é\u2028\x85\0".encode(), b""], ["é\u2028\x85\0".encode()]),
        ([b"data: \xff\xc3", b""], [b"\xff\xc3"]),
    ],
)
def test_lines_and_fields(end: bytes, lines: list[bytes], events: list[bytes]) -> None:
    wire = b"".join(line + end for line in lines)

    assert split(wire) == events
    assert split(*[wire[place : place + 1] for place in range(len(wire))]) == events
    assert split(b"\xef\xbb\xbf" + wire) == events


def test_an_event_is_handed_out_as_soon_as_it_is_whole() -> None:
    splitter = SseSplitter()

    handed = [
        splitter.feed(piece) for piece in (b"data: a\n\n", b"data: b\n", b"\n", b"data: c\r\n\r", b"\n", b"data: d\n\n")
    ]

    assert handed == [[b"a"], [], [b"b"], [b"c"], [], [b"d"]]


def test_an_event_without_data_in_a_piece_of_its_own_is_none() -> None:
    assert split(b"data: a\n\n", b"data: \n\n", b"data:\n\n", b"\n\n", b"data: b\n\n") == [b"a", b"b"]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_byte_order_mark_in_pieces(cut: int) -> None:
    mark = b"\xef\xbb\xbf"

    assert split(mark[:cut], mark[cut:], b"data: a\n\n") == [b"a"]
    assert split(b"", mark[:cut], b"", mark[cut:] + b"data: a\n\n") == [b"a"]


def test_only_a_leading_byte_order_mark_is_dropped() -> None:
    assert split(b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n", b"data: \xef\xbb\xbfc\n\n") == [b"a", b"\xef\xbb\xbfc"]


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r", b"data:[DONE]\r\n"])
def test_the_last_event_needs_no_blank_line(tail: bytes) -> None:
    assert split(b"data: a\n\n" + tail) == [b"a", b"[DONE]"]
    assert split(b"data: a\r\n\r\n" + tail) == [b"a", b"[DONE]"]


def test_an_empty_piece_between_cr_and_lf_is_no_line() -> None:
    assert split(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == [b"a\nb"]


def test_flush_twice_gives_nothing_twice() -> None:
    splitter = SseSplitter()
    splitter.feed(b"data: a")

    assert (splitter.flush(), splitter.flush()) == ([b"a"], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("field", [b"data: ", b"data: \ndata: "])
def test_an_event_over_the_limit_is_refused_after_what_came_before(end: bytes, field: bytes) -> None:
    long = b"data: a" + end * 2 + field.replace(b"\n", end) + b"x" * LONGEST
    for wire in (long, long + end * 2, long + end * 2 + b"data: b" + end * 2):
        splitter = SseSplitter(LONGEST)
        assert splitter.feed(wire) == [b"a"]
        with pytest.raises(UpstreamBroken, match="OR_MAX_EVENT_BYTES"):
            splitter.feed(b"data: c\n\n")
        with pytest.raises(UpstreamBroken, match="OR_MAX_EVENT_BYTES"):
            splitter.flush()


def test_one_long_event_in_one_piece_is_refused_too() -> None:
    splitter = SseSplitter(LONGEST)
    splitter.feed(b"data: a\n\n")

    assert splitter.feed(b"data: " + b"x" * LONGEST + b"\n\n") == []
    with pytest.raises(UpstreamBroken):
        splitter.flush()


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_a_flood_of_comments_and_small_events_has_no_limit(end: bytes) -> None:
    flood = (b": keep-alive" + end) * 100_000 + (b"data: a" + end) * 100_000

    assert len(split(flood[:700_001], flood[700_001:])) == 100_000


def test_memory_is_bounded_by_the_longest_event() -> None:
    splitter = SseSplitter(LONGEST)

    for _ in range(1 + LONGEST // 65_536):
        splitter.feed(b"x" * 65_536)

    with pytest.raises(UpstreamBroken):
        splitter.feed(b"x")


_parts = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data: ",
        b"data",
        b": c",
        b"event: e",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
    ]
)


@given(st.lists(_parts, max_size=14).map(b"".join), st.data())
def test_any_slicing_gives_the_same_events(wire: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=5).map(sorted))

    sliced = split(*[wire[start:stop] for start, stop in pairwise([0, *cuts, len(wire)])])

    assert (
        sliced == split(wire) == split(*[wire[place : place + 1] for place in range(len(wire))]) == _by_the_book(wire)
    )


def _by_the_book(wire: bytes) -> list[bytes]:
    """The standard's algorithm over a whole stream, line by line, with the last event closed."""
    text = wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\n\n"
    events, lines = [], []
    for line in text.split(b"\n"):
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif not line:
            if b"\n".join(lines):
                events.append(b"\n".join(lines))
            lines = []
    return events


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("kind", ["event", "line"])
def test_a_large_event_in_many_pieces_is_not_copied_for_each_of_them(end: bytes, kind: str) -> None:
    """A picture of 48 MiB in pieces of 1 KiB: with a copy a piece it would take an hour."""
    piece, pieces = b"x" * 1024, 48 * 1024
    splitter = SseSplitter() if kind == "event" else LineSplitter()
    head, tail = (b"data: ", end * 2) if kind == "event" else (b"", b"\n")
    assert splitter.feed(b"data: first" + end * 2 if kind == "event" else b"first\n") == [
        b"data: first"[6:] if kind == "event" else b"first"
    ]
    assert splitter.feed(head + piece) == []
    for _ in range(pieces - 1):
        assert splitter.feed(piece) == []
    (found,) = splitter.feed(tail) or splitter.flush()
    assert len(found) == len(piece) * pieces


def test_a_line_over_the_limit_is_refused() -> None:
    splitter = LineSplitter(LONGEST)
    assert splitter.feed(b"a\n" + b"x" * LONGEST) == [b"a"]
    with pytest.raises(UpstreamBroken, match="OR_MAX_EVENT_BYTES"):
        splitter.feed(b"x")
    with pytest.raises(UpstreamBroken, match="OR_MAX_EVENT_BYTES"):
        LineSplitter(LONGEST).feed(b"x" * (LONGEST + 1) + b"\n")
