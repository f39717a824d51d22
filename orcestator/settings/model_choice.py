"""Public model names and what they stand for, from ``models:`` and ``aliases:``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import Provider
from orcestator.routing.planning.catalog import Alias
from orcestator.settings.choices import STRATEGY_SYNONYMS, ModelEntry, ProviderSetting, StrategyName, Target
from orcestator.settings.fields import field, present, sections_in
from orcestator.settings.problems import no_provider, problem
from orcestator.settings.provider_choice import DIALECTS, dialect_in, limits_in, usual_address
from orcestator.settings.public_names import entry_targets, expanded
from orcestator.settings.sources import text_in
from orcestator.settings.values import Raw, boolean, count, number, one_of, text_of, words
from orcestator.settings.yaml_file import Items, Leaf, Node, Section

OWN_NAME = "orcestator"
KEYS = (
    *("name", "provider", "model", "endpoint", "available"),
    *("context_size", "context_length", "max_tokens", "max_output_tokens"),
    *("dialect", "supported_parameters", "input_modalities"),
    *("type", "speed_tier", "tags", "capabilities", "json_response", "weight", "max_concurrent", "cost_per_token"),
    *("quality", "limits"),
)
SPEED_TIERS = ("fast", "medium", "slow")
ALIAS_KEYS = ("strategy", "targets", "tiers", "hedge_percent")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The providers that an entry may name, and where each one is."""

    rows: Sequence[Provider]
    on: Mapping[str, str]

    def dialects_of(self, provider: str) -> tuple[str, ...]:
        """What a provider speaks; every dialect when none is named."""
        return next((row.dialects for row in self.rows if row.name == provider), DIALECTS)

    def provider_at(self, endpoint: str) -> str:
        """The name of the provider with this address, "" for none."""
        for row in self.rows:
            address = usual_address(row, endpoint)
            if address in (self.on.get(row.name), row.base_url):
                return row.name
        return ""


def read_entries(node: Node | None, addresses: Addresses) -> Iterator[ModelEntry]:
    """The entries of ``models:``. Raises StartupProblem."""
    for section in sections_in(node, "models"):
        section.require_known(KEYS)
        name = field(section, "name", text_of, "")
        if not name or name == OWN_NAME:
            raise problem(section.place, section.path, f"must have a name other than {OWN_NAME}")
        target = Target(_provider(section, addresses), field(section, "model", text_of, name))
        yield ModelEntry(
            name=name,
            target=target,
            available=field(section, "available", boolean, default=True),
            context_length=_context_length(section),
            max_output_tokens=field(section, "max_output_tokens", count, 0),
            dialect=dialect_in(section, addresses.dialects_of(target.provider)),
            supported_parameters=field(section, "supported_parameters", words, ()),
            input_modalities=field(section, "input_modalities", words, ()),
            type=field(section, "type", text_of, ""),
            speed_tier=field(section, "speed_tier", _speed_tier, ""),
            tags=field(section, "tags", words, ()),
            capabilities=field(section, "capabilities", words, ()),
            json_response=field(section, "json_response", boolean, default=None),
            weight=field(section, "weight", _weight, 0),
            max_concurrent=field(section, "max_concurrent", count, 0),
            cost_per_token=field(section, "cost_per_token", _price, default=None),
            quality=field(section, "quality", _quality, default=None),
            limits=limits_in(section),
        )


def _context_length(section: Section) -> int:
    """A model's window, by the names the two formats have for it."""
    found = [field(section, name, count, 0) for name in ("context_size", "context_length", "max_tokens")]
    return next(filter(None, found), 0)


def read_aliases(node: Node | None, entries: Sequence[ModelEntry]) -> dict[str, Alias]:
    """``aliases:`` is a mapping of a name to a target, a list of them, or a section with ``ALIAS_KEYS``.

    A target is ``provider/model``, a bare model name or the name of one of the entries. Raises StartupProblem.
    """
    if node is None or (isinstance(node, Leaf) and node.is_null):
        return {}
    if not isinstance(node, Section):
        raise problem(node.place, node.path, "must be a section of name: provider/model")
    known = entry_targets(entries)
    return {name: expanded(_alias(name, inner), known) for name, inner in node.nodes.items()}


def with_entries(provider: ProviderSetting, entries: Sequence[ModelEntry]) -> ProviderSetting:
    """The provider with what the entries say about its models; one that names no provider speaks about everyone's."""
    row = provider.row
    own = _facts_of([entry for entry in entries if entry.target.provider == row.name])
    anyones = _facts_of([entry for entry in entries if not entry.target.provider])
    known = {facts.id: facts for facts in (*row.known, *row.models)}
    models = {facts.id: facts for facts in row.models}
    named = {**{name: facts for name, facts in anyones.items() if name in models}, **own}
    merged = {name: facts.filled_from(known.get(name)) for name, facts in named.items()}
    heard = tuple(facts.filled_from(known.get(name)) for name, facts in anyones.items())
    limits = {entry.target.model: entry.limits for entry in entries if entry.limits and _speaks_of(entry, row)}
    row = replace(row, models=tuple((merged | models | merged).values()), known=(*row.known, *heard))
    return replace(provider, row=row, model_limits=limits)


