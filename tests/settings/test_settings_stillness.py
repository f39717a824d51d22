"""A configuration file that is being written is never taken for the whole one."""

import os
import time
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.settings import when_still

LONG_AGO = time.time() - 3600


def written(path: Path, text: str, when: float = LONG_AGO) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (when, when))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "config.yaml"
    written(found, "whole")
    return found


def test_a_file_at_rest_is_read_once(path: Path) -> None:
    read: list[str] = []
    when_still(lambda: read.append(path.read_text("utf-8")), [str(path), None, "", "no-such-file"])
    assert read == ["whole"]


def test_a_file_that_changes_meanwhile_is_read_again(path: Path) -> None:
    read: list[str] = []

    def load() -> str:
        read.append(path.read_text("utf-8"))
        if len(read) == 1:
            written(path, "whole again", LONG_AGO + 1)
        return read[-1]

    assert when_still(load, [str(path)]) == "whole again"
    assert read == ["whole", "whole again"]


def test_half_a_file_is_no_problem_when_the_other_half_follows(path: Path) -> None:
    read: list[str] = []

    def load() -> str:
        read.append(path.read_text("utf-8"))
        if len(read) == 1:
            written(path, "now it is", LONG_AGO + 1)
            raise StartupProblem("half a file")
        return read[-1]

    assert when_still(load, [str(path)]) == "now it is"


def test_a_bad_file_at_rest_is_a_problem_at_once(path: Path) -> None:
    read: list[str] = []

    def load() -> None:
        read.append("")
        raise StartupProblem("bad")

    with pytest.raises(StartupProblem, match="bad"):
        when_still(load, [str(path)])
    assert read == [""]


def test_a_file_written_this_moment_is_let_rest(path: Path) -> None:
    path.write_text("", "utf-8")
    written_at = path.stat().st_mtime
    assert when_still(time.time, [str(path)]) >= written_at + 0.1


def test_a_file_from_the_future_is_read(path: Path) -> None:
    written(path, "tomorrow", time.time() + 86400)
    assert when_still(lambda: path.read_text("utf-8"), [str(path)]) == "tomorrow"
