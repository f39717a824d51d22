"""A scenario: who can be called and what they are really like, when that changes, and who calls. Plain data.

Times are seconds from the start, prices US dollars for a million tokens, shares 0 to 1.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Literal, NamedTuple, Protocol

from orcestator.simulator.dice import Dice

Window = Literal["fixed", "sliding", "bucket"]
P95_DEVIATIONS = 1.6448536269514722
"""Standard deviations from the middle of a normal distribution to its 95th percentile."""
HEALTHY_ERROR_SHARE = 0.1
"""A deployment that fails more often than this counts as unwell."""


class Seconds(Protocol):
    """A distribution of durations."""

    def draw(self, dice: Dice) -> float:
        """One of them."""

    def mean(self) -> float:
        """Their mean."""


class LogNormal(NamedTuple):
    """Around ``median``; one in twenty is above ``p95``. A ``tail_share`` of draws is around ``tail_median`` instead."""

    median: float
    p95: float
    tail_share: float = 0.0
    tail_median: float = 0.0

    @property
    def spread(self) -> float:
        """The standard deviation of the logarithm."""
        return log(self.p95 / self.median) / P95_DEVIATIONS

    def draw(self, dice: Dice) -> float:
        """One duration; the tail spreads as the body does."""
        is_tail = dice() < self.tail_share
        return (self.tail_median if is_tail else self.median) * exp(self.spread * dice.normal())

    def mean(self) -> float:
        """The mean of body and tail."""
        middle = (1.0 - self.tail_share) * self.median + self.tail_share * self.tail_median
        return middle * exp(self.spread**2 / 2.0)


class Recorded(NamedTuple):
    """What was seen, in ascending order: any of it may come again."""

    seen: tuple[float, ...]

    def draw(self, dice: Dice) -> float:
        """One of those seen."""
        return self.seen[int(dice() * len(self.seen))]

    def mean(self) -> float:
        """The mean of those seen."""
        return sum(self.seen) / len(self.seen)


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float = 0.0
    output: float = 0.0

    def dollars(self, prompt_tokens: int, output_tokens: float) -> float:
        """What a call costs."""
        return (self.input * prompt_tokens + self.output * output_tokens) / 1e6


class Limits(NamedTuple):
    """What the upstream refuses with a 429; 0 is no limit. ``is_told``: its answers say how many requests are left, as headers do."""

    requests_per_minute: int = 0
    window: Window = "sliding"
    says_retry_after: bool = False
    concurrency: int = 0
    is_told: bool = False


class Condition(NamedTuple):
    """What a deployment is really like for a while. ``errors``: share of calls by kind, see ``failures.KINDS``."""

    first_content: Seconds
    tokens_per_second: float = 0.0
    price: Price = Price()
    errors: Mapping[str, float] = {}
    limits: Limits = Limits()

    @property
    def error_share(self) -> float:
        """How many calls fail, rate limits apart."""
        return sum(self.errors.values())


@dataclass(frozen=True, slots=True)
class Deployment:
    """One that can be called. ``conditions`` are in force from their second on, the first from 0.0.

    ``tier`` 0 is tried first. ``is_paid_fallback``: only for when all others have failed.
    ``max_concurrent`` is our own limit in the configuration.
    """

    provider: str
    model: str
    conditions: tuple[tuple[float, Condition], ...]
    tier: int = 0
    is_paid_fallback: bool = False
    max_concurrent: int = 0
    quality: float | None = None
    starts: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the beginnings apart, to find a time among them."""
        object.__setattr__(self, "starts", tuple(start for start, _ in self.conditions))

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.provider}/{self.model}"

    def condition(self, now: float) -> Condition:
        """What it is like now."""
        return self.conditions[bisect_right(self.starts, now) - 1][1]


class Request(NamedTuple):
    """One that a caller sends at a second."""

    number: int
    at: float
    streamed: bool
    prompt_tokens: int
    output_tokens: int
    conversation: str = ""


class Mix(NamedTuple):
    """What requests are like: sizes are medians of log-normal distributions, and what one in twenty exceeds."""

    stream_share: float = 1.0
    prompt: LogNormal = LogNormal(1200.0, 6000.0)
    output: LogNormal = LogNormal(250.0, 900.0)


USUAL_MIX = Mix()


@dataclass(frozen=True, slots=True)
class Scenario:
    """``spans`` are the times in which something is not as usual, with what a plot says about them.

    ``requests`` is what callers send where that was recorded; otherwise they come at random, ``per_second`` of them on average.
    """

    name: str
    title: str
    seconds: float
    deployments: tuple[Deployment, ...]
    per_second: float = 1.0
    mix: Mix = USUAL_MIX
    spans: tuple[tuple[float, float, str], ...] = ()
    free_first: bool = False
    requests: tuple[Request, ...] = ()
