"""``python -m tests.simulator.made_results``: holds all trials anew and writes what docs/simulation.md and its folder show of them."""

import json
import sys
from pathlib import Path

from orcestator.routing.planning.plan import DEFAULT_STRATEGY
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.settings import Settings
from orcestator.simulator.plot import plot
from orcestator.simulator.scenario_file import find_scenario, known_scenarios
from orcestator.simulator.table import markdown
from orcestator.simulator.trial import Trial, hold_trial

DOCS = Path(__file__).parents[2] / "docs"
PAGE, FOLDER = DOCS / "simulation.md", DOCS / "simulation"
BEGIN, END = "<!-- made: results -->", "<!-- end of made -->"
SEED = 1
PLOTTED = (DEFAULT_STRATEGY, "priority", "round_robin", "cheapest", "fastest")


def main() -> None:
    """Write everything."""
    names = [DEFAULT_STRATEGY, *(name for name in STRATEGIES if name != DEFAULT_STRATEGY)]
    trials = []
    for scenario in known_scenarios():
        sys.stderr.write(f"{scenario}\n")
        trial = hold_trial(find_scenario(scenario), names, Settings(), SEED)
        trials.append(trial)
        (FOLDER / f"{scenario}.svg").write_text(plot(_plotted(trial)), encoding="utf-8")
    wire = [trial.to_wire() for trial in trials]
    (FOLDER / "results.json").write_text(json.dumps(wire, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    made = "\n".join(map(_part, trials))
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n{END}{after}", encoding="utf-8")


def _plotted(trial: Trial) -> Trial:
    """The trial with few enough strategies to be told apart."""
    outcomes = {name: trial.outcomes[name] for name in PLOTTED}
    return Trial(trial.scenario, trial.seed, outcomes, trial.omniscient, trial.clairvoyant)


def _part(trial: Trial) -> str:
    scenario = trial.scenario
    picture = f"![{scenario.title}](simulation/{scenario.name}.svg)"
    return f"### {scenario.name}\n\n{scenario.title}.\n\n{markdown(trial)}\n{picture}\n"


if __name__ == "__main__":
    main()
