"""``python3 scripts/cover.py [room ...]``: branch coverage of the pure rooms by their own tests, held at a floor each.

A pure room has no excuse: everything it can do can be asked of it by a call. A room's floor is what it has reached, and
goes up only; 100 is where it ends. It must never count what tests of another room happen to run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bootstrap import ROOT, ensure_or_exit

AT_ONCE = 2


class Room(NamedTuple):
    """Where a room's code and its tests are, and the percentage of its lines and branches that the tests must run."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    floor: float


ROOMS = (
    Room("routing", ("orcestator/routing",), ("tests/routing",), 97.5),
    Room("providers", ("orcestator/providers",), ("tests/providers",), 100.0),
    Room("dialects", ("orcestator/dialects",), ("tests/dialects",), 93.5),
)


class Measured(NamedTuple):
    """What a room's tests ran."""

    room: Room
    passed: bool
    percent: float
    missing: list[str]
    output: str


def measure(room: Room, python: Path) -> Measured:
    """Run a room's tests under coverage, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder, "data"), Path(folder, "report.json")
        run = [str(python), "-m", "coverage", "run", f"--data-file={data}", f"--source={','.join(room.sources)}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*run, "-m", "pytest", "-q", "-p", "no:cacheprovider", *room.tests],
            cwd=ROOT, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        subprocess.run(
            [str(python), "-m", "coverage", "json", f"--data-file={data}", "-q", "-o", str(report)],
            cwd=ROOT, check=True,
        )  # fmt: skip
        found = json.loads(report.read_text("utf-8"))
    return Measured(
        room, done.returncode == 0, found["totals"]["percent_covered"], list(missing_in(found)), done.stdout
    )


def missing_in(report: dict[str, dict[str, dict[str, list[int] | list[list[int]]]]]) -> list[str]:
    """The lines and branches that no test ran, a file each."""
    return [
        f"{path}: lines {found['missing_lines']}, branches {found['missing_branches']}"
        for path, found in sorted(report["files"].items())
        if found["missing_lines"] or found["missing_branches"]
    ]


def shown(measured: Measured) -> bool:
    """Print what became of a room; True when its tests passed and its floor held."""
    held = measured.passed and measured.percent >= measured.room.floor
    if not measured.passed:
        print(measured.output)
    if not held:
        print("\n".join(measured.missing))
    print(
        f"{measured.room.name:<12}{measured.percent:6.2f} %  floor {measured.room.floor:g}  {'ok' if held else 'failed'}"
    )
    return held


def main() -> None:
    """Measure the rooms that are named, or all, and exit with 1 when one is under its floor."""
    parser = argparse.ArgumentParser(description="Branch coverage of the pure rooms by their own tests.")
    parser.add_argument("rooms", nargs="*", choices=[[], *(room.name for room in ROOMS)], help="all, if none is named")
    asked = parser.parse_args().rooms
    python = ensure_or_exit("dev")
    rooms = [room for room in ROOMS if not asked or room.name in asked]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = [shown(measured) for measured in pool.map(lambda room: measure(room, python), rooms)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
