"""Puts a file in its place whole and readable by its owner only: several processes may write it at once."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file in one step; its folder is made if need be. Raises OSError, and then leaves nothing behind."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A temporary file has the mode 0600 from its first byte on.
    with NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as written:
        try:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        except OSError:
            _remove(written.name)
            raise
    try:
        Path(written.name).replace(path)
    except OSError:
        _remove(written.name)
        raise


def _remove(name: str) -> None:
    with suppress(OSError):
        Path(name).unlink()
