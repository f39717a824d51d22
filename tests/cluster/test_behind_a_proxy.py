"""A cluster behind an HTTP proxy, and one whose file refers to secrets that only some of its programs are given; in both wirings."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import WIRINGS, Cluster
from tests.cluster.told_upstream import Heard, Told, ToldUpstream

ANSWER = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Hello"}}]}'
)
CONFIG = """
admin_token: ${ADMIN_SECRET}
webhook_url: ${HOOK}
webhook_secret: ${HOOK_SECRET}
providers:
  near: {base_url: "http://10.9.8.7:1/v1", api_key: "${NEAR_KEY}", models: [m], proxy: "${NEAR_PROXY}"}
  far: {base_url: "https://llm.example.com/v1", api_key: "${FAR_KEY}", models: [n]}
"""
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def proxy() -> Iterator[ToldUpstream]:
    """A proxy that answers itself what it is asked by a whole address, and opens no tunnel (501)."""

    def answer(_heard: Heard) -> Told:
        return Told(ANSWER)

    with ToldUpstream(answer) as running:
        yield running


@pytest.mark.parametrize("wiring", WIRINGS)
def test_workers_call_through_their_proxies(wiring: str, proxy: ToldUpstream, tmp_path: Path) -> None:
    """Each through the one that is meant for it, and who needs a secret of the file is given it."""
    address = proxy.url.removeprefix("http://")
    environment = {
        "NEAR_PROXY": f"http://ada:long-password@{address}", "HTTPS_PROXY": f"http://bob:other-password@{address}",
        "NEAR_KEY": "near-key-0123456789", "FAR_KEY": "far-key-0123456789",
        "ADMIN_SECRET": "admin-secret-0123456789", "HOOK": "http://127.0.0.1:9/hook", "HOOK_SECRET": "hook-secret-0123456789",
    }  # fmt: skip
    with Cluster(tmp_path, CONFIG, wiring, environment) as cluster:
        answered = cluster.post("/v1/chat/completions", {"model": "near/m", **ASKED})
        assert answered.status_code == 200, answered.text
        (heard,) = proxy.heard
        assert heard.target == "http://10.9.8.7:1/v1/chat/completions"
        who = base64.b64encode(b"ada:long-password").decode()
        assert (heard.headers["proxy-authorization"], heard.headers["authorization"]) == (
            f"Basic {who}", "Bearer near-key-0123456789"
        )  # fmt: skip
        refused = cluster.post("/v1/chat/completions", {"model": "far/n", **ASKED})
        assert (refused.status_code, "proxy" in refused.json()["error"]["message"]) == (503, True), refused.text
        assert cluster.post("/admin/reload", {}).status_code == 401
        reloaded = cluster.post("/admin/reload", {}, headers={"authorization": "Bearer admin-secret-0123456789"})
        assert (reloaded.status_code, reloaded.json()["applied"]) == (200, []), reloaded.text
        assert "password" not in cluster.program.output()
