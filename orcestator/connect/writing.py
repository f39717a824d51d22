"""Edits into files: read, merge, back up, replace at once. The only module here that touches a file."""

import stat
from dataclasses import dataclass
from pathlib import Path

from orcestator.connect.formats import merged
from orcestator.connect.plan import FileEdit
from orcestator.errors import StartupProblem
from orcestator.store.files import create_file, replace_file

MOST_BYTES = 16 << 20
_BOM = "\ufeff"
_OTHERS = 0o007


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a file. ``backup`` is None for a file that was not there before."""

    path: Path
    changed: bool
    backup: Path | None = None


def chosen_path(edit: FileEdit) -> Path:
    """The file that the client reads: the first that exists, else the first."""
    paths = [Path(path) for path in edit.paths]
    return next((path for path in paths if path.exists()), paths[0])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file's new content, worked out and not yet written. ``target`` is where symbolic links lead."""

    path: Path
    target: Path
    old: bytes | None
    new: bytes
    holds_key: bool


def prepare(edit: FileEdit) -> Prepared:
    """Work out what a file would become. Raises StartupProblem for one that cannot be read or understood."""
    path = chosen_path(edit)
    target = _resolved(path)
    old = _content(path, target)
    try:
        text = "" if old is None else old.decode("utf-8")
        new = _merged_as_written(edit, text).encode("utf-8")
    except ValueError as fault:
        reason = "it is not UTF-8 text" if isinstance(fault, UnicodeDecodeError) else fault
        raise StartupProblem(
            f"{path} was left as it is: {reason}. Correct it, or take the configuration that the command prints"
            " without --write."
        ) from fault
    return Prepared(path, target, old, new, edit.holds_key)


def write(prepared: Prepared) -> Written:
    """Write a prepared file, its old content kept beside it. Raises StartupProblem when that is not possible."""
    if prepared.new == prepared.old:
        return Written(prepared.path, changed=False)
    try:
        mode = _mode(prepared)
        prepared.target.parent.mkdir(parents=True, exist_ok=True)
        backup = None if prepared.old is None else _back_up(prepared.target, prepared.old, mode)
        replace_file(prepared.target, prepared.new, mode)
    except OSError as fault:
        raise StartupProblem(f"{prepared.path} cannot be written: {fault.strerror or fault}.") from fault
    return Written(prepared.path, changed=True, backup=backup)


def _merged_as_written(edit: FileEdit, text: str) -> str:
    """Merged, with the byte order mark and the line ends that the file has."""
    bom = _BOM if text.startswith(_BOM) else ""
    is_crlf = "\r\n" in text
    plain = text.removeprefix(_BOM).replace("\r\n", "\n")
    new = merged(edit.format, plain, edit.puts)
    if new == plain:
        return text
    return bom + (new.replace("\n", "\r\n") if is_crlf else new)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as fault:
        raise StartupProblem(f"{path} cannot be followed to a file: {fault}.") from fault


def _content(path: Path, target: Path) -> bytes | None:
    try:
        if not target.exists():
            return None
        if not target.is_file() or target.stat().st_size > MOST_BYTES:
            raise StartupProblem(f"{path} is not a file that can be edited; name another one with --file.")
        return target.read_bytes()
    except OSError as fault:
        raise StartupProblem(f"{path} cannot be read: {fault.strerror or fault}.") from fault


def _mode(prepared: Prepared) -> int:
    """The permissions that the file has, without others where it holds a key; a new one is its owner's alone."""
    if prepared.old is None:
        return 0o600
    mode = stat.S_IMODE(prepared.target.stat().st_mode)
    return mode & ~_OTHERS if prepared.holds_key else mode


def _back_up(target: Path, old: bytes, mode: int) -> Path:
    number = 1
    while True:
        backup = target.with_name(f"{target.name}.orcestator-backup-{number}")
        try:
            create_file(backup, old, mode)
        except FileExistsError:
            number += 1
        else:
            return backup
