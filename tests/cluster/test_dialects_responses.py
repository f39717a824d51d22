"""Responses that are kept: chained over turns and providers, listed, deleted, and nobody else's."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.dialects import (
    FIRST,
    LATE,
    LONG_WORDS,
    SCHEMA,
    SECOND,
    TOOL,
    KeyedCluster,
    bearer,
    body_of,
    provider,
    received,
)
from tests.cluster.harness import SandboxThread

PATH = "/v1/responses"
WANTED = "Look around."
MODELS = ("codexes/agent", "claude/agent", "google/agent", "plain/agent")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    """The upstream of every provider."""
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedCluster]:
    """The sandbox in four dialects; what is kept is kept in the API server, so that one wiring is enough."""
    root = sandbox.base_url.removesuffix("/v1")
    lines = [
        "providers:",
        provider("codexes", f"{root}/v1", "responses", "agent"),
        provider("claude", f"{root}/v1", "anthropic", "agent"),
        provider("google", f"{root}/v1beta", "gemini", "agent"),
        provider("plain", f"{root}/v1", models="agent"),
    ]
    with KeyedCluster(tmp_path_factory.mktemp("responses"), "\n".join(lines)) as running:
        yield running


def ask(gateway: KeyedCluster, model: str, given: Any, key: str = FIRST, **more: Any) -> httpx.Response:
    """A request for a response."""
    body = {"model": model, "input": given, **more}
    return gateway.post(PATH, body, headers=bearer(key))


def said(answer: httpx.Response) -> Json:
    """The response of an answer, streamed or not."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        last = json.loads(answer.text.strip().rpartition("data: ")[2])
        assert last["type"] == "response.completed", last
        return dict(last["response"])
    return dict(answer.json())


