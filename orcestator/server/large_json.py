"""A large request body parsed in steps, so that nobody else waits for it.

orjson reads a body in one call, which holds the interpreter for a tenth of a second for thirty mebibytes, in whatever thread
it is made. This parser goes from token to token, gives the event loop a turn every few hundred of them or every 256 KiB of a
string, and leaves what is inside a string to orjson, piece by piece. It takes what ``json_body.parse_object`` takes and
refuses what that refuses, and counts as it goes: a body that is nothing but structure ends at its bounds.
"""

import asyncio
import re
from typing import Any, NoReturn

import orjson

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json, exact_float, exact_integer
from orcestator.server.json_body import (
    DIGITS_TO_ZERO,
    LONG_DIGITS,
    MAX_CONTAINERS,
    ROUTING_FIELDS,
    TINY,
    not_an_object,
    too_deep,
    too_many_containers,
)

MAX_NAMES = 131_072
"""Names of fields in one large body, all objects together."""
MAX_VALUES = 524_288
"""Values in one large body: more than the 300,000 tokens that embeddings take in one request (OpenAI, checked 2026-11)."""
_PIECE_BYTES = 256 << 10
_TOKENS_A_TURN = 200
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SHORT_STRING = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){0,512}+)"')
_PLAIN = re.compile(rb"[ !#-\[\]-~]*+")
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\(?:u[0-9a-fA-F]{4}|[^u]))*+')
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_NUMBERS = re.compile(rb"(?:[ \t\r\n]{0,16}+[-+.0-9eE]{1,64}+[ \t\r\n]{0,16}+,){2,256}+")
_WORDS: dict[int, tuple[bytes, Any]] = {0x74: (b"true", True), 0x66: (b"false", False), 0x6E: (b"null", None)}
_LONGEST_NUMBER = 4096
"""Bytes of one number; what is longer does not go on with a comma."""
_INFINITE = (float("inf"), float("-inf"))
_QUOTE, _OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = b'"{}[]'
_COMMA, _COLON = b",:"


Span = tuple[int, int]


async def parse_large_object(body: bytes, *, max_depth: int = 64) -> tuple[Json, Span | None]:
    """The JSON object in ``body``, as ``json_body.parse_object`` gives it, and where the value of its ``model`` stands.

    Raises InvalidRequest for what that refuses, for more than ``MAX_NAMES`` names and for more than ``MAX_VALUES`` values.
    """
    await asyncio.sleep(0)  # the body was put together just now, and will be copied again: in turns of their own
    parser = _Parser(body, max_depth)
    parsed = await parser.parse()
    await asyncio.sleep(0)
    if type(parsed) is not dict:
        raise not_an_object(parsed)
    return parsed, parser.model_span if type(parsed.get("model")) is str else None


