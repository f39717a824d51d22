"""The tests mirror the package: a folder for a folder, and for more and more files a test file of the same name."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "orcestator", ROOT / "tests"
SHARE_WITH_NAMESAKE = 0.32
"""Of the modules; it goes up and never down. Rooms that are tested through one door, as clients' files are, have none."""
OF_NO_ROOM = {"clients", "crossing", "docs", "fixtures", "scripts", "sdks", "seeds", "shapes"}
"""Folders of tests that cross the rooms, and of what tests read."""


def modules() -> list[Path]:
    """Every module of the package, relative to it."""
    return [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__")]


def test_a_folder_of_tests_is_called_after_a_folder_of_the_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path()}
    strangers = [folder for folder in folders if folder.parts[0] not in OF_NO_ROOM and not (PACKAGE / folder).is_dir()]
    assert strangers == []


def test_modules_have_tests_of_their_name() -> None:
    with_namesake = [path for path in modules() if (TESTS / path.parent / f"test_{path.stem}.py").exists()]
    assert len(with_namesake) / len(modules()) >= SHARE_WITH_NAMESAKE