def text_in(response: Json) -> str:
    """What it says."""
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("first", MODELS)
def test_a_chain_over_turns_and_providers(
    first: str, streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Each turn sends what is new, and whoever takes it gets the whole conversation, calls and results included."""
    tools = [{"type": "function", "name": TOOL, "parameters": SCHEMA}]
    models = [first, *(model for model in MODELS if model != first), first]
    response = said(ask(gateway, f"{models[0]}?rounds=9", WANTED, tools=tools, stream=streams))
    for turn, model in enumerate(models[1:], 2):
        called = [item for item in response["output"] if item["type"] == "function_call"]
        assert response["id"].startswith("resp_")
        assert len(called) == 2
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"found-{turn}"} for item in called
        ]
        more = {"previous_response_id": response["id"], "tools": tools, "stream": streams}
        response = said(ask(gateway, f"{model}?rounds=9", results, **more))
        sent = received(sandbox)[-1].body.decode()
        assert [sent.count(f'found-{earlier}"') for earlier in range(2, turn + 1)] == [2] * (turn - 1), sent
        assert WANTED in sent
        assert "previous_response_id" not in sent


def test_instructions_do_not_carry_over(gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """As the API has it: items do, instructions do not."""
    first = said(ask(gateway, "plain/agent", "One.", instructions="Old rules."))
    sandbox.reset()
    said(ask(gateway, "plain/agent", "Two.", instructions="New rules.", previous_response_id=first["id"]))
    messages = body_of(received(sandbox)[0])["messages"]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "New rules."), ("user", "One."), ("assistant", text_in(first)), ("user", "Two."),
    ]  # fmt: skip


def unknown(gateway: KeyedCluster) -> tuple[str, str]:
    return "resp_unknown", FIRST


def somebody_elses(gateway: KeyedCluster) -> tuple[str, str]:
    return said(ask(gateway, "plain/agent", "Hello."))["id"], SECOND


def deleted(gateway: KeyedCluster) -> tuple[str, str]:
    response_id = said(ask(gateway, "plain/agent", "Hello."))["id"]
    answer = gateway.ask("DELETE", f"{PATH}/{response_id}")
    assert answer.json() == {"id": response_id, "object": "response", "deleted": True}
    return response_id, FIRST


def not_stored(gateway: KeyedCluster) -> tuple[str, str]:
    return said(ask(gateway, "plain/agent", "Hello.", store=False))["id"], FIRST


def broken(gateway: KeyedCluster) -> tuple[str, str]:
    answer = ask(gateway, f"codexes/fault:D-R1:after{LATE}", LONG_WORDS, SECOND, stream=True)
    last = json.loads(answer.text.strip().split("data: ")[-2].partition("\n")[0])
    assert last["type"] == "response.failed"
    return last["response"]["id"], SECOND


@pytest.mark.parametrize("gone", [unknown, somebody_elses, deleted, not_stored, broken])
def test_what_is_not_kept_is_told_so(gone: Any, gateway: KeyedCluster) -> None:
    """With the code on which VS Code sends the whole conversation again; and it is not shown either."""
    response_id, key = gone(gateway)
    refused = ask(gateway, "plain/agent", "And?", key, previous_response_id=response_id)
    assert refused.status_code == 400
    assert refused.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    for method, path in (("GET", ""), ("GET", "/input_items"), ("DELETE", "")):
        answer = gateway.ask(method, f"{PATH}/{response_id}{path}", headers=bearer(key))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("model", ["plain/agent", "codexes/agent"])
def test_a_response_is_shown_as_it_was_given(model: str, gateway: KeyedCluster) -> None:
    """Relayed or written here, and only under its own key."""
    first = said(ask(gateway, model, "Hello.", metadata={"a": "b"}))
    assert gateway.get(f"{PATH}/{first['id']}").json() == first
    assert first["model"] == model
    streamed = said(ask(gateway, model, "Hello.", stream=True))
    assert gateway.get(f"{PATH}/{streamed['id']}").json() == streamed


def test_input_items_come_in_pages(gateway: KeyedCluster) -> None:
    """Newest first unless told otherwise, each with an id that can be gone on from."""
    first = said(ask(gateway, "plain/agent", [{"role": "user", "content": f"word-{place}"} for place in range(5)]))
    path = f"{PATH}/{first['id']}/input_items"
    whole = gateway.get(path).json()
    texts = [item["content"][0]["text"] for item in whole["data"]]
    assert texts == [f"word-{place}" for place in (4, 3, 2, 1, 0)]
    assert not whole["has_more"]
    page = gateway.get(path, params={"limit": "2", "order": "asc"}).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["word-0", "word-1"]
    assert page["has_more"]
    rest = gateway.get(path, params={"limit": "9", "order": "asc", "after": page["last_id"]}).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["word-2", "word-3", "word-4"]
    assert rest["first_id"] == rest["data"][0]["id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "param"),
    [
        ("GET", "/{id}/input_items?limit=many", 400, "limit"),
        ("GET", "/{id}/input_items?after=msg_nobody", 400, "after"),
        ("POST", "/{id}/cancel", 400, None),
        ("PUT", "/{id}", 405, None),
        ("GET", "/resp%20x", 400, "response_id"),
        ("GET", "", 405, None),
    ],
)
def test_what_else_is_asked_of_a_response(
    method: str, path: str, status: int, param: str | None, gateway: KeyedCluster
) -> None:
    """Each refusal names what it is about."""
    first = said(ask(gateway, "plain/agent", "Hello."))
    answer = gateway.ask(method, PATH + path.replace("{id}", first["id"]))
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_an_item_can_be_referred_to(gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """By its id, by its owner, as long as its response is there."""
    first = said(ask(gateway, "plain/agent", "Hello."))
    (message,) = [item for item in first["output"] if item["type"] == "message"]
    given = [{"type": "item_reference", "id": message["id"]}, {"role": "user", "content": "And?"}]
    sandbox.reset()
    said(ask(gateway, "claude/agent", [{"role": "user", "content": "Hello."}, *given]))
    assert text_in(first) in body_of(received(sandbox)[0])["messages"][1]["content"][0]["text"]
    refused = ask(gateway, "plain/agent", given, SECOND)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input[0]")
    gateway.ask("DELETE", f"{PATH}/{first['id']}")
    assert ask(gateway, "plain/agent", given).status_code == 400


def answer_on(connection: socket.socket, request: str) -> tuple[int, Json, HTTPResponse]:
    """Send a request as it is; status, JSON and the rest of what came."""
    connection.sendall(request.replace("\n", "\r\n").encode())
    response = HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read()), response


UPGRADE = f"""GET /v1/responses HTTP/1.1
Host: 127.0.0.1
Authorization: Bearer {FIRST}
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
OpenAI-Beta: responses_websockets=2026-02-06

"""


def test_a_websocket_is_sent_back_to_http(gateway: KeyedCluster) -> None:
    """With 426, and a connection that ends cleanly, whatever the client sends on as if it were a socket already."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        status, body, response = answer_on(connection, UPGRADE)
        assert (status, response.headers["upgrade"]) == (426, "HTTP/1.1")
        assert body["error"]["type"] == "invalid_request_error"
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        assert connection.recv(100) == b""
    said(ask(gateway, "plain/agent", "Over HTTP, then."))


def test_a_websocket_behind_a_proxy_is_sent_back_to_http(gateway: KeyedCluster) -> None:
    """Which takes the words that are meant for the next hop away; the connection is the proxy's and stays."""
    unhopped = UPGRADE.replace("Connection: Upgrade\n", "").replace("Upgrade: websocket\n", "")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        for _ in range(2):
            status, body, _ = answer_on(connection, unhopped)
            assert (status, body["error"]["code"]) == (426, "websocket_not_offered")
        assert answer_on(connection, "GET /health HTTP/1.1\nHost: 127.0.0.1\n\n")[0] == 200
