"""A quota that is used up is told in the same way whoever has the ledger: this process, or the worker that has the key."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.answering_upstream import AnsweringUpstream
from tests.cluster.harness import WIRINGS, Cluster, chat

CONFIG = """
strategy: priority
providers:
  alpha: {{base_url: "{alpha}", api_key: "key", order: 1, limits: {{rpd: 1}}}}
  beta: {{base_url: "{beta}", api_key: "key", order: 2}}
aliases:
  either: [alpha/m, beta/m]
"""


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_used_up_quota_is_no_attempt(wiring: str, tmp_path: Path) -> None:
    with AnsweringUpstream("m") as alpha, AnsweringUpstream("m") as beta:
        text = CONFIG.format(alpha=alpha.base_url, beta=beta.base_url)
        with Cluster(tmp_path, text, wiring) as cluster:

            def told(model: str) -> tuple[int, str, str]:
                answer = cluster.post("/v1/chat/completions", chat(model=model))
                headers = answer.headers
                return (
                    answer.status_code,
                    headers.get("x-orcestator-provider", ""),
                    headers.get("x-orcestator-attempts", "0"),
                )

            def decision() -> dict[str, Any]:
                latest = cluster.get("/orchestrator/decisions?limit=1").json()["decisions"]
                return dict(cluster.get(f"/orchestrator/decisions/{quote(latest[0]['id'])}").json())

            assert told("either") == (200, "alpha", "1")
            for _ in range(2):
                assert told("either") == (200, "beta", "1"), "the first time the worker says it, then it is known"
                assert [(one["provider"], one["reason"]) for one in decision()["decision"]["excluded"]] == [
                    ("alpha", "quota")
                ]
                assert [one["provider"] for one in decision()["attempts"]] == ["beta"]
            for _ in range(2):
                refused = cluster.post("/v1/chat/completions", chat(model="alpha/m"))
                assert (refused.status_code, refused.json()["error"]["code"]) == (429, "nothing_left")
                assert int(refused.headers["retry-after"]) > 0
                assert "x-orcestator-attempts" not in refused.headers
            assert (alpha.asked("m"), beta.asked("m")) == (1, 2)
            states = [
                row["circuitState"] for row in cluster.get("/admin/state").json()["models"] if "circuitState" in row
            ]
            assert set(states) <= {"CLOSED", "closed"}
