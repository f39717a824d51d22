"""One sandbox and one cluster over it, with every dialect on both sides."""

from collections.abc import Iterator

import pytest

from tests.cluster.harness import WIRINGS, Cluster, SandboxThread
from tests.crossing.frames import Door
from tests.crossing.upstreams import RELAYED, UPSTREAMS, Upstream, configuration

ENVIRONMENT = {
    "OR_EXPOSE_ROUTER": "false",
    # One attempt a provider: what is looked at is how a failure is told, not how often it is tried again.
    "OR_ATTEMPTS_PER_PROVIDER": "1",
    "OR_RATE_LIMIT_RETRIES": "0",
    "OR_RETRY_FLOOR": "10000",
    "OR_BREAKER_CONSECUTIVE_FAILURES": "10000",
    "OR_BREAKER_MINIMUM_CALLS": "10000",
    "OR_FIRST_TOKEN_TIMEOUT_SECONDS": "2",
    "OR_WHOLE_REPLY_TIMEOUT_SECONDS": "2",
    "OR_MAX_BODY_BYTES": "1000000",
}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxThread]:
    """Every provider."""
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster in one process."""
    with _cluster(sandbox, tmp_path_factory, UPSTREAMS) as running:
        yield running


@pytest.fixture(scope="session")
def split_cluster(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with a process for each part."""
    with _cluster(sandbox, tmp_path_factory, RELAYED, WIRINGS[1]) as running:
        yield running


@pytest.fixture(scope="session")
def door(cluster: Cluster) -> Iterator[Door]:
    """A connection to the cluster."""
    opened = Door(cluster.port)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def split_door(split_cluster: Cluster) -> Iterator[Door]:
    """A connection to the split cluster."""
    opened = Door(split_cluster.port)
    yield opened
    opened.close()


def _cluster(
    sandbox: SandboxThread,
    directories: pytest.TempPathFactory,
    upstreams: tuple[Upstream, ...],
    wiring: str = WIRINGS[0],
) -> Cluster:
    address = sandbox.base_url.removesuffix("/v1")
    return Cluster(directories.mktemp("crossing"), configuration(address, upstreams), wiring, ENVIRONMENT)
