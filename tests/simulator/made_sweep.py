"""``python -m tests.simulator.made_sweep``: every promise with every seed from 1 to 20.

Takes about half an hour of a core. Writes docs/simulation/seeds.json, in which lines that were not asked for stay, and the table of it in docs/simulation.md; ``test_targets`` holds the file to the promises.
"""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor

from orcestator.settings import Settings
from orcestator.simulator.scenario_file import find_scenario, known_scenarios
from orcestator.simulator.sweep import HEADS, Swept, sweep, sweep_row, to_wire
from tests.simulator.made_results import FOLDER, PAGE

FILE = FOLDER / "seeds.json"
BEGIN, END = "<!-- made: seeds -->", "<!-- end of seeds -->"
STRATEGIES = ("adaptive", "score", "smart")
SEEDS = range(1, 21)
PROCESSES = 2


def main(scenarios: list[str], strategies: list[str]) -> None:
    """Write everything."""
    known = {key: line for key, line in read().items() if key[0] in known_scenarios()}
    with ProcessPoolExecutor(PROCESSES) as pool:
        for line in pool.map(swept, scenarios * len(strategies), [name for name in strategies for _ in scenarios]):
            known[line.scenario, line.strategy] = line
            sys.stderr.write(f"{line.scenario} {line.strategy}\n")
            write(known)


def swept(scenario: str, strategy: str) -> Swept:
    """One strategy in one scenario."""
    (line,) = sweep(find_scenario(scenario), [strategy], Settings(), SEEDS)
    return line


def read() -> dict[tuple[str, str], Swept]:
    """The lines of the file by scenario and strategy."""
    lines = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    return {(line["scenario"], line["strategy"]): Swept(**line) for line in lines}


def write(known: dict[tuple[str, str], Swept]) -> None:
    """The file, and the table on the page."""
    lines = [known[key] for key in sorted(known)]
    FILE.write_text(json.dumps([to_wire(line) for line in lines], indent=1) + "\n", encoding="utf-8")
    rows = [HEADS, ("---", "---", *("---:" for _ in HEADS[2:])), *map(sweep_row, lines)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", choices=[[], *known_scenarios()], metavar="SCENARIO")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES)
    arguments = parser.parse_args()
    main(arguments.scenario or sorted(known_scenarios()), arguments.strategy or list(STRATEGIES))
