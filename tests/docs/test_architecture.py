"""docs/architecture.md describes this code: its tables are made from it, and the files it names exist."""

import re

from orcestator.routing import events
from tests.docs.made_parts import ARCHITECTURE, remade
from tests.docs.pages import ROOT, page

PAGE = page(ARCHITECTURE)
PACKAGE = ROOT / "orcestator"


def test_made_parts_are_up_to_date() -> None:
    """The verdict table and the error tree."""
    assert remade(PAGE) == PAGE.text, "run: python -m tests.docs.made_parts"
    assert "| `UpstreamRejected` |" in PAGE.part("verdicts")
    assert "AttemptsExhausted" in PAGE.block("text errors")


def test_every_room_is_described() -> None:
    """Every folder and module of the package, and no other."""
    named = {
        name.rstrip("/") for row in PAGE.rows() if len(row) == 4 for name in re.findall(r"`([a-z][\w/.]*)`", row[0])
    }
    there = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()} | {
        path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")
    }
    assert named == there


def test_reading_starts_at_files_that_exist() -> None:
    """The last column of the table of rooms."""
    rows = [row for row in PAGE.rows() if len(row) == 4 and row[0].endswith("/`") and row[3]]
    assert len(rows) > 8
    for room, _, _, first in rows:
        assert (PACKAGE / room.strip("`") / first.strip("`")).is_file(), first


def test_files_it_names_exist() -> None:
    """Every path with a slash in it."""
    found = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", PAGE.text)
    named = {name for name in found if (PACKAGE / name.split("/")[0]).is_dir()}
    assert len(named) > 10
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_every_event_is_described() -> None:
    """The table of events names the union's members."""
    named = {row[0].strip("`") for row in PAGE.rows() if len(row) == 3}
    assert {event.__name__ for event in events.Event.__args__} <= named
