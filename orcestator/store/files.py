"""The one atomic writer: a file is replaced whole, or stays as it was.

Whoever reads it sees the old content or the new one, whatever happens to us, and several processes may write it at once. A
file of ours is its owner's alone unless something else is asked for: keys are in some, prompts in others.
"""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

OWNER_ALONE = 0o600
_OWNERS_FOLDER = 0o700


def replace_file(path: Path, content: bytes, mode: int = OWNER_ALONE) -> os.stat_result:
    """Put the content in place of the file, whose folder is made if need be; the facts of the file that is there now.

    A link is replaced, not followed: resolve it first where it has to stay. Raises OSError, and then leaves nothing behind.
    """
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    try:
        facts = create_file(draft, content, mode)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync_folder(path.parent)
    return facts


def create_file(path: Path, content: bytes, mode: int = OWNER_ALONE) -> os.stat_result:
    """Make a file that is not there, on the disk when this returns; its facts. Raises FileExistsError, and other OSErrors."""
    # The mode from its first byte on: nobody else may read it before it is complete.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), OWNER_ALONE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        facts = os.fstat(descriptor)
    if mode != OWNER_ALONE:
        # After the content: a mode that lets nobody write would keep us from writing it. Some systems have none.
        with contextlib.suppress(NotImplementedError):
            path.chmod(mode)
    return facts


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """No other process or thread that asks for the same changes anything in this folder meanwhile. Blocks until it may. Windows
    has no lock of a folder: there nobody waits, and ``replace_file`` still leaves no half of anything. Raises OSError."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network share may know no such lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing, for its owner alone. Raises OSError."""
    folder.mkdir(mode=_OWNERS_FOLDER, parents=True, exist_ok=True)


def set_aside(path: Path, aside: Path) -> None:
    """Give a file another name, in place of whatever has it. Raises OSError."""
    path.replace(aside)


def _sync_folder(folder: Path) -> None:
    """Keep the new name over a power cut, where the system can: the file is in its place by now, so this is no reason to say
    that it is not. Windows opens no folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
