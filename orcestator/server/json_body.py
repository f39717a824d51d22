"""A caller's request body: read it within a limit, and turn it into one JSON object or one clear sentence.

What gets through means the same to every JSON parser after ours. It must never let a value change silently
(a long number losing digits, one of two ``model`` fields disappearing), and must never raise anything but
``InvalidRequest`` over the bytes a caller sent.

What is checked beyond ``orjson.loads`` is cheap for an ordinary body: one that ``orjson.dumps`` writes again byte for
byte (most callers send such) has lost nothing in parsing. Any other is searched for suspicious bytes, and the exact
and slower checks run only where some were found.
"""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NoReturn

import orjson

from orcestator.errors import BodyTooLarge, InvalidRequest
from orcestator.json_text import Json, loads_exactly
from orcestator.server.request_cycle import cycle_of

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_CONTAINERS = 65_536
"""Objects and arrays in one body. Thirty-two mebibytes of ``[],`` would become a gigabyte of Python lists."""

ROUTING_FIELDS = (
    "model",
    "messages",
    "stream",
    "input",
    "prompt",
    "tools",
    "tool_choice",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "user",
)
"""Fields that routing, limits or billing look at: two of them in one body would mean two things to two parsers."""

_QUOTED_FIELDS = tuple((name, b'"%s"' % name.encode()) for name in ROUTING_FIELDS)
_ESCAPED_LETTER = re.compile(rb"\\u00(?:5[fF]|6[1-9a-fA-F]|7[0-9aA])")  # any of _ a-z, as in "m\u006fdel"

DIGITS_TO_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 or byte == 0x2E else 0 for byte in range(256))
LONG_DIGITS = b"0" * 19  # the shortest run of digits, with a point or not, that a float or 64 bits may not hold
TINY = re.compile(rb"[eE]-[0-9]{3}")  # below the smallest float


class CallerLeft(Exception):
    """The caller closed the connection before its request had arrived."""


LARGE_BYTES = 512 << 10
"""A larger body is held within a budget and parsed in steps; a smaller one takes orjson two or three milliseconds at most."""


async def read_body(receive: Receive, limit_bytes: int, hold: Callable[[int], None] | None = None) -> bytes:
    """The whole request body from an ASGI ``receive``. ``hold`` is told the size of a large one as it grows, and may refuse it.

    Raises ``BodyTooLarge`` as soon as more than ``limit_bytes`` have come, ``CallerLeft`` when the caller is gone.
    """
    cycle = cycle_of(receive)
    whole = None if cycle is None else cycle.whole_body()
    if whole is not None and len(whole) <= min(limit_bytes, LARGE_BYTES):
        return whole
    event = await receive() if whole is None else {"type": "http.request", "body": whole}
    body: bytes = _body_part(event)
    if not event.get("more_body", False) and len(body) <= limit_bytes:
        return body
    parts, size = [body], len(body)
    while size <= limit_bytes and event.get("more_body", False):
        event = await receive()
        parts.append(_body_part(event))
        size += len(parts[-1])
        if hold is not None and size > LARGE_BYTES:
            hold(size)
    if size > limit_bytes:
        raise BodyTooLarge(f"The request body is larger than the limit of {limit_bytes} bytes.")
    return b"".join(parts)


def _body_part(event: MutableMapping[str, Any]) -> bytes:
    if event["type"] == "http.disconnect":
        raise CallerLeft
    part: bytes = event.get("body", b"")
    return part


def parse_object(body: bytes, *, max_depth: int = 64) -> Json:
    """The JSON object in ``body``, nested at most ``max_depth`` levels deep (250 is the most that can be asked for).

    Raises ``InvalidRequest`` (400) for an empty body, another top-level type, anything that RFC 8259 forbids
    (also NaN, Infinity, a byte order mark, UTF-16, invalid UTF-8, lone surrogates), numbers over 1.8e308, more than
    ``MAX_CONTAINERS`` objects and arrays, and a repeated routing field. Numbers that neither 64 bits nor a float hold
    keep their digits (``ExactNumber``).
    """
    if not body:
        raise InvalidRequest("The request body is empty: a JSON object is expected.", code="invalid_json")
    openers = body.count(b"{") + body.count(b"[")
    if openers > MAX_CONTAINERS:
        _check_containers(body)
    parsed = _parse(body)
    if type(parsed) is not dict:
        raise not_an_object(parsed)
    if openers > max_depth:
        _check_depth(parsed, max_depth)
    if orjson.dumps(parsed) == body:
        return parsed
    if _may_repeat_fields(body, parsed):
        _check_fields(body)
    return _with_all_digits(body, parsed)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as failure:
        _explain(body, failure)


