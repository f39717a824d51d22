"""A database's file on the disk: made before SQLite opens it, and never touched beside SQLite afterwards.

Closing any descriptor of a file takes away every POSIX lock that the process has on it, SQLite's own ones too; another
program then believes itself alone and removes the write-ahead log under us (sqlite.org/howtocorrupt.html, 2.2, read
2026-11-30). So a file that is there is never opened here.
"""

import logging
import os
import threading
from pathlib import Path

from orcestator.store.files import alone_in, make_folder, set_aside

_LEFT_BEHIND = ("-wal", "-shm", "-journal")
_one_at_a_time = threading.Lock()

logger = logging.getLogger("orcestator.store")


def make(path: Path) -> None:
    """Make the file and its folder where they are missing, for its owner alone: it holds prompts. Raises OSError."""
    if path.exists():
        return
    path = Path(os.path.realpath(path))  # SQLite, too, follows a link that leads nowhere yet
    make_folder(path.parent)
    # On Windows an open file cannot be removed, so there none has to be made beside others that use it.
    with _one_at_a_time, alone_in(path.parent):
        if path.exists():
            return
        # What a removed database left would be read as part of the new one.
        for ending in _LEFT_BEHIND:
            path.with_name(path.name + ending).unlink(missing_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def put_aside(path: Path, problem: Exception) -> None:
    """Give a file that is no database another name, so that a new one can be made. Raises OSError."""
    aside = path.with_suffix(".damaged")
    set_aside(path, aside)
    logger.warning("%s is damaged and was put aside as %s: %s", path, aside.name, problem)


class Opened:
    """Which file a path named when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.stat(path)

    def is_still_there(self) -> bool:
        """Whether the path names the same file now; rows written to one that was removed or replaced would be gone."""
        try:
            return os.path.samestat(os.stat(self._path), self._file)
        except FileNotFoundError:
            return False
