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
