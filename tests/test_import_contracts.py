"""The import contracts of ``pyproject.toml``: every folder of the package stands in one, and each notices its own breach.

The breaches are made in a copy of the package. import-linter reads source, so nothing of it is imported.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "orcestator"
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]


class Breach(NamedTuple):
    """An import that breaks one contract and no other."""

    contract: str
    importer: str
    imported: str


def breaches(contract: str, *pairs: str) -> list[Breach]:
    """Breaches of one contract, each written as ``importer -> imported``."""
    return [Breach(contract, *pair.split(" -> ")) for pair in pairs]


BREACHES = [
    *breaches(
        "arrows point down",
        "orcestator.json_text -> orcestator.errors",
        "orcestator.prices -> orcestator.routing.verdict",
        "orcestator.store.ledger -> orcestator.telemetry.metrics",
        "orcestator.telemetry.metrics -> orcestator.upstream.call",
        "orcestator.gateway.gateway -> orcestator.web.models",
        "orcestator.web.models -> orcestator.settings.table",
        "orcestator.explain.command -> orcestator.simulator.command",
    ),
    *breaches(
        "pure rooms do no I/O, read no clock and draw no lots",
        "orcestator.routing.planning.plan -> time",
        "orcestator.dialects.sse -> asyncio",
        "orcestator.prices -> os",
        "orcestator.errors -> logging",
        "orcestator.json_text -> random",
    ),
    *breaches(
        "the stages and the surfaces open no socket, file or process of their own",
        "orcestator.gateway.gateway -> socket",
        "orcestator.web.app -> threading",
        "orcestator.web.admin.overview -> subprocess",
    ),
    *breaches(
        "the HTTP kit and the HTTP client have no word about models",
        "orcestator.server.edge -> orcestator.routing.verdict",
        "orcestator.upstream.http.client -> orcestator.upstream.ids",
        "orcestator.upstream.http.headers -> orcestator.providers.known",
    ),
    *breaches(
        "the dialects do not know one another, but for the canonical OpenAI",
        "orcestator.dialects.cohere.upstream -> orcestator.dialects.yandex.upstream",
        "orcestator.dialects.openai.stream -> orcestator.dialects.gemini.upstream",
    ),
    *breaches(
        "the routing's rooms: state and what is asked below planning, planning below the attempts",
        "orcestator.routing.planning.plan -> orcestator.routing.attempts.loop",
        "orcestator.routing.reading.needs -> orcestator.routing.state.stats",
    ),
    *breaches(
        "a strategy orders candidates, and knows no plan",
        "orcestator.routing.planning.strategies.cheapest -> orcestator.routing.planning.plan",
    ),
    *breaches(
        "what stock FastChat programs need stands on the seam, and the seam does not know it",
        "orcestator.bridge.registry -> orcestator.bridge.stock.frames",
    ),
    *breaches(
        "management is a part of the surfaces, under the application",
        "orcestator.web.admin.overview -> orcestator.web.app",
    ),
    *breaches(
        "the sandbox's rooms: faults spoil what dialects say, dialects keep the rules, all on one wire",
        "orcestator.sandbox.rules.schema -> orcestator.sandbox.dialects.chat",
        "orcestator.sandbox.wire.script -> orcestator.sandbox.faults.moods",
    ),
    *breaches(
        "only the wiring and the command line know the sandbox",
        "orcestator.doctor.command -> orcestator.sandbox.settings",
        "orcestator.web.app -> orcestator.sandbox.problem",
    ),
    *breaches(
        "the core does not know who listens to its events",
        "orcestator.gateway.gateway -> orcestator.store.ledger",
        "orcestator.bridge.control -> orcestator.telemetry.metrics",
    ),
    *breaches(
        "a client says what its file needs; how that gets there is the others' business",
        "orcestator.connect.clients.codex -> orcestator.connect.registry",
    ),
    *breaches(
        "only bridge.stock knows FastChat and its framework",
        "orcestator.bridge.registry -> fastchat",
        "orcestator.web.stock_routes -> fastapi",
    ),
    *breaches(
        "SQLite only in its engine",
        "orcestator.web.models -> sqlite3",
        "orcestator.bridge.control -> sqlite3",
        "orcestator.store.kept_rows -> sqlite3",
    ),
    *breaches(
        "SQLModel only in the store's schema",
        "orcestator.settings.table -> sqlmodel",
        "orcestator.store.sqlite.engine -> sqlmodel",
        "orcestator.store.kept_rows -> sqlalchemy",
    ),
    *breaches(
        "whoever uses the store knows its protocols, not its engines",
        "orcestator.cluster.factory -> orcestator.store.sqlite.engine",
        "orcestator.store.kept_rows -> orcestator.store.sqlite.check",
    ),
    *breaches("the HTTP server is started in server", "orcestator.cluster.embedded -> uvicorn"),
    *breaches("HTTP is parsed by the server and by the client of our own", "orcestator.upstream.call -> httptools"),
    *breaches("Prometheus only in telemetry", "orcestator.cluster.factory -> prometheus_client"),
    *breaches(
        "configuration files are read by settings", "orcestator.check.command -> yaml", "orcestator.cli -> dotenv"
    ),
    *breaches("clients' own files are written by connect", "orcestator.doctor.command -> tomlkit"),
    *breaches(
        "nobody uses another HTTP client, driver or broker unseen",
        "orcestator.upstream.http.client -> httpx",
        "orcestator.doctor.command -> requests",
        "orcestator.store.ledger -> psycopg",
        "orcestator.bridge.stock.api -> starlette",
    ),
]

LINTS_WITH_EACH_BREACH = """
import json, sys
from pathlib import Path
from importlinter.application import use_cases
from importlinter import api

