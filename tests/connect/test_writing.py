"""Files: backed up, replaced at once, with their mode, links, line ends and mark; or left alone with a reason."""

import os
import stat
import sys
from pathlib import Path

import pytest

from orcestator.connect.plan import FileEdit, Format, Put
from orcestator.connect.writing import Written, prepare, write
from orcestator.errors import StartupProblem

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")


def edited(path: Path, value: str = "new", *, format: Format = "json", holds_key: bool = False) -> Written:
    """Set ``a`` in a file."""
    return write(prepare(FileEdit((path,), format, (Put(("a",), value),), holds_key)))


def mode_of(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_made_with_its_folders(tmp_path: Path) -> None:
    """And it is its owner's alone; there is nothing to back up."""
    path = tmp_path / "deep" / "er" / "settings.json"
    assert edited(path) == Written(path, changed=True, backup=None)
    assert path.read_text("utf-8") == '{\n  "a": "new"\n}\n'
    assert sys.platform == "win32" or mode_of(path) == 0o600
    assert os.listdir(path.parent) == ["settings.json"]


def test_the_old_content_is_kept_beside_it(tmp_path: Path) -> None:
    """Each change has its own backup; a second run of the same changes nothing and leaves none."""
    path = tmp_path / "settings.json"
    path.write_text('{"a": "old"}', "utf-8")
    first, second, again = edited(path), edited(path, "newer"), edited(path, "newer")
    assert (first.backup, second.backup) == (
        tmp_path / "settings.json.orcestator-backup-1",
        tmp_path / "settings.json.orcestator-backup-2",
    )
    assert again == Written(path, changed=False)
    assert first.backup is not None
    assert first.backup.read_text("utf-8") == '{"a": "old"}'
    assert sorted(os.listdir(tmp_path)) == [
        "settings.json", "settings.json.orcestator-backup-1", "settings.json.orcestator-backup-2",
    ]  # fmt: skip


@posix_only
@pytest.mark.parametrize(
    ("before", "holds_key", "after"), [(0o640, False, 0o640), (0o644, False, 0o644), (0o644, True, 0o640)]
)
def test_the_mode_stays_but_for_keys(tmp_path: Path, before: int, holds_key: bool, after: int) -> None:
    """A file with a key is not for everybody, nor is its backup."""
    path = tmp_path / "settings.json"
    path.write_text("{}", "utf-8")
    path.chmod(before)
    written = edited(path, holds_key=holds_key)
    assert written.backup is not None
    assert (mode_of(path), mode_of(written.backup)) == (after, after)


@posix_only
def test_a_link_is_followed(tmp_path: Path) -> None:
    """People keep their settings in a repository and link to it; the link stays one."""
    real = tmp_path / "dotfiles" / "settings.json"
    real.parent.mkdir()
    real.write_text("{}", "utf-8")
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    edited(link)
    assert link.is_symlink()
    assert '"new"' in real.read_text("utf-8")
    assert (real.parent / "settings.json.orcestator-backup-1").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{\r\n  "b": 1\r\n}\r\n', b'{\r\n  "b": 1,\r\n  "a": "new"\r\n}\r\n'),
        (b'\xef\xbb\xbf{"a": "old"}', b'\xef\xbb\xbf{"a": "new"}'),
    ],
)
def test_line_ends_and_byte_order_mark_stay(tmp_path: Path, before: bytes, after: bytes) -> None:
    """Windows' editors write them, and some want them back."""
    path = tmp_path / "settings.json"
    path.write_bytes(before)
    edited(path)
    assert path.read_bytes() == after


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b'{\n"b": oops}', "line 2"), (b"\xff\xfe{}", "UTF-8"), (b"[]", "the whole file is not a mapping")],
)
def test_what_cannot_be_understood_is_left_alone(tmp_path: Path, content: bytes, reason: str) -> None:
    """The reason names the file and what to do instead."""
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(StartupProblem, match=reason) as caught:
        edited(path)
    assert str(path) in caught.value.message
    assert "--write" in caught.value.message
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """Cannot be edited, and is not replaced."""
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(StartupProblem, match="not a file"):
        edited(tmp_path / "settings.json")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StartupProblem, match="cannot be"):
        edited(tmp_path / "file" / "settings.json")


def test_the_file_that_exists_is_taken(tmp_path: Path) -> None:
    """opencode reads .json and .jsonc: the second is taken where only it is there."""
    (tmp_path / "b.jsonc").write_text("{}", "utf-8")
    edit = FileEdit((tmp_path / "a.json", tmp_path / "b.jsonc"), "json", (Put(("a",), 1),))
    assert write(prepare(edit)).path == tmp_path / "b.jsonc"
    assert not (tmp_path / "a.json").exists()
