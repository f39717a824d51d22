"""The public names that ``models:`` and ``aliases:`` make, as routing takes them."""

from collections.abc import Mapping, Sequence

from orcestator.routing.planning.catalog import Alias
from orcestator.settings.choices import ModelEntry


def public_names(entries: Sequence[ModelEntry], aliases: Mapping[str, Alias]) -> dict[str, Alias]:
    """The aliases, and the entries by ``name`` and by ``provider/name``.

    Entries of one name are one tier, so that they take turns as the strategy has it; where an alias has that name, too,
    its own tiers come first.
    """
    names = dict(aliases)
    for name, targets in entry_targets(entries).items():
        own = aliases.get(name, Alias(()))
        names[name] = own._replace(tiers=(*own.tiers, targets))
    return names


def entry_targets(entries: Sequence[ModelEntry]) -> dict[str, tuple[str, ...]]:
    """What each ``name`` and ``provider/name`` stands for.

    An entry that is not available is listed; where its very model has another entry that is, it is left out, because
    the model itself is not to be refused.
    """
    available = {entry.target for entry in entries if entry.available}
    found: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry.available or entry.target not in available:
            for name in _names(entry):
                found.setdefault(name, {})[str(entry.target)] = None
    return {name: tuple(targets) for name, targets in found.items()}


def expanded(alias: Alias, entries: Mapping[str, tuple[str, ...]]) -> Alias:
    """The alias with the names of entries in it replaced by what they stand for."""
    tiers = (dict.fromkeys(part for target in tier for part in entries.get(target, (target,))) for tier in alias.tiers)
    return alias._replace(tiers=tuple(map(tuple, tiers)))


def _names(entry: ModelEntry) -> list[str]:
    provider, model = entry.target.provider, entry.target.model
    # Where the names are the same, provider/name means the model already.
    return [entry.name, f"{provider}/{entry.name}"] if provider and model != entry.name else [entry.name]
