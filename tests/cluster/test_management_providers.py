"""Providers that are added to a running cluster: to serve at once, or to be refused for where they are."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import Cluster, SandboxThread, chat

TOKEN = "the-admin-token-1"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
KEY = "key-that-nobody-sees-0123456789"
NOWHERE = "https://provider.invalid/v1"
"""A public address, as far as its name tells; nobody is there (RFC 6761, section 6.4)."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One process with one provider, which is in the sandbox."""
    config = f'providers:\n  alpha: {{base_url: "{sandbox.base_url}", api_key: "alpha-key", default_model: echo}}\n'
    with Cluster(tmp_path_factory.mktemp("providers"), config, environment={"OR_ADMIN_TOKEN": TOKEN}) as running:
        # The list of models that it reads by itself at its start must not be counted by a test.
        sandbox.wait_for(lambda found: any(record.method == "GET" and record.finished for record in found))
        yield running


def posted(cluster: Cluster, **body: Any) -> httpx.Response:
    return cluster.post("/orchestrator/providers", body, headers=AUTHORIZED)


def told(cluster: Cluster, path: str) -> Any:
    answer = cluster.get(path, headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(cluster: Cluster) -> set[str]:
    return {row["id"] for row in told(cluster, "/orchestrator/providers")["providers"]}


def test_a_public_one_is_there_at_once(cluster: Cluster) -> None:
    """In the lists, in the names that can be asked for, and in the way of requests: that nobody answers there is its failure."""
    added = posted(cluster, name="Remote", type="OPENAI", baseUrl=NOWHERE, apiKey=KEY, models=["m1", "m2"])
    assert added.status_code == 201, added.text
    row = added.json()["provider"]
    assert (row["id"], row["models"]) == ("remote", ["m1", "m2"])
    assert "remote" in names(cluster)
    assert {"remote/m1", "remote/m2"} <= {model["id"] for model in cluster.models()}

    answer = cluster.post("/v1/chat/completions", chat(model="remote/m1"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unavailable")
    fallen = cluster.post("/v1/chat/completions", chat(model=["remote/m1", "alpha/echo"]))  # type: ignore[arg-type]
    assert fallen.status_code == 200, fallen.text
    assert fallen.headers["x-orcestator-provider"] == "alpha"

    again = posted(cluster, name="remote", type="OPENAI", baseUrl=NOWHERE, apiKey=KEY)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "provider_exists")


def test_its_key_is_seen_nowhere(cluster: Cluster) -> None:
    posted(cluster, name="keyed", type="OPENAI", baseUrl=NOWHERE, apiKey=KEY, models=["m1"])
    cluster.post("/v1/chat/completions", chat(model="keyed/m1"))
    pages = ("/orchestrator/providers", "/orchestrator/decisions", "/admin/config", "/admin/state", "/metrics")
    shown = [cluster.get(path, headers=AUTHORIZED).text for path in pages]
    assert KEY not in "".join((*shown, cluster.program.output(), *cluster.traffic()))


def test_its_limits_are_kept(cluster: Cluster) -> None:
    """As those of the configuration are: the ledger knows of them."""
    added = posted(
        cluster,
        name="limited",
        type="OPENAI",
        baseUrl=NOWHERE,
        apiKey=KEY,
        models=["m1"],
        config={"limits": {"rpd": 7}},
    )
    assert added.status_code == 201, added.text
    limits = told(cluster, "/admin/rate-limits")
    assert any("limited" in str(row) and "7" in str(row) for row in limits["limits"]), limits


def test_the_others_notice_nothing(cluster: Cluster, sandbox: SandboxThread) -> None:
    """Their links stay as they are, with what they keep for conversations: they are not even asked for their models again."""
    lists = sum(record.method == "GET" for record in sandbox.records)
    assert posted(cluster, name="beside", type="OPENAI", baseUrl=NOWHERE, apiKey=KEY).status_code == 201
    assert cluster.post("/admin/reload", {}, headers=AUTHORIZED).status_code == 200
    assert sum(record.method == "GET" for record in sandbox.records) == lists
    assert "beside" in names(cluster), "what was added outlives a reload"


@pytest.mark.parametrize("where", ["base_url", "baseUrl", "config"])
def test_a_private_address_is_for_the_configuration(cluster: Cluster, sandbox: SandboxThread, where: str) -> None:
    """Wherever in the request it is said: nothing is sent there."""
    given: Json = {"config": {"base_url": sandbox.base_url}} if where == "config" else {where: sandbox.base_url}
    refused = posted(cluster, name="local", type="OPENAI", apiKey=KEY, **given)
    assert refused.status_code == 400, refused.text
    error = refused.json()["error"]
    assert "private" in error["message"]
    assert error["param"] in ("base_url", "config")
    assert "local" not in names(cluster)
    assert not any(KEY in " ".join(record.headers.values()) for record in sandbox.records)


@pytest.mark.parametrize("kind", ["LMSTUDIO", "VLLM"])
def test_nor_does_a_type_lead_to_one(cluster: Cluster, kind: str) -> None:
    """What such a server is like has an address on this machine."""
    assert posted(cluster, name="mine", type=kind).status_code == 400
    assert "mine" not in names(cluster)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "groq"},
        {"name": "mine", "type": "NOPE", "apiKey": KEY},
        {"name": "mine", "apiKey": KEY},
        {"name": "yandex", "type": "YANDEX", "apiKey": KEY},
        {"name": "groq", "apiKey": KEY, "config": {"apikey": KEY}},
        {"name": "groq", "apiKey": KEY, "config": {"models": 3}},
        {"name": "groq", "apiKey": "two words"},
        {"name": "${HOME}", "type": "OPENAI", "apiKey": KEY, "baseUrl": NOWHERE},
    ],
)
def test_what_cannot_be_one_is_refused_whole(cluster: Cluster, body: Json) -> None:
    """With a sentence, and without the key in it; nothing of it stays."""
    before = names(cluster)
    refused = posted(cluster, **body)
    assert refused.status_code == 400, refused.text
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith((".", "?"))
    assert KEY not in refused.text
    assert names(cluster) == before


def test_nobody_adds_one_without_the_token(cluster: Cluster) -> None:
    refused = cluster.post("/orchestrator/providers", {"name": "groq", "api_key": KEY})
    assert (refused.status_code, "groq" in names(cluster)) == (401, False)
