"""``python3 scripts/shapes.py [--only PATTERN] [--split] [--json FILE]``: the whole table, then what is not right."""

import argparse
import fnmatch
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.shapes.oracle import Verdict
from tests.shapes.running import Cell, Rig, cells_of
from tests.shapes.table import shapes


def chosen(pattern: str) -> list[Cell]:
    """The cells whose id has the pattern in it, or matches it."""
    every = [cell for shape in shapes().values() for cell in cells_of(shape)]
    return [cell for cell in every if pattern in cell.id or fnmatch.fnmatch(cell.id, pattern)]


class Progress:
    """A line that is written over, where somebody looks; a line every tenth where nobody does."""

    def __init__(self, total: int) -> None:
        self._total, self._started = total, time.monotonic()
        self._counts: Counter[bool] = Counter()

    def __call__(self, cell: Cell, verdict: Verdict) -> None:
        """One more."""
        self._counts[verdict.outcome == "wrong"] += 1
        done = self._counts.total()
        if sys.stderr.isatty() or done == self._total or done % max(1, self._total // 10) == 0:
            end = "\r" if sys.stderr.isatty() and done < self._total else "\n"
            spent = time.monotonic() - self._started
            print(f"{done} of {self._total}, {self._counts[True]} wrong, {spent:.0f} s  ", end=end, file=sys.stderr)


def main() -> int:
    """Runs the table. The status is 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description="Shapes of upstream answers, against the whole product.")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cells whose id holds or matches this")
    parser.add_argument("--split", action="store_true", help="the cluster of several processes in place of one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every verdict there")
    asked = parser.parse_args()
    cells = chosen(asked.only)
    if asked.split:
        # Each of these needs a provider of its own, and here a provider is a process.
        cells = [cell for cell in cells if not cell.shape.poisons]
    if not cells:
        parser.error(f"no cell is called {asked.only!r}")
    with tempfile.TemporaryDirectory(prefix="shapes-") as folder:
        wiring = "split" if asked.split else "one process"
        results = Rig(cells, Path(folder), wiring).run(Progress(len(cells)))
    wrong = [(cell, verdict) for cell, verdict in results if verdict.outcome == "wrong"]
    for cell, verdict in sorted(wrong, key=lambda row: row[0].id):
        print(f"{cell.id:<60} {verdict.why}")
    if asked.json:
        asked.json.write_text(json.dumps({cell.id: [v.outcome, v.why] for cell, v in results}, indent=1), "utf-8")
    count = len({cell.shape.id for cell in cells})
    print(f"{count} shapes, {len(cells)} requests, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
