"""Whole or told, over real sockets and in both wirings: an upstream whose every event is the test's own.

All events come in one piece or one by one: what breaks while nothing is sent yet is told by a status, later in the stream.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.harness import WIRINGS, Cluster, chat, free_port

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def data(event: Json | bytes) -> bytes:
    """An event as an upstream writes it; bytes stand as they are."""
    return event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n"


def said(delta: Json, reason: str | None = None) -> bytes:
    """A chunk of a chat."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return data({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def call(arguments: str, **more: Any) -> bytes:
    """A piece of a tool call."""
    return said(
        {"tool_calls": [{"index": 0, **more, "function": {"arguments": arguments, **({"name": "f"} if more else {})}}]}
    )


DONE = b"data: [DONE]\n\n"
BEGUN = [said({"role": "assistant", "content": "w0"})]
CALLED = [call("", id="a", type="function"), call('{"a": "n17')]
SCRIPTS: dict[str, list[bytes]] = {
    "half-call": [*BEGUN, *CALLED, DONE],
    "half-call-told": [*BEGUN, *CALLED, said({}, "tool_calls"), DONE],
    "named-error": [*BEGUN, b'event: error\ndata: {"message":"boom","type":"overloaded_error"}\n\n', DONE],
    "detail": [*BEGUN, data({"detail": "Internal error"}), DONE],
    "cut-event": [*BEGUN, b'data: {"choices":[{"delta":{"conte\n\n', said({"content": "w2"}, "stop"), DONE],
    "control": [*BEGUN, said({"content": "a@b"}).replace(b"@", b"\t\x00"), said({}, "stop"), DONE],
    "after-finish": [*BEGUN, said({}, "stop"), said({"content": " w1"}), DONE],
    "number": [*BEGUN, said({"content": 4}), said({"content": {"text": "w4"}}), said({}, "stop"), DONE],
    "emoji": [*BEGUN, said({"content": "@"}).replace(b"@", b"\\ud83d"), said({"content": "@"}).replace(b"@", b"\\ude00"), said({}, "stop"), DONE],
    "torn-call": [CALLED[0], said({"content": "\n", "tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}), call(":1}"), said({}, "stop"), DONE],
}  # fmt: skip
PACES = ("", "@slow")
BROKEN = ("half-call", "half-call-told", "named-error", "detail", "cut-event")
TEXTS = {"control": "w0a\t\x00b", "after-finish": "w0 w1", "number": "w04w4", "emoji": "w0😀"}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One stream: the one that the model of the request names."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    body = json.loads(await reader.readexactly(size) or b"{}")
    name, _, is_slow = str(body.get("model")).partition("@")
    events = SCRIPTS.get(name, [])
    for piece in [HEAD, *events] if is_slow else [HEAD + b"".join(events)]:
        writer.write(piece)
        await writer.drain()
        # Long enough for the piece to go out by itself; nothing depends on it.
        await asyncio.sleep(0.02 if is_slow else 0)
    writer.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    loop, port = asyncio.new_event_loop(), free_port()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield port
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(
    request: pytest.FixtureRequest, upstream: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    config = f"""
attempts: 1
providers:
  raw: {{base_url: "http://127.0.0.1:{upstream}/v1", api_key: k, models: [{", ".join(f'"{name}{pace}"' for name in SCRIPTS for pace in PACES)}]}}
"""
    with Cluster(tmp_path_factory.mktemp("whole"), config, wiring=request.param) as started:
        yield started


def told_by_status(response: httpx.Response) -> bool:
    """Whether the failure came while nothing was sent yet."""
    if response.status_code == 200:
        return False
    assert response.status_code in (502, 503), response.text
    assert response.json()["error"]["message"]
    return True


def chunks_of(response: httpx.Response) -> list[Json]:
    """The events that are JSON."""
    return [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_an_openai_stream_is_whole_or_told(cluster: Cluster, script: str, pace: str) -> None:
    response = cluster.post("/v1/chat/completions", chat(model=f"raw/{script}{pace}", stream=True))
    if told_by_status(response):
        assert script in BROKEN
        return
    events = chunks_of(response)
    reasons = [
        choice["finish_reason"] for event in events for choice in event.get("choices", ()) if choice["finish_reason"]
    ]
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event.get("choices", ()))
    if script in BROKEN:
        assert (reasons, bool(events[-1].get("error"))) == (["error"], True)
    elif script == "torn-call":
        assert (reasons, text) == (["tool_calls"], "\n")
    else:
        assert (reasons, text) == (["stop"], TEXTS[script])


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_stream_of_messages_is_whole_or_told(cluster: Cluster, script: str, pace: str) -> None:
    body = {
        "model": f"raw/{script}{pace}",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    response = cluster.post("/v1/messages", body)
    if told_by_status(response):
        assert script in BROKEN
        return
    events = chunks_of(response)
    kinds = [event["type"] for event in events]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert ("error" in kinds, "message_stop" in kinds) == (script in BROKEN, script not in BROKEN)
    if script == "torn-call":
        assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"a":1}'
        assert next(event for event in events if event["type"] == "message_delta")["delta"]["stop_reason"] == "tool_use"
    elif script in TEXTS:
        assert "".join(delta.get("text", "") for delta in deltas) == TEXTS[script]


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("script", BROKEN)
def test_a_broken_response_ends_with_the_error_that_sdks_raise(cluster: Cluster, script: str, pace: str) -> None:
    response = cluster.post("/v1/responses", {"model": f"raw/{script}{pace}", "stream": True, "input": "hi"})
    if told_by_status(response):
        return
    events = chunks_of(response)
    assert [event["type"] for event in events[-2:]] == ["response.failed", "error"]
    assert events[-1]["error"]["message"] == events[-2]["response"]["error"]["message"]
