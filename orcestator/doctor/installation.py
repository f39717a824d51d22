"""Python, the packages, and the places that are written to."""

import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.errors import StartupProblem
from orcestator.settings import Settings
from orcestator.store.engines import file_of, open_rows
from orcestator.store.ledger import GUARANTEES
from orcestator.store.schema import RECORDS

TESTED = ((3, 11), (3, 12), (3, 13))
PACKAGES = (
    *("fastapi", "fschat", "httptools", "httpx", "orjson", "prometheus-client", "python-dotenv", "pyyaml"),
    *("ruamel.yaml", "sqlmodel", "starlette", "tomlkit", "uvicorn"),
)
LITTLE_SPACE_BYTES = 100 << 20


def python_finding(running: tuple[int, int] = sys.version_info[:2], kind: str = sys.implementation.name) -> Finding:
    """Whether this Python is one that orcestator is tested with."""
    says = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    if kind == "cpython" and running in TESTED:
        return Finding("Python", OK, says)
    names = ", ".join(f"{major}.{minor}" for major, minor in TESTED)
    return Finding("Python", WARNING, f"{says}; tested are CPython {names}", "Use one of these.")


def packages_finding(names: Sequence[str] = PACKAGES) -> Finding:
    """Whether everything that is needed is installed."""
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return Finding("packages", OK, f"all {len(names)} are installed")
    return Finding(
        "packages",
        PROBLEM,
        f"not installed: {', '.join(missing)}",
        "In a checkout, python3 scripts/up.py installs them; elsewhere: pip install " + " ".join(missing),
    )


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def place_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the program can write where it wants to; nothing is made."""
    yield _folder_finding("state folder", Path(settings.state_dir), "OR_STATE_DIR")
    if settings.log_file and not Path(settings.log_file).is_char_device():
        yield _folder_finding("traffic log", Path(settings.log_file).parent, "OR_LOG_FILE")
    if settings.db_path:
        yield database_finding(settings.db_path)


def _folder_finding(subject: str, folder: Path, variable: str) -> Finding:
    nearest = _nearest(folder)
    remedy = f"Make it writable, or set {variable} to another place."
    if not nearest.is_dir():
        return Finding(subject, PROBLEM, f"{nearest} is not a folder", remedy)
    if not _takes_files(nearest):
        return Finding(subject, PROBLEM, f"{nearest} cannot be written to", remedy)
    free = shutil.disk_usage(nearest).free
    if free < LITTLE_SPACE_BYTES:
        return Finding(subject, WARNING, f"{folder}: only {free >> 20} MiB are free on its disk", "Make room there.")
    return Finding(subject, OK, f"{folder} can be written to" if nearest == folder else f"{folder} can be made")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute() if not folder.exists() else folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _takes_files(folder: Path) -> bool:
    """By trying: permissions on paper are not all there is."""
    probe = folder / ".orcestator-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def database_finding(address: str) -> Finding:
    """The database: sound, writable, not of a newer version. A file that is not there yet is not made."""
    path = file_of(address)
    if path is not None and not path.exists():
        return _folder_finding("request rows", path.parent, "OR_DB_PATH")
    try:
        open_rows(address, RECORDS, GUARANTEES).check()
    except StartupProblem as problem:
        return Finding("request rows", PROBLEM, problem.message, "Set OR_DB_PATH to another file, or repair this one.")
    return Finding("request rows", OK, f"{address} is sound")
