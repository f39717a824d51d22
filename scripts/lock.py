"""``python3 scripts/lock.py [--upgrade]``: writes ``requirements/*.lock`` from ``pyproject.toml``, for maintainers.

It needs ``uv`` (``python3 -m pip install uv``) and the public package index. It must never write an index address or
take a hash from anywhere else, so neither uv's nor pip's configuration of this machine is read.
Why the locks look as they do: ``docs/decisions/0002-lock-files.md``.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bootstrap import ROOT, lock_path

# Releases younger than this are not taken: most poisoned packages are found and pulled within days.
COOLDOWN_DAYS = 7
# Requirements of fschat that neither its controller, its worker base class nor its OpenAI API server imports. A test
# imports those modules with these packages made unimportable.
NEVER_IMPORTED = ("markdown2", "nh3", "prompt-toolkit", "rich")
# A development tool may need one of them: import-linter prints with rich.
NEVER_IMPORTED_BUT_BY_TOOLS = ("markdown2", "nh3", "prompt-toolkit")
COMMON = (
    *("--no-config", "pip", "compile", "--quiet", "--only-binary", ":all:"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
)
RESOLVE = ("--universal", "--python-version", "3.11", "--fork-strategy", "fewest")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (
    *("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-msvc"),
    *("aarch64-apple-darwin", "x86_64-apple-darwin"),
)
HEADER = "# Written by scripts/lock.py from pyproject.toml; do not edit.\n"


def uv(*arguments: str) -> str:
    """Runs uv from the checkout's root, without this machine's index settings; returns what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    command = [sys.executable, "-m", "uv", *arguments]
    return subprocess.run(command, cwd=ROOT, env=inherited, check=True, stdout=subprocess.PIPE, text=True).stdout


def resolve(lock_name: str, *sources: str, excluded: tuple[str, ...], extra: tuple[str, ...]) -> None:
    """Writes one lock from the sources; pins that still fit are kept unless ``--upgrade`` is among the extras."""
    lock = lock_path(ROOT, lock_name)
    with tempfile.TemporaryDirectory() as folder:
        excludes = Path(folder, "excludes.txt")
        excludes.write_text("\n".join(excluded), "utf-8")
        output = ("--output-file", str(lock.relative_to(ROOT)))
        uv(*COMMON, *RESOLVE, "--excludes", str(excludes), *extra, *output, *sources)
    lock.write_text(HEADER + lock.read_text("utf-8").removeprefix(HEADER), "utf-8")


def prove_installable(lock: Path) -> None:
    """Raises CalledProcessError when a locked package has no wheel for a supported Python and platform."""
    for python in PYTHONS:
        for platform in PLATFORMS:
            uv(*COMMON, "--no-deps", "--python-version", python, "--python-platform", platform, str(lock))
            print(f"{lock.name}: every package has a wheel for Python {python} on {platform}")


def main() -> None:
    """Writes both locks and proves that they install everywhere they should."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take newer releases even where the old pins still fit")
    upgrade = parser.parse_args().upgrade
    if importlib.util.find_spec("uv") is None:
        sys.exit("scripts/lock.py needs uv: python3 -m pip install uv")
    before = (datetime.now(UTC) - timedelta(days=COOLDOWN_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    extra = ("--exclude-newer", before, *(["--upgrade"] if upgrade else []))
    resolve("runtime", "pyproject.toml", excluded=NEVER_IMPORTED, extra=extra)
    dev = ("pyproject.toml", "--group", "dev", "--constraint", "requirements/runtime.lock")
    resolve("dev", *dev, excluded=NEVER_IMPORTED_BUT_BY_TOOLS, extra=extra)
    for lock_name in ("runtime", "dev"):
        prove_installable(lock_path(ROOT, lock_name))


if __name__ == "__main__":
    main()
