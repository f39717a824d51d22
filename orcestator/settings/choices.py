"""What the settings say about providers and models, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orcestator.providers.rows import Provider
from orcestator.providers.secret import Secret

StrategyName = Literal[
    "priority",
    "score",
    "smart",
    "round_robin",
    "shortest_queue",
    "lottery",
    "cheapest",
    "fastest",
    "sticky",
    "adaptive",
]
"""The strategies of ``orcestator.routing.planning.strategies``; a test holds the two together."""
STRATEGY_SYNONYMS = (
    ("round-robin", "round_robin"),
    ("weighted", "smart"),
    ("least-busy", "shortest_queue"),
    ("least_busy", "shortest_queue"),
)
"""(the word of a router that this one stands in for, ours)."""

LimitName = Literal["rpm", "rpd", "tpm", "tpd", "usd_per_day", "usd_per_month"]
Limits = Mapping[LimitName, float]
"""Requests and tokens a minute and a day, and US dollars a day; what is not in it is not known."""

FURTHER_KEYS = range(2, 33)
"""More keys of one provider are looked for as ``OPENAI_API_KEY_2`` to ``OPENAI_API_KEY_32``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a provider; with no provider named, of whichever has it."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.provider else self.model


NO_PROXY = Secret("")


@dataclass(frozen=True, slots=True)
class ProviderSetting:
    """A provider that is on. ``row`` has the configuration's changes in it; ``order`` is its place among all that are
    known, which is the same in every process of a cluster. ``limits`` hold for each of its ``keys``, and those in
    ``model_limits`` for the model of that name with each key. ``is_started``: this program runs it, wherever a port was free. ``proxy`` is what its section says of one: an address, "none", or nothing.
    """

    row: Provider
    base_url: str
    keys: tuple[Secret, ...]
    order: int
    limits: Limits = field(default_factory=dict)
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    is_started: bool = False
    proxy: Secret = NO_PROXY

    @property
    def key(self) -> Secret | None:
        """The first key. To be removed when the last user of it takes ``keys``."""
        return self.keys[0] if self.keys else None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry of ``models:``. Sizes are in tokens and 0 when not given; ``max_concurrent`` 0 means no limit, ``weight`` 0
    that nobody said. ``cost_per_token`` is in US dollars, ``quality`` is 0 to 100; None means not known."""

    name: str
    target: Target
    available: bool = True
    context_length: int = 0
    max_output_tokens: int = 0
    dialect: str = ""
    supported_parameters: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ()
    type: str = ""
    speed_tier: str = ""
    tags: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    json_response: bool | None = None
    weight: int = 0
    max_concurrent: int = 0
    cost_per_token: float | None = None
    quality: float | None = None
    limits: Limits = field(default_factory=dict)
