"""Counting tokens without spending any: by the upstream that would answer, or by an estimate; in both wirings."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, until
from tests.cluster.told_upstream import Told, ToldUpstream

MESSAGES: dict[str, Any] = {"messages": [{"role": "user", "content": "one two three four five six"}]}
CONTENTS: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "one two three four five six"}]}]}


@pytest.fixture(scope="module", params=WIRINGS)
def counting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Any]]:
    """A provider of each dialect that can count, and one that cannot."""
    with SandboxThread() as sandbox:
        root = sandbox.base_url.removesuffix("/v1")
        providers = {"claude": ("/v1", "anthropic"), "gemma": ("/v1beta", "gemini"), "plain": ("/v1", "openai")}
        lines = [
            f"  {name}: {{base_url: '{root}{path}', api_key: k, dialect: {dialect}, models: [echo], default_model: echo}}"
            for name, (path, dialect) in providers.items()
        ]
        config = "\n".join(["providers:", *lines])
        with Cluster(tmp_path_factory.mktemp("counting"), config, request.param) as cluster:
            yield cluster, sandbox


def counts_asked(sandbox: SandboxThread) -> list[str]:
    """The paths at which the upstream was asked to count."""
    return [record.path for record in sandbox.records if "ount" in record.path]


def test_claude_counts_for_a_claude_caller(counting: tuple[Cluster, SandboxThread]) -> None:
    """With its own model name, and the fields the caller sent."""
    cluster, sandbox = counting
    sandbox.reset()
    answer = cluster.post("/v1/messages/count_tokens?beta=true", {"model": "claude/echo", **MESSAGES})
    assert answer.status_code == 200, answer.text
    assert counts_asked(sandbox) == ["/v1/messages/count_tokens"]
    assert answer.json()["input_tokens"] > 0


def test_gemini_counts_for_a_gemini_caller(counting: tuple[Cluster, SandboxThread]) -> None:
    """The model is in the path."""
    cluster, sandbox = counting
    sandbox.reset()
    answer = cluster.post("/v1beta/models/gemma/echo:countTokens", CONTENTS)
    assert answer.status_code == 200, answer.text
    assert counts_asked(sandbox) == ["/v1beta/models/echo:countTokens"]
    assert answer.json()["totalTokens"] > 0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/messages/count_tokens", {"model": "plain/echo", **MESSAGES}, "input_tokens"),
        ("/v1beta/models/plain/echo:countTokens", CONTENTS, "totalTokens"),
        (
            "/v1beta/models/gemma/echo:countTokens",
            {"generateContentRequest": {"model": "m", **CONTENTS}},
            "totalTokens",
        ),
    ],
    ids=["messages", "contents", "the longer form"],
)
def test_whoever_cannot_be_asked_is_not(
    counting: tuple[Cluster, SandboxThread], path: str, body: Any, field: str
) -> None:
    """The estimate is near what six words are."""
    cluster, sandbox = counting
    sandbox.reset()
    answer = cluster.post(path, body)
    assert answer.status_code == 200, answer.text
    assert counts_asked(sandbox) == []
    assert 4 <= answer.json()[field] <= 20


def test_what_cannot_be_counted_is_refused_in_the_callers_dialect(counting: tuple[Cluster, SandboxThread]) -> None:
    """The field is named; a model that is not there is not counted for."""
    cluster, _ = counting
    answer = cluster.post("/v1/messages/count_tokens", {"model": "claude/echo"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert "messages" in answer.json()["error"]["message"]
    answer = cluster.post("/v1/messages/count_tokens", {"model": "nobody-has-this", **MESSAGES})
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    "name",
    [
        "gemma/echo:generateContent?x=",
        "gemma/../cachedContents?x=",
        "gemma/..",
        "gemma/echo/../../files",
        "gemma/..\\files",
        "gemma/echo#x",
        "gemma/mod el",
        "gemma/modèle",
        "gemma/мод",
        "gemma/%2e%2e",
        "gemma/a\tb",
        "gemma/" + "m" * 300,
    ],
)
def test_no_name_becomes_another_request(counting: tuple[Cluster, SandboxThread], name: str) -> None:
    """The model of the path goes into the upstream's path with our key: it is one name there, or nothing is asked."""
    cluster, sandbox = counting
    sandbox.reset()
    answer = cluster.post(f"/v1beta/models/{quote(name, safe='')}:countTokens", CONTENTS)
    assert 400 <= answer.status_code < 500, answer.text
    assert "model" in answer.json()["error"]["message"]
    assert [record.path for record in sandbox.records if record.method == "POST"] == []


