"""A configuration file that is read while somebody writes it is read again: half a file may be a valid one."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from orcestator.errors import StartupProblem

STILL_SECONDS = 0.1
"""A file that was last written this long ago counts as complete."""
PATIENCE_SECONDS = 3.0
"""Files that are written all the time are taken as they are after this time."""

T = TypeVar("T")
Stamp = tuple[int, int] | None


def when_still(load: Callable[[], T], files: Iterable[str | None]) -> T:
    """What ``load`` gives, once none of the files changed just before or meanwhile. Sleeps: for a thread.

    Raises the StartupProblem of ``load``.
    """
    paths = [Path(name) for name in files if name]
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        _rest(paths, until)
        before = _stamps(paths)
        try:
            loaded = load()
        except StartupProblem:
            if _stamps(paths) == before or time.monotonic() >= until:
                raise
        else:
            if _stamps(paths) == before or time.monotonic() >= until:
                return loaded


def _rest(paths: list[Path], until: float) -> None:
    while any(map(_is_fresh, _stamps(paths))) and time.monotonic() < until:
        time.sleep(STILL_SECONDS / 4)


def _is_fresh(stamp: Stamp) -> bool:
    # A file from the future says nothing of when it was written.
    return stamp is not None and 0 <= time.time() - stamp[0] / 1e9 < STILL_SECONDS


def _stamps(paths: list[Path]) -> list[Stamp]:
    return [_stamp(path) for path in paths]


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
