"""JSON as upstreams really send it: strict and fast first, forgiving second. Raises only ValueError."""

import json
from collections.abc import Callable
from typing import Any

import orjson

DEEPEST = 128
"""Levels of nesting; beyond 254 the writer could not pass on what the reader took."""
INTEGERS = range(-(2**63), 2**64)
"""What the strict reader keeps exact; beyond it makes floats of integers."""


def loads(body: bytes) -> Any:
    """Parse JSON; bytes that are not UTF-8 and lone surrogates become U+FFFD instead of an error.

    A forgiven document is still whole JSON: only its characters were mended. Raises ValueError otherwise, and for
    nesting deeper than ``DEEPEST``.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _mended(body)
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _refuse_depth(value)
    return value


def needs_mending(body: bytes) -> bool:
    """Whether a stricter reader than ``loads`` may refuse these bytes: not UTF-8, a byte-order mark, surrogates."""
    if b"\\ud" in body or b"\\uD" in body:
        return True
    return not body.isascii() and (body.startswith(b"\xef\xbb\xbf") or not _is_utf8(body))


def loads_strictly(body: bytes) -> Any:
    """Parse JSON with nothing forgiven. Raises ValueError."""
    return orjson.loads(body)


class ExactNumber(float):
    """A number that neither a float nor 64 bits hold: it counts as the nearest float, and is written as it came."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> "ExactNumber":
        """``text`` is a number as JSON spells it."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def loads_exactly(body: bytes) -> Any:
    """``loads`` for what must not change on its way, such as a tool's arguments: numbers keep their digits.

    The strict reader makes floats of integers over 64 bits and of long decimals; only what has floats is read again.
    """
    value = loads(body)
    return _mended(body, parse_int=exact_integer, parse_float=exact_float) if _has_float(value) else value


def dumps(value: Any) -> bytes:
    """Compact JSON bytes of what ``loads`` gave or we built."""
    return orjson.dumps(value, default=_as_written)


def _as_written(value: Any) -> orjson.Fragment:
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def exact_integer(text: str) -> int | float:
    """The integer that ``text`` spells, with all its digits."""
    return int(text) if len(text) < 21 and int(text) in INTEGERS else ExactNumber(text)


def exact_float(text: str) -> float:
    """The number that ``text`` spells, with all its digits."""
    number = float(text)
    return number if repr(number) == text else ExactNumber(text)


def _has_float(value: Any) -> bool:
    level = [value]
    while level:
        if any(isinstance(one, float) for one in level):
            return True
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list | float)
        ]
    return False


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mended(
    body: bytes, parse_int: "Callable[[str], int | float] | None" = None, parse_float: "Callable[[str], float]" = float
) -> Any:
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=parse_int or _writable_integer,
            parse_float=parse_float,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _without_surrogates(value)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _writable_integer(text: str) -> int | float:
    """Integers over 64 bits become floats, as the strict reader has them: the writer knows no others."""
    return int(text) if len(text) < 19 else float(text)


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _containers_in(parent)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _containers_in(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value
    # Vectors of numbers are long, and most of what comes: look at their types before looking at them one by one.
    if not isinstance(value, dict | list) or {dict, list}.isdisjoint(map(type, children)):
        return []
    return [child for child in children if isinstance(child, dict | list)]


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
