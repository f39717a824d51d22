"""Hedging, the waiting line and continuation, with a real cluster over real upstreams."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path

import pytest

from orcestator.sandbox.settings import SandboxSettings
from tests.cluster.harness import Cluster, SandboxThread, chat, streamed, text_of

SLOW_SECONDS = 30.0
WARMING = 16
FIRST_BYTE_SECONDS = 0.05


def config(alpha: SandboxThread, beta: SandboxThread) -> str:
    return f"""
providers:
  alpha: {{base_url: "{alpha.base_url}", api_key: "a", default_model: echo, order: 1}}
  beta: {{base_url: "{beta.base_url}", api_key: "b", default_model: echo, order: 2}}
models:
  - {{provider: alpha, model: agent, name: narrow, max_concurrent: 1}}
  - {{provider: alpha, model: "fault:S2:data", name: breaks, supported_parameters: [prefill]}}
  - {{provider: beta, model: echo, name: goes-on, supported_parameters: [prefill]}}
hedge_percent: 100
aliases:
  both: [alpha/echo, beta/echo]
  broken: ["alpha/fault:S2:data", beta/echo]
"""


def caller(cluster: Cluster) -> "closing[HTTPConnection]":
    """A connection that can be left before its answer comes."""
    return closing(HTTPConnection("127.0.0.1", cluster.port))


def test_a_slow_model_loses_to_the_next_and_its_connection_is_cut(tmp_path: Path) -> None:
    hedging = {"OR_HEDGING": "true"}
    with (
        SandboxThread() as alpha,
        SandboxThread() as beta,
        Cluster(tmp_path, config(alpha, beta), environment=hedging) as cluster,
    ):
        for _ in range(WARMING):
            assert cluster.post("/v1/chat/completions", chat(model="both")).headers["x-orcestator-provider"] == "alpha"
        alpha.server.settings = replace(SandboxSettings(), ttft_seconds=SLOW_SECONDS)

        answer = cluster.post("/v1/chat/completions", chat(model="both"))

        assert answer.status_code == 200
        assert (answer.headers["x-orcestator-provider"], answer.headers["x-orcestator-attempts"]) == ("beta", "2")
        alpha.wait_for(lambda _: alpha.last_call.peer_closed_at is not None)
        assert not alpha.last_call.finished


def test_requests_over_the_limit_wait_for_their_turn(tmp_path: Path) -> None:
    with SandboxThread(SandboxSettings(ttft_seconds=FIRST_BYTE_SECONDS)) as alpha, SandboxThread() as beta:
        with Cluster(tmp_path, config(alpha, beta)) as cluster, ThreadPoolExecutor(6) as callers:
            answers = list(callers.map(lambda _: cluster.post("/v1/chat/completions", chat(model="narrow")), range(6)))

        assert [answer.status_code for answer in answers] == [200] * 6
        began = sorted(record.started_at for record in alpha.records if record.model == "agent")
        assert len(began) == 6
        # The next one starts only when the one before has ended, which none does sooner than its first byte.
        assert all(later - earlier >= FIRST_BYTE_SECONDS for earlier, later in pairwise(began))


def test_with_no_line_the_caller_is_told_when_to_come_back(tmp_path: Path) -> None:
    environment = {"OR_LINE_LENGTH": "0"}
    with SandboxThread(SandboxSettings(ttft_seconds=SLOW_SECONDS)) as alpha, SandboxThread() as beta:
        with Cluster(tmp_path, config(alpha, beta), environment=environment) as cluster, caller(cluster) as first:
            first.request("POST", "/v1/chat/completions", json.dumps(chat(model="narrow")))
            alpha.wait_for(lambda found: any(record.model == "agent" for record in found))

            refused = cluster.post("/v1/chat/completions", chat(model="narrow"))

        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "line_full"
        assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize("continues", ["true", "false"])
def test_a_broken_stream_goes_on_only_where_that_is_wanted(tmp_path: Path, continues: str) -> None:
    environment = {"OR_CONTINUE_STREAMS": continues}
    # Piece by piece, so that the caller has some of it when it breaks.
    with SandboxThread(SandboxSettings(tokens_per_second=50)) as alpha, SandboxThread() as beta:
        with Cluster(tmp_path, config(alpha, beta), environment=environment) as cluster:
            status, events, whole = streamed(cluster, chat("one two three", model="broken"))

        assert (status, whole, events[-1], events.count("[DONE]")) == (200, True, "[DONE]", 1)
        chunks = [json.loads(event) for event in events[:-1]]
        finishes = [c["finish_reason"] for chunk in chunks for c in chunk.get("choices", []) if c["finish_reason"]]
        roles = [c for chunk in chunks for c in chunk.get("choices", []) if c["delta"].get("role")]
        asked = [record for record in beta.records if record.method == "POST"]
        if continues == "true":
            assert finishes == ["stop"]
            assert (
                len({chunk["id"] for chunk in chunks}) == len({chunk["model"] for chunk in chunks}) == len(roles) == 1
            )
            prefill = json.loads(asked[0].body)["messages"][-1]
            assert (prefill["role"], prefill["prefix"]) == ("assistant", True)
            assert text_of(events).startswith(prefill["content"])
        else:
            assert finishes == ["error"]
            assert asked == []
