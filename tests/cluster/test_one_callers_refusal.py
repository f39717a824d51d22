"""What one caller is refused is that caller's: nobody takes a model, a key or an upstream away from others by a request of theirs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.answering_upstream import AnsweringUpstream, Said
from tests.cluster.harness import WIRINGS, Cluster, chat

STALE = {
    "error": {
        "message": "Item with id 'rs_gone' not found. Items are not persisted when `store` is set to false.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }
}
"""What OpenAI says of an item that it does not have: with the status 404 (public reports, 2026-11)."""
GONE = {
    "error": {"message": "The model `gone` does not exist", "type": "invalid_request_error", "code": "model_not_found"}
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[AnsweringUpstream]:
    with AnsweringUpstream("stale", "coded", "pathless", "gone") as started:
        yield started


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, upstream: AnsweringUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    config = f"""
providers:
  alpha: {{base_url: "{upstream.base_url}", api_key: "key"}}
"""
    directory: Path = tmp_path_factory.mktemp("refusals")
    with Cluster(directory, config, request.param) as started:
        yield started


def ask(cluster: Cluster, model: str) -> httpx.Response:
    return cluster.post("/v1/chat/completions", chat(model=f"alpha/{model}"))


@pytest.mark.parametrize(
    ("model", "body", "code", "param"),
    [
        ("stale", STALE, "invalid_request_error", "input"),
        ("coded", {"message": "mock 404", "code": "some_code"}, "some_code", None),
    ],
)
def test_a_404_that_is_not_about_the_model_is_its_callers_alone(
    cluster: Cluster, upstream: AnsweringUpstream, model: str, body: Any, code: str, param: str | None
) -> None:
    upstream.says(model, Said(404, body))
    refused = ask(cluster, model)
    assert refused.status_code == 404
    assert (refused.json()["error"]["code"], refused.json()["error"]["param"]) == (code, param)

    assert ask(cluster, model).status_code == 200


def test_a_wrong_address_is_no_word_on_the_model(cluster: Cluster, upstream: AnsweringUpstream) -> None:
    upstream.says("pathless", Said(404, b"404 page not found", {"content-type": "text/plain"}))
    refused = ask(cluster, "pathless")
    assert refused.status_code == 404
    assert "base_url" in refused.json()["error"]["message"]
    assert refused.json()["error"]["code"] != "model_not_found"

    assert ask(cluster, "pathless").status_code == 200


def test_a_model_that_is_gone_is_gone(cluster: Cluster, upstream: AnsweringUpstream) -> None:
    asked = upstream.asked("gone")
    upstream.says("gone", Said(404, GONE))
    assert ask(cluster, "gone").json()["error"]["code"] == "model_not_found"
    assert ask(cluster, "gone").json()["error"]["code"] == "model_not_found"
    assert upstream.asked("gone") == asked + 1


TOO_LARGE = (
    "Request too large for m in organization o on tokens per min (TPM): Limit 30000, Requested 50000. The input or output tokens"
    " must be reduced in order to run successfully."
)
OWN = {
    "bad": Said(400, {"error": {"message": "messages: too odd", "type": "invalid_request_error"}}),
    "item": Said(404, STALE),
    "conflict": Said(409, {"error": {"message": "conversation is locked", "code": "conversation_locked"}}),
    "big": Said(413, {"error": {"message": "Payload too large"}}),
    "odd": Said(422, {"error": {"message": "temperature: above 2"}}),
    "filtered": Said(400, {"error": {"message": "refused", "code": "content_filter"}}),
    "long": Said(400, {"error": {"message": "prompt is too long", "code": "context_length_exceeded"}}),
    "tokens": Said(429, {"error": {"message": TOO_LARGE, "type": "tokens", "code": "rate_limit_exceeded"}}),
    "legal": Said(451, {"error": {"message": "not in your country"}}),
}
"""Refusals of one request, by the model that a test has them of."""


@pytest.fixture(scope="module")
def owner() -> Iterator[AnsweringUpstream]:
    with AnsweringUpstream(*OWN) as started:
        yield started


@pytest.fixture(scope="module", params=WIRINGS)
def shared(
    request: pytest.FixtureRequest, owner: AnsweringUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    config = f'providers: {{alpha: {{base_url: "{owner.base_url}", api_key: key}}}}\n'
    with Cluster(tmp_path_factory.mktemp("own"), config, request.param) as started:
        yield started


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", OWN)
def test_refusals_of_ones_own_requests_are_held_against_nothing(
    shared: Cluster, owner: AnsweringUpstream, model: str, streamed: bool
) -> None:
    owner.always[model] = OWN[model]
    for _ in range(6):
        assert shared.post("/v1/chat/completions", chat(model=f"alpha/{model}", stream=streamed)).status_code >= 400
    del owner.always[model]

    limits = [row for row in shared.get("/admin/rate-limits").json()["limits"] if row["model"] == model]
    assert [row for row in limits if row["source"] != "told"] == [], "what was said of the whole minute may stay known"
    state = next(row for row in shared.get("/admin/state").json()["models"] if row["name"] == f"alpha/{model}")
    assert (state["circuitState"], state["stats"]["errorCount"]) == ("CLOSED", 0)
    picky = {"x-orcestator-min-success-rate": "0.9"}
    answers = [shared.post("/v1/chat/completions", chat(model=f"alpha/{model}"), headers=picky) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
