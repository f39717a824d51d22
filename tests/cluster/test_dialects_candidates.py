"""Which candidate gets a request that not everybody can take, what is told of the rest, and who takes over from whom."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from orcestator.cluster.factory import make_gateway
from orcestator.cluster.router import Router
from orcestator.gateway.gateway import Gateway
from orcestator.json_text import Json
from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import X_API_KEY, Provider
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.quota import QuotaBook
from orcestator.sandbox.faults import catalogue
from orcestator.server.drain import Drain
from orcestator.settings import Settings
from orcestator.upstream.call import Answer, UpstreamCall
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.ids import new_id
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts
from tests.cluster.dialects import (
    BEFORE,
    FIRST,
    LATE,
    LONG_WORDS,
    MANY,
    SCHEMA,
    TAKEOVERS,
    KeyedCluster,
    bearer,
    body_of,
    events_in,
    fault_name,
    received,
)
from tests.cluster.harness import SandboxThread

pytest_plugins = ("tests.cluster.dialect_fixtures",)
AFTER = tuple(row for row in catalogue.DIALECT_FAULTS if row.expected == "error" and row.dialect == "anthropic")
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def sandbox(dialect_sandbox: SandboxThread) -> SandboxThread:
    """The upstream of every provider, with nothing received yet."""
    dialect_sandbox.reset()
    return dialect_sandbox


@pytest.fixture
def gateway(dialect_gateway: KeyedCluster) -> KeyedCluster:
    """The cluster, in both wirings."""
    return dialect_gateway


def chat(content: Any = "Hello.", **more: Any) -> Json:
    """A chat body without its model."""
    return {"messages": [{"role": "user", "content": content}], **more}


def served_by(answer: httpx.Response) -> str:
    """Who answered."""
    assert answer.status_code == 200, answer.text
    return answer.headers["x-orcestator-provider"]


# Callers


@dataclass(frozen=True)
class Dialect:
    """How a caller of a dialect asks in the simplest way, and how it reads the answer.

    ``ended`` says whether a stream came to a proper end, ``failed`` whether it says in its last words that it did not.
    """

    path: str
    body: Json
    text: Callable[[Any], str]
    delta: Callable[[Json], str]
    ended: Callable[[list[Json]], bool]
    failed: Callable[[list[Json]], bool]
    stream_path: str = ""
    is_lines: bool = False
    error: Callable[[Json], str] = lambda body: body["error"]["message"]
    param: Callable[[Json], str] = lambda body: body["error"]["message"]

    def ask(self, gateway: KeyedCluster, model: str, text: str = "Hello.", *, streams: bool) -> httpx.Response:
        """One request."""
        path = (self.stream_path if streams and self.stream_path else self.path).replace(
            "MODEL", model.replace("?", "%3F")
        )
        named = {} if "MODEL" in self.path else {"model": model, "stream": streams}
        body = json.loads(json.dumps(self.body | named).replace("Hello.", text))
        return gateway.post(path, body)

    def events(self, answer: httpx.Response) -> list[Json]:
        """What a stream said."""
        if self.is_lines:
            return [json.loads(line) for line in answer.text.splitlines()]
        return list(events_in(answer))


def chat_delta(event: Json) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))


def part_text(event: Json) -> str:
    parts = [part for one in event.get("candidates", ()) for part in one["content"].get("parts", ())]
    return "".join(part.get("text", "") for part in parts)


CALLERS: Mapping[str, Dialect] = {
    "openai": Dialect(
        "/v1/chat/completions",
        chat(),
        lambda body: body["choices"][0]["message"]["content"],
        chat_delta,
        lambda events: any(one.get("finish_reason") == "stop" for event in events for one in event.get("choices", ())),
        lambda events: "error" in events[-1] and events[-2]["choices"][0]["finish_reason"] == "error",
    ),
    "anthropic": Dialect(
        "/v1/messages",
        chat(max_tokens=9999),
        lambda body: body["content"][0]["text"],
        lambda event: event.get("delta", {}).get("text", ""),
        lambda events: events[-1]["type"] == "message_stop",
        lambda events: events[-1]["type"] == "error",
    ),
    "responses": Dialect(
        "/v1/responses",
        {"input": "Hello."},
        lambda body: body["output"][0]["content"][0]["text"],
        lambda event: event.get("delta", ""),
        lambda events: events[-1]["type"] == "response.completed",
        lambda events: [event["type"] for event in events[-2:]] == ["response.failed", "error"],
    ),
    "gemini": Dialect(
        "/v1beta/models/MODEL:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]},
        part_text,
        part_text,
        lambda events: any("finishReason" in one for event in events for one in event.get("candidates", ())),
        lambda events: "error" in events[-1],
        stream_path="/v1beta/models/MODEL:streamGenerateContent?alt=sse",
    ),
    "ollama": Dialect(
        "/api/chat",
        chat(),
        lambda body: body["message"]["content"],
        lambda event: event.get("message", {}).get("content", ""),
        lambda events: events[-1].get("done") is True,
        lambda events: "error" in events[-1],
        is_lines=True,
        error=lambda body: body["error"],
        param=lambda body: body["error"],
    ),
}
EVERY_CALLER = pytest.mark.parametrize("caller", list(CALLERS.values()), ids=list(CALLERS))


# What a request needs


SCHEMA_WANTED = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {**SCHEMA, "additionalProperties": False}},
}
NEEDY = {
    "tools": ("echo-or-plain", chat(tools=[{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}])),
    "schema": ("echo-or-plain", chat(response_format=SCHEMA_WANTED)),
    "vision": ("tools-or-plain", chat([{"type": "image_url", "image_url": {"url": PICTURE}}])),
    "context": ("reasoner-or-plain", chat("word " * 200)),
}


@pytest.mark.parametrize(("alias", "body"), NEEDY.values(), ids=list(NEEDY))
def test_a_request_goes_to_who_has_what_it_needs(alias: str, body: Json, gateway: KeyedCluster) -> None:
    """And to the first where nothing is needed, or nobody has it: its own refusal is better than a guess."""
    assert served_by(gateway.post("/v1/chat/completions", {"model": alias, **body})) == "plain"
    assert served_by(gateway.post("/v1/chat/completions", {"model": alias, **chat()})) == "openai"
    answer = gateway.post("/v1/chat/completions", {"model": "nobody", **NEEDY["schema"][1]})
    assert served_by(answer) == "openai"
    assert answer.headers["x-orcestator-model"] == "echo"


def test_needs_are_seen_in_every_dialect(gateway: KeyedCluster) -> None:
    """A tool is a tool and a picture a picture, however they are written."""
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE.partition(",")[2]}
    asked = [
        (
            "/v1/messages",
            {"model": "echo-or-plain", "max_tokens": 9, **chat(tools=[{"name": "look", "input_schema": SCHEMA}])},
        ),
        ("/v1/messages", {"model": "tools-or-plain", "max_tokens": 9, **chat([{"type": "image", "source": source}])}),
        ("/v1/responses", {"model": "echo-or-plain", "input": "x", "tools": [{"type": "function", "name": "look"}]}),
        (
            "/v1beta/models/reasoner-or-plain:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "word " * 200}]}]},
        ),
    ]
    assert [served_by(gateway.post(path, body)) for path, body in asked] == ["plain"] * len(asked)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_what_a_model_refuses_is_left_out(dialect: str, sandbox: SandboxThread) -> None:
    """By the facts of the model, and named; nothing else is touched."""
    facts = ModelFacts("agent", refused_parameters=("temperature", "top_p"))
    row = Provider("fussy", "Fussy", "", "", "", 1, models=(facts,), dialect=dialect, auth_header=X_API_KEY.header)
    call = {"model": "agent", **chat(temperature=0.3, stop=["end"], max_tokens=99)}
    body = json.dumps(call).encode()

    async def ask() -> Answer:
        loop = asyncio.get_running_loop()
        link = ProviderClient(row, sandbox.base_url, (Secret("a-key"),), 1, client, ProviderTimeouts())
        order = UpstreamCall(
            "chat", "/chat/completions", body, call, "application/json", "agent", False, False, "req-1",
            loop.time() + 30, 100, 1, new_id,
        )  # fmt: skip
        try:
            return await link.attempt_beside("agent", order)
        finally:
            await client.close()

    sandbox.reset()
    client = UpstreamClient(connections_per_origin=4, pending_per_origin=4)
    assert asyncio.run(ask()).dropped == ("temperature",)
    (record,) = received(sandbox)
    sent = body_of(record)
    assert "temperature" not in sent
    assert sent.get("stop", sent.get("stop_sequences")) == ["end"]


# What is lost


LOSSES = {
    "n": ({"n": 2}, ["n"]),
    "logprobs": ({"logprobs": True, "top_logprobs": 2}, ["logprobs", "top_logprobs"]),
    "file": (chat([{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": "f"}}]), ["messages.file"]),
    "tool_choice": (
        {
            "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
            "tool_choice": "required",
            "reasoning_effort": "high",
        },
        ["tool_choice"],
    ),
}
STRICT = {"x-orcestator-strict": "true"}


@pytest.mark.parametrize(("more", "names"), LOSSES.values(), ids=list(LOSSES))
def test_what_is_lost_is_named_or_refused(more: Json, names: list[str], gateway: KeyedCluster) -> None:
    """In a header of the answer; with strict as a 400 about the field, or as the next candidate's answer."""
    body = {"model": "claude/agent", **chat(), **more}
    for streams in (False, True):
        answer = gateway.post("/v1/chat/completions", {**body, "stream": streams})
        assert served_by(answer) == "claude"
        assert answer.headers["x-orcestator-dropped"].split(",") == names
        refused = gateway.post("/v1/chat/completions", {**body, "stream": streams}, headers=bearer(FIRST, **STRICT))
        assert refused.status_code == 400
        assert refused.json()["error"] | {"message": ""} == {
            "message": "", "type": "invalid_request_error", "param": names[0], "code": "unsupported_parameter",
        }  # fmt: skip
        assert all(name in refused.json()["error"]["message"] for name in names)
    elsewhere = gateway.post("/v1/chat/completions", {**body, "model": "claude-first"}, headers=bearer(FIRST, **STRICT))
    assert served_by(elsewhere) == "plain"
    assert "x-orcestator-dropped" not in elsewhere.headers
    assert served_by(gateway.post("/v1/chat/completions", {**body, "model": "claude-first"})) == "claude"


