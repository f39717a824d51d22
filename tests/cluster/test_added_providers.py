"""Providers that are added over HTTP stay: through a reload, a restart and in either wiring, until they are removed."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import EVERY_WIRING, WIRINGS, Cluster, SandboxThread, chat, until

TOKEN = "the-admin-token-1"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
KEY = "key-that-nobody-sees-0123456789"
ENVIRONMENT = {"OR_ADMIN_TOKEN": TOKEN, "OR_ADDED_PROVIDERS_ALLOW_PRIVATE": "true"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[SandboxThread]:
    """The provider that is added."""
    with SandboxThread() as running:
        yield running


def config(sandbox: SandboxThread, more: str = "") -> str:
    return (
        f'providers:\n  alpha: {{base_url: "{sandbox.base_url}", api_key: "alpha-key", default_model: echo}}\n{more}\n'
    )


def cluster_in(directory: Path, text: str, wiring: str, **more: str) -> Cluster:
    return Cluster(directory, text, wiring, {**ENVIRONMENT, **more})


@pytest.fixture(scope="module", params=EVERY_WIRING)
def cluster(
    request: pytest.FixtureRequest, sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("added"), config(sandbox), request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test asks for the shared cluster; one of its own ends with it."""
    yield
    if "cluster" not in request.fixturenames:
        return
    cluster = request.getfixturevalue("cluster")
    for name in sources(cluster):
        removed(cluster, name)
    until(lambda: set(sources(cluster)) == {"alpha"}, "what was added is gone")


def posted(cluster: Cluster, **body: Any) -> httpx.Response:
    return cluster.post("/orchestrator/providers", body, headers=AUTHORIZED)


def removed(cluster: Cluster, name: str) -> httpx.Response:
    return httpx.delete(f"{cluster.url}/orchestrator/providers/{name}", headers=AUTHORIZED, timeout=60, trust_env=False)


def reloaded(cluster: Cluster) -> httpx.Response:
    return cluster.post("/admin/reload", {}, headers=AUTHORIZED)


def rows(cluster: Cluster) -> list[Json]:
    found: list[Json] = cluster.get("/orchestrator/providers", headers=AUTHORIZED).json()["providers"]
    return found


def sources(cluster: Cluster) -> dict[str, str]:
    return {row["id"]: row["source"] for row in rows(cluster)}


def kept(cluster: Cluster) -> list[Path]:
    return sorted((cluster.directory / ".orcestator").glob("added_provider.*"))


def written(cluster: Cluster, text: str) -> None:
    beside = cluster.directory / "config.yaml.new"
    beside.write_text(text, "utf-8")
    beside.replace(cluster.directory / "config.yaml")


def test_it_serves_and_outlives_a_reload(cluster: Cluster, other: SandboxThread) -> None:
    added = posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY, models=["echo"])
    assert added.status_code == 201, added.text
    assert (added.json()["provider"]["id"], added.json()["provider"]["source"]) == ("mine", "api")
    for _ in range(2):
        answer = cluster.post("/v1/chat/completions", chat(model="mine/echo"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-orcestator-provider"] == "mine"
        assert other.last_call.headers["authorization"] == f"Bearer {KEY}"
        assert reloaded(cluster).json() == {"applied": [], "needs_restart": [], "problems": []}
    assert sources(cluster) == {"alpha": "configuration", "mine": "api"}


def test_its_key_is_in_its_file_and_nowhere_else(cluster: Cluster, other: SandboxThread) -> None:
    assert posted(cluster, name="keyed", type="OPENAI", baseUrl=other.base_url, apiKey=KEY).status_code == 201
    cluster.post("/v1/chat/completions", chat(model="keyed/echo"))
    pages = ("/orchestrator/providers", "/orchestrator/decisions", "/admin/config", "/admin/state", "/metrics")
    shown = [cluster.get(path, headers=AUTHORIZED).text for path in pages]
    assert KEY not in "".join((*shown, cluster.program.output(), *cluster.traffic()))
    (file,) = kept(cluster)
    assert KEY in file.read_text("utf-8")
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_is_removed(cluster: Cluster, other: SandboxThread) -> None:
    assert posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY).status_code == 201
    assert removed(cluster, "mine").status_code == 200
    until(lambda: set(sources(cluster)) == {"alpha"}, "it is in no list")
    assert kept(cluster) == []
    assert cluster.post("/v1/chat/completions", chat(model="mine/echo")).status_code == 404
    assert removed(cluster, "mine").status_code == 404


def test_a_configured_one_is_not_removed(cluster: Cluster) -> None:
    refused = removed(cluster, "alpha")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "provider_configured")
    assert set(sources(cluster)) == {"alpha"}


