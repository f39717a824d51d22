"""Server-sent events by the WHATWG rules, incrementally and without I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html (checked 2026-11): lines end in LF, CRLF or CR; a
leading byte-order mark is dropped; ``data`` lines of one event are joined by LF; a line that starts with a colon is
a comment.

Names of events are passed over, as no dialect needs them to be understood, but for one: what is named ``error`` is a
failure, whatever its data looks like.
"""

import re

from orcestator.errors import UpstreamBroken

LONGEST_EVENT_BYTES = 64 << 20
"""As large as a whole reply: pictures come in one event."""
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
_ERROR_BEGINS = (b"event: error", b"event:error")
_ERROR_NAME = re.compile(rb"^event: ?error[ \t]*$", re.MULTILINE)


class SseSplitter:
    """Bytes in, the data of each complete event out. Comments and events without data give nothing.

    ``error`` is the data of an event whose name is ``error``, once one has come: nothing after it is handed out.
    """

    def __init__(self, longest: int = LONGEST_EVENT_BYTES) -> None:
        """``longest`` is how many bytes an event may have."""
        self.error: bytes | None = None
        self._is_error = False
        self._longest = longest
        self._tail = b""
        self._more: list[bytes] = []
        self._more_bytes = self._data_bytes = 0
        self._plain = True
        self._at_start = True
        self._data: list[bytes] = []
        self._skip_lf = False
        self._overflowed = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event completed by ``piece``.

        After an event that is too long, the next call raises UpstreamBroken: what came before it is still handed out.
        """
        # Most pieces are exactly one event: its data on one line, alone or after the event's name.
        if self._plain and not (self._tail or self._at_start) and len(piece) <= self._longest:
            first, end = piece.find(b"\n"), len(piece) - 2
            if 6 < first == end and piece.startswith(b"data: ") and piece.endswith(b"\n\n") and b"\r" not in piece:
                return [piece[6:-2]]
            if data := _only_data(piece, first, end):
                return [data]
        if self._overflowed:
            raise _too_long(self._longest)
        if self._at_start:
            piece = self._without_bom(piece)
        if self._plain:
            piece = _with_plain_ends(piece)
            if b"\r" not in piece:
                return self._feed_plain(piece)
            self._plain = False
        return self._feed_lines(piece)

    def flush(self) -> list[bytes]:
        """At the end of the stream: an event whose closing blank line never came.

        The standard drops it; providers end with ``data: [DONE]`` and no newline, so it is handed out. Raises
        UpstreamBroken when an event was too long.
        """
        if self._overflowed:
            raise _too_long(self._longest)
        events = self._feed_lines(b"\n\n") if self._tail or self._data or self._is_error else []
        self._tail, self._data = b"", []
        return events

    def _without_bom(self, piece: bytes) -> bytes:
        joined = self._tail + piece
        self._tail = b""
        if len(joined) < 3 and b"\xef\xbb\xbf".startswith(joined):
            self._tail = joined
            return b""
        self._at_start = False
        return joined.removeprefix(b"\xef\xbb\xbf")

    def _feed_plain(self, piece: bytes) -> list[bytes]:
        """The common framing: ``data: {...}`` and a blank line, with LF only."""
        if self._tail:
            if b"\n\n" not in piece and not (piece.startswith(b"\n") and self._ends_line()):
                self._hold(piece)
                return []
            piece = self._held() + piece
        *blocks, self._tail = piece.split(b"\n\n")
        events: list[bytes] = []
        may_be_over = len(piece) > self._longest
        for block in blocks:
            if may_be_over and self._is_over(len(block)):
                return events
            if block.startswith(b"data: ") and b"\n" not in block:  # nearly every event of nearly every upstream
                if data := block[6:]:
                    events.append(data)
                continue
            if (not block.startswith(b"data: ") or b"\nevent:" in block) and _ERROR_NAME.search(block) is not None:
                self.error, self._tail = _data_of(block.split(b"\n")), b""
                return events
            if data := _data_in(block):
                events.append(data)
        if may_be_over:
            self._is_over(len(self._tail))
        return events

    def _ends_line(self) -> bool:
        return (self._more[-1] if self._more else self._tail).endswith(b"\n")

    def _hold(self, piece: bytes) -> None:
        """More of what has no end yet: joined when it has, so that an event in many pieces is not copied for each of them."""
        self._more.append(piece)
        self._more_bytes += len(piece)
        self._is_over(len(self._tail) + self._more_bytes + self._data_bytes)

    def _held(self) -> bytes:
        """All that has no end yet, which is then nobody's."""
        held = b"".join((self._tail, *self._more)) if self._more else self._tail
        self._tail, self._more, self._more_bytes = b"", [], 0
        return held

    def _is_over(self, size: int) -> bool:
        if size > self._longest:
            self._overflowed, self._plain, self._data, self._data_bytes = True, False, [], 0
            self._held()
        return self._overflowed

    def _feed_lines(self, piece: bytes) -> list[bytes]:
        if not piece:
            return []
        if self._skip_lf:
            piece = piece.removeprefix(b"\n")
        if self._tail and b"\n" not in piece and b"\r" not in piece:
            self._skip_lf = False
            self._hold(piece)
            return []
        text = self._held() + piece
        self._skip_lf = text.endswith(b"\r")
        *lines, self._tail = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events = self._events_of(lines)
        if self.error is None and not self._overflowed:
            self._is_over(len(self._tail) + self._data_bytes)
        return events

    def _events_of(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line)
                self._data_bytes += len(line)
            elif line.startswith(b"event:"):
                self._is_error = _ERROR_NAME.match(line) is not None
            elif self._is_error and not line:
                self.error, self._data = _data_of(self._data), []
                break
            elif self._data and not line:
                if self._is_over(self._data_bytes):
                    break
                if data := _data_of(self._data):
                    events.append(data)
                self._data, self._data_bytes = [], 0
        return events


