"""The time-outs of a stream mean what they say: in every dialect, relayed and translated, in one process and through a worker.

*First content* runs from the request to the first piece of text, reasoning or a tool call, whatever else comes; *idle* is the
pause between two pieces, also of those that the caller is told of later or never.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from tests.cluster.harness import WIRINGS, Cluster
from tests.cluster.scripted_provider import SSE, ScriptedProvider, Step, event

PATIENCE = 1.5
"""Seconds of each time-out."""
STEP = 0.3
FLOW = 10
"""Steps of a flow: together they take twice as long as any time-out."""
LINES = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n"
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}}
    for name in ("f", "g")
]  # fmt: skip
BETA = "from beta"


def chunk(delta: Any, reason: str | None = None) -> bytes:
    """One of OpenAI's chunks."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return event(
        {"id": "c1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m", "choices": [choice]}
    )


def call(index: int, arguments: str, name: str = "") -> bytes:
    """A piece of a call of OpenAI's."""
    head = {"id": f"call_{index}", "type": "function"} if name else {}
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return chunk({"tool_calls": [{"index": index, **head, "function": function}]})


def claude(kind: str, **more: Any) -> bytes:
    """One of Anthropic's events."""
    return event({"type": kind, **more}, kind)


def block(index: int, start: Any, *deltas: Any, pace: float = STEP) -> list[Step]:
    """A content block of Anthropic's, its pieces spread over time."""
    steps: list[Step] = [claude("content_block_start", index=index, content_block=start)]
    for delta in deltas:
        steps += [pace, claude("content_block_delta", index=index, delta=delta)]
    return [*steps, claude("content_block_stop", index=index)]


def response(kind: str, **more: Any) -> bytes:
    """One of the Responses API's events."""
    return event({"type": f"response.{kind}", **more}, f"response.{kind}")


def flow(*pieces: bytes) -> list[Step]:
    """Pieces with a pause before each."""
    return [step for piece in pieces for step in (STEP, piece)]


def drip(piece: bytes) -> list[Step]:
    """The same again and again, longer than any time-out."""
    return [step for _ in range(100) for step in (0.2, piece)]


OPENAI_END = chunk({}, "stop") + event(b"[DONE]")
CALLS_END = chunk({}, "tool_calls") + event(b"[DONE]")
CLAUDE_START = claude(
    "message_start",
    message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}},
)  # fmt: skip
INPUT = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"x":"', *("y" * FLOW), '"}')]


def claude_end(reason: str) -> bytes:
    """The end of an answer of Anthropic's."""
    return claude("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 3}) + claude("message_stop")


GEMINI_TEXT = event(
    {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "late"}]}, "finishReason": "STOP"}]}
)
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []}
CREATED = response("created", response=RESPONSE) + response("in_progress", response=RESPONSE)
LATE = [chunk({"content": "late"}), OPENAI_END]

GOOD: dict[str, tuple[str, list[Step]]] = {
    "second-call": (
        "openai",
        [SSE, chunk({"role": "assistant", "content": None}), call(0, "{}", "f"), call(1, '{"x":"', "g"),
         *flow(*[call(1, "y")] * FLOW), call(1, '"}'), CALLS_END],
    ),
    "first-call": (
        "openai", [SSE, call(0, '{"x":"', "f"), *flow(*[call(0, "y")] * FLOW), call(0, '"}'), CALLS_END],
    ),
    "claude-call": (
        "anthropic",
        [SSE, CLAUDE_START, *block(0, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}, *INPUT), claude_end("tool_use")],
    ),
    "reasoning": (
        "openai", [SSE, *flow(*[chunk({"reasoning_content": "hm"})] * FLOW), *LATE],
    ),
    "refusal": (
        "openai", [SSE, *flow(*[chunk({"refusal": "no "})] * FLOW), OPENAI_END],
    ),
    "server-tool": (
        "anthropic",
        [SSE, CLAUDE_START, *block(0, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}, *INPUT),
         *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "late"}), claude_end("end_turn")],
    ),
    "slow-head-first": ("openai", [SSE, PATIENCE * 2 / 3, *LATE]),
}  # fmt: skip
"""What flows all the time, and is never cut: name → (upstream's dialect, what it sends)."""

