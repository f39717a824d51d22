"""What a plan costs: microseconds of one thread for each strategy, over ten candidates and over ten thousand deployments.

Run it as ``.venv/bin/python scripts/bench/planning.py``; ``--json`` prints the rows for a program. Every number is the least of many
rounds, because whatever else the machine does can only add to it. It must never call anybody: planning is pure.
"""

import argparse
import json
import random
import sys
import timeit
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import report

from orcestator.errors import UpstreamModelMissing
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Alias, Catalog
from orcestator.routing.planning.plan import Planner, PlanPolicy
from orcestator.routing.planning.rules import Rule
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.routing.reading.needs import Needs
from orcestator.routing.reading.preferences import Preferences
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import Verdicts

ROUNDS, CALLS = 40, 100
NOW = 1000.0
RULES = (
    Rule("premium", {"urgency": "high", "quality": "premium"}, "p1"),
    Rule("cheap", {"budget": {"max": 0.01}}, "p2", 2),
)
NEEDS = Needs(frozenset({"tools"}), frozenset(), 1200)
ASKS = {
    "plain": RoutingRequest(("auto",), "chat", needs=NEEDS, streamed=True, conversation="c.s"),
    "wishes": RoutingRequest(
        ("auto",), "chat", Preferences(tags=frozenset({"code"}), min_context_size=32_000, budget=1.0), NEEDS
    ),
}


def offers(count: int) -> list[Offer]:
    """This many deployments, ten models a provider."""
    return [
        Offer(
            f"p{number}", number, frozenset({"chat"}), {f"m{n}": facts(number * 10 + n) for n in range(min(10, count))}
        )
        for number in range(max(1, count // 10))
    ]


def facts(number: int) -> dict[str, object]:
    """What is known of one model."""
    return {
        "pricing": {"input": 0.1 + number % 7, "output": 0.4 + number % 5, "cache_read": 0.05},
        "context_length": 128_000,
        "supported_parameters": ["tools", "response_format"],
        "quality": 50 + number % 40,
        "tags": ["code"],
    }


def planner(count: int, strategy: str, *, is_quiet: bool) -> Planner:
    """A planner over this many deployments that have all been called; one provider was unwell lately if not ``is_quiet``."""
    everything = offers(count)
    targets = tuple(f"{offer.provider}/{model}" for offer in everything for model in offer.models)
    catalog = Catalog(everything, auto=Alias((targets,), strategy))
    health = CircuitBreakers(BreakerPolicy(), lambda event: None, random.random)
    stats = Stats()
    for candidate in catalog.tiers(("auto",), "chat")[0].candidates:
        for _ in range(20):
            stats.started(candidate.deployment)
            stats.answered(candidate.deployment, random.uniform(0.2, 2.0), NOW - 1.0, streamed=True)
            stats.finished(candidate.deployment, 100, 1.0)
    if not is_quiet:
        gone = UpstreamModelMissing("gone", cause="model_missing")
        health.failed(Deployment("p0", "m9", "", "proxy"), gone, Verdicts().judge(gone, "p0"), NOW)
    policy = PlanPolicy(rules=RULES)
    return Planner(lambda: catalog, health, stats, QuotaBook(), random.random, policy)


def microseconds(work: Callable[[], object]) -> float:
    """Of one call."""
    return min(timeit.repeat(work, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def row(strategy: str) -> report.Row:
    """One line of the table."""

    def cost(count: int, ask: str = "plain", *, is_quiet: bool = True) -> float:
        made = planner(count, strategy, is_quiet=is_quiet)
        return microseconds(lambda: made.plan(ASKS[ask], NOW))

    return {
        "strategy": strategy,
        "1 us": cost(1),
        "10 us": cost(10),
        "10, one unwell us": cost(10, is_quiet=False),
        "10, wishes us": cost(10, "wishes"),
        "10,000 us": cost(10_000),
    }


def table(strategies: Iterable[str] = STRATEGIES) -> tuple[str, list[report.Row]]:
    """The table, after its title."""
    return "planning, in one tier of 1, 10 and 10,000 deployments", [row(strategy) for strategy in strategies]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--strategy", action="append", choices=tuple(STRATEGIES), help="measure only this one")
    asked = parser.parse_args()
    _, rows = table(asked.strategy or STRATEGIES)
    print(json.dumps(rows, indent=2) if asked.json else report.table(rows))


if __name__ == "__main__":
    main()