broken = {}
options = use_cases.read_user_options(config_filename="pyproject.toml")
use_cases._register_contract_types(options)
for importer, imported in json.loads(sys.argv[1]):
    path = Path(*importer.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = path.read_text("utf-8")
    path.write_text(f"{text}\\nimport {imported}\\n", "utf-8")
    report = use_cases.create_report(options, cache_dir=".cache")
    assert not report.could_not_run, report.invalid_contract_options
    broken[f"{importer} -> {imported}"] = [
        contract.name for contract, check in report.get_contracts_and_checks() if not check.kept
    ]
    path.write_text(text, "utf-8")
print(json.dumps(broken))
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The contracts that are broken by each breach, alone."""
    directory = tmp_path_factory.mktemp("breached")
    shutil.copytree(PACKAGE, directory / "orcestator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", directory)
    pairs = json.dumps([(breach.importer, breach.imported) for breach in BREACHES])
    done = subprocess.run(
        [sys.executable, "-c", LINTS_WITH_EACH_BREACH, pairs],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.importer} -> {breach.imported}")
def test_a_breach_is_noticed_by_its_contract_alone(broken: dict[str, list[str]], breach: Breach) -> None:
    """Otherwise a contract would be a line that nothing holds, or two would say the same."""
    assert broken[f"{breach.importer} -> {breach.imported}"] == [breach.contract]


def test_every_contract_is_broken_once() -> None:
    """A contract that nobody has seen broken may never have looked."""
    assert {breach.contract for breach in BREACHES} == {contract["name"] for contract in CONTRACTS}


def named_in(contract: dict[str, Any]) -> set[str]:
    """The modules whose imports, or importers, a contract limits by name."""
    layers = [
        f"{container}.{module.strip()}"
        for container in contract.get("containers", ())
        for layer in contract["layers"]
        for module in layer.replace(":", "|").split("|")
    ]
    return {*layers, *contract.get("source_modules", ()), *contract.get("protected_modules", ())}


def test_every_folder_of_the_package_stands_in_a_contract() -> None:
    """By its name: a room that is only inside a larger one has no arrows of its own."""
    named = set().union(*map(named_in, CONTRACTS))
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
    }
    assert folders - named == set()
