"""Records that cannot be written degrade the service as long as they cannot, and not for a moment longer."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, until
from tests.cluster.test_supervisor import children_of

if sys.platform == "linux":
    import resource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets limits of a running process")


def limit_files(cluster: Cluster, largest: int) -> None:
    """No file of the cluster may grow beyond so many bytes: the nearest thing to a full disk that needs no mount."""
    process = cluster.program.process
    assert process is not None
    for pid in (process.pid, *children_of(process.pid)):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))


def records(cluster: Cluster) -> Any:
    return cluster.get("/health").json()["components"]["records"]


def served(cluster: Cluster) -> None:
    for _ in range(5):
        assert cluster.post("/v1/chat/completions", chat(model="alpha/echo")).status_code == 200


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_full_disk_degrades_the_service_until_there_is_room(
    wiring: str, alpha: SandboxThread, tmp_path: Path
) -> None:
    config = f'providers:\n  alpha: {{base_url: "{alpha.base_url}", api_key: "k", models: [echo]}}\n'
    with Cluster(tmp_path, config, wiring, {"OR_DB_PATH": "rows.db"}) as cluster:
        served(cluster)
        first = cluster.get("/health").json()
        assert first["status"] == "healthy", f"{first['components']}\n{cluster.program.output()}"
        limit_files(cluster, 1)
        served(cluster)
        until(lambda: {"ledger", "traffic_log"} <= set(records(cluster)["failing"]), "nothing can be written")
        health = cluster.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert cluster.get("/ready").status_code == 200
        limit_files(cluster, resource.RLIM_INFINITY)
        until(lambda: not records(cluster)["failing"], "all can be written again, although nobody asks for anything")
        assert cluster.get("/health").json()["status"] == "healthy"
        assert records(cluster)["dropped"]["traffic_log"] > 0, "what was lost stays known"