SILENT: dict[str, tuple[str, list[Step]]] = {
    "head-only": ("openai", [SSE, 30.0]),
    "role-only": ("openai", [SSE, chunk({"role": "assistant", "content": ""}), 30.0]),
    "role-comments": ("openai", [SSE, chunk({"role": "assistant", "content": ""}), *drip(b": ka\n\n")]),
    "empty-deltas": ("openai", [SSE, *drip(chunk({"role": "assistant", "content": ""}))]),
    "empty-content": ("openai", [SSE, chunk({"role": "assistant"}), *drip(chunk({"content": ""}))]),
    "empty-arguments": ("openai", [SSE, chunk({"role": "assistant"}), *drip(chunk({"tool_calls": []}))]),
    "blank-lines": ("openai", [SSE, *drip(b"\n\n")]),
    "claude-pings": ("anthropic", [SSE, CLAUDE_START, *drip(claude("ping"))]),
    "claude-empty": (
        "anthropic",
        [SSE, CLAUDE_START, *block(0, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": ""}] * 100, pace=0.2)],
    ),
    "responses-keepalives": ("responses", [SSE, CREATED, *drip(event({"type": "keepalive"}, "keepalive"))]),
    "gemini-empty": ("gemini", [SSE, *drip(event({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}}]}))]),
    "ollama-empty": (
        "ollama", [LINES, *drip(b'{"model":"m","message":{"role":"assistant","content":""},"done":false}\n')],
    ),
}  # fmt: skip
"""What sends all sorts of things, or nothing, and no content."""

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    "gemini-array": "/v1beta/models/{model}:streamGenerateContent",
    "ollama": "/api/chat",
}


def body_for(caller: str, model: str) -> dict[str, Any]:
    """A streamed call with two tools, as this kind of caller makes it."""
    functions = [tool["function"] for tool in TOOLS]
    messages = [{"role": "user", "content": "hi"}]
    if caller == "anthropic":
        tools = [{"name": tool["name"], "input_schema": tool["parameters"]} for tool in functions]
        return {"model": model, "max_tokens": 100, "messages": messages, "tools": tools, "stream": True}
    if caller == "responses":
        custom = {"type": "custom", "name": "f", "format": {"type": "text"}}
        return {"model": model, "input": "hi", "tools": [custom], "stream": True, "store": False}
    if caller.startswith("gemini"):
        return {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "tools": [{"functionDeclarations": functions}],
        }
    return {"model": model, "messages": messages, "tools": TOOLS, "stream": True}


class Told(NamedTuple):
    """What a caller got."""

    status: int
    body: str
    whole: bool


def is_failure(told: Told) -> bool:
    """Whether a body says that the answer broke, in any dialect."""
    signs = ('"error":{', "response.failed", '"finish_reason":"error"', "event: error", '"error":"')
    return told.status != 200 or any(sign in told.body for sign in signs)


def asked(cluster: Cluster, caller: str, model: str) -> Told:
    """One request to its end."""
    path = PATHS[caller].format(model=model.replace("/", "%2F"))
    try:
        found = httpx.post(cluster.url + path, json=body_for(caller, model), timeout=30, trust_env=False, verify=False)
    except httpx.HTTPError as problem:
        return Told(0, repr(problem), whole=False)
    return Told(found.status_code, found.text, whole=True)


