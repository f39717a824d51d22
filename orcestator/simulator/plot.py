"""A trial as a picture: success and waiting over time, and bars by strategy."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log10
from typing import NamedTuple

from orcestator.simulator.figures import first_contents, percentile, share_answered
from orcestator.simulator.run import Outcome
from orcestator.simulator.svg import Point, document, line, path, rectangle, text
from orcestator.simulator.trial import Compared, Trial

WIDTH, LEFT, RIGHT = 1000, 70, 30
PANEL_HEIGHT = 130
BINS = 60
NAME_ROWS = (12, 24, 46, 58)
"""Pixels from a panel's top to the names of events, between the lines of its grid."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f00", "#6a3d9a", "#b15928")
"""Okabe and Ito's colours, which most colour-blind people tell apart, and a few more."""
OMNISCIENT_COLOUR = "#000000"
GRID, SHADE, SOFT = "#dddddd", "#f2c14e", "#666666"


class _Run(NamedTuple):
    """One line of the picture."""

    name: str
    colour: str
    outcomes: list[Outcome]
    is_dashed: bool = False


class _Frame(NamedTuple):
    """A panel's place, and what its axes span."""

    top: float
    seconds: float
    low: float
    high: float

    def x(self, at: float) -> float:
        """Pixels for a time."""
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self.seconds

    def y(self, value: float) -> float:
        """Pixels for a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.top + PANEL_HEIGHT * (1.0 - min(1.0, max(0.0, share)))


def plot(trial: Trial) -> str:
    """The picture as SVG text."""
    runs = list(_runs(trial))
    legend_rows = ceil(len(runs) / 6)
    top = 62.0 + 18.0 * legend_rows
    bars_top = top + 2 * (PANEL_HEIGHT + 50)
    shapes = [text(LEFT, 26, f"{trial.scenario.name}: {trial.scenario.title}", size=15)]
    shapes += _legend(runs)
    shapes += _over_time(trial, runs, top, "answered", _answered, is_share=True)
    shapes += _over_time(trial, runs, top + PANEL_HEIGHT + 50, "p95 of first content, s", _p95, is_share=False)
    shapes += _bars(trial.compared(), runs, bars_top)
    height = int(bars_top + 16 * len(trial.outcomes) + 25)
    return document(WIDTH, height, shapes)


def _runs(trial: Trial) -> Iterator[_Run]:
    for number, (name, outcomes) in enumerate(trial.outcomes.items()):
        yield _Run(name, COLOURS[number % len(COLOURS)], outcomes)
    objective, outcomes = next(iter(trial.omniscient.items()))
    yield _Run(f"omniscient, {objective.name}", OMNISCIENT_COLOUR, outcomes, is_dashed=True)


def _legend(runs: Sequence[_Run]) -> Iterator[str]:
    for number, run in enumerate(runs):
        x, y = LEFT + 150 * (number % 6), 48 + 18 * (number // 6)
        yield path([(x, y - 4), (x + 18, y - 4)], run.colour, 3, is_dashed=run.is_dashed)
        yield text(x + 23, y, run.name)


def _over_time(
    trial: Trial,
    runs: Sequence[_Run],
    top: float,
    heading: str,
    measure: Callable[[Sequence[Outcome]], float | None],
    *,
    is_share: bool,
) -> Iterator[str]:
    lines = [list(_binned(run.outcomes, trial.scenario.seconds, measure)) for run in runs]
    values = [value for points in lines for _, value in points]
    low, high = _share_range(values) if is_share else (0.0, _round_up(max(values, default=1.0)))
    frame = _Frame(top, trial.scenario.seconds, low, high)
    yield text(LEFT, top - 8, heading, size=12)
    yield from _shades(trial, frame)
    yield from _axes(frame, is_share=is_share)
    yield from _events(trial, frame)
    for run, points in zip(runs, lines, strict=True):
        drawn: list[Point] = [(frame.x(at), frame.y(value)) for at, value in points]
        yield path(drawn, run.colour, is_dashed=run.is_dashed)


def _binned(
    outcomes: Sequence[Outcome], seconds: float, measure: Callable[[Sequence[Outcome]], float | None]
) -> Iterator[tuple[float, float]]:
    """(the middle of a bin, its figure) for the bins that have one."""
    wide = seconds / BINS
    for number, found in groupby(outcomes, key=lambda each: int(each.at / wide)):
        figure = measure(list(found))
        if figure is not None:
            yield (number + 0.5) * wide, figure


def _answered(outcomes: Sequence[Outcome]) -> float:
    return share_answered(outcomes)


def _p95(outcomes: Sequence[Outcome]) -> float | None:
    """None where nobody was answered."""
    return percentile(first_contents([each for each in outcomes if not each.error]), 0.95) or None


def _shades(trial: Trial, frame: _Frame) -> Iterator[str]:
    """The times in which something was not as usual."""
    for start, end, _ in trial.scenario.spans:
        left, right = frame.x(start), frame.x(end)
        yield rectangle(left, frame.top, right - left, PANEL_HEIGHT, SHADE, 0.25)


def _events(trial: Trial, frame: _Frame) -> Iterator[str]:
    """Their names, each where it begins for the first time."""
    firsts: dict[str, float] = {}
    for start, _, label in trial.scenario.spans:
        firsts.setdefault(label, frame.x(start))
    for number, (label, left) in enumerate(firsts.items()):
        below = NAME_ROWS[number % len(NAME_ROWS)]
        yield text(left + 3, frame.top + below, label, size=10, colour=SOFT)


def _axes(frame: _Frame, *, is_share: bool) -> Iterator[str]:
    for step in range(5):
        value = frame.low + (frame.high - frame.low) * step / 4
        y = frame.y(value)
        yield line((LEFT, y), (WIDTH - RIGHT, y), GRID)
        shown = f"{value * 100:.4g} %" if is_share else f"{value:.3g}"
        yield text(LEFT - 6, y + 4, shown, size=10, anchor="end", colour=SOFT)
    for step in range(7):
        at = frame.seconds * step / 6
        yield text(frame.x(at), frame.top + PANEL_HEIGHT + 14, f"{at:,.0f} s", size=10, anchor="middle", colour=SOFT)


def _bars(compared: Sequence[Compared], runs: Sequence[_Run], top: float) -> Iterator[str]:
    columns: tuple[tuple[str, Callable[[Compared], float], str], ...] = (
        ("p95 of first content, s", lambda each: each.figures.p95, "{:.2f}"),
        ("dollars for 1000 requests", lambda each: each.figures.dollars, "{:.2f}"),
        ("calls a request", lambda each: each.figures.calls, "{:.3f}"),
        ("regret (omniscient: 0)", lambda each: each.regret, "{:+.1%}"),
    )
    wide = (WIDTH - LEFT - RIGHT + 50) / len(columns)
    for number, (heading, measure, form) in enumerate(columns):
        left = 20 + number * wide
        yield text(left, top, heading, size=12)
        longest = max((measure(each) for each in compared), default=0.0)
        for row, each in enumerate(compared):
            y, value = top + 10 + 16 * row, measure(each)
            long = bar_width(value, longest, wide - 120)
            yield rectangle(left, y, long, 12, runs[row].colour)
            yield text(left + long + 4, y + 10, f"{form.format(value)} {each.strategy}", size=10)


def bar_width(value: float, longest: float, room: float) -> float:
    """Pixels of a bar, ``room`` for the longest; one that is better than nothing bad at all is a pixel."""
    return max(1.0, room * value / longest) if longest > 0.0 else 1.0


def _share_range(values: Sequence[float]) -> tuple[float, float]:
    """From a round figure below the lowest value up to all."""
    lowest = min(values, default=1.0)
    return (0.99 if lowest >= 0.99 else floor(lowest * 10.0) / 10.0), 1.0


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value)
