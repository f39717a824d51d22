"""What the settings are, without any secret, and what is different between two of them. Pure.

A running server shows the document of its settings, so that a configuration can be held against it before it is used.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Any, NamedTuple

from orcestator.json_text import Json
from orcestator.providers.secret import MASK, Secret
from orcestator.routing.planning.catalog import Alias
from orcestator.routing.verdict import Override
from orcestator.settings.choices import ModelEntry, ProviderSetting, Target
from orcestator.settings.reserved import FOR_LATER
from orcestator.settings.spec import table_of
from orcestator.settings.table import ACCESS, CALLER_LIMITS, RECORDS, SERVER, THE_SANDBOX, WATCHING, Settings

RESTART_GROUPS = frozenset({SERVER, ACCESS, RECORDS, CALLER_LIMITS, WATCHING, THE_SANDBOX})
RESTART_NAMES = frozenset(
    {"connections_per_provider", "max_event_bytes", "max_reply_bytes", "upstream_no_proxy", "upstream_proxy"}
)
"""What is built once at the start: sockets, files, the edge, the pools. Everything else is taken over by a reload."""
LIVE_NAMES = frozenset({"caller_keys", "allow_anonymous", "allowed_hosts", "cors_origins", "admin_token"})
"""Who may come in: a key that leaked must not open anything for as long as the longest stream takes."""
PARTS = ("aliases", "models", "routing_rules", "verdicts")
"""Parts of a document whose entries are compared whole."""
NEVER_ACTED_ON = " (not acted on yet)"
_UNSAID: Json = {
    found.name: getattr(ModelEntry("", Target("", "")), found.name)
    for found in fields(ModelEntry)
    if found.name not in {"name", "target"}
}
"""What an entry of ``models:`` has that says nothing but its name and target."""
_QUERY_SECRET = re.compile(r"([\w.-]*(?:key|token|secret|sig|pass)[\w.-]*=)[^&#\s]+", re.IGNORECASE)


class Change(NamedTuple):
    """One difference. ``old`` None: it is new; ``new`` None: it is gone. ``live``: a reload takes it over, else only a restart."""

    name: str
    old: str | None
    new: str | None
    live: bool = True

    @property
    def sign(self) -> str:
        """``+``, ``-`` or ``~``."""
        return "+" if self.old is None else "-" if self.new is None else "~"

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], *, live: bool) -> "Change":
        """Read one of a server's answer; raises KeyError for a foreign shape."""
        old, new = (None if wire[name] is None else str(wire[name]) for name in ("old", "new"))
        return cls(str(wire["name"]), old, new, live)


def difference(old: Settings, new: Settings) -> list[Change]:
    """What is different, providers, models, aliases and rules included."""
    return document_difference(document_of(old), document_of(new))


def document_of(settings: Settings, *, with_providers: bool = True, without: Collection[str] = ()) -> Json:
    """The settings as JSON. A secret is ``…`` and six digits by which a change of it shows.

    ``with_providers`` false is for a program whose settings were loaded without: what it cannot know is left out. ``without``
    names settings that whoever started the program chose, and no person.
    """
    told = {entry.target.model for entry in settings.models}
    providers = {
        "provider_order": [provider.row.name for provider in settings.providers],
        "providers": {provider.row.name: _provider(provider, told) for provider in settings.providers},
    }
    return {
        **(providers if with_providers else {}),
        "settings": {
            row.name: _safe(getattr(settings, row.name)) for row in table_of(Settings) if row.name not in without
        },
        "models": {f"{entry.name} = {entry.target}": _entry(entry) for entry in settings.models},
        "aliases": {name: _alias(alias) for name, alias in settings.aliases.items()},
        "routing_rules": {rule.id: {**rule._asdict(), "condition": dict(rule.condition)} for rule in settings.rules},
        "verdicts": _verdicts(settings.verdicts),
        "notices": list(settings.notices),
        "not_yet": list(settings.not_yet),
    }


def document_difference(old: Json, new: Json) -> list[Change]:
    """What is different between two documents. A part that one of them lacks is not compared."""
    both = {name for name in old if name in new}
    return [
        *_settings_changes(_part(old, "settings"), _part(new, "settings")),
        *(_provider_changes(old, new) if "providers" in both else ()),
        *(
            change
            for part in PARTS
            if part in both
            for change in _entry_changes(part, _part(old, part), _part(new, part))
        ),
    ]


