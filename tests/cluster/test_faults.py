"""Every fault the sandbox can give, against the cluster: streamed and not, alone and with a healthy upstream next.

The oracle: a caller gets a complete valid answer or a well-formed error, never a clean truncated one; there is one
line in the log a request; and afterwards nothing is left running.
"""

import json
from typing import Any

import pytest

from orcestator.sandbox.faults.catalogue import FAULTS, Fault
from tests.cluster.faults import SLOW_OPTIONS
from tests.cluster.harness import Cluster, chat, local_request, streamed, text_of, until

KNOWN_FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}
SERVED = [fault for fault in FAULTS if not fault.needs]


def model_of(fault: Fault) -> str:
    """The model name that asks the provider ``alpha`` for it."""
    candidates = SLOW_OPTIONS.get(f"{fault.id}:{fault.variant}")
    return f"alpha/{fault.model}" + (f"?{candidates}" if candidates else "")


def named(fault: Fault) -> str:
    """A readable test id."""
    return f"{fault.id}-{fault.variant}"


TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    for name in ("first", "second")
]  # fmt: skip


def call_for(fault: Fault) -> dict[str, Any]:
    """A call that the fault can spoil."""
    more: dict[str, Any] = {"tools": TOOLS} if fault.id in ("H6", "S10") else {}
    return chat("nonce:walnut tell me something", model_of(fault), **more)


def check_error(body: str) -> None:
    """An OpenAI error object with a message fit for people."""
    error = json.loads(body)["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert len(error["message"]) < 8192
    assert {"type", "param", "code"} <= error.keys()
    assert "sk-canary" not in body
    assert "Bearer" not in body


def check_reply(reply: dict[str, Any]) -> None:
    """A complete chat completion."""
    assert reply["choices"]
    for index, choice in enumerate(reply["choices"]):
        assert choice["index"] == index
        assert choice["finish_reason"] in KNOWN_FINISHES
        assert choice["message"]["role"] == "assistant"
        ids = [call["id"] for call in choice["message"].get("tool_calls") or []]
        assert len(set(ids)) == len(ids)
    usage = reply["usage"]
    assert all(type(usage[name]) is int and usage[name] >= 0 for name in ("prompt_tokens", "completion_tokens"))


def check_stream(events: list[str], *, whole: bool) -> bool:
    """Whether the stream is a complete answer; otherwise it must end in the three frames of an error."""
    assert whole, "the body was cut"
    assert events[-1] == "[DONE]"
    assert events.count("[DONE]") == 1
    chunks = [json.loads(event) for event in events[:-1]]
    reasons = [c["finish_reason"] for chunk in chunks for c in chunk.get("choices", []) if c["finish_reason"]]
    failed = "error" in chunks[-1]
    if failed:
        check_error(json.dumps(chunks[-1]))
        assert chunks[-2]["choices"][0]["finish_reason"] == "error"
        assert "error" not in [reason for reason in reasons[:-1] if reason != "error"]
    else:
        assert reasons
        assert set(reasons) <= KNOWN_FINISHES
    return not failed


@pytest.fixture(autouse=True)
def nothing_is_held_against_alpha(cluster: Cluster) -> None:
    """One fault's pause (a refused key, a rate limit) would be the next one's answer."""
    forgive(cluster)


def forgive(cluster: Cluster) -> None:
    """Forget what is held against alpha."""
    assert cluster.post("/admin/state/reset?provider=alpha", {}).status_code == 200


@pytest.mark.parametrize("fault", [f for f in SERVED if "plain" in f.applies], ids=named)
def test_a_whole_answer_or_an_error(cluster: Cluster, fault: Fault) -> None:
    """Without a stream: 200 only with a complete answer, else an error whose status is no 401, 402, 403 or 422."""
    answer = cluster.post("/v1/chat/completions", call_for(fault))
    if answer.status_code == 200:
        assert fault.expected in ("ok", "ok_or_error"), answer.text[:500]
        check_reply(answer.json())
        assert answer.json()["model"] == model_of(fault)
    else:
        assert fault.expected != "ok", answer.text[:500]
        assert answer.status_code in (400, 404, 413, 424, 429, 502, 503, 504)
        check_error(answer.text)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("fault", [f for f in SERVED if "stream" in f.applies], ids=named)
def test_a_whole_stream_or_an_error(cluster: Cluster, fault: Fault) -> None:
    """Streamed: an error by status before the first content, the three frames after it, and never a clean truncation."""
    status, events, whole = streamed(cluster, call_for(fault))
    if status == 200:
        complete = check_stream(events, whole=whole)
        assert complete or fault.expected != "ok", events[-3:]
        assert not complete or fault.expected in ("ok", "ok_or_error"), events[-3:]
    else:
        assert fault.expected in ("fall_over", "error", "ok_or_error"), events
        assert status in (400, 404, 413, 424, 429, 502, 503, 504)
        check_error(events[0])


FALLING = [fault for fault in SERVED if fault.expected == "fall_over"]


@pytest.mark.parametrize("fault", FALLING, ids=named)
def test_the_next_upstream_answers_unseen(cluster: Cluster, fault: Fault) -> None:
    """With a healthy upstream next in line, the caller sees its answer and nothing of the failure."""
    if "plain" in fault.applies:
        answer = cluster.post("/v1/chat/completions", {**call_for(fault), "model": alias_of(fault)})
        assert answer.status_code == 200, answer.text[:500]
        assert answer.headers["x-orcestator-provider"] == "beta"
        assert answer.headers["x-orcestator-attempts"] == "2"
        check_reply(answer.json())
        assert "walnut" in answer.json()["choices"][0]["message"]["content"]
    if "stream" in fault.applies:
        forgive(cluster)
        status, events, whole = streamed(cluster, {**call_for(fault), "model": alias_of(fault)})
        assert status == 200, events
        assert check_stream(events, whole=whole)
        assert "walnut" in text_of(events)


def alias_of(fault: Fault) -> str:
    """The alias in the cluster's configuration for the fault at ``alpha``, then ``beta``."""
    return f"then-beta-{fault.id}-{fault.variant}"


def test_nothing_is_left_running(cluster: Cluster) -> None:
    """After all faults: no request is active, and the cluster is healthy."""
    until(lambda: cluster.get("/health").json()["active_requests"] == 0, "no request is active")
    health = cluster.get("/health")
    assert health.status_code == 200, health.text
    assert cluster.metrics()["orcestator_active_requests"] == 0
    again = cluster.post("/v1/chat/completions", chat("nonce:fig", "beta/echo"))
    assert again.status_code == 200


def test_the_log_has_a_line_for_each_request(cluster: Cluster) -> None:
    """Every request of this session that reached the server has exactly one line."""
    counted = sum(
        value
        for name, value in cluster.metrics().items()
        if name.startswith("orcestator_requests_total") and 'route="edge"' not in name
    )
    until(lambda: len(cluster.traffic()) == counted, "as many lines as requests")


def test_the_canary_key_was_never_shown(cluster: Cluster) -> None:
    """Not in a log, a row, a metric or the program's output, although the upstream echoed it back."""
    needle = b"sk-canary-4f1b9c7d2e8a6053"
    for path in cluster.directory.rglob("*"):
        if path.is_file() and path.name != "config.yaml":
            assert needle not in path.read_bytes(), path
    page = local_request("GET", f"http://127.0.0.1:{cluster.metrics_port}/metrics").content
    assert needle not in page
