"""``python3 scripts/check.py [--fast] [--fix]``: formatter, linter, strict types, import contracts, tests, coverage.

It must never know a rule of its own: each tool's rules are in ``pyproject.toml``.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bootstrap import ROOT, ensure_or_exit

NAME_WIDTH = 14


@dataclass(frozen=True)
class Step:
    """One tool: its name in the table, its command, and whether its output is shown while it runs."""

    name: str
    command: tuple[str, ...]
    live: bool = False


def steps(python: Path, *, fast: bool) -> list[Step]:
    """What is checked, cheapest first; ``fast`` leaves the tests out."""
    module = (str(python), "-m")
    checks = [
        Step("format", (*module, "ruff", "format", "--check", ".")),
        Step("lint", (*module, "ruff", "check", ".")),
        Step("types", (*module, "mypy")),
        Step("script types", (*module, "mypy", "scripts")),
        Step("imports", (str(python.parent / "lint-imports"),)),
    ]
    scripts = ROOT / "scripts"
    return (
        checks
        if fast
        else [
            *checks,
            Step("tests", (str(python), str(scripts / "test.py")), live=True),
            Step("coverage", (str(python), str(scripts / "cover.py"))),
        ]
    )


def fixes(python: Path) -> list[Step]:
    """What can be put right by a tool."""
    module = (str(python), "-m", "ruff")
    return [Step("fix lint", (*module, "check", "--fix", ".")), Step("fix format", (*module, "format", "."))]


def run(step: Step) -> bool:
    """Runs one step, prints its output if it failed, and its row of the table. True when it passed."""
    started = time.monotonic()
    kept = None if step.live else subprocess.PIPE
    done = subprocess.run(step.command, cwd=ROOT, stdout=kept, stderr=kept and subprocess.STDOUT, check=False)
    passed = done.returncode == 0
    if not passed and done.stdout:
        print(done.stdout.decode("utf-8", "replace").rstrip())
    print(f"{step.name:<{NAME_WIDTH}}{'ok' if passed else 'failed':<8}{time.monotonic() - started:6.1f} s", flush=True)
    return passed


def main() -> None:
    """Runs every step, also after a failed one, and exits with 1 if any failed."""
    parser = argparse.ArgumentParser(description="Formatter, linter, strict types, import contracts and tests.")
    parser.add_argument("--fast", action="store_true", help="leave the tests out")
    parser.add_argument("--fix", action="store_true", help="first let ruff put right what it can")
    asked = parser.parse_args()
    python = ensure_or_exit("dev")
    for step in fixes(python) if asked.fix else []:
        run(step)
    results = [run(step) for step in steps(python, fast=asked.fast)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
