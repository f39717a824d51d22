"""A key that its provider refused: asked once, told with a status that no SDK tries again, and never with one that VS Code takes
for its own login's."""

import json
from pathlib import Path

import anthropic
import openai
import pytest

from tests.cluster.answering_upstream import AnsweringUpstream, Said
from tests.cluster.harness import WIRINGS, Cluster, chat

VSCODE = {"user-agent": "GitHubCopilotChat/0.66.0"}


def refusal(status: int) -> Said:
    return Said(status, {"error": {"message": "no access for you", "type": "invalid_request_error", "code": "nope"}})


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_refused_key_is_asked_once_whoever_tries_again(wiring: str, tmp_path: Path) -> None:
    with AnsweringUpstream("m", "n") as upstream, AnsweringUpstream("m") as locked:
        config = f"""
providers:
  alpha: {{base_url: "{upstream.base_url}", api_key: "key", models: [m, n]}}
  beta: {{base_url: "{locked.base_url}", api_key: "other", models: [m, n]}}
aliases:
  twice: [alpha/m, alpha/n]
"""
        for status, each in ((401, upstream), (403, locked)):
            each.always |= {model: refusal(status) for model in ("m", "n")}
        with Cluster(tmp_path, config, wiring) as cluster:
            answer = cluster.post("/v1/chat/completions", chat(model="twice"))
            assert (answer.status_code, answer.json()["error"]["code"]) == (424, "upstream_key_refused")
            assert answer.headers["x-should-retry"] == "false"
            assert len(upstream.calls) == 1, "its other models are called with the same key"

            url = f"{cluster.url}/v1"
            with (
                openai.OpenAI(base_url=url, api_key="x", max_retries=3) as sdk,
                pytest.raises(openai.APIStatusError) as caught,
            ):
                sdk.chat.completions.create(model="alpha/m", messages=[{"role": "user", "content": "hi"}])
            assert caught.value.status_code == 424
            assert "alpha" in caught.value.message
            with (
                anthropic.Anthropic(base_url=cluster.url, api_key="x", max_retries=3) as claude,
                pytest.raises(anthropic.APIStatusError),
            ):
                claude.messages.create(model="alpha/n", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
            assert len(upstream.calls) == 1

            for _ in range(3):
                assert cluster.post("/v1/chat/completions", chat(model="beta/m")).status_code == 424
            assert len(locked.calls) == 1

            shown = cluster.post("/orchestrator/analyze-request", {"model": "alpha/m"}).json()
            assert "401" in json.dumps(shown["decision"])

            upstream.always.clear()
            assert cluster.post("/admin/state/reset?provider=alpha", {}).status_code == 200
            assert cluster.post("/v1/chat/completions", chat(model="alpha/m")).status_code == 200


def test_a_client_that_tries_424_again_gets_a_status_that_it_does_not(tmp_path: Path) -> None:
    """LangChain.js stops at 400 to 409 and 422 only."""
    with AnsweringUpstream("m") as upstream:
        upstream.always["m"] = refusal(401)
        config = f'providers: {{alpha: {{base_url: "{upstream.base_url}", api_key: key, models: [m]}}}}\n'
        agent = {"user-agent": "langchainjs-openai/1.0.0 ((node/v22.0.0; linux; x64))"}
        with Cluster(tmp_path, config) as cluster:
            for headers, status in ((agent, 400), ({}, 424), (VSCODE, 424)):
                answer = cluster.post("/v1/chat/completions", chat(model="alpha/m", stream=True), headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, "upstream_key_refused")
            assert len(upstream.calls) == 1


def test_a_person_chooses_the_status_but_not_for_vscode(tmp_path: Path) -> None:
    with AnsweringUpstream("m") as upstream:
        upstream.always["m"] = refusal(402)
        config = f'providers: {{alpha: {{base_url: "{upstream.base_url}", api_key: key, models: [m]}}}}\nkey_refused_status: 401\n'
        with Cluster(tmp_path, config) as cluster:
            call = chat(model="alpha/m")
            assert [
                cluster.post("/v1/chat/completions", call, headers=headers).status_code
                for headers in ({}, VSCODE, {"x-vscode-user-agent-library-version": "node-fetch"}, {})
            ] == [401, 424, 424, 401]
            assert cluster.post("/v1/messages", {**call, "max_tokens": 5}, headers=VSCODE).status_code == 424
