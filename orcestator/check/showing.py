"""What a configuration means, and what is different about it, as aligned lines for people. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from orcestator.routing.planning.catalog import Alias
from orcestator.routing.planning.rehearsal import Share
from orcestator.settings import Settings
from orcestator.settings.changes import Change, shown

LONGEST_VALUE = 60
SHARED_BEGINNING = 12
MOST_NAMES = 8
NO_PROVIDER = "no provider is on; a first start serves the built-in sandbox, and a reload is refused."
NEEDS_RESTART = "needs a restart"


def summary(settings: Settings) -> str:
    """What the configuration would do."""
    facts = [
        ("listens on", f"{settings.host}:{settings.port}"),
        ("providers", _providers(settings)),
        ("orcestator", ", then ".join((*settings.default_targets(), "each provider's default model"))),
        ("auto", _auto(settings)),
        ("models", _few([f"{entry.name}{'' if entry.available else ' (off)'}" for entry in settings.models])),
        *(("aliases" if not place else "", line) for place, line in enumerate(_aliases(settings))),
        *(("rules" if not place else "", line) for place, line in enumerate(_rules(settings))),
        ("verdicts", f"{len(settings.verdicts)} of your own" if settings.verdicts else ""),
        ("last resort", settings.paid_fallback()),
        ("management", "holders of the admin token" if settings.admin_token else "this machine only"),
        *(("warnings" if not place else "", line) for place, line in enumerate(_warnings(settings))),
    ]
    return "".join(f"  {name.ljust(12)}{text}\n" for name, text in facts if text)


def changes_table(changes: Sequence[Change]) -> str:
    """One line a change: a sign, the name, and what it was and becomes."""
    rows = [(change, *_values(change)) for change in sorted(changes, key=lambda change: not change.live)]
    wide = max((len(change.name) for change, *_ in rows), default=0)
    old_wide = max((len(old) for _, old, _ in rows), default=0)
    return "".join(_line(change, wide, old.ljust(old_wide), new) for change, old, new in rows)


def shares_table(shares: Sequence[Share]) -> str:
    """One line for each place that would get more or fewer requests."""
    rows = [("requested", "first tried at", "now", "then")]
    rows += [(_cut(share.requested), share.place, str(share.before), str(share.after)) for share in shares]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        f"  {name.ljust(wide[0])}  {place.ljust(wide[1])}  {now.rjust(wide[2])}  {then.rjust(wide[3])}\n"
        for name, place, now, then in rows
    )


def _line(change: Change, wide: int, old: str, new: str) -> str:
    arrow = {"+": "   ", "-": "   ", "~": " → "}[change.sign]
    restart = "" if change.live else f"   ({NEEDS_RESTART})"
    return f"  {change.sign} {change.name.ljust(wide)}  {old}{arrow}{new}{restart}".rstrip() + "\n"


def _values(change: Change) -> tuple[str, str]:
    """Both, shortened; long ones begin a little before they part, so that what is different is seen."""
    old, new = change.old or "", change.new or ""
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))) - SHARED_BEGINNING
    if start > 0 and max(len(old), len(new)) > LONGEST_VALUE:
        old, new = "…" + old[start:], "…" + new[start:]
    return _cut(old), _cut(new)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _providers(settings: Settings) -> str:
    names = [
        provider.row.name + (f" ({len(provider.keys)} keys)" if len(provider.keys) > 1 else "")
        for provider in settings.providers
    ]
    return _few(names) + (" (because no other is on)" if settings.sandbox_fallback else "")


def _auto(settings: Settings) -> str:
    alias = settings.auto_alias()
    if alias is None:
        return "the same as orcestator"
    count = len(alias.tiers[0])
    return f"{alias.strategy} over {count} model{'s' if count > 1 else ''}"


def _aliases(settings: Settings) -> Iterator[str]:
    for name, alias in settings.aliases.items():
        yield f"{name} = {_alias(alias)}"


def _alias(alias: Alias) -> str:
    tiers = ", then ".join(" or ".join(tier) for tier in alias.tiers)
    return f"{tiers} (by {alias.strategy})" if alias.strategy else tiers


def _rules(settings: Settings) -> Iterator[str]:
    for rule in sorted(settings.rules, key=lambda rule: rule.priority):
        off = "" if rule.is_active else ", switched off"
        yield f"{rule.id}: {shown(dict(rule.condition))} → {rule.provider} (priority {rule.priority}{off})"


def _warnings(settings: Settings) -> Iterable[str]:
    if settings.sandbox_fallback:
        yield NO_PROVIDER
    yield from settings.notices
    if settings.not_yet:
        yield f"accepted, not acted on yet: {', '.join(settings.not_yet)}"


def _few(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    rest = len(unique) - MOST_NAMES
    return ", ".join(unique[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
