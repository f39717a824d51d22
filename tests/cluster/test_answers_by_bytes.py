"""What an answer is, is told by its bytes and not by its label: in every dialect, relayed and translated, in both wirings."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.harness import WIRINGS, Cluster
from tests.cluster.scripted_provider import SSE, ScriptedProvider, Step, answer, event
from tests.cluster.test_time_to_content import (
    BETA,
    CREATED,
    OPENAI_END,
    PATHS,
    RESPONSE,
    block,
    body_for,
    chunk,
    claude,
    claude_end,
    response,
)

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
MESSAGE = {"role": "assistant", "content": "hello"}
OPENAI_REPLY = {
    "id": "c1", "object": "chat.completion", "created": 1700000000, "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
}  # fmt: skip
CLAUDE_REPLY = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip
OUTPUT = {
    "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}  # fmt: skip
RESPONSES_REPLY = {
    **RESPONSE, "status": "completed", "output": [OUTPUT],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}  # fmt: skip


def gemini(text: str, reason: str | None = "STOP") -> dict[str, Any]:
    """One of Gemini's answers, or a part of one."""
    deployment: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    deployment |= {"finishReason": reason} if reason else {}
    return {
        "candidates": [deployment],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    }


def ollama(text: str, *, done: bool) -> dict[str, Any]:
    """One of Ollama's answers, or a part of one."""
    more = {"done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2} if done else {}
    return {
        "model": "m",
        "created_at": "2026-11-30T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": done,
        **more,
    }


REPLIES: dict[str, Any] = {
    "openai": OPENAI_REPLY, "anthropic": CLAUDE_REPLY, "responses": RESPONSES_REPLY,
    "gemini": gemini("hello"), "ollama": ollama("hello", done=True),
}  # fmt: skip
STREAMS: dict[str, bytes] = {
    "openai": chunk({"role": "assistant", "content": "hel"}) + chunk({"content": "lo"}) + OPENAI_END,
    "anthropic": claude("message_start", message={**CLAUDE_REPLY, "content": [], "stop_reason": None})
    + b"".join(
        step
        for step in block(
            0, {"type": "text", "text": ""}, *({"type": "text_delta", "text": part} for part in ("hel", "lo"))
        )
        if isinstance(step, bytes)
    )
    + claude_end("end_turn"),
    "responses": CREATED
    + response("output_item.added", output_index=0, item={**OUTPUT, "status": "in_progress", "content": []})
    + response("output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="hello")
    + response("output_item.done", output_index=0, item=OUTPUT)
    + response("completed", response=RESPONSES_REPLY),
    "gemini": event(gemini("hel", None)) + event(gemini("lo")),
    "ollama": json.dumps(ollama("hel", done=False)).encode()
    + b"\n"
    + json.dumps(ollama("lo", done=True)).encode()
    + b"\n",
}
LABELS = {
    "json": "application/json",
    "Json": "Application/JSON; charset=utf-8",
    "text": "text/plain",
    "none": None,
    "sse": "text/event-stream",
}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEAX+XDSwAAAABJRU5ErkJggg=="
)
VECTORS = json.dumps(
    {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": USAGE}
).encode()

OTHERS: dict[str, bytes] = {
    "page": answer(b"<html>blocked</html>", "text/html"),
    "page-as-json": answer(b"<!DOCTYPE html><p>blocked", "application/json"),
    "page-unlabelled": answer(b"\n\n<html>blocked</html>", None),
    "words": answer(b"no healthy upstream", "text/plain"),
    "error-as-text": answer(b'{"error": {"message": "no"}}', "text/plain"),
    "error-unlabelled": answer(b' {"error": "no"}', None),
    "nothing": answer(b"", "application/json"),
    "nothing-at-all": answer(b"", None),
}
"""What is no answer of any endpoint."""


def _scripts() -> dict[str, Sequence[Step]]:
    scripts: dict[str, Sequence[Step]] = {}
    for label, content_type in LABELS.items():
        for dialect, reply in REPLIES.items():
            scripts[f"{dialect}-reply-{label}"] = [answer(json.dumps(reply).encode(), content_type)]
            scripts[f"{dialect}-stream-{label}"] = [answer(STREAMS[dialect], content_type)]
        scripts[f"vectors-{label}"] = [answer(VECTORS, content_type)]
    scripts["gemini-array"] = [answer(json.dumps([gemini("hel", None), gemini("lo")]).encode())]
    scripts["png"] = [answer(PNG, "image/png")]
    scripts["png-unlabelled"] = [answer(PNG, None)]
    scripts["mp3"] = [answer(b"ID3\x03\x00" + PNG, "audio/mpeg")]
    scripts["subtitles"] = [answer(b"1\n00:00:00,000 --> 00:00:01,000\nhello there\n", "text/plain")]
    scripts["brackets"] = [answer(b"{laughs} hello there", "text/plain")]
    scripts["events"] = [SSE, event({"type": "image_generation.completed", "b64_json": "aGk="})]
    scripts["error-event"] = [SSE, event({"error": {"message": "no"}})]
    return scripts | {name: [steps] for name, steps in OTHERS.items()}


BETA_ANSWERS: dict[str, Sequence[Step]] = {
    "chat": [answer(json.dumps({**OPENAI_REPLY, "choices": [{"index": 0, "message": {"role": "assistant", "content": BETA}, "finish_reason": "stop"}]}).encode())],
    "other": [answer(json.dumps({"object": "list", "model": "other", "data": [{"b64_json": BETA, "embedding": [1.0], "index": 0}], "results": [], "text": BETA, "usage": USAGE}).encode())],
}  # fmt: skip


@pytest.fixture(scope="module", params=WIRINGS)
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    scripts = {**_scripts(), **BETA_ANSWERS}
    with ScriptedProvider(scripts) as upstream:
        own = [name for name in scripts if name not in BETA_ANSWERS]
        providers = {
            dialect: {
                "base_url": f"{upstream.url}/up-{dialect}",
                "dialect": dialect,
                "api_key": "some-key-of-ours",
                "models": own,
            }
            for dialect in REPLIES
        }
        beta = {
            "base_url": f"{upstream.url}/beta",
            "dialect": "openai",
            "api_key": "another-key",
            "models": list(BETA_ANSWERS),
            "endpoints": ["chat", "embeddings", "images", "moderations", "audio"],
        }
        config = {
            "providers": {**providers, "beta": beta},
            "aliases": {f"then-beta-{name}": [f"openai/{name}", "beta/other"] for name in own},
        }
        environment = {
            "OR_BREAKER_CONSECUTIVE_FAILURES": "1000",
            "OR_BREAKER_MINIMUM_CALLS": "100000",
            "OR_ATTEMPTS": "2",
        }
        directory: Path = tmp_path_factory.mktemp("bytes")
        with Cluster(directory, json.dumps(config), request.param, environment) as running:
            yield running


def ask(cluster: Cluster, caller: str, model: str, *, streamed: bool) -> httpx.Response:
    """A call without tools."""
    path = PATHS[caller].format(model=model.replace("/", "%2F"))
    if not streamed:
        path = path.replace("streamGenerateContent?alt=sse", "generateContent")
    body = {name: value for name, value in body_for(caller, model).items() if name != "tools"}
    if "stream" in body:
        body["stream"] = streamed
    return cluster.post(path, body)


def text_of(caller: str, body: str, *, streamed: bool) -> str:
    """What was said, in any dialect."""
    if not streamed:
        return _whole_text(caller, json.loads(body))
    datas = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith(("data: ", "{"))]
    events = [json.loads(data) for data in datas if data != "[DONE]"]
    if caller == "openai":
        return "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e.get("choices"))
    if caller == "anthropic":
        return "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
    if caller == "responses":
        return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    return "".join(_whole_text(caller, e) for e in events)


def _whole_text(caller: str, reply: Any) -> str:
    if caller == "openai":
        return str(reply["choices"][0]["message"]["content"])
    if caller == "anthropic":
        return "".join(part["text"] for part in reply["content"] if part["type"] == "text")
    if caller == "responses":
        return "".join(
            part["text"] for item in reply["output"] if item["type"] == "message" for part in item["content"]
        )
    if caller == "ollama":
        return str(reply["message"]["content"])
    return "".join(part.get("text", "") for c in reply["candidates"] for part in c.get("content", {}).get("parts", []))


PAIRS = [(dialect, caller) for dialect in REPLIES for caller in REPLIES if caller in (dialect, "openai", "anthropic")]


@pytest.mark.parametrize("shape", ["reply", "stream"])
@pytest.mark.parametrize(("dialect", "caller"), PAIRS)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_chat_answer_is_understood_whatever_it_is_called(
    cluster: Cluster, dialect: str, caller: str, shape: str, streamed: bool
) -> None:
    for label in LABELS:
        found = ask(cluster, caller, f"{dialect}/{dialect}-{shape}-{label}", streamed=streamed)
        assert found.status_code == 200, (label, found.text)
        assert text_of(caller, found.text, streamed=streamed) == "hello", (label, found.text)
        assert "error" not in found.text.replace('"error":null', ""), (label, found.text)


@pytest.mark.parametrize("caller", ["gemini", "openai"])
def test_geminis_array_is_a_stream(cluster: Cluster, caller: str) -> None:
    found = ask(cluster, caller, "gemini/gemini-array", streamed=True)
    assert (found.status_code, text_of(caller, found.text, streamed=True)) == (200, "hello")


ENDPOINTS = {
    "/v1/embeddings": {"input": "x"},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/moderations": {"input": "x"},
    "/v1/audio/speech": {"input": "x", "voice": "alloy"},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("path", ENDPOINTS)
def test_what_is_no_answer_is_the_next_ones(cluster: Cluster, path: str, name: str) -> None:
    found = cluster.post(path, {"model": f"then-beta-{name}", **ENDPOINTS[path]})
    assert found.status_code == 200, found.text
    assert BETA in found.text


@pytest.mark.parametrize("label", LABELS)
def test_vectors_are_read_whatever_they_are_called(cluster: Cluster, label: str) -> None:
    found = cluster.post("/v1/embeddings", {"model": f"openai/vectors-{label}", "input": "x"})
    assert found.status_code == 200, found.text
    assert found.json()["model"] == f"openai/vectors-{label}"
    assert found.json()["usage"] == USAGE
    assert found.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/v1/images/generations", "png", "image/png"),
        ("/v1/images/generations", "png-unlabelled", "application/octet-stream"),
        ("/v1/audio/speech", "mp3", "audio/mpeg"),
        ("/v1/audio/speech", "png-unlabelled", "application/octet-stream"),
        ("/v1/images/generations", "events", "text/event-stream"),
    ],
)
def test_pictures_and_sound_pass_as_they_came(cluster: Cluster, path: str, name: str, kind: str) -> None:
    found = cluster.post(path, {"model": f"openai/{name}", "stream": name == "events", **ENDPOINTS[path]})
    assert (found.status_code, found.headers["content-type"].partition(";")[0]) == (200, kind)
    sent = _scripts()[name]
    assert found.content == b"".join(step for step in sent if isinstance(step, bytes)).partition(b"\r\n\r\n")[2]


def test_a_stream_of_pictures_that_begins_with_an_error_is_the_next_ones(cluster: Cluster) -> None:
    found = cluster.post("/v1/images/generations", {"model": "then-beta-error-event", "prompt": "x", "stream": True})
    assert BETA in found.text


@pytest.mark.parametrize("name", ["subtitles", "brackets"])
def test_what_was_heard_may_be_text(cluster: Cluster, name: str) -> None:
    files = {"file": ("a.wav", b"RIFF", "audio/wav")}
    data = {"model": f"openai/{name}", "response_format": "text"}
    found = httpx.post(f"{cluster.url}/v1/audio/transcriptions", data=data, files=files, trust_env=False, verify=False)
    assert found.status_code == 200, found.text
    assert "hello there" in found.text
