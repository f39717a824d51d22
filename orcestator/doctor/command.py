"""The command ``orcestator doctor``: the order of the checks, and what is printed."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orcestator.cluster import factory
from orcestator.cluster.lifetime import Lifetime
from orcestator.cluster.sandbox import EmbeddedSandbox
from orcestator.connect.asking import ask
from orcestator.connect.command import this_machine
from orcestator.connect.machine import Machine
from orcestator.connect.offer import OfferedModel
from orcestator.doctor import configuration, copilot, installation, probed_file, providers, server
from orcestator.doctor.finding import PROBLEM, WARNING, Finding, worst
from orcestator.doctor.probing import Target, probe_all, targets
from orcestator.doctor.progress import shown
from orcestator.doctor.report import machine_report, table
from orcestator.errors import StartupProblem
from orcestator.settings import Settings, load
from orcestator.settings.environment import read_variables
from orcestator.store.documents import open_documents
from orcestator.upstream.provider_client import ProviderClient

OTHER_SETTINGS = "The server may run with another environment or file: start doctor with the same."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked at: the settings' sources, and whether providers are called for real, at which models."""

    config: str | None = None
    env_file: str | None = ".env"
    probes: bool = False
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that was found, and what was written to ``probed.json``."""

    findings: tuple[Finding, ...]
    probed: dict[str, Any]


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> bool:
    """Look at everything and print it; whether there is a problem."""
    wish = Wish(arguments.config, arguments.env_file, arguments.probe, tuple(arguments.model or ()))
    if wish.models and not wish.probes:
        raise StartupProblem("--model needs --probe: it names the models that are tried.")
    examined = asyncio.run(examine(wish))
    if arguments.json:
        say(machine_report(examined.findings, examined.probed))
    else:
        say(table(examined.findings))
    return worst(examined.findings) == PROBLEM


async def examine(wish: Wish) -> Examined:
    """All checks in their order; what needs the settings waits for settings that load."""
    findings = [installation.python_finding(), installation.packages_finding()]
    try:
        variables = read_variables(None, wish.env_file)
        settings = load(config_path=wish.config, dotenv_path=wish.env_file)
    except StartupProblem as problem:
        return Examined((*findings, configuration.unloadable(problem.message)), {})
    findings += configuration.settings_findings(settings, variables)
    findings += installation.place_findings(settings)
    found = await server.ask(settings)
    findings.append(found.finding)
    probed: dict[str, Any] = {}
    async with _with_sandbox(settings) as reachable:
        more, probed = await _look_at_providers(wish, reachable)
    findings += more
    findings += await _clients(this_machine(variables), settings, found.base)
    return Examined(tuple(findings), probed)


@asynccontextmanager
async def _with_sandbox(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with a sandbox that runs, where orcestator would start one."""
    lifetime = Lifetime()
    try:
        yield await EmbeddedSandbox(lifetime).found_in(settings)
    finally:
        await lifetime.close()


async def _look_at_providers(wish: Wish, settings: Settings) -> tuple[list[Finding], dict[str, Any]]:
    client = factory.make_upstream_client(settings)
    names = [provider.row.name for provider in settings.providers]
    try:
        async with shown("asking", names, sys.stderr) as waiting:
            looked = await providers.check_all(settings, client, waiting)
        findings = [found.finding for found in looked]
        clock = providers.clock_finding(looked)
        findings += [clock] if clock else []
        if not wish.probes:
            return findings, {}
        more, probed = await _probe(wish, settings, [found.link for found in looked])
        # A provider that answers calls is well, whatever became of its list.
        findings[: len(looked)] = [providers.after_probe(found) for found in looked]
        return findings + more, probed
    finally:
        await client.close()


async def _probe(
    wish: Wish, settings: Settings, links: Sequence[ProviderClient]
) -> tuple[list[Finding], dict[str, Any]]:
    chosen = targets(links, wish.models)
    findings = list(_not_tried(wish, links, chosen))
    async with shown("trying", [target.name for target in chosen], sys.stderr) as waiting:
        tried = await probe_all(chosen, waiting)
    findings += [finding for probed in tried for finding in probed.findings]
    new = probed_file.entries(tried, datetime.now(UTC).date().isoformat())
    if new:
        try:
            probed_file.save(open_documents(settings.state_dir), new)
        except StartupProblem as problem:
            findings.append(
                Finding("probe", PROBLEM, problem.message, "Make OR_STATE_DIR a folder that can be written to.")
            )
    return findings, new


def _not_tried(wish: Wish, links: Sequence[ProviderClient], chosen: Sequence[Target]) -> list[Finding]:
    names = {target.name for target in chosen}
    missing = [name for name in wish.models if name not in names]
    if missing:
        on = ", ".join(link.row.name for link in links)
        says = f"{', '.join(missing)}: not provider/model of a provider that is on ({on})"
        return [Finding("probe", PROBLEM, says, "Name it as provider/model.")]
    silent = [link.row.name for link in links if not link.offer.default_model and not wish.models]
    return [
        Finding("probe", WARNING, f"{name} has no default model", f"Name one with --model {name}/MODEL.")
        for name in silent
    ]


async def _clients(machine: Machine, settings: Settings, base: str) -> list[Finding]:
    """Whether the running server takes the callers that these settings mean, and the clients' files beside its models."""
    key = settings.caller_keys[0].reveal() if settings.caller_keys else ""
    models: dict[str, OfferedModel] | None = None
    findings: list[Finding] = []
    if base:
        try:
            listing = await ask(base, key)
        except StartupProblem as refusal:
            findings.append(
                Finding("callers", WARNING, f"not as these settings say: {refusal.message}", OTHER_SETTINGS)
            )
        else:
            models = {model.id: model for model in listing.models}
            if key and not listing.wants_key:
                says = f"not as these settings say: the server at {base} asks for no caller key"
                findings.append(Finding("callers", WARNING, says, OTHER_SETTINGS))
    return [*findings, *copilot.copilot_findings(machine, settings, models)]
