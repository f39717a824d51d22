"""JSON with comments: what is read, what is refused, and that a change touches nothing but itself."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.connect.json_text import NotJson, merged, read
from orcestator.connect.merge import Misfit, next_change
from orcestator.connect.plan import Match, Put

ZED = """\
// Zed settings
{
  "theme": "One Dark", // dark, please
  /* fonts */
  "buffer_font_size": 15,
  "language_models": {
    // mine
    "ollama": { "api_url": "http://localhost:11434" },
  },
  // the end
}
"""


def test_comments_order_and_trailing_commas_stay() -> None:
    """Only the new lines are new."""
    put = Put(("language_models", "openai_compatible", "orcestator", "api_url"), "http://localhost:8000/v1")
    assert merged(ZED, [put]) == ZED.replace(
        '"http://localhost:11434" },\n',
        """"http://localhost:11434" },
    "openai_compatible": {
      "orcestator": {
        "api_url": "http://localhost:8000/v1"
      }
    },
""",
    )


@pytest.mark.parametrize(
    ("before", "put", "after"),
    [
        ("", Put(("a",), 1), '{\n  "a": 1\n}\n'),
        ("// only words", Put(("a",), 1), '// only words\n{\n  "a": 1\n}\n'),
        ("{}", Put(("a",), 1), '{\n  "a": 1\n}'),
        ('{"b": 1e2}', Put(("a",), 1), '{\n  "b": 1e2,\n  "a": 1\n}'),
        ('{\n\t"b": 1 // one\n}', Put(("a",), 2), '{\n\t"b": 1, // one\n\t"a": 2\n}'),
        ('{ /* no */ "b": 1 }', Put(("a",), 2), '{ /* no */ "b": 1,\n  "a": 2\n}'),
        ("{\n  // nothing yet\n}", Put(("a",), 2), '{\n  // nothing yet\n  "a": 2\n}'),
        ('{"a": /* old */ 1}', Put(("a",), True), '{"a": /* old */ true}'),
        ('{"a": 1, "a": 2}', Put(("a",), 3), '{"a": 1, "a": 3}'),
        ('{"a": null}', Put(("a", "b"), 1), '{"a": {\n  "b": 1\n}}'),
        ('[{"id": "x", "n": 1}]', Put((Match(id="x"), "n"), 2), '[{"id": "x", "n": 2}]'),
        ('{"a": "кот"}', Put(("a",), "пёс"), '{"a": "пёс"}'),
    ],
)
def test_changes(before: str, put: Put, after: str) -> None:
    """Each in the manner of the text around it."""
    assert merged(before, [put]) == after
    assert merged(after, [put]) == after


def test_a_list_entry_is_found_by_what_it_is() -> None:
    """The entry is changed where it stands; another one is appended."""
    groups = '[\n  {"name": "other"},\n  {"name": "orcestator", "vendor": "customendpoint", "mine": 1}\n]\n'
    step = Match(name="orcestator", vendor="customendpoint")
    changed = read(merged(groups, [Put((step, "apiType"), "x"), Put((Match(name="third"), "y"), 2)]))
    assert changed == [
        {"name": "other"},
        {"name": "orcestator", "vendor": "customendpoint", "mine": 1, "apiType": "x"},
        {"name": "third", "y": 2},
    ]


def test_what_is_kept() -> None:
    """A value that may stay stays; without one it is set."""
    assert merged('{"a": 1}', [Put(("a",), 2, keep=True)]) == '{"a": 1}'
    assert read(merged("{}", [Put(("a",), 2, keep=True)])) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1),
        ("[1 2]", 1),
        ('{\n"a" 1}', 2),
        ("{\n\na: 1}", 3),
        ('{"a": 01}', 1),
        ("{} {}", 1),
        ('{"a": "\n"}', 1),
        ("[" * 200, 1),
        ("nonsense", 1),
        ('{"a": NaN}', 1),
        ("{\n/* open", 2),
        ("[,]", 1),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, line: int) -> None:
    """And is never changed."""
    with pytest.raises(NotJson) as caught:
        merged(text, [Put(("a",), 1)])
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "put"), [("[]", Put(("a",), 1)), ('{"a": 1}', Put(("a", "b"), 1)), ("{}", Put((Match(a="b"),), {}))]
)
def test_another_shape_than_expected_is_refused(text: str, put: Put) -> None:
    """A list where a mapping belongs is somebody's mistake, not ours to repair."""
    with pytest.raises(Misfit):
        merged(text, [put])


_NAMES = st.sampled_from(["a", "b", "c/d", "é"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_BLANKS = st.sampled_from(["", " ", "\n", "\n    ", " // x\n", " /* y */ ", "\t"])


@st.composite
def _written(draw: st.DrawFn, value: Any) -> str:
    """A value as somebody could have written it, comments, line breaks and trailing commas anywhere."""
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(name)}{draw(_BLANKS)}:{draw(_BLANKS)}{draw(_written(inner))}" for name, inner in value.items()
        ]
    elif isinstance(value, list):
        parts = [draw(_written(inner)) for inner in value]
    else:
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    comma = "," if parts and draw(st.booleans()) else ""
    body = ",".join(f"{draw(_BLANKS)}{part}{draw(_BLANKS)}" for part in parts) + comma + draw(_BLANKS)
    return f"{{{body}}}" if isinstance(value, dict) else f"[{body}]"


_DOCUMENTS = st.dictionaries(_NAMES, _JSON, max_size=3).flatmap(
    lambda value: st.tuples(st.just(value), _written(value))
)


@settings(max_examples=60, deadline=None)
@given(_DOCUMENTS, st.lists(_NAMES, min_size=1, max_size=3), _JSON)
def test_any_text_is_changed_to_what_was_meant(document: tuple[Any, str], path: list[str], value: Any) -> None:
    """Whatever the text: it reads as before, the edit is in it, comments are still there, and a second time changes nothing."""
    old, text = document
    assert read(text) == old
    put = Put(tuple(path), value)
    try:
        new = merged(text, [put])
    except Misfit:
        return
    assert next_change(read(new), put) is None
    assert merged(new, [put]) == new
    untouched = {name: part for name, part in old.items() if name != path[0]}
    assert {name: part for name, part in read(new).items() if name in untouched} == untouched
    if path[0] not in old:
        assert new.count("// x") == text.count("// x")
        assert new.count("/* y */") == text.count("/* y */")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='{}[]",:/*\n ab1-.truefalsn\\', max_size=40))
def test_any_nonsense_is_refused_cleanly(text: str) -> None:
    """A text is read or named as unreadable; nothing else can happen."""
    try:
        read(text)
    except NotJson:
        return
