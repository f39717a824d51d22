"""The response headers, read from the raw head only when somebody asks. Framing is not decided here."""

from collections.abc import Iterator

Pair = tuple[bytes, bytes]


class Headers:
    """The fields of one response head, in order; names in lower case.

    The parser has already accepted the head, strictly: every line ends in CRLF, none is folded. Looking a name up is
    a search in the bytes, which for the one or two names that a caller reads is far cheaper than building pairs.
    """

    __slots__ = ("_folded", "_raw")

    def __init__(self, raw: bytes) -> None:
        """``raw`` is the head from the status line to the CRLF of its last field."""
        self._raw = raw
        self._folded = raw.lower()

    def __iter__(self) -> Iterator[Pair]:
        """Each field as (lower-case name, value)."""
        for line in self._raw.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                yield name.lower(), value.strip(b" \t")

    def get(self, name: bytes) -> bytes | None:
        """The first value of a lower-case name."""
        start = self._folded.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 3
        return self._raw[start : self._raw.index(b"\r\n", start)].strip(b" \t")

    def get_all(self, name: bytes) -> list[bytes]:
        """Every value of a lower-case name, in order."""
        return [value for field, value in self if field == name]

    def mentions(self, word: bytes) -> bool:
        """Whether the lower-case word is anywhere in the head: one look, where several names would be searched for."""
        return word in self._folded

    def __contains__(self, name: bytes) -> bool:
        return b"\r\n" + name + b":" in self._folded