FOREIGN_LOSSES = {
    "anthropic": ({"top_k": 3, "stop_sequences": list("abcde")}, ["top_k", "stop"]),
    "responses": ({"truncation": "auto", "max_tool_calls": 3}, ["truncation", "max_tool_calls"]),
    "gemini": ({"safetySettings": [{"category": "X", "threshold": "Y"}]}, ["safetySettings"]),
    "ollama": ({"options": {"mirostat": 1}}, ["options.mirostat"]),
}


@pytest.mark.parametrize("name", FOREIGN_LOSSES)
def test_what_a_foreign_caller_loses_is_told_in_its_own_words(name: str, gateway: KeyedCluster) -> None:
    """What its dialect has and OpenAI's has not; the refusal has the shape of its dialect and names the field."""
    more, names = FOREIGN_LOSSES[name]
    caller = CALLERS[name]
    path = caller.path.replace("MODEL", "plain%2Fagent")
    body = {**caller.body, "model": "plain/agent", "stream": False, **more}
    answer = gateway.post(path, body)
    assert served_by(answer) == "plain"
    assert answer.headers["x-orcestator-dropped"].split(",") == names
    refused = gateway.post(path, body, headers=bearer(FIRST, **STRICT))
    assert refused.status_code == 400
    assert all(lost in caller.error(refused.json()) for lost in names)


