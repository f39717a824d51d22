"""Small scenarios for tests."""

from pathlib import Path

from orcestator.simulator.scenario import Condition, Deployment, Limits, LogNormal, Mix, Price, Request, Scenario

QUICK = LogNormal(0.5, 1.0)


def deployment(name: str, *changes: tuple[float, Condition], first: Condition | None = None) -> Deployment:
    """One that is usual at first, and otherwise from the given seconds on."""
    return Deployment(name, "m", ((0.0, first or condition()), *changes))


def condition(
    *, price: float = 1.0, first_content: LogNormal = QUICK, limits: Limits | None = None, **errors: float
) -> Condition:
    """A condition with this price for input and four times that for output, and these shares of failures."""
    return Condition(first_content, 100.0, Price(price, 4 * price), errors, limits or Limits())


def scenario(*deployments: Deployment, seconds: float = 600.0, per_second: float = 1.0) -> Scenario:
    """Streams only, of usual sizes."""
    return Scenario("small", "A small scenario", seconds, deployments, per_second, Mix())


def request(number: int = 0, at: float = 0.0, *, streamed: bool = True) -> Request:
    """A request of 1000 tokens that is answered with 200."""
    return Request(number, at, streamed, 1000, 200)


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
