"""docs/vscode-copilot.md: its configuration works, and its table has every status that VS Code can meet."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator import errors
from tests.cluster.harness import Cluster, chat, local_request, text_of
from tests.docs.pages import page

PAGE = page("docs/vscode-copilot.md")
NOT_FOR_VSCODE = {405, 409, 415}
"""Answers to methods and content types that it does not use, and to people who manage."""


def configuration() -> list[dict[str, Any]]:
    """The JSON of step 4, which is indented as part of a list."""
    (block,) = re.findall(r"^   ```json\n(.*?)^   ```$", PAGE.text, re.MULTILINE | re.DOTALL)
    groups: list[dict[str, Any]] = json.loads(block)
    return groups


def keys(value: object) -> Iterator[str]:
    """Every key of a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def statuses(kind: type[errors.OrcestatorError]) -> Iterator[int]:
    """The statuses of a branch of the error tree."""
    yield kind.status
    for child in kind.__subclasses__():
        yield from statuses(child)


def streamed_data(body: str) -> list[str]:
    """The data of each event of a stream."""
    return [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]


def test_the_configuration_works(newcomer: Cluster) -> None:
    """A streamed and a whole request as VS Code sends them."""
    (group,) = configuration()
    (model,) = group["models"]
    assert group["vendor"] == "customendpoint"
    body = chat(
        "Hello", model["id"], temperature=0.1, top_p=1, n=1, stream=True, stream_options={"include_usage": True}
    )
    url = model["url"].replace(":8000", f":{newcomer.port}")
    headers = {"authorization": f"Bearer {group['apiKey']}", "user-agent": "GitHubCopilotChat/0.30"}
    for call in (body, {**body, "stream": False, "stream_options": None}):
        answer = local_request("POST", url, json=call, headers=headers)
        assert answer.status_code == 200, answer.text
        said = (
            text_of(streamed_data(answer.text)) if call["stream"] else answer.json()["choices"][0]["message"]["content"]
        )
        assert said.startswith("You said: Hello")


def test_the_same_configuration_as_in_the_readme() -> None:
    """README's is this one without the optional keys."""
    (here,), (there,) = configuration(), json.loads(page("README.md").block("json"))
    assert {name: here[name] for name in there if name != "models"} == {
        name: value for name, value in there.items() if name != "models"
    }
    assert there["models"][0].items() <= here["models"][0].items()


def test_every_key_is_explained() -> None:
    """But for names and the frame around them."""
    explained = {key for row in PAGE.rows() for key in re.findall(r"`(\w+)`", row[0])}
    assert set(keys(configuration())) - {"name", "vendor", "models"} <= explained


def test_every_status_is_explained() -> None:
    """Those of the error tree, no more and no less."""
    shown = {int(row.split("|")[1]) for row in PAGE.part("statuses").splitlines()[2:]}
    assert shown == set(statuses(errors.OrcestatorError)) - NOT_FOR_VSCODE


APIS = re.findall(r"^\| `([\w-]+)` \| `(http\S+)` \|", PAGE.part("apis"), re.MULTILINE)
TURNS: dict[str, dict[str, Any]] = {
    "chat-completions": {"messages": [{"role": "user", "content": "Hello"}]},
    "responses": {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "truncation": "disabled",
        "include": ["reasoning.encrypted_content"],
    },
    "messages": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], "max_tokens": 100},
}
"""A turn in each API, with what VS Code adds to it."""
ENDS = {
    "chat-completions": '"finish_reason":"stop"',
    "responses": "response.completed",
    "messages": "message_stop",
}


@pytest.mark.parametrize(("kind", "url"), APIS)
def test_every_api_answers(kind: str, url: str, newcomer: Cluster) -> None:
    """A streamed turn in each of the three, at the address in the table, comes to its end."""
    assert sorted(TURNS) == sorted(name for name, _ in APIS)
    body = {"model": "orcestator", "stream": True, **TURNS[kind]}
    answer = local_request("POST", url.replace(":8000", f":{newcomer.port}"), json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ENDS[kind] in answer.text


def test_the_ollama_provider_finds_the_models(newcomer: Cluster) -> None:
    """Its requests in their order, at the address of the block: version, list, one model, and a chat without a key."""
    (group,) = json.loads(PAGE.block("json ollama"))
    assert group["vendor"] == "ollama"
    url = group["url"].replace(":8000", f":{newcomer.port}")
    with httpx.Client(base_url=url, trust_env=False, verify=False, timeout=30) as editor:
        assert tuple(map(int, editor.get("/api/version").json()["version"].split("."))) >= (0, 6, 4)
        names = [model["model"] for model in editor.get("/api/tags").json()["models"]]
        assert "orcestator" in names
        shown = editor.post("/api/show", json={"model": "sandbox/tools"}).json()
        kind = shown["model_info"]["general.architecture"]
        assert shown["model_info"][f"{kind}.context_length"] > 0
        assert {"tools", "vision"} <= set(shown["capabilities"])
        call = chat("Hello", "orcestator", stream=True, stream_options={"include_usage": True})
        answer = editor.post("/v1/chat/completions", json=call, headers={"authorization": "Bearer"})
    assert text_of(streamed_data(answer.text)).startswith("You said: Hello")
