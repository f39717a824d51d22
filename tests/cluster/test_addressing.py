"""How a caller says what it wants: names, lists, ``auto``, wishes in the body and in headers; and what goes upstream of it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, events_of

CONFIG = """
providers:
  free: {{base_url: "{free}", api_key: "free-key", order: 1}}
  paid: {{base_url: "{paid}", api_key: "paid-key", order: 2}}
models:
  - {{name: small, provider: free, model: echo, type: fast, tags: [code, general], contextSize: 8000, jsonResponse: true, weight: 5}}
  - {{name: thinker, provider: free, model: "echo?seed=1", type: reasoning, tags: [math], contextSize: 64000}}
  - {{name: both, provider: free, model: "echo?seed=2", tags: [shared]}}
  - {{name: both, provider: paid, model: echo, tags: [shared]}}
  - {{name: broken, provider: free, model: "fault:H1:503", tags: [broken]}}
  - {{name: gone, provider: free, model: "echo?seed=3", available: false}}
routing:
  fallback: {{enabled: true, provider: paid, model: "echo?seed=4"}}
"""
WISHES: Json = {
    "tags": ["code"],
    "type": "fast",
    "min_context_size": 4000,
    "json_response": True,
    "prefer_fast": True,
    "min_success_rate": 0.5,
    "urgency": "high",
    "quality": "standard",
    "budget": 1.0,
    "provider": {"order": ["free"], "sort": "price", "max_price": {"prompt": 100}},
}


@pytest.fixture(scope="module")
def free() -> Iterator[SandboxThread]:
    with SandboxThread() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def paid() -> Iterator[SandboxThread]:
    with SandboxThread() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, free: SandboxThread, paid: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    config = CONFIG.format(free=free.base_url, paid=paid.base_url)
    with Cluster(tmp_path_factory.mktemp("addressing"), config, request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_received(free: SandboxThread, paid: SandboxThread) -> None:
    free.reset()
    paid.reset()


def calls(sandbox: SandboxThread) -> list[Any]:
    """What was asked of it, but for its list of models, which the cluster reads by itself."""
    return [record for record in sandbox.records if record.method == "POST"]


def asked(cluster: Cluster, headers: dict[str, str] | None = None, **body: Any) -> Json:
    """The answer, with what the router says of it."""
    answer = cluster.post(
        "/v1/chat/completions", chat(**body), headers={"x-orcestator-router": "true", **(headers or {})}
    )
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_preferences_choose_and_never_go_upstream(cluster: Cluster, free: SandboxThread) -> None:
    answer = asked(cluster, model="auto", **WISHES)
    assert answer["_router"] == {
        "provider": "free", "model_name": "small", "attempts": 1, "fallback_used": False, "errors": [],
    }  # fmt: skip
    assert answer["model"] == "auto"
    (record,) = calls(free)
    assert WISHES.keys().isdisjoint(json.loads(record.body))
    assert not [name for name in record.headers if "orcestator-" in name]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x-orcestator-tags": "math"}, "thinker"),
        ({"x-orcestator-type": "reasoning", "x-orcestator-urgency": "high"}, "thinker"),
        ({"x-orcestator-min-context-size": "50000", "x-orcestator-tags": "math"}, "thinker"),
        ({"x-orcestator-json-response": "true", "x-orcestator-tags": "code"}, "small"),
    ],
)
def test_headers_say_the_same(cluster: Cluster, headers: dict[str, str], name: str) -> None:
    assert asked(cluster, headers, model="auto")["_router"]["model_name"] == name


def test_without_a_model_the_configured_ones_are_meant(cluster: Cluster) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "tags": ["math"]}
    answer = cluster.post("/v1/chat/completions", body, headers={"x-orcestator-router": "true"}).json()
    assert (answer["model"], answer["_router"]["model_name"]) == ("auto", "thinker")


def test_a_list_is_tried_in_its_order(cluster: Cluster, free: SandboxThread, paid: SandboxThread) -> None:
    answer = asked(cluster, model=["broken", "paid/echo", "small"])
    assert answer["_router"]["provider"] == "paid"
    assert answer["_router"]["fallback_used"] is False
    assert len(answer["_router"]["errors"]) == 1
    assert len(calls(paid)) == 1
    assert isinstance(answer["model"], str)


def test_the_list_of_openrouter(cluster: Cluster, free: SandboxThread) -> None:
    answer = asked(cluster, model="broken", models=["small"])
    assert answer["_router"]["model_name"] == "small"
    assert "models" not in json.loads(calls(free)[-1].body)


def test_a_list_ends_in_auto(cluster: Cluster) -> None:
    assert asked(cluster, model=["broken", "auto"], tags=["math"])["_router"]["model_name"] in ("thinker", "broken")


def test_a_provider_and_the_name_of_an_entry(cluster: Cluster) -> None:
    assert asked(cluster, model="paid/both")["_router"]["provider"] == "paid"
    assert asked(cluster, model="free/both")["_router"]["provider"] == "free"


def test_the_paid_model_is_the_last_resort(cluster: Cluster, paid: SandboxThread) -> None:
    """It has an attempt of its own, and the answer says that it was used."""
    answer = asked(cluster, model="broken")
    assert answer["_router"]["fallback_used"] is True
    assert answer["_router"]["provider"] == "paid"
    assert json.loads(calls(paid)[-1].body)["model"] == "echo?seed=4"


def test_only_the_paid_model_counts_as_a_fallback_used(cluster: Cluster) -> None:
    """As the field of the same name in answers, not every change of the candidate."""

    def used() -> int:
        return cluster.get("/admin/metrics").json()["fallbacksUsed"]

    before = used()
    asked(cluster, model=["broken", "paid/echo"])
    assert used() == before
    asked(cluster, model="broken")
    assert used() == before + 1


def test_only_and_ignore(cluster: Cluster) -> None:
    assert asked(cluster, model="both", provider={"only": ["paid"]})["_router"]["provider"] == "paid"
    assert asked(cluster, model="both", provider={"ignore": ["paid"]})["_router"]["provider"] == "free"


def test_without_fallbacks_the_first_is_the_only_one(cluster: Cluster, paid: SandboxThread) -> None:
    answer = cluster.post("/v1/chat/completions", chat(model=["broken", "small"], provider={"allow_fallbacks": False}))
    assert answer.status_code == 503, answer.text
    assert not calls(paid)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"urgency": "now"}, "urgency"),
        ({"tags": 5}, "tags"),
        ({"min_success_rate": 2}, "min_success_rate"),
        ({"budget": -1}, "budget"),
        ({"provider": "free"}, "provider"),
        ({"provider": {"sort": "luck"}}, "provider.sort"),
        ({"model": []}, "model"),
        ({"model": [1]}, "model"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(cluster: Cluster, body: Json, param: str) -> None:
    answer = cluster.post("/v1/chat/completions", {**chat(), **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_preferences_that_nothing_fits(cluster: Cluster, free: SandboxThread) -> None:
    answer = cluster.post("/v1/chat/completions", chat(model="auto", tags=["poetry"]))
    assert answer.status_code == 400
    assert "tags" in answer.json()["error"]["message"]
    assert not calls(free)


def test_a_model_that_is_switched_off(cluster: Cluster, free: SandboxThread) -> None:
    """It is not asked; the paid model stands behind every name."""
    answer = cluster.post("/v1/chat/completions", chat(model="gone"))
    assert not calls(free)
    assert answer.status_code in (200, 404)


def test_another_dialects_caller(cluster: Cluster) -> None:
    """Wishes are in headers there, and in the body's fields as well."""
    body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}], "tags": ["math"]}
    answer = cluster.post("/v1/messages", body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-orcestator-model"] == "echo?seed=1"


def test_a_stream_tells_of_its_router_when_asked(cluster: Cluster) -> None:
    call = {**chat(model="broken"), "stream": True}
    headers = {"x-orcestator-router": "true"}
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("POST", cluster.url + "/v1/chat/completions", json=call, headers=headers) as response,
    ):
        chunks = [json.loads(event) for event in events_of(response) if event != "[DONE]"]
        assert response.headers["x-orcestator-fallback-used"] == "true"
    (told,) = [chunk["_router"] for chunk in chunks if "_router" in chunk]
    assert told["fallback_used"] is True
    assert told["provider"] == "paid"


def test_a_deadline_of_the_callers(cluster: Cluster) -> None:
    answer = cluster.post("/v1/chat/completions", chat(), headers={"x-orcestator-timeout": "soon"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "x-orcestator-timeout"
