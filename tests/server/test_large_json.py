"""Large bodies in steps: the same value and the same refusals as in one go, and turns for everybody else meanwhile."""

import asyncio
import json
import random
from typing import Any

import orjson
import pytest

from orcestator.errors import InvalidRequest, Overloaded, QuotaExceeded
from orcestator.server import large_json
from orcestator.server.body_budget import BodyBudget
from orcestator.server.json_body import parse_object
from orcestator.server.large_json import MAX_NAMES, MAX_VALUES, parse_large_object

SEEDS = (
    b'{"a":1,"b":[1.5,-2,true,null,{"c":"d\\u0041\\n\xc3\xa9"}],"model":"m"}',
    b'{"a":"\\ud83d\\ude00","x":[[],{}, "" ],"n":1e5,"z":-0.0}',
    b'{"i":[1,2,3,-4.5,6e3, 7 ,12345678901234567890,8,9],"j":[1,01,2],"m":[1,2,]}',
    b' {"messages":[{"role":"user","content":"hi"}],"max_tokens":18446744073709551615} ',
    b'{"model":"a","x":{"model":"b"}}',
)
PIECES = [bytes([byte]) for byte in b'"{}[],:\\01-.e udt\xff\x00\xc3']


def outcome(call: Any) -> tuple[str, str]:
    """What a parser made of a body: its value, or the code it refused it with."""
    try:
        return "value", repr(call())
    except InvalidRequest as refusal:
        return "refused", refusal.code or ""


def in_steps(body: bytes, **more: Any) -> Any:
    """The value alone."""
    return asyncio.run(parse_large_object(body, **more))[0]


def test_it_is_the_same_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies with one or two bytes changed: both parsers take them for the same, or refuse them."""
    monkeypatch.setattr(large_json, "_TOKENS_A_TURN", 3)
    chance = random.Random(1)

    async def compare() -> list[bytes]:
        different = []
        for _ in range(4000):
            body = bytearray(chance.choice(SEEDS))
            for _ in range(chance.choice((0, 1, 1, 2))):
                at = chance.randrange(len(body))
                body[at : at + chance.choice((0, 1))] = chance.choice(PIECES)
            changed = bytes(body)
            try:
                mine = "value", repr((await parse_large_object(changed))[0])
            except InvalidRequest as refusal:
                mine = "refused", refusal.code or ""
            if mine != outcome(lambda changed=changed: parse_object(changed)):
                different.append(changed)
        return different

    assert asyncio.run(compare()) == []


@pytest.mark.parametrize("text", ["a" * 999, "é€😀" * 400, 'say "hi" \\ \n\t' * 99, "\x7f\u2028" * 300])
@pytest.mark.parametrize("escapes", [True, False])
@pytest.mark.parametrize("size", range(13, 46, 3))
def test_a_long_text_is_cut_between_characters(
    text: str, escapes: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a character of several bytes, nor an escape, nor a pair of surrogates is read in two halves."""
    monkeypatch.setattr(large_json, "_PIECE_BYTES", size)
    body = json.dumps({"a": text * 3}, ensure_ascii=escapes).encode()
    assert in_steps(body) == {"a": text * 3}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":"' + b"x" * 999 + b'\x01"}', "invalid_json"),
        (b'{"a":"' + b"x" * 999 + b'\\ud83d"}', "invalid_json"),
        (b'{"a":"' + b"x" * 999 + b'\xff"}', "invalid_json"),
        (b'{"a":"' + b"x" * 999, "invalid_json"),
        (b'{"a":' + b"[" * 65 + b"]" * 65 + b"}", "body_too_complex"),
        (b'{"a":' + b"1" * 999 + b"}", "invalid_json"),
        (b'{"a":1e999}', "invalid_json"),
        (b'{"model":"a","m\\u006fdel":"b"}', "invalid_json"),
        (b'{"a":[' + b"[]," * 70_000 + b"1]}", "body_too_complex"),
        (b'{"a":[' + b"1," * MAX_VALUES + b"1]}", "body_too_complex"),
        (b"{" + b'"k":1,' * MAX_NAMES + b'"z":1}', "body_too_complex"),
        (b'{"a":' + b" " * 300_000 + b"1}", "body_too_complex"),
        (b"[1]", "invalid_json"),
        (b"", "invalid_json"),
    ],
)
def test_what_is_refused(body: bytes, code: str) -> None:
    """Whatever the length of what is wrong."""
    assert outcome(lambda: in_steps(body)) == ("refused", code)


def test_a_refusal_names_the_place() -> None:
    """Line and column, as in one go."""
    with pytest.raises(InvalidRequest, match="line 2 column 5"):
        in_steps(b'{"a":1,\n"b":+1}')


@pytest.mark.parametrize(
    "body",
    [b'{"x":{"model":"no"},"model" :  "yes","y":"model"}', b'{"m\\u006fdel":"yes"}', b'{"x":["model"],"model":"yes"}'],
)
def test_the_place_of_the_model_is_noted(body: bytes) -> None:
    """That of the field that counts, however it is spelled."""
    _, span = asyncio.run(parse_large_object(body))
    assert span is not None
    assert body[slice(*span)] == b'"yes"'


@pytest.mark.parametrize("body", [b'{"model":["a"]}', b'{"x":{"model":"no"}}'])
def test_there_is_no_place_without_a_name(body: bytes) -> None:
    """A list of names, or none."""
    assert asyncio.run(parse_large_object(body))[1] is None


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({"a": "x" * 8_000_000}),
        orjson.dumps({"a": ["é" * 4000] * 1000}),
        orjson.dumps({"a": [10**17] * 300_000}),
        orjson.dumps({"a": [{"k": 1}] * 30_000}),
    ],
    ids=["a text", "texts", "numbers", "objects"],
)
def test_others_have_their_turns(body: bytes) -> None:
    """While a body is parsed the loop goes round again and again."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        counting = asyncio.create_task(count())
        await parse_large_object(body)
        counting.cancel()

    asyncio.run(both())
    assert turns > 20


def test_a_budget_is_for_all_and_for_each() -> None:
    """One caller may hold half of it; what is given back can be taken again."""
    budget = BodyBudget(100)
    budget.take("a", 30)
    budget.take("a", 20)
    with pytest.raises(QuotaExceeded) as mine:
        budget.take("a", 1)
    budget.take("b", 50)
    with pytest.raises(Overloaded) as everybodys:
        budget.take("c", 1)
    assert mine.value.headers == everybodys.value.headers == {"retry-after": "1"}
    budget.give_back("a", 50)
    budget.take("c", 50)
    assert budget.held == 100


def test_a_budget_of_nothing_is_no_limit() -> None:
    """As everywhere in the settings."""
    budget = BodyBudget(0)
    budget.take("a", 10**12)
    assert budget.held == 10**12
