"""The upstreams of the crossings: one row a dialect (three for OpenAI's), and what each cannot be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orcestator.sandbox.dialects.anthropic import REFUSES

BEFORE, AFTER, CUT, BROKEN = "before", "after", "cut", "broken"
"""Faults: an error before the first content, one after some, an end without a word, a whole answer that is none."""
STATUSES = {"e401": "fault:H1:401", "e429": "fault:H2:1", "e500": "fault:H1:500", "e529": "fault:H1:529"}
"""Error statuses, the second with ``retry-after``."""
SLOW = "slow"
"""Nothing for half a minute."""
WELL = "at-strict"
"""The provider that is next in line."""
PIECES = 5
"""How many pieces of content come before the sandbox breaks a stream."""


@dataclass(frozen=True)
class Upstream:
    """A provider in the sandbox. ``base`` follows its address.

    ``models`` gives each role in a case its model. ``cannot`` names by case what such an upstream has no words for,
    which is exactly what callers must be told. ``filtered`` are the cases (whole, streamed) in which it can be made to
    filter, by its model ``filter`` or by these ``filter_words``.
    """

    name: str
    dialect: str
    base: str
    models: Mapping[str, str]
    cannot: Mapping[str, frozenset[str]] = field(default_factory=dict)
    provider: str = ""
    filtered: frozenset[bool] = frozenset()
    filter_words: str = ""

    def section(self, address: str) -> str:
        """Its part of the configuration."""
        models = ", ".join(f'"{self.spelled(model)}"' for model in ("echo", "agent", "reasoner", "deepseek", "strict"))
        return (
            f"  {self.at}:\n    base_url: {address}{self.base}\n    api_key: the-key\n"
            f"    dialect: {self.dialect}\n    models: [{models}]\n"
        )

    def aliases(self) -> str:
        """A name without punctuation for each of its models."""
        lines = [f'  {self.name}-{role}: ["{self.place(model)}"]' for role, model in self.models.items()]
        return "\n".join(lines) + "\n"

    @property
    def at(self) -> str:
        """The provider's name: a built-in one brings its quirks along."""
        return self.provider or f"at-{self.name}"

    def place(self, model: str) -> str:
        """The deployment."""
        return f"{self.at}/{self.spelled(model)}"

    def spelled(self, model: str) -> str:
        """The model as its dialect names it."""
        return f"gpt://folder/{model}/latest" if self.dialect == "yandex" else model


def _models(
    family: str, cuts: str, plain: str = "echo", tools: str = "agent", thinks: str = "reasoner", **more: str
) -> dict[str, str]:
    faults = {
        BEFORE: f"fault:{family}:before",
        AFTER: f"fault:{family}:after?after={PIECES}",
        CUT: f"fault:{cuts}?after={PIECES}",
        BROKEN: "fault:H3:error",
        SLOW: f"{plain}?ttft=30",
        **STATUSES,
    }
    return {"plain": plain, "tools": f"{tools}?rounds=1", "thinks": thinks, **faults, **more}


def _openai(
    name: str, plain: str = "echo", tools: str = "agent", thinks: str = "reasoner", provider: str = ""
) -> Upstream:
    faults = {BEFORE: "fault:S1:data", AFTER: f"fault:S2:data?after={PIECES}"}
    models = _models("S", "S4:truncated", plain, tools, thinks, **faults)
    return Upstream(name, "openai", "/v1", models, provider=provider)


def _cannot(**names: str) -> dict[str, frozenset[str]]:
    return {case: frozenset(words.split()) for case, words in names.items()}


BOTH = frozenset({False, True})
UPSTREAMS = (
    _openai("plain"),
    _openai("strict", "strict", "strict", "strict"),
    _openai("deepseek", "deepseek", "deepseek", "deepseek", provider="deepseek"),
    Upstream(
        "responses",
        "responses",
        "/v1",
        _models("D-R1", "D-R4:cut", filter="fault:D-R2:filter", broken="fault:D-R1:plain"),
        _cannot(stop="stop"),
        filtered=frozenset({True}),
    ),
    Upstream(
        "anthropic", "anthropic", "/v1", _models("D-A1", "D-A4:cut", filter="echo"), filtered=BOTH, filter_words=REFUSES
    ),
    Upstream(
        "gemini",
        "gemini",
        "/v1beta",
        _models("D-G4", "D-G5:cut", filter="fault:D-G2:safety", blocked="fault:D-G2:blocked"),
        filtered=BOTH,
    ),
    Upstream(
        "yandex",
        "yandex",
        "/foundationModels/v1",
        _models("D-Y3", "D-Y4:cut", filter="fault:D-Y1:filter"),
        _cannot(stop="stop", image="messages.image_url"),
        filtered=BOTH,
    ),
    Upstream("cohere", "cohere", "", _models("D-C1", "D-C2:cut")),
    Upstream("ollama", "ollama", "", _models("D-O1", "D-O2:cut")),
)
BY_NAME = {upstream.name: upstream for upstream in UPSTREAMS}


NATIVE = tuple(upstream for upstream in UPSTREAMS if upstream.name not in ("strict", "deepseek"))
"""One of each dialect."""
RELAYED = tuple(upstream for upstream in NATIVE if upstream.name not in ("yandex", "cohere"))
"""Those that callers speak, too: only their dialects cross the border between two processes."""


def configuration(address: str, upstreams: tuple[Upstream, ...]) -> str:
    """The configuration of a cluster that has them at one sandbox."""
    sections = "".join(upstream.section(address) for upstream in upstreams)
    return (
        f"providers:\n{sections}aliases:\n"
        + "".join(upstream.aliases() for upstream in upstreams)
        + _then_well(upstreams)
    )


def _then_well(upstreams: tuple[Upstream, ...]) -> str:
    """Names for each one's faults with a healthy one next in line."""
    lines = [
        f'  {upstream.name}-{role}-then-well: ["{upstream.place(upstream.models[role])}", "{WELL}/strict"]\n'
        for upstream in upstreams
        for role in (BEFORE, BROKEN)
        if upstream.at != WELL
    ]
    return "".join(lines) if any(upstream.at == WELL for upstream in upstreams) else ""
