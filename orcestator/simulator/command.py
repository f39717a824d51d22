"""The command ``orcestator simulate``."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from orcestator.errors import StartupProblem
from orcestator.routing.planning.plan import DEFAULT_STRATEGY
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.settings import Settings, load
from orcestator.settings.problems import nearest
from orcestator.simulator.plot import plot
from orcestator.simulator.replay import read_replay
from orcestator.simulator.scenario import Scenario
from orcestator.simulator.scenario_file import find_scenario, known_scenarios, read_scenario
from orcestator.simulator.sweep import Swept, sweep, sweep_table, to_wire
from orcestator.simulator.table import table
from orcestator.simulator.trial import Trial, hold_trial

_CLEAR = "\r\x1b[K"
QUIET_SECONDS = 1.0
"""What takes less long needs no word about its progress."""


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Hold the trials and print what came of them. Raises StartupProblem."""
    if arguments.list:
        say(_listing())
        return
    settings = load(config_path=arguments.config, with_providers=False) if arguments.config else Settings()
    scenarios, strategies = _scenarios(arguments), _strategies(arguments, settings)
    if arguments.requests is not None and arguments.requests < 1:
        raise StartupProblem("--requests must be a whole number from 1 up.")
    if arguments.seeds:
        _sweep(arguments, scenarios, strategies, settings, say)
        return
    progress = _Progress(len(scenarios) * (len(strategies) + 1))
    trials = []
    for scenario in scenarios:
        tell = progress.teller(scenario.name)
        trial = hold_trial(scenario, strategies, settings, arguments.seed, arguments.requests, tell)
        progress.clear()
        trials.append(trial)
        if not arguments.json:
            say(table(trial) + "\n")
    if arguments.json:
        say(json.dumps([trial.to_wire() for trial in trials], indent=2) + "\n")
    if arguments.plot:
        _draw(Path(arguments.plot), trials, say, is_quiet=arguments.json)


def _sweep(
    arguments: argparse.Namespace,
    scenarios: Sequence[Scenario],
    strategies: Sequence[str],
    settings: Settings,
    say: Callable[[str], None],
) -> None:
    """Every seed that was asked for."""
    if arguments.plot:
        raise StartupProblem("--plot draws one seed: give --seed instead of --seeds.")
    seeds = _seeds(arguments.seeds)
    progress = _Progress(len(scenarios) * len(seeds))
    found: list[Swept] = []
    for scenario in scenarios:
        found += sweep(scenario, strategies, settings, seeds, arguments.requests, progress.teller(scenario.name))
        progress.clear()
    say(json.dumps(list(map(to_wire, found)), indent=2) + "\n" if arguments.json else sweep_table(found))


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    numbers = [int(part) for part in (first, last or first) if part.isdecimal()]
    if len(numbers) != 2 or numbers[1] < numbers[0]:
        raise StartupProblem(f"--seeds must be two whole numbers like 1-20, not '{text}'.")
    return range(numbers[0], numbers[1] + 1)


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    if arguments.replay:
        if arguments.scenario or arguments.all:
            raise StartupProblem("--replay takes the place of scenarios: give one or the other.")
        return [read_replay(Path(arguments.replay))]
    if arguments.all:
        return [read_scenario(path) for path in known_scenarios().values()]
    if not arguments.scenario:
        raise StartupProblem("simulate needs a scenario, --all or --replay FILE; --list shows what there is.")
    return [find_scenario(name) for name in arguments.scenario]


def _strategies(arguments: argparse.Namespace, settings: Settings) -> Sequence[str]:
    if arguments.all_strategies:
        return list(STRATEGIES)
    names = arguments.strategy or [settings.strategy]
    for name in names:
        if name not in STRATEGIES:
            raise StartupProblem(f"--strategy: '{name}' is no strategy{nearest(name, STRATEGIES)}.")
    return list(dict.fromkeys(names))


def _listing() -> str:
    scenarios = {name: read_scenario(path).title for name, path in known_scenarios().items()}
    wide = max(map(len, scenarios))
    lines = ["Scenarios:", *(f"  {name.ljust(wide)}  {title}" for name, title in scenarios.items())]
    return "\n".join([*lines, "", f"Strategies (default {DEFAULT_STRATEGY}):", "  " + ", ".join(STRATEGIES), ""])


def _draw(path: Path, trials: Sequence[Trial], say: Callable[[str], None], *, is_quiet: bool) -> None:
    for trial in trials:
        name = path if len(trials) == 1 else path.with_stem(f"{path.stem}-{trial.scenario.name}")
        try:
            name.write_text(plot(trial), encoding="utf-8")
        except OSError as fault:
            raise StartupProblem(f"--plot: {name} cannot be written ({fault.strerror}).") from fault
        if not is_quiet:
            say(f"Wrote {name}\n")


class _Progress:
    """A line on a terminal's standard error that says what is running, once it takes longer than a moment."""

    def __init__(self, runs: int) -> None:
        self._runs, self._done, self._started = runs, 0, monotonic()

    def teller(self, scenario: str) -> Callable[[str], None]:
        """What a trial of this scenario tells of its routers."""

        def tell(router: str) -> None:
            self._done += 1
            if sys.stderr.isatty() and monotonic() - self._started > QUIET_SECONDS:
                sys.stderr.write(f"{_CLEAR}simulating {scenario}: {router} ({self._done} of {self._runs})")
                sys.stderr.flush()

        return tell

    def clear(self) -> None:
        """The line makes room for what is printed."""
        if sys.stderr.isatty():
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
