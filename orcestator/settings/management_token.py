"""The token that a server without an admin token keeps in its state folder, so that whoever may read that folder may manage it.

Our own commands do, without any configuration: same machine, same account. A reverse proxy's strangers do not.

No document of the store: those are replaced by whoever comes last, and of several servers that start at once the first one's
token has to hold. So it is judged and made under a lock, linked into its place only where nothing is, and read without following
what somebody else may have put there.
"""

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path

from orcestator.providers.secret import Secret
from orcestator.store.files import alone_in, create_file

FILE = "management_token"
_LENGTH = 43  # of 32 bytes in base64 for URLs


def made_token(state_dir: str) -> Secret | None:
    """The token, made unless it is there; None where it cannot be kept for its owner alone. Several processes get the same one."""
    if found := kept_token(state_dir):
        return found
    path = Path(state_dir) / FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone_in(path.parent):
            # Whoever had the lock before may have made it.
            if not kept_token(state_dir):
                _put(path)
    except OSError:
        return None
    return kept_token(state_dir)


def kept_token(state_dir: str) -> Secret | None:
    """The token that is there, None where there is none that this account alone can have read and written."""
    try:
        with open(Path(state_dir) / FILE, encoding="ascii", opener=_open_itself) as file:
            is_private = _is_private(os.fstat(file.fileno()))
            text = file.read(2 * _LENGTH).strip() if is_private else ""
    except (OSError, ValueError):
        return None
    return Secret(text) if len(text) == _LENGTH else None


def _open_itself(path: str, flags: int) -> int:
    """Whoever may write into the folder may have put a link or a pipe there: neither is followed or waited for."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _is_private(found: os.stat_result) -> bool:
    if sys.platform == "win32":
        return True
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def _put(path: Path) -> None:
    """A new token in place of what was just found to be no good: readable by others, cut off. Raises OSError."""
    path.unlink(missing_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.draft")
    try:
        create_file(draft, f"{secrets.token_urlsafe(32)}\n".encode())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