class _Parser:
    """One parse. What is open is on a stack of our own, so that no nesting can exhaust the interpreter's."""

    def __init__(self, body: bytes, max_depth: int) -> None:
        self._body = body
        self._at = 0
        self._max_depth = max_depth
        self._containers = self._names = self._values = 0
        self.model_span: Span | None = None
        self._around: list[tuple[Any, str]] = []  # the containers around the one we are in, and the names in them
        self._inside: Any = None
        self._name = ""
        self._until_turn = _TOKENS_A_TURN
        self._turn_ends_at = _PIECE_BYTES

    async def parse(self) -> Any:
        """The value. Raises InvalidRequest."""
        while True:
            value = await self._next()
            is_open = type(value) in (dict, list) and self._begin(value)
            while not is_open:
                if self._inside is None:
                    self._expect_end()
                    return value
                if type(self._inside) is list:
                    self._inside.append(value)
                else:
                    self._inside[self._name] = value
                if self._goes_on():
                    break
                value = self._leave()
            if type(self._inside) is dict:
                await self._read_name()

    def _begin(self, container: Any) -> bool:
        """Go into a container; whether there is anything in it. One that is empty is left again."""
        self._around.append((self._inside, self._name))
        if len(self._around) > self._max_depth:
            raise too_deep(self._max_depth)
        self._inside, self._name = container, ""
        if self._look() != (_CLOSE_OBJECT if type(container) is dict else _CLOSE_ARRAY):
            return True
        self._at += 1
        self._leave()
        return False

    def _leave(self) -> Any:
        """Go out of the container that is over, which is returned."""
        left = self._inside
        self._inside, self._name = self._around.pop()
        return left

    async def _next(self) -> Any:
        """The next value, after a turn for everybody else where it is time."""
        self._until_turn -= 1
        if self._until_turn <= 0 or self._at > self._turn_ends_at:
            await self._give_turn()
        if type(self._inside) is list:
            self._take_numbers(self._inside)
        is_model = self._name == "model" and len(self._around) == 1
        self._look()
        began = self._at
        value = await self._value()
        self._values += 1
        if self._values > MAX_VALUES:
            raise InvalidRequest(f"The request body has more than {MAX_VALUES} values.", code="body_too_complex")
        if is_model:
            self.model_span = began, self._at
        return value

    async def _read_name(self) -> None:
        """The next name of the object we are in, and its colon. Raises InvalidRequest."""
        self._names += 1
        if self._names > MAX_NAMES:
            raise InvalidRequest(
                f"The request body has more than {MAX_NAMES} names of fields.", code="body_too_complex"
            )
        if self._look() != _QUOTE:
            self._fail("a name in quotes")
        name = self._name = await self._string()
        if self._look() != _COLON:
            self._fail("a colon")
        self._at += 1
        if len(self._around) == 1 and name in ROUTING_FIELDS and name in self._inside:
            raise InvalidRequest(f"The request body has the field {name!r} twice.", param=name, code="invalid_json")

    async def _value(self) -> Any:
        """The next value, of a container only its beginning."""
        first = self._look()
        if first == _QUOTE:
            return await self._string()
        if first in (_OPEN_OBJECT, _OPEN_ARRAY):
            self._containers += 1
            if self._containers > MAX_CONTAINERS:
                raise too_many_containers()
            self._at += 1
            return {} if first == _OPEN_OBJECT else []
        if first in _WORDS:
            word, meaning = _WORDS[first]
            if self._body.startswith(word, self._at):
                self._at += len(word)
                return meaning
        elif (found := _NUMBER.match(self._body, self._at, self._at + _LONGEST_NUMBER)) is not None:
            return self._number(found)
        self._fail("a value")

    def _take_numbers(self, inside: list[Any]) -> None:
        """Add the numbers that come next in an array, but for the last one, as orjson reads them: there may be many."""
        found = _NUMBERS.match(self._body, self._at)
        if found is None or LONG_DIGITS in found[0].translate(DIGITS_TO_ZERO) or TINY.search(found[0]):
            return
        try:
            numbers = orjson.loads(b"[%b]" % found[0][:-1])
        except orjson.JSONDecodeError:
            return  # number by number it is found which one is none
        inside += numbers
        self._values += len(numbers)
        self._until_turn -= len(numbers) // 16
        self._at = found.end()

    def _number(self, found: "re.Match[bytes]") -> int | float:
        text = found[0]
        is_exact = len(text) >= len(LONG_DIGITS) or TINY.search(text)
        if found[1] is None and found[2] is None:
            number = exact_integer(text.decode()) if is_exact else int(text)
        else:
            number = exact_float(text.decode()) if is_exact else float(text)
        if number in _INFINITE:
            self._fail("a number that can be kept")
        self._at = found.end()
        return number

    async def _string(self) -> str:
        """The string that begins here."""
        short = _SHORT_STRING.match(self._body, self._at)
        if short is not None:
            text = self._text(self._at + 1, short.end() - 1)
            self._at = short.end()
            return text
        self._at += 1
        pieces: list[str] = []
        while True:
            end = self._piece_end()
            pieces.append(self._text(self._at, end))
            self._at = end
            if self._body[end : end + 1] == b'"':
                self._at += 1
                return "".join(pieces)
            await self._give_turn()

    def _piece_end(self) -> int:
        """Where the piece of a string that begins here ends: at its quote, or where no character is cut in two."""
        body, start = self._body, self._at
        window = min(len(body), start + _PIECE_BYTES)
        found = _IN_STRING.match(body, start, window)
        end = found.end() if found is not None else start
        if end < len(body) and body[end] == _QUOTE:
            return end
        while end > start and end < len(body) and body[end] & 0xC0 == 0x80:
            end -= 1
        if _HIGH_SURROGATE.search(body, max(start, end - 6), end):
            end -= 6
        if end <= start:
            self._at = start
            self._fail("the end of a string")
        return end

    def _text(self, start: int, end: int) -> str:
        """The text between two places of the body, its escapes read. Raises InvalidRequest."""
        if (plain := _PLAIN.match(self._body, start, end)) is not None and plain.end() == end:
            return self._body[start:end].decode("ascii")
        try:
            text: str = orjson.loads(b'"%b"' % self._body[start:end])
        except orjson.JSONDecodeError:
            self._fail("a string in UTF-8 without control characters")
        return text

    def _look(self) -> int:
        """The next byte that is no space; 0 at the end."""
        found = _SPACE.match(self._body, self._at, self._at + _PIECE_BYTES)
        self._at = found.end() if found is not None else self._at
        if self._at < len(self._body) and self._body[self._at] in b" \t\r\n":
            raise InvalidRequest(f"The request body has {_PIECE_BYTES} spaces in a row.", code="body_too_complex")
        return self._body[self._at] if self._at < len(self._body) else 0

    def _goes_on(self) -> bool:
        """Whether a comma follows, or the end of the container we are in."""
        following = self._look()
        if following not in (_COMMA, _CLOSE_OBJECT if type(self._inside) is dict else _CLOSE_ARRAY):
            self._fail("a comma or the end of what is open")
        self._at += 1
        return following == _COMMA

    async def _give_turn(self) -> None:
        self._until_turn, self._turn_ends_at = _TOKENS_A_TURN, self._at + _PIECE_BYTES
        await asyncio.sleep(0)

    def _expect_end(self) -> None:
        if self._look() or self._at < len(self._body):
            self._fail("the end")

    def _fail(self, wanted: str) -> NoReturn:
        before = self._body.rfind(b"\n", 0, self._at) + 1
        line = self._body.count(b"\n", 0, before) + 1
        raise InvalidRequest(
            f"The request body is not valid JSON: expected {wanted} at line {line} column {self._at - before + 1}.",
            code="invalid_json",
        )
