"""Request bodies: one meaning for every parser, or one sentence that names the place."""

import asyncio
import contextlib
import json
import math
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orcestator.errors import BodyTooLarge, InvalidRequest
from orcestator.json_text import dumps
from orcestator.server.json_body import LARGE_BYTES, MAX_CONTAINERS, CallerLeft, parse_object, read_body


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_object(body)
    assert caught.value.http_status == 400
    return caught.value


def nested(depth: int) -> bytes:
    """An object that is ``depth`` levels deep, itself included."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


# Reading


def read(*events: dict[str, Any], limit_bytes: int = 8) -> bytes:
    waiting = list(events)

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    return asyncio.run(read_body(receive, limit_bytes))


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_reads_a_body_in_one_or_many_parts() -> None:
    assert read(part(b"12345678", more=False)) == b"12345678"
    assert read(part(b"1234", more=True), part(b"", more=True), part(b"5678", more=False)) == b"12345678"
    assert read({"type": "http.request"}) == b""


def test_stops_reading_as_soon_as_the_limit_is_passed() -> None:
    with pytest.raises(BodyTooLarge, match="8 bytes"):
        read(part(b"123456789", more=False))
    with pytest.raises(BodyTooLarge):
        read(part(b"1234", more=True), part(b"56789", more=True))  # a third receive would fail on the empty list


def test_says_when_the_caller_left() -> None:
    with pytest.raises(CallerLeft):
        read({"type": "http.disconnect"})
    with pytest.raises(CallerLeft):
        read(part(b"1234", more=True), {"type": "http.disconnect"})


# Refusals


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "is empty"),
        (b"  ", "is not valid JSON"),
        (b"[]", "is a JSON array"),
        (b"null", "is a JSON null"),
        (b'"a"', "is a JSON string"),
        (b"true", "is a JSON boolean"),
        (b"1.5", "is a JSON number"),
        (b'{"a": NaN}', "at line 1 column 7"),
        (b'{"a": Infinity}', "at line 1 column 7"),
        (b'{\n "a": -Infinity}', "at line 2"),
        (b'{"a":\n 1e999}', "at line 2 column 2"),
        (b'{"a": ' + b"7" * 5000 + b"}", "at line 1 column 7"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": "\\udc00\\ud800"}', "surrogate"),
        (b'{"a":\n"\xff"}', "not valid UTF-8 at line 2 column 2"),
        (b'{"\xc3\xa9": "\xed\xa0\x80"}', "not valid UTF-8 at line 1 column 8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "UTF-16"),
        ("{}".encode("utf-16-le"), "UTF-16"),
        ("{}".encode("utf-32-be"), "UTF-16 or UTF-32"),
        (b'{"a": "\0"}', "at line 1 column 8"),
        (b"{}\0", "at line 1 column 3"),
        (b'{"a": 1,}', "at line 1 column"),
        (b'{"a": 1', "at line 1 column"),
        (b"{} {}", "at line 1 column 4"),
    ],
)
def test_names_what_is_wrong_and_where(body: bytes, sentence: str) -> None:
    error = refusal(body)
    assert sentence in error.message
    assert error.message.count("\n") == 0
    assert error.code == "invalid_json"


def test_depth_is_bounded() -> None:
    assert parse_object(nested(64))
    assert "64 levels" in refusal(nested(65)).message
    refusal(nested(1000))
    refusal(nested(100_000))
    refusal(b'{"a":' * 100_000)
    with pytest.raises(InvalidRequest, match="2 levels"):
        parse_object(nested(3), max_depth=2)


def test_many_siblings_and_brackets_in_strings_are_not_depth() -> None:
    parsed = parse_object(b'{"messages":[' + b",".join([b"{}"] * 1000) + b'],"a":"' + b"[" * 1000 + b'"}')
    assert len(parsed["messages"]) == 1000


def test_an_array_of_a_million_elements_is_parsed() -> None:
    assert len(parse_object(b'{"input":[' + b"1," * 999_999 + b"1]}")["input"]) == 1_000_000


def test_the_number_of_containers_is_bounded() -> None:
    at_limit = b'{"input":[' + b",".join([b"[]"] * (MAX_CONTAINERS - 2)) + b"]}"
    assert len(parse_object(at_limit)["input"]) == MAX_CONTAINERS - 2
    assert "objects and arrays" in refusal(b'{"input":[' + b"{}," * 999_999 + b"{}]}").message
    assert parse_object(b'{"input":"' + b'{[\\"\\\\' * MAX_CONTAINERS + b'"}')


@pytest.mark.parametrize(
    "number", ["18446744073709551615", "-9223372036854775808", "1234567890123456789", "0.12345678901234567890123"]
)
def test_numbers_that_keep_their_value_pass(number: str) -> None:
    assert parse_object(f'{{"seed": {number}}}'.encode())["seed"] == json.loads(number)


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551616",
        "-9223372036854775809",
        "1" * 30,
        "-" + "9" * 300,
        "1.23456789012345678",
        "123456789.123456789012",
        "0.1000000000000000000",
        "1e-400",
        "2.5E-4000",
    ],
)
def test_numbers_that_nothing_holds_keep_their_digits(number: str) -> None:
    for body in (f'{{"a":[1,{number}]}}', f'{{"\\\\":"\\"","a": [{number}]\n}}'):
        assert dumps(parse_object(body.encode())["a"][-1]) == number.encode()


def test_a_long_number_beside_a_flood_of_others_keeps_its_digits() -> None:
    flood = b'{"a":[' + b"1.5," * (LARGE_BYTES // 4) + b"1.23456789012345678]}"
    assert dumps(parse_object(flood)["a"][-1]) == b"1.23456789012345678"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 310])
def test_numbers_that_count_as_infinite_are_refused(number: str) -> None:
    assert "infinity" in refusal(f'{{"a": {number}}}'.encode()).message


@pytest.mark.parametrize("text", ["1" * 30, '\\"' + "1" * 30, "\\\\", "[" + "1" * 30 + "]"])
def test_long_digits_in_strings_pass(text: str) -> None:
    assert parse_object(f'{{"a":"{text}","b":[1e5,{"1" * 25}.0,1e-00000000000000000000001]}}'.encode())


@pytest.mark.parametrize("field", ["model", "stream", "n", "messages", "tools", "input", "max_tokens"])
def test_a_routing_field_may_come_once(field: str) -> None:
    error = refusal(f'{{"{field}": 1, "b": 2, "{field}": 1}}'.encode())
    assert error.param == field
    assert field in error.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "a", "m\\u006fdel": "b"}',
        b'{"m\\u006Fdel": "a", "\\u006dodel": "b"}',
        b'{"max\\u005ftokens": 1, "max_tokens": 2}',
    ],
)
def test_an_escaped_spelling_is_the_same_field(body: bytes) -> None:
    assert refusal(body).param in ("model", "max_tokens")


def test_the_same_name_elsewhere_is_not_a_repetition() -> None:
    body = {
        "model": "a",
        "messages": [{"role": "user", "content": '{"model": 1, "model": 2} \\u006d `'}],
        "tools": [{"function": {"parameters": {"properties": {"model": {}, "n": {}}, "required": ["model", "n"]}}}],
        "n": 1,
    }
    assert parse_object(json.dumps(body).encode()) == body
    assert parse_object(b'{"metadata": {"model": 1}, "a": {"model": 2}}')
    assert parse_object(b'{"other": 1, "other": 2}') == {"other": 2}


# Properties

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=40,
)


@given(st.dictionaries(st.text() | st.sampled_from(["model", "messages", "n"]), json_values), st.booleans())
def test_a_valid_object_means_what_it_means_to_others(value: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_object(body) == orjson.loads(body) == value


@given(st.binary() | st.binary().map(lambda junk: b'{"a":' + junk + b"}"))
@example(b'{"a":"\\')
@example(b'"')
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse_object(body), dict)


@given(st.integers())
def test_an_integer_is_kept(number: int) -> None:
    body = json.dumps({"n": number, "s": str(number)}).encode()
    assert dumps(parse_object(body)) == body.replace(b" ", b"")


def test_no_float_is_infinite() -> None:
    assert math.isfinite(parse_object(b'{"a": 1.7976931348623157e308}')["a"])
