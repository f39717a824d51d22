"""The token that a server keeps for its own account."""

import os
import stat
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.explain.credentials import token_for
from orcestator.settings.management_token import FILE, kept_token, made_token
from orcestator.settings.secret_file import secret_in

WINDOWS = sys.platform == "win32"


def test_everybody_gets_the_same_one(tmp_path: Path) -> None:
    """Several servers share a folder, and start at once."""
    folder = str(tmp_path / "state")
    with ThreadPoolExecutor(16) as pool:
        found = {token.reveal() for token in pool.map(lambda _: made_token(folder), range(64)) if token}
    assert len(found) == 1
    kept = kept_token(folder)
    assert kept is not None
    assert found == {kept.reveal()}
    assert [path.name for path in Path(folder).iterdir()] == [FILE]
    assert WINDOWS or stat.S_IMODE((Path(folder) / FILE).stat().st_mode) == 0o600
    assert WINDOWS or stat.S_IMODE(Path(folder).stat().st_mode) == 0o700


@pytest.mark.skipif(WINDOWS, reason="modes are Unix's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_one_that_others_may_read_is_replaced(tmp_path: Path, mode: int) -> None:
    """Somebody may have read it."""
    first = made_token(str(tmp_path))
    (tmp_path / FILE).chmod(mode)
    assert kept_token(str(tmp_path)) is None
    second = made_token(str(tmp_path))
    assert first is not None
    assert second is not None
    assert first != second


@pytest.mark.parametrize("text", ["", "short", "x" * 200, "ä" * 43])
def test_one_that_is_none_is_replaced(tmp_path: Path, text: str) -> None:
    """Cut off by a full disk, for one."""
    path = tmp_path / FILE
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    assert made_token(str(tmp_path)) is not None


@pytest.mark.skipif(WINDOWS, reason="owners, links and pipes are Unix's")
@pytest.mark.parametrize("kind", ["another account's", "a link", "a link to nowhere", "a pipe"])
def test_what_somebody_else_put_there_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A folder that others may write to, such as one in /tmp, is theirs to fill: nothing of it is believed or waited for."""
    known, path, elsewhere = "k" * 43, tmp_path / FILE, tmp_path / "elsewhere"
    elsewhere.write_text(known)
    elsewhere.chmod(0o600)
    if kind == "another account's":
        elsewhere.rename(path)
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    elif kind == "a pipe":
        os.mkfifo(path, 0o600)
    else:
        path.symlink_to(elsewhere if kind == "a link" else tmp_path / "nowhere")
    assert kept_token(str(tmp_path)) is None
    made = made_token(str(tmp_path))
    if kind != "another account's":
        assert made is not None
        assert made.reveal() != known
        assert not path.is_symlink()


def test_a_folder_that_cannot_be_written_has_none(tmp_path: Path) -> None:
    """The server starts without."""
    (tmp_path / "file").write_text("")
    assert made_token(str(tmp_path / "file")) is None


def test_the_kept_token_goes_to_this_machine_alone(tmp_path: Path) -> None:
    """A configured one goes where the person says."""
    kept = made_token(str(tmp_path))
    assert kept is not None
    nothing = Namespace(token=None, token_file=None)
    for url in ("http://localhost:8000", "http://127.0.0.1:1/v1", "http://[::1]:8000"):
        assert token_for(nothing, url, "", str(tmp_path)) == kept.reveal()
    for url in ("http://gateway.example", "http://192.168.1.5:8000", "http://localhost.evil.example"):
        assert token_for(nothing, url, "", str(tmp_path)) == ""
        assert token_for(nothing, url, "configured", str(tmp_path)) == "configured"
    assert token_for(nothing, "http://localhost", "", str(tmp_path / "nowhere")) == ""


def test_a_secret_can_be_in_a_file(tmp_path: Path) -> None:
    """Its first line, without what is around it."""
    path = tmp_path / "secret"
    path.write_text("  the-secret \nanother line\n")
    assert secret_in(str(path), "--token-file") == "the-secret"
    path.write_text("\n")
    for name in (str(path), str(tmp_path / "nowhere")):
        with pytest.raises(StartupProblem, match="--token-file"):
            secret_in(name, "--token-file")
