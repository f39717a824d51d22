"""JSON from strangers: strict where it is strict, mended in its characters, refused otherwise, and never a crash."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.json_text import (
    DEEPEST,
    Forgiven,
    dumps,
    is_cut,
    loads,
    loads_event,
    loads_strictly,
    with_plain_grammar,
)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\n\n {"a": "\xc3\xa9"}', {"a": "é"}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"\\udc00": ["\\ud800x"]}', {"\ufffd": ["\ufffdx"]}),
        (b'"\\u0000\xe2\x80\xa8"', "\0\u2028"),
        (b'["\xff", 123456789012345678901234567890]', ["\ufffd", 1.2345678901234568e29]),
    ],
)
def test_what_can_be_read_is_read_and_can_be_written(body: bytes, value: object) -> None:
    assert loads(body) == value
    assert loads_strictly(dumps(loads(body))) == value


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b"NaN", b"[Infinity]", b"{'a':1}", b"[1,]", b"<p>", b"[" * 99_999])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[1,{"a":', b"}]")])
def test_nesting_is_bounded_below_what_the_writer_can_do(opening: bytes, closing: bytes) -> None:
    levels = DEEPEST // (opening.count(b"[") + opening.count(b"{"))

    dumps(loads(opening * levels + b"1" + closing * levels))
    with pytest.raises(ValueError, match="deep"):
        loads(opening * (levels + 1) + b"1" + closing * (levels + 1))
    assert loads(b'"' + b"[" * 5000 + b'"') == "[" * 5000


@pytest.mark.parametrize("body", [b'"\xff"', b'"\\ud800"', b'"\\uDC00"', b"\xef\xbb\xbf1", b'"a\tb"', b'"\0"'])
def test_what_a_strict_reader_refuses_is_told(body: bytes) -> None:
    with pytest.raises(Forgiven):
        loads_event(body)
    assert loads_event(dumps(loads(body))) == loads(body)


@pytest.mark.parametrize("said", ["a\tb", "\0", "a\nb\x1f"])
def test_raw_control_characters_inside_texts_are_read_and_written_as_escapes(said: str) -> None:
    body = b'{\n"a": "%b"}' % said.encode()
    assert loads(body) == {"a": said}
    assert loads_strictly(with_plain_grammar(body)) == {"a": said}


@pytest.mark.parametrize("body", [b'"\xff"', b'"\\ud800"'])
def test_what_readers_replace_by_themselves_is_left_to_them(body: bytes) -> None:
    assert with_plain_grammar(body) == body


WHOLE = '{"a": [1, true, null, -1.5e+3, "x\\u00e9\\"y\\\\", {"b": false}], "c": ""}'


def test_every_beginning_of_a_document_is_cut() -> None:
    assert all(is_cut(WHOLE[:end]) for end in range(1, len(WHOLE)))


@pytest.mark.parametrize(
    "text", [WHOLE, "", " ", "{}x", '{"x": bad}', '{"a":1}}', "*** Begin", "'a", '"a\nb"', "[" * 9999 + "x"]
)
def test_what_more_text_would_not_mend_is_not_cut(text: str) -> None:
    assert not is_cut(text)


@given(st.binary() | st.text().map(json.dumps).map(str.encode))
def test_nothing_else_than_a_value_error_comes_out(body: bytes) -> None:
    try:
        value = loads(body)
    except ValueError:
        return
    assert loads_strictly(dumps(value)) == value


_json: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(_json)
def test_what_is_written_is_what_is_read(value: object) -> None:
    assert loads(dumps(value)) == value
