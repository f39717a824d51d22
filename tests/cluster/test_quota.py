"""An upstream that keeps its limits to itself refuses once: not again while they hold, nor after a restart of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orcestator.sandbox.faults.hidden_limits import HiddenLimit
from orcestator.sandbox.server import SandboxServer
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat

HOUR = 3600.0


@pytest.fixture
def limited() -> Iterator[SandboxThread]:
    """An upstream that answers four requests an hour for each key, and then refuses without a word."""
    sandbox = SandboxThread()
    sandbox.server = SandboxServer(hidden_limit=HiddenLimit(4, HOUR, "sliding"))
    with sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def well() -> Iterator[SandboxThread]:
    """An upstream without limits."""
    with SandboxThread() as sandbox:
        yield sandbox


def served(cluster: Cluster, times: int) -> list[str]:
    answers = [cluster.post("/v1/chat/completions", chat(model="both")) for _ in range(times)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.headers["x-orcestator-provider"] for answer in answers]


def chats(sandbox: SandboxThread) -> int:
    return sum(record.method == "POST" for record in sandbox.records)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_hidden_limit_is_hit_once_and_never_again(
    wiring: str, limited: SandboxThread, well: SandboxThread, tmp_path: Path
) -> None:
    config = f"""
providers:
  alpha: {{base_url: "{limited.base_url}", api_key: "key", default_model: echo, order: 1}}
  beta: {{base_url: "{well.base_url}", api_key: "key", default_model: echo, order: 2}}
aliases:
  both: [alpha/echo, beta/echo]
"""
    with Cluster(tmp_path, config, wiring) as cluster:
        assert served(cluster, 9) == ["alpha"] * 4 + ["beta"] * 5
        assert chats(limited) == 5
    with Cluster(tmp_path, config, wiring) as cluster:
        assert served(cluster, 3) == ["beta"] * 3
        assert chats(limited) == 5
    # A new key in the place of the old one has nothing held against it; the old one, now second, still does.
    both_keys = config.replace(
        'api_key: "key", default_model: echo, order: 1', 'api_keys: ["new", "key"], default_model: echo, order: 1'
    )
    with Cluster(tmp_path, both_keys, wiring) as cluster:
        assert served(cluster, 6) == ["alpha"] * 4 + ["beta"] * 2
        assert chats(limited) == 10, "four for the new key, its own first refusal, and none for the old one"