def _speaks_of(entry: ModelEntry, row: Provider) -> bool:
    return entry.target.provider in {"", row.name}


def _facts_of(entries: Sequence[ModelEntry]) -> dict[str, ModelFacts]:
    """The facts in the entries by model; of several about one model the first to say something counts."""
    told: dict[str, ModelFacts] = {}
    for entry in entries:
        facts, earlier = _facts(entry), told.get(entry.target.model)
        if earlier is not None:
            is_available = earlier.is_available or facts.is_available
            facts = replace(earlier.filled_from(facts), is_available=is_available)
        told[facts.id] = facts
    return told


def _facts(entry: ModelEntry) -> ModelFacts:
    cost = entry.cost_per_token
    return ModelFacts(
        id=entry.target.model,
        context_length=entry.context_length or None,
        max_output_tokens=entry.max_output_tokens or None,
        supported_parameters=entry.supported_parameters,
        input_modalities=entry.input_modalities,
        dialect=entry.dialect,
        prices={} if cost is None else dict.fromkeys(("input", "output"), round(cost * 1e6, 6)),
        public_name=entry.name,
        type=entry.type,
        speed_tier=entry.speed_tier,
        tags=entry.tags,
        capabilities=entry.capabilities,
        json_response=entry.json_response,
        weight=entry.weight,
        max_concurrent=entry.max_concurrent,
        quality=entry.quality,
        is_available=entry.available,
    )


def _provider(section: Section, addresses: Addresses) -> str:
    known = [row.name for row in addresses.rows]
    node = present(section, "provider")
    if node is not None:
        name = text_in(node)
        if name not in known:
            raise no_provider(node.place, node.path, name, known)
        return name
    node = present(section, "endpoint")
    if node is None:
        return ""
    name = addresses.provider_at(text_in(node))
    if not name:
        raise problem(node.place, node.path, "is the address of no provider here; add one with this base_url")
    return name


def _alias(name: str, node: Node) -> Alias:
    if not name or name == OWN_NAME:
        raise problem(node.place, node.path, f"cannot be given another meaning; set default_model for {OWN_NAME}")
    if not isinstance(node, Section):
        return Alias.in_turn(_targets(node))
    node.require_known(ALIAS_KEYS)
    strategy = field(node, "strategy", strategy_of, "")
    hedge_percent = field(node, "hedge_percent", _percent, None)
    targets, tiers = present(node, "targets"), present(node, "tiers")
    if (targets is None) == (tiers is None):
        raise problem(node.place, node.path, "must have either targets, a list, or tiers, a list of lists")
    if targets is not None:
        return Alias((_targets(targets),), strategy, hedge_percent)
    if not isinstance(tiers, Items) or not tiers.nodes:
        raise problem(node.place, f"{node.path}.tiers", "must be a list of tiers, each a list of provider/model")
    return Alias(tuple(_targets(tier) for tier in tiers.nodes), strategy, hedge_percent)


def _targets(node: Node) -> tuple[str, ...]:
    items = node.nodes if isinstance(node, Items) else (node,)
    texts = [text_in(item) for item in items]
    if not texts or not all(texts):
        raise problem(node.place, node.path, "must name a model as provider/model, or a list of them")
    return tuple(dict.fromkeys(texts))


def strategy_of(raw: Raw) -> str:
    """The name of a strategy."""
    return one_of(text_of(raw), get_args(StrategyName), dict(STRATEGY_SYNONYMS))


def _percent(raw: Raw) -> float:
    return number(raw, 0.0, 100.0)


def _weight(raw: Raw) -> int:
    return count(raw, 1, 100)


def _speed_tier(raw: Raw) -> str:
    return one_of(text_of(raw), SPEED_TIERS, {})


def _price(raw: Raw) -> float:
    return number(raw, 0, 1)


def _quality(raw: Raw) -> float:
    return number(raw, 0, 100)


def alias_notices(aliases: Mapping[str, Alias], providers: Sequence[ProviderSetting]) -> list[str]:
    """What is said of aliases that may lead nowhere: to each other in a circle, or to a provider that is not on."""
    on = {provider.row.name for provider in providers}
    listed = (facts.id for provider in providers for facts in (*provider.row.known, *provider.row.models))
    # Whoever lists names with a slash in them may list any.
    is_any_name = any("/" in name for name in listed)
    told = []
    for name, alias in aliases.items():
        targets = [target for tier in alias.tiers for target in tier]
        circle = [target for target in targets if target != name and name in _reached(target, aliases)]
        if circle:
            told.append(f"aliases.{name} leads back to itself by way of '{circle[0]}': name a model there.")
        strange = [target for target in targets if "/" in target and target.partition("/")[0] not in on]
        if strange and not is_any_name and not any(target in aliases for target in strange):
            provider = strange[0].partition("/")[0]
            told.append(f"aliases.{name} names '{strange[0]}', and no provider '{provider}' is on.")
    return told


def _reached(name: str, aliases: Mapping[str, Alias]) -> set[str]:
    """Every name that an alias leads to, over whatever aliases are in between."""
    found: set[str] = set()
    left = [name]
    while left:
        alias = aliases.get(left.pop())
        fresh = {target for tier in alias.tiers for target in tier} - found if alias else set()
        found |= fresh
        left += fresh
    return found
