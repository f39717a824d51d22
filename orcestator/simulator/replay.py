"""A recorded traffic log as a scenario: when requests came, how large they were, and how long each model took.

The log has no time to the first content and no failed attempt in it. So the time to first content is what is left of a latency
without the tokens' own time, which is estimated over each model's lines; and every model that once answered is taken to be
up all the time, and as quick as it was in that part of the log.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from orcestator.errors import StartupProblem
from orcestator.providers.rows import ROWS
from orcestator.settings.known_facts import with_known_facts
from orcestator.simulator.scenario import Condition, Deployment, Price, Recorded, Request, Scenario
from orcestator.telemetry.traffic_codec import TrafficLine, parse_line

PARTS = 24
"""Parts of the log in which a model may be quicker or slower."""
ENOUGH_LINES = 8
"""Lines of a model in such a part that say something."""
ENOUGH_FOR_SPEED = 20
QUICKEST_SECONDS = 0.01


class _Seen(NamedTuple):
    """A line of the log, ``at`` seconds from the first."""

    at: float
    line: TrafficLine


class _Sample(NamedTuple):
    """One answer of a model."""

    at: float
    tokens: int
    seconds: float


def read_replay(path: Path) -> Scenario:
    """The scenario. Raises StartupProblem for a file that cannot be read, names a line, or has no answered request."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise StartupProblem(f"--replay: {path} cannot be read ({fault.strerror}).") from fault
    seen = sorted(_seen(path.name, text), key=lambda each: each.at)
    samples: dict[str, list[_Sample]] = {}
    for at, line in seen:
        if "/" in line.original_model:
            sample = _Sample(at - seen[0].at, line.completion_tokens, line.latency_ms / 1000.0)
            samples.setdefault(line.original_model, []).append(sample)
    if not samples:
        raise StartupProblem(f"--replay: {path.name} has no answered request in it: no line names a provider's model.")
    lasts = seen[-1].at - seen[0].at + 1.0
    return Scenario(
        name=path.stem,
        title=f"replay of {path.name}",
        seconds=lasts,
        deployments=tuple(_deployment(name, found, lasts) for name, found in samples.items()),
        requests=tuple(_requests(seen)),
    )


def _seen(name: str, text: str) -> Iterator[_Seen]:
    # What comes after the last line end is a line that is being written, or nothing.
    for number, written in enumerate(text.split("\n")[:-1], 1):
        if written.strip():
            try:
                line = parse_line(written)
                yield _Seen(datetime.fromisoformat(line.timestamp).timestamp(), line)
            except ValueError as fault:
                raise StartupProblem(f"{name}, line {number}: this is no line of a traffic log: {fault}.") from fault


def _requests(seen: Sequence[_Seen]) -> Iterator[Request]:
    for number, (at, line) in enumerate(seen):
        yield Request(number, at - seen[0].at, True, line.prompt_tokens, max(1, line.completion_tokens))


def _deployment(name: str, samples: Sequence[_Sample], lasts: float) -> Deployment:
    provider, _, model = name.partition("/")
    for_token = _seconds_for_token(samples)
    speed = 1.0 / for_token if for_token > 0.0 else 0.0
    price = _price(provider, model)
    overall = _first_contents(samples, for_token)
    conditions = []
    for start, part in _parts(samples, lasts):
        seen = _first_contents(part, for_token) if len(part) >= ENOUGH_LINES else overall
        conditions.append((start, Condition(Recorded(seen), speed, price)))
    return Deployment(provider, model, tuple(conditions))


def _parts(samples: Sequence[_Sample], lasts: float) -> Iterator[tuple[float, list[_Sample]]]:
    long = lasts / PARTS
    for number in range(PARTS):
        yield number * long, [each for each in samples if number * long <= each.at < (number + 1) * long]


def _first_contents(samples: Sequence[_Sample], for_token: float) -> tuple[float, ...]:
    return tuple(sorted(max(QUICKEST_SECONDS, each.seconds - for_token * each.tokens) for each in samples))


def _seconds_for_token(samples: Sequence[_Sample]) -> float:
    """The slope of latency over tokens (least squares); 0.0 where the lines say nothing about it."""
    if len(samples) < ENOUGH_FOR_SPEED:
        return 0.0
    mean_tokens = sum(each.tokens for each in samples) / len(samples)
    mean_seconds = sum(each.seconds for each in samples) / len(samples)
    spread = sum((each.tokens - mean_tokens) ** 2 for each in samples)
    if spread <= 0.0:
        return 0.0
    together = sum((each.tokens - mean_tokens) * (each.seconds - mean_seconds) for each in samples)
    return max(0.0, together / spread)


def _price(provider: str, model: str) -> Price:
    """As it is known; an unknown one counts as nothing."""
    rows = with_known_facts([row for row in ROWS if row.name == provider])
    prices = next((facts.prices for row in rows for facts in (*row.models, *row.known) if facts.id == model), {})
    return Price(prices.get("input", 0.0), prices.get("output", 0.0))