@pytest.mark.parametrize(("priority", "first"), [(1, "mine"), (1000, "alpha"), (None, "alpha")])
def test_its_priority_is_its_place(cluster: Cluster, other: SandboxThread, priority: int | None, first: str) -> None:
    """The lower, the earlier, as ``order`` of the configuration; without one it is behind those that are configured so."""
    given = {} if priority is None else {"priority": priority}
    like = {"name": "mine", "baseUrl": other.base_url, "apiKey": KEY, "models": ["echo"], **given}
    assert posted(cluster, **like).status_code == 201
    places = sorted((row["priority"], row["id"]) for row in rows(cluster))
    assert places[0][1] == first


def test_what_the_configuration_says_of_its_name_wins(
    cluster: Cluster, sandbox: SandboxThread, other: SandboxThread
) -> None:
    assert posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY).status_code == 201
    own = f'  mine: {{base_url: "{sandbox.base_url}", api_key: "its-own-key", default_model: echo}}'
    written(cluster, config(sandbox, own))
    try:
        assert reloaded(cluster).status_code == 200

        def key_that_is_used() -> str:
            cluster.post("/v1/chat/completions", chat(model="mine/echo"))
            return str(sandbox.last_call.headers["authorization"])

        until(lambda: key_that_is_used() == "Bearer its-own-key", "the configured one serves")
        written(cluster, config(sandbox, "  mine: {enabled: false, base_url: 'https://x.example/v1'}"))
        assert reloaded(cluster).status_code == 200
        until(lambda: set(sources(cluster)) == {"alpha"}, "switched off there is switched off")
        again = posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "provider_exists")
        assert removed(cluster, "mine").status_code == 200
    finally:
        written(cluster, config(sandbox))
        assert reloaded(cluster).status_code == 200


def test_nothing_stays_of_one_that_cannot_be_put_in_place(
    cluster: Cluster, sandbox: SandboxThread, other: SandboxThread
) -> None:
    """Because the file is in a state in which nothing can be loaded; and it cannot be removed then either."""
    assert posted(cluster, name="first", type="OPENAI", baseUrl=other.base_url, apiKey=KEY).status_code == 201
    written(cluster, config(sandbox, "routign: {maxRetries: 5}"))
    try:
        refused = posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "configuration_problem")
        assert "routign" in refused.json()["error"]["message"]
        stays = removed(cluster, "first")
        assert (stays.status_code, stays.json()["error"]["code"]) == (409, "configuration_problem")
        assert set(sources(cluster)) == {"alpha", "first"}
        assert [path.name for path in kept(cluster)] == ["added_provider.first.json"]
    finally:
        written(cluster, config(sandbox))
        assert reloaded(cluster).status_code == 200


def test_our_own_address_is_refused(cluster: Cluster) -> None:
    """It would call itself for ever."""
    refused = posted(cluster, name="loop", type="OPENAI", baseUrl=f"{cluster.url}/v1", apiKey=KEY)
    assert refused.status_code == 409, refused.text
    assert "own address" in refused.json()["error"]["message"]
    assert kept(cluster) == []


def test_a_state_folder_that_cannot_be_written(cluster: Cluster, other: SandboxThread) -> None:
    """Such as one that is none."""
    folder, aside = cluster.directory / ".orcestator", cluster.directory / "aside"
    folder.rename(aside)
    folder.write_bytes(b"")
    try:
        refused = posted(cluster, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY)
    finally:
        folder.unlink()
        aside.rename(folder)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "state_not_writable")
    assert "OR_STATE_DIR" in refused.json()["error"]["message"]
    assert set(sources(cluster)) == {"alpha"}


@pytest.mark.parametrize("wiring", WIRINGS)
def test_it_outlives_a_restart(tmp_path: Path, sandbox: SandboxThread, other: SandboxThread, wiring: str) -> None:
    """Also where nothing else is on: then it is not added to the sandbox but comes instead of it."""
    with cluster_in(tmp_path, "", wiring) as first:
        assert set(sources(first)) == {"sandbox"}
        body = {"id": "mine", "name": "My Own", "type": "OPENAI", "base_url": other.base_url, "api_key": KEY}
        assert posted(first, **body, models=["echo"]).status_code == 201
        until(lambda: set(sources(first)) == {"mine"}, "it stands in for the sandbox")
    with cluster_in(tmp_path, "", wiring) as second:
        until(lambda: "mine/echo" in {model["id"] for model in second.models()}, "its models are listed")
        (row,) = rows(second)
        assert (row["id"], row["name"], row["source"]) == ("mine", "My Own", "api")
        answer = second.post("/v1/chat/completions", chat(model="mine/echo"))
        assert (answer.status_code, answer.headers["x-orcestator-provider"]) == (200, "mine")
        assert other.last_call.headers["authorization"] == f"Bearer {KEY}"


def test_only_those_that_are_wanted(tmp_path: Path, sandbox: SandboxThread, other: SandboxThread) -> None:
    with cluster_in(tmp_path, config(sandbox), "one process", OR_ONLY_PROVIDERS="alpha") as running:
        refused = posted(running, name="mine", type="OPENAI", baseUrl=other.base_url, apiKey=KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "provider_left_out")
        assert "OR_ONLY_PROVIDERS" in refused.json()["error"]["message"]
