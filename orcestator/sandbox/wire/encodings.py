"""Content encodings, also those the standard library cannot write, and decompression bombs. Pure.

Brotli and Zstandard are written as stored blocks: valid streams that compress nothing.
"""

import zlib
from collections.abc import Iterator

GZIP = 16 + zlib.MAX_WBITS
BROTLI_BLOCK_BYTES = 1 << 16
ZSTD_BLOCK_BYTES = 1 << 17
BOMB_BLOCK = b"a" * (1024 * 1024)


def gzip(body: bytes) -> bytes:
    """The body in gzip."""
    return zlib.compress(body, wbits=GZIP)


def brotli(body: bytes) -> bytes:
    """The body in uncompressed meta-blocks (RFC 7932 §9.2): window bits, then length and data, then an empty last one."""
    stream = b""
    for start in range(0, len(body), BROTLI_BLOCK_BYTES):
        block = body[start : start + BROTLI_BLOCK_BYTES]
        # ISLAST=0, MNIBBLES=00 (four nibbles), MLEN-1, ISUNCOMPRESSED=1; the very first bit (0) is a window of 16 bits.
        bits = (len(block) - 1) << 3 | 1 << 19
        stream += (bits << 1 if not stream else bits).to_bytes(3, "little") + block
    return stream + b"\x03" if stream else b"\x06"


def zstd(body: bytes) -> bytes:
    """The body in raw blocks (RFC 8878 §3.1.1): magic, a single segment with an 8-byte size, then the blocks."""
    frame = b"\x28\xb5\x2f\xfd\xe0" + len(body).to_bytes(8, "little")
    starts = range(0, max(len(body), 1), ZSTD_BLOCK_BYTES)
    for start in starts:
        block = body[start : start + ZSTD_BLOCK_BYTES]
        is_last = start == starts[-1]
        frame += (len(block) << 3 | is_last).to_bytes(3, "little") + block
    return frame


def gzip_bomb(start: bytes, size: int) -> Iterator[bytes]:
    """``start`` and then ``size`` letters (rounded up to MiB) in gzip, a thousandth of them on the wire; no trailer."""
    first, block = _bomb_parts(start)
    yield first
    for _ in range(-(-size // len(BOMB_BLOCK))):
        yield block


def double_gzip_bomb(start: bytes, size: int) -> Iterator[bytes]:
    """The gzip bomb in gzip once more: 10 GiB are some 24 KiB on the wire."""
    outer = zlib.compressobj(9, wbits=GZIP)
    for piece in gzip_bomb(start, size):
        if squeezed := outer.compress(piece):
            yield squeezed
    yield outer.flush()


def _bomb_parts(start: bytes) -> tuple[bytes, bytes]:
    """The compressed start, and one block that may be repeated: a full flush forgets all that came before."""
    coder = zlib.compressobj(9, wbits=GZIP)
    first = coder.compress(start) + coder.flush(zlib.Z_FULL_FLUSH)
    return first, coder.compress(BOMB_BLOCK) + coder.flush(zlib.Z_FULL_FLUSH)