def test_a_count_leaves_a_trace(counting: tuple[Cluster, SandboxThread]) -> None:
    """Asked or estimated, good or refused: it is in the metrics with its outcome, and a line of the log."""
    cluster, _ = counting
    answer = cluster.post(
        "/v1beta/models/gemma/echo:countTokens", CONTENTS, headers={"x-request-id": "counted-and-logged"}
    )
    assert answer.status_code == 200
    cluster.post("/v1beta/models/gemma%2Fwith%20space:countTokens", CONTENTS)
    until(lambda: "counted-and-logged" in cluster.program.output(), "the count is in the log")
    lines = [name for name in cluster.metrics() if name.startswith("orcestator_requests_total{") and '"count"' in name]
    assert any('provider="gemma"' in line and 'outcome="ok"' in line for line in lines), lines
    assert any('outcome="client_error"' in line and 'status="400"' in line for line in lines), lines


def test_an_answer_that_is_no_count_is_passed_on_to_nobody(tmp_path: Path) -> None:
    """Only the known fields of a count reach the caller."""
    told = {"totalTokens": 7, "candidates": [{"content": "generated"}], "promptTokensDetails": [{"tokenCount": 7}]}
    answers = iter([told, {"candidates": [{"content": "generated"}]}, {"totalTokens": "many"}])
    with ToldUpstream(lambda _heard: Told(json.dumps(next(answers)).encode())) as upstream:
        config = f"""
providers:
  g: {{base_url: '{upstream.url}/v1beta', api_key: k, dialect: gemini, models: [m], default_model: m}}
"""
        with Cluster(tmp_path, config) as cluster:
            found = [cluster.post("/v1beta/models/g/m:countTokens", CONTENTS).json() for _ in range(3)]
    assert found[0] == {"totalTokens": 7, "promptTokensDetails": [{"tokenCount": 7}]}
    assert [list(one) for one in found[1:]] == [["totalTokens"], ["totalTokens"]]
    assert all(isinstance(one["totalTokens"], int) for one in found[1:])


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_name_is_one_part_of_the_path(tmp_path: Path, wiring: str) -> None:
    """Wherever a caller's name goes into a path, it stays between the slash and the colon, or is refused."""
    said = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}
    names = ["g/..", "g/../files?x=", "g/a\u0085b", "g/мод el?x#y", "g/a/b", "g/%2e%2e/x", "g/m:countTokens?x="]
    with ToldUpstream(lambda _heard: Told(json.dumps(said).encode())) as upstream:
        config = f"""
providers:
  g: {{base_url: '{upstream.url}/v1beta', api_key: k, dialect: gemini, models: [m], default_model: m}}
"""
        with Cluster(tmp_path, config, wiring) as cluster:
            for name in names:
                for verb in ("generateContent", "streamGenerateContent"):
                    answer = cluster.post(f"/v1beta/models/{quote(name, safe='')}:{verb}", CONTENTS)
                    assert answer.status_code != 500, (name, answer.text)
                chat = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
                assert cluster.post("/v1/chat/completions", chat).status_code != 500
    paths = [heard.target.partition("?") for heard in upstream.heard]
    assert paths
    for path, _, query in paths:
        assert path.isascii()
        assert path.count("/") == 3, path
        assert path.endswith((":generateContent", ":streamGenerateContent")), path
        assert query in ("", "alt=sse"), query
        assert ".." not in path.replace("%2e%2e", "").replace("%252e%252e", "")
