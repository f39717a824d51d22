"""Management of a real cluster in both wirings: who may, what is told of real requests, and rules that real requests obey."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator.cli import main
from orcestator.json_text import Json
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat

TOKEN = "the-admin-token-1"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
CONFIG = """
providers:
  alpha: {{base_url: "{alpha}", api_key: "alpha-key", default_model: echo, order: 1}}
  beta: {{base_url: "{beta}", api_key: "beta-key", default_model: echo, order: 2}}
aliases:
  falls: ["alpha/fault:H1:503", beta/echo]
  either: {{strategy: priority, targets: [alpha/echo, beta/echo]}}
routing_rules:
  - {{id: premium, condition: {{quality: premium}}, provider: beta}}
"""


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two providers, an admin token, and a rule."""
    with SandboxThread() as alpha, SandboxThread() as beta:
        config = CONFIG.format(alpha=alpha.base_url, beta=beta.base_url)
        directory = tmp_path_factory.mktemp("management")
        with Cluster(directory, config, request.param, {"OR_ADMIN_TOKEN": TOKEN}) as running:
            yield running


def managed(cluster: Cluster, method: str, path: str, body: Any = None) -> httpx.Response:
    """One request with the admin token."""
    return httpx.request(method, cluster.url + path, json=body, headers=AUTHORIZED, timeout=20, trust_env=False)


def told(cluster: Cluster, path: str) -> Json:
    """What a GET answers."""
    answer = managed(cluster, "GET", path)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_only_the_token_opens(cluster: Cluster) -> None:
    """Not even this machine comes in without it; the lists are for every caller."""
    for path in ("/orchestrator/providers", "/admin/config", "/metrics"):
        refused = cluster.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_admin_token")
        assert cluster.get(path, headers={"x-admin-token": TOKEN}).status_code == 200
    assert TOKEN not in managed(cluster, "GET", "/admin/config").text
    assert "alpha-key" not in managed(cluster, "GET", "/admin/config").text
    for path in ("/models", "/api/v1/models", "/models/either/status", "/health", "/api/v1/health"):
        assert cluster.get(path).status_code == 200


def test_a_real_request_is_explained(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Its attempts, what served it, and the same on a terminal."""
    answer = cluster.post("/v1/chat/completions", chat(model="falls"), headers={"x-request-id": "explained-1"})
    assert answer.status_code == 200
    record = told(cluster, "/orchestrator/decisions/explained-1")
    assert [(attempt["provider"], attempt["verdict"]) for attempt in record["attempts"]] == [
        ("alpha", "fall_back"),
        ("beta", ""),
    ]
    assert record["served"]["provider"] == "beta"
    assert [row["provider"] for row in record["decision"]["candidates"]] == ["alpha", "beta"]
    assert record["timings"]["total_ms"] >= record["timings"]["first_content_ms"] > 0
    assert main(["explain", "explained-1", "--url", cluster.url, "--token", TOKEN]) == 0
    shown = capsys.readouterr().out
    assert "UpstreamUnavailable 503" in shown
    assert "200 served by beta/echo" in shown


def test_a_refused_request_is_explained(cluster: Cluster) -> None:
    """One for which there never was a plan."""
    cluster.post("/v1/chat/completions", chat(model="ether"), headers={"x-request-id": "refused-1"})
    record = told(cluster, "/orchestrator/decisions/refused-1")
    assert (record["status"], record["error"], record["requested"]) == (404, "ModelNotFound", "ether")
    assert record["decision"] is None


def test_a_rule_is_obeyed_by_real_requests(cluster: Cluster) -> None:
    """The configured one, and one that is set, changed and deleted while it runs."""

    def served(**more: Any) -> str:
        return cluster.post("/v1/chat/completions", chat(model="either", **more)).headers["x-orcestator-provider"]

    assert served() == "alpha"
    assert served(quality="premium") == "beta"
    body = {"condition": {"urgency": "high"}, "provider": "beta"}
    made = managed(cluster, "POST", "/orchestrator/routing-rules", body).json()
    assert served(urgency="high") == "beta"
    path = f"/orchestrator/routing-rules/{made['id']}"
    managed(cluster, "PUT", path, {**body, "isActive": False})
    assert served(urgency="high") == "alpha"
    assert managed(cluster, "DELETE", path).status_code == 200
    assert [rule["id"] for rule in told(cluster, "/orchestrator/routing-rules")["rules"]] == ["premium"]


def test_what_would_happen_is_what_happens(cluster: Cluster) -> None:
    """The same plan, and nobody is called for the question."""
    before = told(cluster, "/admin/metrics")["totalRequests"]
    routed = managed(cluster, "POST", "/orchestrator/route-request", {"model": "either", "prompt": "hello"}).json()
    assert (routed["provider"], routed["model"], routed["fallbackProvider"]) == ("alpha", "echo", "beta")
    answer = cluster.post("/v1/chat/completions", chat(model="either"))
    assert answer.headers["x-orcestator-provider"] == routed["provider"]
    assert told(cluster, "/admin/metrics")["totalRequests"] == before + 1


def test_figures_of_real_requests(cluster: Cluster) -> None:
    """In each provider's row, in a model's state, and in both forms of the metrics."""
    cluster.post("/v1/chat/completions", chat(model="alpha/echo"))
    row = next(row for row in told(cluster, "/orchestrator/providers")["providers"] if row["id"] == "alpha")
    assert row["responseTime"] >= 0
    assert told(cluster, "/orchestrator/provider-status/alpha")["lastCheck"].endswith("Z")
    states = {state["name"]: state for state in told(cluster, "/admin/state")["models"]}
    assert states["alpha/echo"]["stats"]["totalRequests"] >= 1
    assert told(cluster, "/metrics")["requests"]["total"] >= 1
    text = cluster.get("/metrics", headers={**AUTHORIZED, "accept": "text/plain"}).text
    assert "orcestator_requests_total{" in text


def test_a_missing_model_is_reset(cluster: Cluster) -> None:
    """It is out after its provider's 404, and may be asked again after a reset."""
    cluster.post("/v1/chat/completions", chat(model="alpha/fault:H1:404"))
    assert cluster.get("/models/alpha/fault:H1:404/status").json()["status"] == "unavailable"
    assert managed(cluster, "POST", "/admin/state/alpha/fault:H1:404/reset").json()["success"] is True
    assert cluster.get("/models/alpha/fault:H1:404/status").json()["status"] == "available"
