"""What a person reads when the program has started: where to point a client, who serves, where the records are."""

from collections.abc import Sequence
from dataclasses import dataclass

from orcestator import __version__
from orcestator.cluster import factory
from orcestator.routing.planning.catalog import DEFAULT_ALIAS
from orcestator.settings import Settings
from orcestator.upstream.provider_client import ProviderClient

WIDTH = 78


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """One provider as the banner shows it."""

    name: str
    model: str
    address: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the banner tells."""

    settings: Settings
    providers: tuple[ProviderLine, ...]
    processes: tuple[tuple[str, str, str], ...] = ()
    replicas: int = 0
    """Complete processes that share the callers' port; 0: one process, or a split cluster."""

    @classmethod
    def of(cls, settings: Settings, links: Sequence[ProviderClient]) -> "Facts":
        """The facts of a cluster in one process."""
        lines = [ProviderLine(link.row.name, link.offer.default_model, link.address) for link in links]
        return cls(settings, tuple(lines))


def banner(facts: Facts) -> str:
    """The text, ending in a line end."""
    settings = facts.settings
    lines = [
        "",
        f"  orcestator {__version__}",
        "  " + "─" * (WIDTH - 2),
        *_pairs(
            [
                ("point clients at", f"http://{_shown_host(settings.host)}:{settings.port}/v1"),
                ("model", f"{DEFAULT_ALIAS}  (means {', '.join(_default_targets(facts))})"),
                *([("served by", f"{facts.replicas} processes, each complete (--workers)")] if facts.replicas else []),
                ("who may call", _who(settings)),
                ("who may manage", _who_manages(settings)),
                ("metrics", _metrics(settings)),
                ("controller", f"http://{_shown_host(settings.controller_host)}:{settings.controller_port}"),
                ("traffic log", settings.log_file or "off (OR_LOG_FILE)"),
                ("request rows", settings.db_path or "off (OR_DB_PATH)"),
            ]
        ),
        "",
        *_table(("provider", "default model", "upstream"), [(p.name, p.model, p.address) for p in facts.providers]),
    ]
    if facts.processes:
        lines += ["", *_table(("process", "pid", "as ps shows it"), list(facts.processes))]
    lines += ["", *_notices(settings)]
    return "\n".join(lines).rstrip() + "\n\n"


def _default_targets(facts: Facts) -> list[str]:
    if facts.settings.sandbox_fallback:
        return [f"{line.name}/{line.model}" for line in facts.providers]
    names = {line.name for line in facts.providers}
    reachable = [
        target for target in facts.settings.default_targets() if "/" not in target or target.partition("/")[0] in names
    ]
    return reachable or [f"{line.name}/{line.model}" for line in facts.providers if line.model] or ["nothing yet"]


def _shown_host(host: str) -> str:
    return "localhost" if host in ("0.0.0.0", "::", "127.0.0.1") else f"[{host}]" if ":" in host else host


def _who(settings: Settings) -> str:
    if settings.caller_keys:
        count = len(settings.caller_keys)
        return f"holders of {count} caller key{'s' if count > 1 else ''} (OR_CALLER_KEYS)"
    if settings.allow_anonymous:
        return "EVERYBODY who can reach the port, but no web page of others (OR_ALLOW_ANONYMOUS)"
    return "this machine only (OR_CALLER_KEYS lets others in)"


def _who_manages(settings: Settings) -> str:
    if settings.admin_token:
        return "holders of the admin token (OR_ADMIN_TOKEN)"
    if factory.is_reached_by_others(settings):
        return f"holders of the token in {settings.state_dir}, which our commands read (OR_ADMIN_TOKEN)"
    return "programs on this machine (OR_ADMIN_TOKEN)"


def _metrics(settings: Settings) -> str:
    if not settings.metrics_port:
        return "off (OR_METRICS_PORT)"
    return f"http://{_shown_host(settings.metrics_host)}:{settings.metrics_port}/metrics"


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in pairs)
    return [f"  {name.ljust(width)}  {value}" for name, value in pairs]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = tuple("─" * width for width in widths)
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, rule, *rows]
    ]


def _notices(settings: Settings) -> list[str]:
    notices = []
    if settings.sandbox_fallback:
        notices += [
            "  NO PROVIDER KEY IS SET: the built-in sandbox answers, and it is not a language model.",
            "  Put a key such as OPENROUTER_API_KEY=… into .env and start again to talk to real models.",
        ]
    notices += [f"  note: {notice}" for notice in settings.notices]
    if not (settings.caller_keys or settings.allow_anonymous or settings.allowed_hosts):
        notices.append(
            "  note: a reverse proxy or a tunnel on this machine looks like this machine: set OR_CALLER_KEYS before you use one"
        )
    if settings.not_yet:
        notices.append(f"  accepted, not acted on yet: {', '.join(settings.not_yet)}")
    return notices