def _explain(body: bytes, failure: orjson.JSONDecodeError) -> NoReturn:
    """Raise what is wrong with ``body`` as one sentence that names the place."""
    _refuse_other_encodings(body)
    raise InvalidRequest(
        f"The request body is not valid JSON: {failure.msg} at line {failure.lineno} column {failure.colno}.",
        code="invalid_json",
    ) from None


def _refuse_other_encodings(body: bytes) -> None:
    """Raise for a body that is not UTF-8; orjson reports every such body at line 1 column 1."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in body[:2]:
        raise InvalidRequest("The request body is encoded as UTF-16 or UTF-32: send UTF-8.", code="invalid_json")
    try:
        body.decode()
    except UnicodeDecodeError as failure:
        lines = body[: failure.start].decode().split("\n")
        raise InvalidRequest(
            f"The request body is not valid UTF-8 at line {len(lines)} column {len(lines[-1]) + 1}.",
            code="invalid_json",
        ) from None


def not_an_object(parsed: object) -> InvalidRequest:
    """The refusal of another top-level type."""
    return InvalidRequest(
        f"The request body is a JSON {_json_type(parsed)}: a JSON object is expected.", code="invalid_json"
    )


def too_many_containers() -> InvalidRequest:
    """The refusal of more than ``MAX_CONTAINERS`` objects and arrays."""
    return InvalidRequest(
        f"The request body has more than {MAX_CONTAINERS} objects and arrays.", code="body_too_complex"
    )


def too_deep(max_depth: int) -> InvalidRequest:
    """The refusal of a body that is nested too deep."""
    return InvalidRequest(f"The request body is nested more than {max_depth} levels deep.", code="body_too_complex")


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


def _outside_strings(body: bytes) -> bytes:
    """``body`` with the text between quotes cut out. Linear, and harmless on a body that is not JSON."""
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # now every quote left opens or closes a string
    return b'"'.join(bare.split(b'"')[::2])


def _check_containers(body: bytes) -> None:
    structure = _outside_strings(body)
    if structure.count(b"{") + structure.count(b"[") > MAX_CONTAINERS:
        raise too_many_containers()


def _check_depth(parsed: Json, max_depth: int) -> None:
    """Walk level by level, so that no nesting can exhaust our own stack."""
    level: list[Any] = [parsed]
    for _ in range(max_depth):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise too_deep(max_depth)


def _with_all_digits(body: bytes, parsed: Json) -> Json:
    """``parsed``, read again where a number may have lost digits: tools are given long ones."""
    has_long = LONG_DIGITS in body.translate(DIGITS_TO_ZERO)
    if not (has_long or b"e-" in body or b"E-" in body):
        return parsed
    bare = _outside_strings(body)
    if not (LONG_DIGITS in bare.translate(DIGITS_TO_ZERO) or TINY.search(bare)):
        return parsed
    exact: Json = loads_exactly(body)
    return exact


def _may_repeat_fields(body: bytes, parsed: Json) -> bool:
    """Whether a routing field's name occurs twice anywhere, or could be spelled with escapes."""
    for name, quoted in _QUOTED_FIELDS:
        if name in parsed and body.count(quoted) > 1:
            return True
    return b"\\u00" in body and _ESCAPED_LETTER.search(body) is not None


def _check_fields(body: bytes) -> None:
    """Read the body again with every top-level pair kept: ``orjson`` keeps only the last of equal keys."""
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    names = [name for name, _ in pairs if name in ROUTING_FIELDS]
    for name in ROUTING_FIELDS:
        if names.count(name) > 1:
            raise InvalidRequest(f"The request body has the field {name!r} twice.", param=name, code="invalid_json")