GOOD_CELLS = [
    (caller, name)
    for name in GOOD
    for caller in PATHS
    if not (name == "server-tool" and caller in ("ollama", "gemini-array"))
]
FALLING_CELLS = [
    (caller, name) for name in SILENT for caller in ("openai", "anthropic", "responses", "gemini", "ollama")
]
BROKEN_CELLS = [
    ("ollama", "half-call"),
    ("gemini", "half-call"),
    ("gemini-array", "half-call"),
]
"""A failure after content that the caller was told nothing of yet."""
HALF: dict[str, tuple[str, list[Step]]] = {
    "half-call": ("openai", [SSE, chunk({"role": "assistant"}), call(0, '{"x":"', "f"), call(0, "y")]),
}


@pytest.fixture(scope="module", params=WIRINGS)
def told(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[tuple[str, str], Told]]:
    """All requests at once, since each takes as long as its upstream."""
    shapes = {**GOOD, **SILENT, **HALF}
    scripts: dict[str, Sequence[Step]] = {name: steps for name, (_, steps) in shapes.items()}
    scripts["beta"] = [SSE, chunk({"role": "assistant", "content": BETA}), OPENAI_END]
    with ScriptedProvider(scripts) as upstream:
        config = {
            "providers": {
                **{
                    dialect: {
                        "base_url": f"{upstream.url}/{dialect}", "dialect": dialect, "api_key": "some-key-of-ours",
                        "models": [name for name, (spoken, _) in shapes.items() if spoken == dialect],
                    }
                    for dialect in ("openai", "anthropic", "responses", "gemini", "ollama")
                },
                "beta": {"base_url": f"{upstream.url}/beta", "dialect": "openai", "api_key": "another-key", "models": ["beta"]},
            },
            "aliases": {f"then-beta-{name}": [f"{dialect}/{name}", "beta/beta"] for name, (dialect, _) in {**SILENT, **HALF}.items()},
        }  # fmt: skip
        environment = {
            "OR_FIRST_TOKEN_TIMEOUT_SECONDS": str(PATIENCE),
            "OR_FIRST_TOKEN_TIMEOUT_REASONING_SECONDS": str(PATIENCE),
            "OR_IDLE_TIMEOUT_SECONDS": str(PATIENCE),
            "OR_TOTAL_TIMEOUT_SECONDS": "20",
            "OR_BREAKER_CONSECUTIVE_FAILURES": "1000",
            "OR_BREAKER_MINIMUM_CALLS": "100000",
        }
        directory = tmp_path_factory.mktemp("content")
        with (
            Cluster(directory, json.dumps(config), request.param, environment) as cluster,
            ThreadPoolExecutor(60) as pool,
        ):
            models = {(caller, name): f"{GOOD[name][0]}/{name}" for caller, name in GOOD_CELLS}
            models |= {cell: f"then-beta-{cell[1]}" for cell in (*FALLING_CELLS, *BROKEN_CELLS)}
            found: dict[tuple[str, str], Future[Told]] = {
                cell: pool.submit(asked, cluster, cell[0], model) for cell, model in models.items()
            }
            yield {cell: future.result() for cell, future in found.items()}


@pytest.mark.parametrize(("caller", "name"), GOOD_CELLS)
def test_what_flows_is_not_cut(told: dict[tuple[str, str], Told], caller: str, name: str) -> None:
    got = told[caller, name]
    assert got.status == 200, got.body
    assert not is_failure(got), got.body[-600:]
    assert got.whole


@pytest.mark.parametrize(("caller", "name"), FALLING_CELLS)
def test_what_has_no_content_is_left_for_the_next_one(
    told: dict[tuple[str, str], Told], caller: str, name: str
) -> None:
    got = told[caller, name]
    assert BETA in got.body, got
    assert not is_failure(got), got.body[-600:]


@pytest.mark.parametrize(("caller", "name"), BROKEN_CELLS)
def test_the_next_one_answers_while_the_caller_was_told_nothing(
    told: dict[tuple[str, str], Told], caller: str, name: str
) -> None:
    got = told[caller, name]
    assert BETA in got.body, got
    assert not is_failure(got), got.body[-600:]
