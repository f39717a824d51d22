"""Undoes gzip and deflate in bounded steps, so that a decompression bomb costs its sender and not us."""

import zlib
from typing import Literal, Protocol

from orcestator.errors import UpstreamBroken

_STEP_BYTES = 256 * 1024
_RATIO_FREE_BYTES = 1024 * 1024
_MAX_RATIO = 100
_GZIP_WBITS = 16 + zlib.MAX_WBITS

Encoding = Literal["gzip", "deflate"]

_ENCODINGS: dict[bytes, Encoding | None] = {
    b"": None,
    b"identity": None,
    b"gzip": "gzip",
    b"x-gzip": "gzip",
    b"deflate": "deflate",
}


def encoding_of(values: list[bytes]) -> Encoding | None:
    """The one content encoding that these header values name; raises ``UpstreamBroken`` for any we do not undo."""
    named = b",".join(values).strip().lower()
    if named not in _ENCODINGS:
        raise _broken(f"the upstream answered in an encoding that was not asked for: {named[:40]!r}")
    return _ENCODINGS[named]


class _Inflater(Protocol):
    """What ``zlib.decompressobj`` gives; its class has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Decoder:
    """Turns compressed pieces into plain ones, at most ``_STEP_BYTES`` at a time.

    Feed one piece, call ``step`` until it gives nothing, feed the next; call ``finish`` at the end of the body.
    Raises ``UpstreamBroken``: ``encoding`` for data that cannot be undone, ``too_large`` for a bomb.
    """

    __slots__ = ("_consumed", "_encoding", "_inflater", "_max_bytes", "_pending", "_produced")

    def __init__(self, encoding: Encoding, max_bytes: int) -> None:
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._inflater: _Inflater | None = None
        self._pending = b""
        self._consumed = 0
        self._produced = 0

    def feed(self, piece: bytes) -> None:
        """Take the next compressed piece; every step of the last one must have been taken."""
        self._pending = piece
        self._consumed += len(piece)

    def step(self) -> bytes:
        """The next plain piece, or ``b""`` when the fed one is used up."""
        while True:
            if self._inflater is None or self._inflater.eof:
                if not self._pending:
                    return b""
                self._inflater = self._next_inflater()
            plain = self._inflate(self._inflater)
            if plain:
                self._account(len(plain))
                return plain
            if not self._pending:
                return b""

    def finish(self) -> None:
        """The body is over: the compressed data must be, too."""
        if self._inflater is not None and not self._inflater.eof:
            raise _broken("the compressed answer of the upstream ends in the middle")

    def _next_inflater(self) -> _Inflater:
        if self._encoding == "gzip":
            return zlib.decompressobj(_GZIP_WBITS)  # members may follow one another (RFC 1952 §2.2)
        if self._inflater is not None:
            raise _broken("the compressed answer of the upstream goes on after its end")
        # "deflate" is zlib's format (RFC 9110 §8.4.1.2), and some servers send it without zlib's header.
        has_zlib_header = self._pending[0] & 0x0F == 8
        return zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)

    def _inflate(self, inflater: _Inflater) -> bytes:
        try:
            plain = inflater.decompress(self._pending, _STEP_BYTES)
        except zlib.error as problem:
            raise _broken(f"the compressed answer of the upstream is damaged: {problem}") from problem
        self._pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        return plain

    def _account(self, plain_bytes: int) -> None:
        self._produced += plain_bytes
        is_bomb = self._produced > _RATIO_FREE_BYTES and self._produced > _MAX_RATIO * self._consumed
        if is_bomb or self._produced > self._max_bytes:
            raise UpstreamBroken("the answer of the upstream is too large once decompressed", cause="too_large")


def _broken(message: str) -> UpstreamBroken:
    return UpstreamBroken(message, cause="encoding")
