"""The upstream reads the model we routed by, and everything else as the caller wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.openai.request import includes_usage, upstream_body
from orcestator.json_text import loads

MODEL = 'their/"model"\\é'


def sent(body: bytes, *, asks_usage: bool = False) -> bytes:
    return upstream_body(body, loads(body), MODEL, asks_usage=asks_usage)


@pytest.mark.parametrize(
    "body", [b'{"model":"m","n":1.50}', b'{ "n" : 1e2 ,\n "model" : "m\\"x" }', b' {"a":"\xc3\xa9","model":"m"}']
)
def test_the_bytes_stay_but_for_the_model(body: bytes) -> None:
    before, after = body.split(b'"model"')[0], body[-1:]

    spliced = sent(body)

    assert spliced.startswith(before + b'"model"')
    assert spliced.endswith(after)
    assert json.loads(spliced) == {**json.loads(body), "model": MODEL}


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"cheap","model":"dear"}',
        '{"model":"cheap","\\u006dodel":"dear"}',
        '{"\\u006d\\u006f\\u0064\\u0065\\u006c":"dear"}',
        '{"\\u006Dodel":"dear","x":{"model":"cheap"}}',
        '{"x":{"model":"cheap"},"model":"dear"}',
        '{"x":["model"],"model":"dear"}',
        '{"\\"model":"cheap","mod\\u0065l":"dear"}',
        '{"\\"model":"cheap","model":"dear"}',
        '{"x":"\\\\","model":"dear","y":"\\"model\\":\\"cheap\\""}',
        '{"model":5}',
        '{"model":{"model":"cheap"}}',
    ],
)
def test_no_second_spelling_gets_past_us(body: str) -> None:
    assert json.loads(sent(body.encode())) == {**json.loads(body), "model": MODEL}


def test_usage_is_asked_for_without_touching_the_rest() -> None:
    body = b'{"model":"m","stream":true,"temperature":1.50}'

    assert sent(body, asks_usage=True).endswith(b'"stream":true,"temperature":1.50}')
    assert json.loads(sent(body, asks_usage=True))["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False, "include_obfuscation": False}, {"include_usage": True, "include_obfuscation": False}),
        ({"include_usage": True}, {"include_usage": True}),
        ("x", "x"),
        ([["a", 1]], [["a", 1]]),
        (3, 3),
    ],
)
def test_the_callers_stream_options_are_completed_or_left_alone(theirs: object, ours: object) -> None:
    body = json.dumps({"model": "m", "stream_options": theirs}).encode()

    assert json.loads(sent(body, asks_usage=True))["stream_options"] == ours
    assert json.loads(sent(body))["stream_options"] == theirs


def test_whether_the_caller_asked_for_usage() -> None:
    asked = [None, {}, {"include_usage": False}, {"include_usage": 1}, {"include_usage": True}, "x"]

    assert [includes_usage({"stream_options": options}) for options in asked] == [False] * 4 + [True, False]
    assert not includes_usage({})


def test_neither_body_nor_call_is_changed() -> None:
    body = b'{"model":"m","stream_options":{"x":1}}'
    call = loads(body)

    upstream_body(body, call, MODEL, asks_usage=True)

    assert call == loads(body)


_words = st.sampled_from(
    [
        "model",
        'model"',
        '"model',
        '\\"model\\"',
        "Model",
        "stream_options",
        "include_usage",
        "\\",
        "é",
        "\0",
        "{",
        '":"',
    ]
)
_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """A body with a top-level model, written in any of the ways JSON can be, with repeated and escaped keys."""
    pairs = draw(st.lists(st.tuples(_words, _json), max_size=4))
    pairs.insert(draw(st.integers(0, len(pairs))), ("model", draw(st.text(max_size=4) | _json)))
    ascii_only, colon = draw(st.booleans()), draw(st.sampled_from([":", " : ", ":\n"]))
    written = []
    for name, value in pairs:
        key = json.dumps(name, ensure_ascii=ascii_only)
        if draw(st.booleans()):
            key = key.replace("m", "\\u006d").replace("o", "\\u006F")
        written.append(key + colon + json.dumps(value, ensure_ascii=ascii_only))
    return ("{" + draw(st.sampled_from([",", " , "])).join(written) + "}").encode()


@given(_bodies(), st.booleans(), st.text(max_size=5) | st.just(MODEL))
def test_the_upstream_reads_the_call_with_our_model(body: bytes, asks_usage: bool, model: str) -> None:
    call = json.loads(body)
    expected = {**call, "model": model}
    options = call.get("stream_options")
    if asks_usage and (options is None or isinstance(options, dict)):
        expected["stream_options"] = {**(options or {}), "include_usage": True}

    assert json.loads(upstream_body(body, loads(body), model, asks_usage=asks_usage)) == expected
