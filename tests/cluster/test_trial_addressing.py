"""What callers and operators found by trying: names in answers, flags in headers, and dry runs that come true."""

import json
from collections.abc import Iterator

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, events_of

CONFIG = """
providers:
  free: {{base_url: "{free}", api_key: "free-key", order: 1}}
  paid: {{base_url: "{paid}", api_keys: ["paid-key", "spare-key"], order: 2}}
models:
  - {{name: small, provider: free, model: echo, tags: [code], jsonResponse: true, cost_per_token: 0}}
  - {{name: other, provider: paid, model: "echo?seed=2", jsonResponse: true, cost_per_token: 0.000001}}
  - {{name: broken, provider: free, model: "fault:H1:503", jsonResponse: true}}
aliases:
  turns: {{strategy: round_robin, targets: [small, other]}}
routing_rules:
  - {{id: hers, condition: {{user: anna}}, provider: paid}}
"""
ROUTER = {"x-orcestator-router": "true"}


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with SandboxThread() as free, SandboxThread() as paid:
        config = CONFIG.format(free=free.base_url, paid=paid.base_url)
        with Cluster(tmp_path_factory.mktemp("trial"), config, request.param) as running:
            yield running


pytestmark = pytest.mark.parametrize("cluster", WIRINGS, indirect=True, scope="module")


def streamed(cluster: Cluster, call: Json, headers: dict[str, str]) -> list[Json]:
    """The chunks of a stream."""
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("POST", cluster.url + "/v1/chat/completions", json=call, headers=headers) as response,
    ):
        return [json.loads(event) for event in events_of(response) if event != "[DONE]"]


def test_of_several_names_the_answer_shows_the_one_that_led_to_its_model(cluster: Cluster) -> None:
    """Whether it is asked for the router's facts or not, streamed or not."""
    call = chat(model=["broken", "small"])
    assert cluster.post("/v1/chat/completions", call).json()["model"] == "small"
    assert cluster.post("/v1/chat/completions", call, headers=ROUTER).json()["model"] == "small"
    assert {chunk["model"] for chunk in streamed(cluster, {**call, "stream": True}, ROUTER)} == {"small"}


def test_a_model_in_the_path_comes_before_the_list_in_the_body(cluster: Cluster) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "models": ["small"]}
    answer = cluster.post("/v1beta/models/other:generateContent", body)
    assert (answer.status_code, answer.headers["x-orcestator-provider"]) == (200, "paid")
    body["models"] = ["nobody-has-it"]
    assert cluster.post("/v1beta/models/small:generateContent", body).status_code == 200


@pytest.mark.parametrize("text", ["TRUE", "1"])
def test_a_flag_may_be_written_in_more_than_one_way(cluster: Cluster, text: str) -> None:
    answer = cluster.post("/v1/chat/completions", chat(model="small"), headers={"x-orcestator-router": text})
    assert answer.json()["_router"]["provider"] == "free"


@pytest.mark.parametrize("name", ["router", "strict", "continue"])
def test_a_flag_that_cannot_be_read_is_named(cluster: Cluster, name: str) -> None:
    answer = cluster.post("/v1/chat/completions", chat(model="small"), headers={f"x-orcestator-{name}": "yes"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, f"x-orcestator-{name}")
    off = cluster.post("/v1/chat/completions", chat(model="small"), headers={f"x-orcestator-{name}": "false"})
    assert (off.status_code, "_router" in off.json()) == (200, False)


def test_a_question_takes_nobodys_turn(cluster: Cluster) -> None:
    """Where everybody comes in turn, what a dry run says is what the next request does."""
    for _ in range(5):
        told = cluster.post("/orchestrator/route-request", {"model": "turns", "prompt": "hello"}).json()
        again = cluster.post("/orchestrator/route-request", {"model": "turns", "prompt": "hello"}).json()
        assert (told["provider"], told["model"]) == (again["provider"], again["model"])
        real = cluster.post("/v1/chat/completions", chat(model="turns")).headers
        assert (real["x-orcestator-provider"], real["x-orcestator-model"]) == (told["provider"], told["model"])


def test_the_user_of_a_rule_is_the_requests_user(cluster: Cluster) -> None:
    """As in a dry run, whose ``userId`` it is."""
    told = cluster.post("/orchestrator/route-request", {"model": "turns", "userId": "anna"}).json()
    assert (told["provider"], told["decision"]["rule"]) == ("paid", "hers")
    for _ in range(3):
        real = cluster.post("/v1/chat/completions", chat(model="turns", user="anna"))
        assert real.headers["x-orcestator-provider"] == "paid"


def test_the_name_that_is_served_is_the_one_that_is_refused(cluster: Cluster) -> None:
    answer = cluster.post("/v1/images/generations", {"model": ["nobody-has-it", "small"], "prompt": "a cat"})
    assert answer.status_code == 400
    assert "The model 'small' is served by free" in answer.json()["error"]["message"]


def test_fields_of_openrouter_that_ask_for_nothing(cluster: Cluster) -> None:
    provider = {"data_collection": "allow", "require_parameters": False, "zdr": False, "only": ["FREE"]}
    answer = cluster.post("/v1/chat/completions", chat(model="turns", provider=provider))
    assert (answer.status_code, answer.headers["x-orcestator-provider"]) == (200, "free")


def test_a_record_tells_what_was_asked_for(cluster: Cluster) -> None:
    call = chat(model=["nobody-has-it", "small", "other"], tags=["code"], max_tokens=9)
    answer = cluster.post("/v1/chat/completions", call)
    record = cluster.get(f"/orchestrator/decisions/{answer.headers['x-request-id']}").json()
    assert record["decision"]["asked"] == {
        "names": ["nobody-has-it", "small", "other"],
        "unused_names": ["nobody-has-it"],
        "endpoint": "chat",
        "wishes": {"tags": ["code"]},
        "needs": [],
        "prompt_tokens": record["decision"]["asked"]["prompt_tokens"],
        "output_tokens": 9,
    }
