"""The figures as an aligned table for people."""

from collections.abc import Sequence

from orcestator.simulator.figures import Figures, figures
from orcestator.simulator.trial import Compared, Trial

HEADS = (
    *("strategy", "success", "p50 s", "p95 s", "p99 s", "x omn.", "$/1000", "x omn."),
    *("calls/req", "wasted", "hedged", "regret"),
)
_NOTHING = "-"


def table(trial: Trial) -> str:
    """The trial's heading and one line for each router."""
    compared = trial.compared()
    rows = [HEADS, *(_row(each) for each in compared)]
    rows += [_bound(f"omniscient, {key.name}", figures(runs, key)) for key, runs in trial.omniscient.items()]
    rows += [_bound(f"clairvoyant, {key.name}", figures(runs, key)) for key, runs in trial.clairvoyant.items()]
    scenario = trial.scenario
    count = compared[0].figures.requests
    heading = f"{scenario.name}: {scenario.title} ({count:,} requests in {scenario.seconds:,.0f} s, seed {trial.seed})"
    return "\n".join([heading, *aligned(rows), ""])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be: words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def markdown(trial: Trial) -> str:
    """The same as a table of Markdown."""
    rows = [_row(each) for each in trial.compared()]
    rows += [_bound(f"*omniscient, {key.name}*", figures(runs, key)) for key, runs in trial.omniscient.items()]
    lines = [HEADS, ("---", *("---:" for _ in HEADS[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _row(compared: Compared) -> tuple[str, ...]:
    found = compared.figures
    return (
        compared.strategy,
        *_seconds(found),
        f"{compared.p95_ratio:.2f}",
        f"{found.dollars:.3f}",
        f"{compared.cost_ratio:.2f}",
        *_calls(found),
        f"{compared.regret:+.1%}",
    )


def _bound(name: str, found: Figures) -> tuple[str, ...]:
    return (name, *_seconds(found), _NOTHING, f"{found.dollars:.3f}", _NOTHING, *_calls(found), _NOTHING)


def _seconds(found: Figures) -> tuple[str, ...]:
    return (f"{found.success:.3%}", f"{found.p50:.2f}", f"{found.p95:.2f}", f"{found.p99:.2f}")


def _calls(found: Figures) -> tuple[str, ...]:
    return (f"{found.calls:.3f}", f"{found.wasted:.1%}", f"{found.hedges:.1%}")
