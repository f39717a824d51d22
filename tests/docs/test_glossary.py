"""docs/glossary.md: each word stands in the file that it names, and every room of the package is spoken of."""

import re

import pytest

from tests.docs.pages import ROOT, page

PACKAGE = ROOT / "orcestator"
GLOSSARY = page("docs/glossary.md")
ROWS = [row for row in GLOSSARY.rows() if len(row) == 3 and row[2].endswith(".py`")]


def plain(text: str) -> str:
    """Lower case and without what joins words, so that ``CircuitBreaker`` and ``circuit_breaker`` are the same."""
    return re.sub(r"[\s_-]+", "", text).lower()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_word_stands_in_its_file(row: list[str]) -> None:
    """As a name or in its documentation."""
    word, _, name = row
    path = PACKAGE / name.strip("`")
    assert path.is_file(), name
    assert plain(word) in plain(path.read_text("utf-8")) + plain(path.stem), f"{word} is not to be found in {name}"


def test_a_word_has_one_row() -> None:
    words = [row[0] for row in ROWS]
    assert len(words) > 70
    assert sorted(words) == sorted(set(words))


def test_every_room_is_spoken_of() -> None:
    """Here or on the page of the architecture; a room without a word has no place in a stranger's head."""
    spoken = GLOSSARY.text + page("docs/architecture.md").text
    rooms = [
        f"{path.parent.relative_to(PACKAGE)}/"
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE and path.parent.parent.name != "dialects"
    ]
    assert [room for room in rooms if f"`{room}" not in spoken and f"`{room.split('/', 1)[-1]}" not in spoken] == []