def test_strict_can_be_set_for_everybody() -> None:
    """``OR_STRICT`` is what the header is."""

    async def carry(deployment: Deployment, order: UpstreamCall, _taken_at: float) -> Answer:
        raise NotImplementedError

    class Carrier:
        attempt = staticmethod(carry)

    def made_of(settings: Settings) -> Gateway:
        router = Router.of(settings, lambda: Catalog(()), lambda event: None, QuotaBook())
        return make_gateway(settings, router, Carrier(), lambda event: None, Drain())

    made = [made_of(Settings(strict=strict)) for strict in (True, False)]
    assert [gateway.policy.is_strict for gateway in made] == [True, False]


# Who takes over


@EVERY_CALLER
@pytest.mark.parametrize("row", BEFORE, ids=fault_name)
def test_a_failure_before_content_is_never_seen(row: catalogue.Fault, caller: Dialect, gateway: KeyedCluster) -> None:
    """The next candidate answers, whatever dialect the first failed in."""
    for applies in sorted(row.applies):
        number = 2 * list(CALLERS.values()).index(caller) + (applies == "stream")
        assert number < TAKEOVERS
        answer = caller.ask(gateway, f"over-{fault_name(row)}-{number}", streams=applies == "stream")
        assert (served_by(answer), answer.headers["x-orcestator-attempts"]) == ("plain", "2")
        if applies == "plain":
            assert caller.text(answer.json()).startswith("You said: Hello.")
            continue
        events = caller.events(answer)
        assert "".join(map(caller.delta, events)).startswith("You said: Hello.")
        assert caller.ended(events), events[-2:]
        assert not caller.failed(events)


@EVERY_CALLER
@pytest.mark.parametrize("row", AFTER, ids=fault_name)
def test_a_failure_after_content_is_never_an_end(row: catalogue.Fault, caller: Dialect, gateway: KeyedCluster) -> None:
    """What came is there, and the caller's own way to say that the rest did not."""
    model = f"claude/{row.model}{LATE}"
    answer = caller.ask(gateway, model, LONG_WORDS, streams=True)
    assert served_by(answer) == "claude"
    events = caller.events(answer)
    assert sum(bool(caller.delta(event)) for event in events) >= MANY - 1
    assert caller.failed(events), events[-2:]
    assert not caller.ended(events)
