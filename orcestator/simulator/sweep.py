"""A scenario with many seeds: what holds whatever the dice say. One throw of them proves little where one in twenty counts."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from orcestator.json_text import Json
from orcestator.settings import Settings
from orcestator.simulator.arrivals import requests_of
from orcestator.simulator.figures import figures
from orcestator.simulator.objective import objective_of
from orcestator.simulator.run import run_omniscient, run_strategy
from orcestator.simulator.scenario import Scenario
from orcestator.simulator.table import aligned
from orcestator.simulator.trial import Compared

HEADS = (
    *("scenario", "strategy", "success", "omn.", "p95 x omn.", "most", "$ x omn.", "most", "calls/req", "most"),
    *("hedged", "p99 s"),
)


class Swept(NamedTuple):
    """One strategy in one scenario over several seeds: the least success of any, beside the omniscient router's of the same seed; of
    the other figures the median and the most."""

    scenario: str
    strategy: str
    seeds: int
    success: float
    omniscient_success: float
    p95_ratio: float
    most_p95_ratio: float
    cost_ratio: float
    most_cost_ratio: float
    calls: float
    most_calls: float
    hedges: float
    p99: float


def sweep(
    scenario: Scenario,
    strategies: Sequence[str],
    settings: Settings,
    seeds: Iterable[int],
    most: int | None = None,
    tell: Callable[[str], None] = lambda router: None,
) -> list[Swept]:
    """Each strategy with each seed; ``tell`` hears what is next."""
    found: dict[str, list[Compared]] = {strategy: [] for strategy in strategies}
    for seed in seeds:
        tell(f"seed {seed}")
        for each in compared(scenario, strategies, settings, seed, most):
            found[each.strategy].append(each)
    return [_swept(scenario.name, runs) for runs in found.values() if runs]


def compared(
    scenario: Scenario, strategies: Sequence[str], settings: Settings, seed: int, most: int | None = None
) -> list[Compared]:
    """The strategies with one seed, each beside the omniscient router that wants the same."""
    requests = requests_of(scenario, seed, most)
    wanted = dict.fromkeys(map(objective_of, strategies))
    known = {key: figures(run_omniscient(scenario, requests, key, seed), key) for key in wanted}
    return [
        Compared(
            strategy,
            key.name,
            figures(run_strategy(scenario, requests, settings, strategy, seed), key),
            known[key],
        )
        for strategy in strategies
        for key in [objective_of(strategy)]
    ]


def _swept(scenario: str, runs: Sequence[Compared]) -> Swept:
    worst = min(runs, key=lambda each: each.figures.success)
    p95s, costs = [each.p95_ratio for each in runs], [each.cost_ratio for each in runs]
    calls = [each.figures.calls for each in runs]
    return Swept(
        scenario,
        runs[0].strategy,
        len(runs),
        worst.figures.success,
        worst.omniscient.success,
        median(p95s),
        max(p95s),
        median(costs),
        max(costs),
        median(calls),
        max(calls),
        median(each.figures.hedges for each in runs),
        median(each.figures.p99 for each in runs),
    )


def sweep_table(swept: Sequence[Swept]) -> str:
    """One line for each."""
    return "\n".join([*aligned([HEADS, *map(sweep_row, swept)]), ""])


def sweep_row(swept: Swept) -> tuple[str, ...]:
    """The cells of one line, in the order of ``HEADS``."""
    return (
        swept.scenario,
        swept.strategy,
        f"{swept.success:.2%}",
        f"{swept.omniscient_success:.2%}",
        f"{swept.p95_ratio:.2f}",
        f"{swept.most_p95_ratio:.2f}",
        f"{swept.cost_ratio:.2f}",
        f"{swept.most_cost_ratio:.2f}",
        f"{swept.calls:.3f}",
        f"{swept.most_calls:.3f}",
        f"{swept.hedges:.1%}",
        f"{swept.p99:.2f}",
    )


def to_wire(swept: Swept) -> Json:
    """The line as JSON."""
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in swept._asdict().items()}