def _part(document: Json, name: str) -> Json:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _settings_changes(old: Json, new: Json) -> Iterator[Change]:
    for row in table_of(Settings):
        before, after = old.get(row.name), new.get(row.name)
        if before != after and row.name in new and row.name in old:
            group = row.spec.group
            tail = NEVER_ACTED_ON if group == FOR_LATER else ""
            is_live = row.name in LIVE_NAMES or (group not in RESTART_GROUPS and row.name not in RESTART_NAMES)
            yield Change(row.name, shown(before), shown(after) + tail, is_live)


def _provider_changes(old_document: Json, new_document: Json) -> Iterator[Change]:
    old, new = (_part(document, "providers") for document in (old_document, new_document))
    for name in dict.fromkeys((*old, *new)):
        path = f"providers.{name}"
        if name in old and name in new:
            yield from _changes_within(path, old[name], new[name])
        else:
            before, after = (part[name]["base_url"] if name in part else None for part in (old, new))
            yield Change(path, before, after)
    yield from _order_change(old_document.get("provider_order") or [], new_document.get("provider_order") or [])


def _changes_within(path: str, old: Json, new: Json) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if name == "models":
            yield from _entry_changes(f"{path}.models", _part(old, name), _part(new, name))
        elif old.get(name) != new.get(name):
            yield Change(f"{path}.{name}", shown(old.get(name)), shown(new.get(name)))


def _order_change(old: list[str], new: list[str]) -> Iterator[Change]:
    """Only where those that are in both have changed places: what is added or removed is said elsewhere."""
    before, after = [name for name in old if name in new], [name for name in new if name in old]
    if before != after:
        yield Change("providers (order)", shown(before), shown(after))


def _entry_changes(path: str, old: Json, new: Json) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new or old[name] != new[name]:
            before, after = (shown(part[name]) if name in part else None for part in (old, new))
            yield Change(f"{path}.{name}", before, after)


def shown(value: Any) -> str:
    """A value of a document as one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_inner(inner)}" for name, inner in value.items()) or "nothing"
    if isinstance(value, list):
        return ", ".join(map(_inner, value)) or "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value in ("", None) else f"{value:g}" if isinstance(value, float) else str(value)


def _inner(value: Any) -> str:
    text = shown(value)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]" if isinstance(value, list) else text


def _provider(provider: ProviderSetting, told: set[str]) -> Json:
    """``told`` are the models that entries of ``models:`` speak of: what those say is shown there."""
    row = provider.row
    found = {
        # Where the program's own sandbox is differs from start to start, and is no difference of the configuration.
        "base_url": row.base_url if provider.is_started else provider.base_url,
        "keys": _safe(provider.keys),
        "dialects": list(row.dialects),
        "default_model": row.default_model,
        "endpoints": sorted(row.endpoints),
        "query": _without_query_secrets(row.query),
        "proxy": _safe(provider.proxy),
        "words": dict(row.filled),
        "limits": dict(provider.limits),
        "models": {facts.id: facts.to_wire() for facts in row.models if facts.id not in told},
    }
    return {name: value for name, value in found.items() if value or name == "keys"}


def _entry(entry: ModelEntry) -> Json:
    """What an entry says beside its name and target."""
    said = ((name, getattr(entry, name)) for name in _UNSAID)
    return {name: _safe(value) for name, value in said if value != _UNSAID[name]}


def _alias(alias: Alias) -> Json:
    said: Json = {"strategy": alias.strategy} if alias.strategy else {}
    said["tiers"] = [list(tier) for tier in alias.tiers]
    if alias.hedge_percent is not None:
        said["hedge_percent"] = alias.hedge_percent
    return said


def _verdicts(overrides: Iterable[Override]) -> Json:
    """By what they are about; the first of two about the same is the one that counts."""
    found: Json = {}
    for override in overrides:
        when = {name: sorted(wanted) for name, wanted in override.when._asdict().items() if wanted}
        found.setdefault(shown(when), dict(override.changes))
    return found


def _safe(value: Any) -> Any:
    """A value as JSON, with nothing in it that must not be seen."""
    if isinstance(value, Secret):
        return _fingerprint(value) if value else ""
    if isinstance(value, tuple | list):
        return list(map(_safe, value))
    if isinstance(value, str):
        return _without_query_secrets(value)
    return value if isinstance(value, int | float | dict | None) else str(value)


def _fingerprint(secret: Secret) -> str:
    """24 bits: enough to see that it is another one, too few to tell a guess from a hit."""
    return MASK + sha256(b"orcestator settings " + secret.reveal().encode()).hexdigest()[:6]


def _without_query_secrets(text: str) -> str:
    return _QUERY_SECRET.sub(rf"\1{MASK}", text)
