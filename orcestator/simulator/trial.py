"""A trial: one scenario, some strategies, and the routers that they are compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orcestator.json_text import Json
from orcestator.settings import Settings
from orcestator.simulator.arrivals import requests_of
from orcestator.simulator.clairvoyant import run_clairvoyant
from orcestator.simulator.figures import Figures, figures
from orcestator.simulator.objective import Objective, objective_of
from orcestator.simulator.run import Outcome, run_omniscient, run_strategy
from orcestator.simulator.scenario import Scenario


class Compared(NamedTuple):
    """A strategy beside the omniscient router that wants the same."""

    strategy: str
    objective: str
    figures: Figures
    omniscient: Figures

    @property
    def p95_ratio(self) -> float:
        """How many times as long one in twenty waits at least."""
        return _ratio(self.figures.p95, self.omniscient.p95)

    @property
    def cost_ratio(self) -> float:
        """How many times as much it spends."""
        return _ratio(self.figures.dollars, self.omniscient.dollars)

    @property
    def regret(self) -> float:
        """How much worse the objective is, as a share of the omniscient router's."""
        return _ratio(self.figures.loss, self.omniscient.loss) - 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """``outcomes`` by strategy; ``omniscient`` and ``clairvoyant`` by objective."""

    scenario: Scenario
    seed: int
    outcomes: dict[str, list[Outcome]]
    omniscient: dict[Objective, list[Outcome]]
    clairvoyant: dict[Objective, list[Outcome]]

    def compared(self) -> list[Compared]:
        """The strategies in the order in which they were asked for."""
        known = {objective: figures(outcomes, objective) for objective, outcomes in self.omniscient.items()}
        return [
            Compared(strategy, objective.name, figures(outcomes, objective), known[objective])
            for strategy, outcomes in self.outcomes.items()
            for objective in [objective_of(strategy)]
        ]

    def to_wire(self) -> Json:
        """The figures as JSON."""
        return {
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "seed": self.seed,
            "strategies": [_wire(each) for each in self.compared()],
            "omniscient": _bounds(self.omniscient),
            "clairvoyant": _bounds(self.clairvoyant),
        }


def hold_trial(
    scenario: Scenario,
    strategies: Sequence[str],
    settings: Settings,
    seed: int,
    most: int | None = None,
    tell: Callable[[str], None] = lambda router: None,
) -> Trial:
    """Run the strategies and what they are compared with; ``tell`` hears which router is next."""
    requests = requests_of(scenario, seed, most)
    outcomes = {}
    for strategy in strategies:
        tell(strategy)
        outcomes[strategy] = run_strategy(scenario, requests, settings, strategy, seed)
    objectives = list(dict.fromkeys(map(objective_of, strategies)))
    tell("omniscient")
    return Trial(
        scenario,
        seed,
        outcomes,
        {objective: run_omniscient(scenario, requests, objective, seed) for objective in objectives},
        {objective: run_clairvoyant(scenario, requests, objective, seed) for objective in objectives},
    )


def _wire(compared: Compared) -> Json:
    return {
        "strategy": compared.strategy,
        "objective": compared.objective,
        **_rounded(compared.figures),
        "p95_ratio": round(compared.p95_ratio, 4),
        "cost_ratio": round(compared.cost_ratio, 4),
        "regret": round(compared.regret, 4),
    }


def _bounds(by_objective: dict[Objective, list[Outcome]]) -> Json:
    return {objective.name: _rounded(figures(outcomes, objective)) for objective, outcomes in by_objective.items()}


def _rounded(found: Figures) -> Json:
    return {name: round(value, 5) for name, value in found._asdict().items()}


def _ratio(value: float, reference: float) -> float:
    """1.0 where both are nothing."""
    if reference > 0.0:
        return value / reference
    return 1.0 if value <= 0.0 else float("inf")
