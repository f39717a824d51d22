"""One sandbox and one cluster for each wiring, shared by the behaviour tests: the same tests run against both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orcestator.sandbox.faults.catalogue import FAULTS
from tests.cluster.faults import SLOW_OPTIONS
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread

CANARY = "sk-canary-4f1b9c7d2e8a6053"
"""The key of the provider ``alpha``: it must never be seen anywhere but at the provider."""


def two_providers(alpha: str, beta: str) -> str:
    """A configuration with a provider that fails on command and one that is well."""
    return f"""
providers:
  alpha: {{base_url: "{alpha}", api_key: "{CANARY}", default_model: echo, order: 1}}
  beta: {{base_url: "{beta}", api_key: "beta-key", default_model: echo, order: 2}}
aliases:
  both: [alpha/echo, beta/echo]
{then_beta()}
"""


def then_beta() -> str:
    """An alias for each fault at alpha, with beta next in line."""
    lines = []
    for fault in FAULTS:
        candidates = SLOW_OPTIONS.get(f"{fault.id}:{fault.variant}")
        # A deployment of its own: the ones that tests ask for directly may be cooling down.
        model = f"{fault.model}?{candidates}&after=3" if candidates else f"{fault.model}?after=3"
        lines.append(f'  then-beta-{fault.id}-{fault.variant}: ["alpha/{model}", "beta/echo"]')
    return "\n".join(lines)


# So long that a busy machine is not taken for an upstream that stalls, and so short that those that do cost a test little.
FAST_TIMES = {
    "OR_FIRST_TOKEN_TIMEOUT_SECONDS": "1.5",
    "OR_WHOLE_REPLY_TIMEOUT_SECONDS": "1.5",
    "OR_IDLE_TIMEOUT_SECONDS": "1.5",
    "OR_TOTAL_TIMEOUT_SECONDS": "10",
    "OR_MAX_EVENT_BYTES": "1048576",
    "OR_BREAKER_CONSECUTIVE_FAILURES": "1000",
    "OR_BREAKER_MINIMUM_CALLS": "100000",
}


@pytest.fixture(scope="session")
def alpha() -> Iterator[SandboxThread]:
    """The upstream that fails on command."""
    with SandboxThread() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def beta() -> Iterator[SandboxThread]:
    """The upstream that is well."""
    with SandboxThread() as sandbox:
        yield sandbox


@pytest.fixture(scope="session", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, alpha: SandboxThread, beta: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A running cluster over both upstreams, with every record switched on."""
    directory: Path = tmp_path_factory.mktemp("cluster")
    config = two_providers(alpha.base_url, beta.base_url)
    environment = {**FAST_TIMES, "OR_DB_PATH": "rows.db", "OR_EXPOSE_ROUTER": "false"}
    with Cluster(directory, config, request.param, environment) as running:
        yield running
