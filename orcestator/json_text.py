"""JSON as upstreams really send it: strict and fast first, forgiving second. Raises only ValueError."""

import codecs
import json
import re
from functools import partial
from typing import Any

import orjson

Json = dict[str, Any]
"""A JSON object."""
DEEPEST = 128
"""Levels of nesting; beyond 254 the writer could not pass on what the reader took."""
INTEGERS = range(-(2**63), 2**64)
"""What the strict reader keeps exact; beyond it makes floats of integers."""
_CONTROL = re.compile(rb"[\x00-\x1f]")
_CUT_TOKEN = re.compile(r"\A(?:t|tr|tru|f|fa|fal|fals|n|nu|nul|-|[.eE][+-]?|\\?u[0-9a-fA-F]{0,4})\Z")
"""What is left of a JSON text behind the place where it stops making sense, when only its end is missing."""


def loads(body: bytes) -> Any:
    """Parse JSON; bytes that are not UTF-8 and lone surrogates become U+FFFD instead of an error, and control characters
    inside texts are taken for what they are.

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


def loads_exactly(body: bytes) -> Any:
    """``loads`` for what must not change on its way, such as a tool's arguments: numbers keep their digits.

    The strict reader makes floats of integers over 64 bits and of long decimals; only what has floats is read again.
    """
    value = loads(body)
    return _mended(body, exactly=True) if _has_float(value) else value


class Forgiven(ValueError):
    """JSON that a strict reader refuses for its characters only. ``value`` is what it says, with the characters as they came:
    lone surrogates stay, and bytes that are not UTF-8 are as ``surrogateescape`` has them.
    """

    def __init__(self, value: Any) -> None:
        super().__init__("JSON with characters that no strict reader takes")
        self.value = value


def loads_event(body: bytes, *, exactly: bool = False) -> Any:
    """Parse JSON and say so where ``loads`` would mend: raises ``Forgiven``, as what is missing of a character may be in a
    stream's next event, and as the bytes must not go on as they are; ValueError for what is not JSON. ``exactly``: numbers keep
    their digits.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = loads_forgiving(body, exactly=exactly)
        if _has_odd_characters(body, value):
            raise Forgiven(value) from None
        return value
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _refuse_depth(value)
    return _mended(body, exactly=True) if exactly and _has_float(value) else value


def _has_odd_characters(body: bytes, value: Any) -> bool:
    """Whether it was for characters that a strict reader refused what says ``value``, and not for a number beyond its floats."""
    if _CONTROL.search(body) is not None or body.startswith(codecs.BOM_UTF8):
        return True
    try:
        dumps(value)
    except TypeError:
        return True
    return False


def loads_forgiving(body: bytes, *, exactly: bool = False) -> Any:
    """The value that a ``Forgiven`` holds, of strict JSON, too. Raises ValueError for what is not JSON."""
    value = _parsed(body.decode("utf-8-sig", "surrogateescape"), exactly=exactly)
    _refuse_depth(value)
    return value


loads_strictly = orjson.loads
"""Parse JSON with nothing forgiven. Raises ValueError."""


def with_plain_grammar(body: bytes) -> bytes:
    """JSON as it came where only its characters are odd, which readers replace by themselves; without control characters
    inside texts, which no strict one reads.
    """
    return dumps(loads(body)) if _CONTROL.search(body) is not None else body


def is_cut(text: str) -> bool:
    """Whether the text is the beginning of a JSON document and not all of one: more text could make it whole."""
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as problem:
        rest = text[problem.pos :].strip()
        return bool(text.strip()) and (
            problem.msg.startswith("Unterminated string") or not rest or _CUT_TOKEN.search(rest) is not None
        )
    except RecursionError:
        return False
    return False


class ExactNumber(float):
    """A number that neither a float nor 64 bits hold: it counts as the nearest float, and is written as it came."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> "ExactNumber":
        """``text`` is a number as JSON spells it."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def exact_integer(text: str) -> int | float:
    """The integer that ``text`` spells, with all its digits."""
    return int(text) if len(text) < 21 and int(text) in INTEGERS else ExactNumber(text)


def exact_float(text: str) -> float:
    """The number that ``text`` spells, with all its digits."""
    number = float(text)
    return number if repr(number) == text else ExactNumber(text)


def _as_written(value: Any) -> orjson.Fragment:
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


dumps = partial(orjson.dumps, default=_as_written)
"""Compact JSON bytes of what ``loads`` gave or we built. No function of ours: it is called for every event of a translated stream."""


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


def _mended(body: bytes, *, exactly: bool = False) -> Any:
    return _without_surrogates(_parsed(body.decode("utf-8-sig", "replace"), exactly=exactly))


def _parsed(text: str, *, exactly: bool) -> Any:
    try:
        return json.loads(
            text,
            strict=False,
            parse_constant=_refuse_constant,
            parse_int=exact_integer if exactly else _writable_integer,
            parse_float=exact_float if exactly else float,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


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
