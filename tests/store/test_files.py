"""The one atomic writer: old or new, never half, and nothing left behind."""

import ast
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import orcestator
from orcestator.store.files import create_file, replace_file

if sys.platform != "win32":
    import resource
    import signal

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions and limits")
PACKAGE = Path(orcestator.__file__).parent
REPLACERS = {"store/files.py", "settings/management_token.py"}


def mode_of(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    replace_file(path, b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old", "who reads the old one reads it to its end"
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


def test_its_facts_are_those_of_the_file_that_is_there(tmp_path: Path) -> None:
    facts = replace_file(tmp_path / "file", b"content")
    found = (tmp_path / "file").stat()
    assert (facts.st_mtime_ns, facts.st_ino, facts.st_size) == (found.st_mtime_ns, found.st_ino, 7)


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_it_has_the_mode_that_is_asked_for(tmp_path: Path, mode: int) -> None:
    """Whatever the one before had."""
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    replace_file(path, b"new", mode)
    assert mode_of(path) == mode


@posix_only
def test_content_and_name_are_on_the_disk_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before its new name, the folder after it: a power cut in between costs nothing."""
    path, synced = tmp_path / "file", list[tuple[str, bool]]()
    really_sync = os.fsync

    def watched(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, path.exists()))
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    replace_file(path, b"content")
    assert synced == [("file", False), ("folder", True)]


@contextmanager
def no_byte_may_be_written() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@posix_only
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with no_byte_may_be_written(), pytest.raises(OSError, match="large"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        replace_file(tmp_path / "folder", b"new")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_file_that_is_there_is_not_created(tmp_path: Path) -> None:
    create_file(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


def replacings(source: str) -> list[str]:
    """The calls in a program that give files other names: ``os.replace``, ``path.rename(other)``, ``shutil.move``, …"""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute):
            continue
        owner, name = ast.unparse(call.func.value), call.func.attr
        by_system = owner in ("os", "shutil") and name in ("replace", "rename", "renames", "link", "move")
        # A text's replace has two arguments, a date's has named ones; a directory of workers renames models.
        is_one = len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred)
        by_path = name in ("replace", "rename", "hardlink_to") and is_one
        if by_system or (by_path and not owner.endswith("_directory")):
            found.append(ast.unparse(call))
    return found


def test_nobody_else_replaces_files() -> None:
    """But the token, whose first maker wins, and ``connect``, which edits what is not ours."""
    found = {
        path.relative_to(PACKAGE).as_posix(): replacings(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, calls in found.items() if calls and not name.startswith("connect/")} == REPLACERS
    assert replacings("draft.replace(path); os.rename(a, b); Path(x).rename(y)") == [
        "draft.replace(path)",
        "os.rename(a, b)",
        "Path(x).rename(y)",
    ]
