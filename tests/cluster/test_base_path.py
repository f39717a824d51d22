"""Everything under a path of its own as well, for a reverse proxy that hands whole paths on."""

from collections.abc import Iterator

import openai
import pytest

from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, streamed, text_of

KEY = "the-callers-own-key"


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, alpha: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    config = f'providers:\n  alpha: {{base_url: "{alpha.base_url}", api_key: "alpha-key", default_model: echo}}\n'
    environment = {"API_BASE_PATH": "router/", "OR_ADMIN_TOKEN": "the-admin-token-1"}
    with Cluster(tmp_path_factory.mktemp("base"), config, request.param, environment) as running:
        yield running


@pytest.mark.parametrize("base", ["/router/v1", "/v1"])
def test_the_sdk_works_under_it_and_at_the_root(cluster: Cluster, base: str) -> None:
    with openai.OpenAI(base_url=cluster.url + base, api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(model="alpha/echo", messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content
        stream = client.chat.completions.create(
            model="alpha/echo", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text == answer.choices[0].message.content
        assert "alpha/echo" in [model.id for model in client.models.list()]
        assert client.models.retrieve("alpha/echo").id == "alpha/echo"
        with pytest.raises(openai.NotFoundError, match="no-such-model"):
            client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "hello"}])


def test_every_surface_is_there(cluster: Cluster) -> None:
    """Those of all dialects, the lists, the probes and the management; errors in the dialect of the path."""
    message = {"model": "alpha/echo", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    assert cluster.post("/router/v1/messages", message).json()["type"] == "message"
    assert cluster.post("/router/v1/messages", {**message, "model": "none"}).json()["type"] == "error"
    assert (
        cluster.post("/router/v1/responses", {"model": "alpha/echo", "input": "hello"}).json()["object"] == "response"
    )
    ollama = {"model": "alpha/echo", "messages": message["messages"], "stream": False}
    assert cluster.post("/router/api/chat", ollama).json()["done"] is True
    gemini = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    assert cluster.post("/router/v1beta/models/alpha/echo:generateContent", gemini).json()["candidates"]
    for path in ("", "/", "/health", "/ready", "/models", "/api/tags", "/api/v1/health"):
        assert cluster.get(f"/router{path}").status_code == 200, path
    assert cluster.get("/router/orchestrator/providers").status_code == 401
    headers = {"authorization": "Bearer the-admin-token-1"}
    assert cluster.get("/router/orchestrator/providers", headers=headers).status_code == 200
    checked = cluster.post("/router/api/v1/token_check", {"prompts": []})
    assert checked.status_code == cluster.post("/api/v1/token_check", {"prompts": []}).status_code


def test_probes_answer_at_the_root(cluster: Cluster) -> None:
    assert cluster.get("/health").status_code == 200
    assert cluster.get("/ready").status_code == 200


@pytest.mark.parametrize(
    "path", ["/routerv1/models", "/router/router/v1/models", "/Router/v1/models", "/router//v1/models"]
)
def test_what_is_not_under_it(cluster: Cluster, path: str) -> None:
    assert cluster.get(path).status_code == 404


def test_methods_are_told_apart(cluster: Cluster) -> None:
    refused = cluster.get("/router/v1/chat/completions")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_a_caller_who_leaves_is_noticed(cluster: Cluster, alpha: SandboxThread) -> None:
    """The edge tells the application of it through the request's own scope, whose path was changed."""
    import httpx  # noqa: PLC0415

    call = {**chat("one two three", model="alpha/echo?tps=1"), "stream": True}
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("POST", f"{cluster.url}/router/v1/chat/completions", json=call) as response,
    ):
        next(response.iter_bytes())
    alpha.wait_for(lambda records: any("tps=1" in str(r.model) and r.peer_closed_at for r in records))


def test_with_the_routers_own_path_nothing_changes_its_meaning(
    alpha: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """``/api`` is where Ollama's routes are, and ``/api/v1`` where the free LLM router's are: they stay what they are."""
    config = f'providers:\n  alpha: {{base_url: "{alpha.base_url}", api_key: "alpha-key", default_model: echo}}\n'
    with Cluster(tmp_path_factory.mktemp("api"), config, environment={"API_BASE_PATH": "api"}) as running:
        answer = running.post("/api/v1/chat/completions", chat(model="alpha/echo")).json()
        assert answer["choices"]
        ollama = {**chat(model="alpha/echo"), "stream": False}
        assert running.post("/api/chat", ollama).json()["done"] is True
        assert running.post("/api/v1/responses", {"model": "alpha/echo", "input": "hi"}).json()["object"] == "response"
        status, events, whole = streamed(running, chat(model="alpha/echo"))
        assert (status, whole, bool(text_of(events))) == (200, True, True)
