"""Ways to put an answer on the wire: right ones, and broken ones."""

import gzip
import zlib
from collections.abc import Sequence

from tests.shapes.forms import Answer
from tests.shapes.upstream import FIN, HOLD, Steps

CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"


def chunk_of(piece: bytes, *, size: bytes = b"", extension: bytes = b"") -> bytes:
    """One chunk."""
    return (size or b"%x" % len(piece)) + extension + b"\r\n" + piece + b"\r\n"


def chunked(answer: Answer, *more: bytes) -> Steps:
    """A chunk a piece, the way most servers stream."""
    return [answer.head(CHUNKED, *more), *map(chunk_of, answer.pieces), LAST]


def sized(answer: Answer, *more: bytes) -> Steps:
    """With a length, in one piece."""
    body = b"".join(answer.pieces)
    return [answer.head(b"Content-Length: %d" % len(body), *more) + body]


def in_one_write(answer: Answer) -> Steps:
    """Chunked, and head and all in one segment."""
    return [b"".join(step for step in chunked(answer) if isinstance(step, bytes))]


def until_close(answer: Answer) -> Steps:
    """No length: the end of the connection is the end of the body."""
    return [answer.head(b"Connection: close"), *answer.pieces, FIN]


def by_bytes(answer: Answer, size: int = 1) -> Steps:
    """Everything, head included, in reads of so many bytes."""
    wire = b"".join(step for step in chunked(answer) if isinstance(step, bytes))
    return [wire[at : at + size] for at in range(0, len(wire), size)]


def in_chunks_of(answer: Answer, size: int) -> Steps:
    """Chunks that end anywhere, in the middle of a character too."""
    body = b"".join(answer.pieces)
    return [answer.head(CHUNKED), *(chunk_of(body[at : at + size]) for at in range(0, len(body), size)), LAST]


def with_extensions(answer: Answer) -> Steps:
    """Chunk extensions."""
    chunks = (chunk_of(piece, extension=b';name="a b";x=1') for piece in answer.pieces)
    return [answer.head(CHUNKED), *chunks, b"0;last=1\r\n\r\n"]


def with_trailers(answer: Answer) -> Steps:
    """Fields after the last chunk."""
    return [answer.head(CHUNKED, b"Trailer: X-Sum"), *map(chunk_of, answer.pieces), b"0\r\nX-Sum: 1\r\n\r\n"]


def padded_sizes(answer: Answer) -> Steps:
    """Chunk sizes in capitals with zeros before them."""
    chunks = (chunk_of(piece, size=b"%06X" % len(piece)) for piece in answer.pieces)
    return [answer.head(CHUNKED), *chunks, b"0000\r\n\r\n"]


def shouting(answer: Answer) -> Steps:
    """Names of fields in capitals, no space after the colon."""
    head = answer.head(b"TRANSFER-ENCODING:chunked").replace(b"Content-Type: ", b"CONTENT-TYPE:")
    return [head, *map(chunk_of, answer.pieces), LAST]


def dripped_head(answer: Answer) -> Steps:
    """The head byte by byte."""
    head = answer.head(CHUNKED)
    return [*(head[at : at + 1] for at in range(len(head))), *map(chunk_of, answer.pieces), LAST]


def http_1_0(answer: Answer) -> Steps:
    """HTTP/1.0, which ends with the connection."""
    return [answer.with_(version=b"HTTP/1.0").head(), *answer.pieces, FIN]


def informed(answer: Answer, *interim: bytes) -> Steps:
    """Interim answers before the one."""
    return [*interim, *chunked(answer)]


def encoded(answer: Answer, coding: bytes, pieces: Sequence[bytes]) -> Steps:
    """A content coding over these pieces of the coded body."""
    return chunked(answer.with_(pieces=list(pieces), headers=(*answer.headers, b"Content-Encoding: " + coding)))


def gzipped(answer: Answer) -> Steps:
    """One gzip member."""
    return encoded(answer, b"gzip", [gzip.compress(b"".join(answer.pieces))])


def gzip_flushed(answer: Answer) -> Steps:
    """gzip, flushed after each piece."""
    maker = zlib.compressobj(wbits=31)
    pieces = [maker.compress(piece) + maker.flush(zlib.Z_SYNC_FLUSH) for piece in answer.pieces]
    return encoded(answer, b"gzip", [*pieces, maker.flush()])


def gzip_members(answer: Answer) -> Steps:
    """A gzip member a piece, one after another."""
    return encoded(answer, b"gzip", [gzip.compress(piece) for piece in answer.pieces])


def gzip_by_bytes(answer: Answer) -> Steps:
    """gzip, a byte a chunk."""
    coded = gzip.compress(b"".join(answer.pieces))
    return encoded(answer, b"gzip", [coded[at : at + 1] for at in range(len(coded))])


def deflated(answer: Answer) -> Steps:
    """zlib's format, which is what ``deflate`` means."""
    return encoded(answer, b"deflate", [zlib.compress(b"".join(answer.pieces))])


def raw_deflated(answer: Answer) -> Steps:
    """Raw deflate, which some servers call ``deflate``."""
    maker = zlib.compressobj(wbits=-15)
    return encoded(answer, b"deflate", [maker.compress(b"".join(answer.pieces)) + maker.flush()])


def held(answer: Answer) -> Steps:
    """All of it, and then neither the last chunk nor an end."""
    return [answer.head(CHUNKED), *map(chunk_of, answer.pieces), HOLD]


def unfinished(answer: Answer, end: str = FIN) -> Steps:
    """All pieces, but the connection ends where the last chunk belongs."""
    return [answer.head(CHUNKED), *map(chunk_of, answer.pieces), end]