class LineSplitter:
    """Newline-delimited JSON: bytes in, the lines that are complete out. Its lines have no names."""

    def __init__(self, longest: int = LONGEST_EVENT_BYTES) -> None:
        """``longest`` is how many bytes a line may have."""
        self.error: bytes | None = None
        self._longest = longest
        self._pieces: list[bytes] = []
        self._bytes = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines completed by ``piece``, empty ones left out. Raises UpstreamBroken for one that is too long."""
        lines: list[bytes] = []
        if b"\n" in piece:
            *lines, piece = b"".join((*self._pieces, piece)).split(b"\n")
            self._pieces, self._bytes = [], 0
        if piece:
            self._pieces.append(piece)
            self._bytes += len(piece)
        if self._bytes > self._longest or (lines and max(map(len, lines)) > self._longest):
            raise _too_long(self._longest)
        return [line for line in lines if line.strip()]

    def flush(self) -> list[bytes]:
        """At the end of the stream: a last line without its line end."""
        tail = b"".join(self._pieces)
        self._pieces, self._bytes = [], 0
        return [tail] if tail.strip() else []


def _only_data(piece: bytes, first: int, end: int) -> bytes:
    """The data of a piece that is exactly one event with a name, or one with CRLF, else b"".

    ``first`` is where its first LF is, ``end`` where its last two bytes begin.
    """
    if piece.startswith(b"data: "):
        is_one = 7 < first == end - 1 and piece.endswith(b"\r\n\r\n") and piece.find(b"\r") == end - 2
        return piece[6:-4] if is_one else b""
    is_one = (
        piece.startswith(b"event:")
        and not piece.startswith(_ERROR_BEGINS)
        and piece.startswith(b"data: ", first + 1)
        and piece.find(b"\n", first + 1) == end
        and piece.endswith(b"\n\n")
        and b"\r" not in piece
    )
    return piece[first + 7 : -2] if is_one else b""


def _data_in(block: bytes) -> bytes:
    """The data of one event: mostly it is one line, alone or after the event's name."""
    first = block.find(b"\n")
    if first < 0 and block.startswith(b"data: "):
        return block[6:]
    if block.startswith(b"data: ", first + 1) and block.startswith(b"event:") and block.find(b"\n", first + 1) < 0:
        return block[first + 7 :]
    return _data_of(block.split(b"\n"))


def _with_plain_ends(piece: bytes) -> bytes:
    """The piece with LF for CRLF, where CR is used for nothing else and none of it can go on in the next piece."""
    if b"\r" not in piece or piece.endswith(b"\r"):
        return piece
    plain = piece.replace(b"\r\n", b"\n")
    return piece if b"\r" in plain else plain


def _data_of(lines: list[bytes]) -> bytes:
    return b"\n".join(
        line[6:] if line.startswith(b"data: ") else line[5:] for line in lines if line.startswith(b"data:")
    )


def _too_long(longest: int) -> UpstreamBroken:
    message = f"The upstream sent an event of over {longest} bytes, which is what OR_MAX_EVENT_BYTES allows."
    return UpstreamBroken(message, cause="event_too_large")
