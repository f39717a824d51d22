"""The same dialect on both sides: bodies, headers and events as they came, and failures in the caller's own words."""

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json
from tests.cluster.dialects import (
    FIRST,
    LATE,
    LONG_WORDS,
    MANY,
    SCHEMA,
    TOOL,
    KeyedCluster,
    bearer,
    body_of,
    received,
)
from tests.cluster.harness import SandboxThread

pytest_plugins = ("tests.cluster.dialect_fixtures",)
ODD = "Sag „hallo“, \\u201e \\ud83d\\ude00 nonce:n-1"
"""As JSON text, with escapes that nobody else would write."""


@pytest.fixture
def sandbox(dialect_sandbox: SandboxThread) -> SandboxThread:
    """The upstream of every provider, with nothing received yet."""
    dialect_sandbox.reset()
    return dialect_sandbox


@pytest.fixture
def gateway(dialect_gateway: KeyedCluster) -> KeyedCluster:
    """The cluster, in both wirings."""
    return dialect_gateway


@dataclass(frozen=True)
class Native:
    """A request in a dialect as a client of it writes it. ``MODEL`` in path and body stands for the model's name."""

    provider: str
    path: str
    body: str
    headers: tuple[tuple[str, str], ...] = ()
    key: str = "authorization"

    def send(self, base: str, model: str, key: str) -> httpx.Response:
        """Send it to whoever speaks the dialect."""
        content = self.body.replace("MODEL", model).encode()
        shown = f"Bearer {key}" if self.key == "authorization" else key
        headers = {"content-type": "application/json", self.key: shown, **dict(self.headers)}
        with httpx.Client(verify=False, trust_env=False, timeout=30) as http:
            return http.post(base + self.path.replace("MODEL", model), content=content, headers=headers)


CLAUDE_CODE = f"""{{"model" : "MODEL","max_tokens":32000 , "messages":[
 {{"role":"user","content":[{{"type":"text","text":"{ODD}","cache_control":{{"type":"ephemeral"}}}}]}},
 {{"role":"system","content":"# Environment"}},
 {{"role":"assistant","content":[{{"type":"tool_use","id":"toolu_a","name":"look","input":{{"place":"here"}}}}]}},
 {{"role":"user","content":[{{"tool_use_id":"toolu_a","type":"tool_result","content":"found","is_error":false,
   "cache_control":{{"type":"ephemeral"}}}}]}}],
 "system":[{{"type":"text","text":"You look.","cache_control":{{"type":"ephemeral"}}}}],
 "tools":[{{"name":"look","description":"Looks","input_schema":{json.dumps(SCHEMA)}}}],
 "metadata":{{"user_id":"u"}},"thinking":{{"type":"adaptive"}},"output_config":{{"effort":"high"}},
 "context_management":{{"edits":[]}},"stream":STREAM}}"""
CODEX = f"""{{"model":"MODEL", "instructions":"You look.","input":[
 {{"type":"message","id":"msg_own","role":"developer","content":[{{"type":"input_text","text":"Be brief."}}]}},
 {{"type":"message","role":"user","content":[{{"type":"input_text","text":"{ODD}"}}]}},
 {{"type":"custom_tool_call","call_id":"c0","name":"apply_patch","input":"*** Begin"}},
 {{"type":"custom_tool_call_output","call_id":"c0","output":"Done"}},
 {{"type":"compaction","encrypted_content":"opaque"}},
 {{"type":"function_call","status":"completed","id":"fc_own","name":"look","arguments":"{{}}","call_id":"c1"}},
 {{"type":"function_call_output","id":"fco_own","call_id":"c1","output":"found"}}],
 "tools":[{{"type":"function","name":"look","parameters":{json.dumps(SCHEMA)},"strict":false}},
          {{"type":"custom","name":"apply_patch","format":{{"type":"grammar","syntax":"lark","definition":"x"}}}},
          {{"type":"web_search"}}],
 "tool_choice":"auto","parallel_tool_calls":false,"reasoning":{{"effort":"medium","summary":"auto"}},
 "store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","client_metadata":{{"a":"b"}},
 "text":{{"verbosity":"low"}},"stream":STREAM}}"""
GEMINI_CLI = f"""{{"contents":[ {{"parts":[{{"text":"{ODD}"}}],"role":"user"}},
 {{"parts":[{{"functionCall":{{"id":"look_1","name":"look","args":{{"place":"here"}}}},
   "thoughtSignature":"skip_thought_signature_validator"}}],"role":"model"}},
 {{"parts":[{{"functionResponse":{{"id":"look_1","name":"look","response":{{"output":"found"}}}}}}],"role":"user"}}],
 "systemInstruction":{{"parts":[{{"text":"You look."}}],"role":"user"}},
 "tools":[{{"functionDeclarations":[{{"name":"look","parametersJsonSchema":{json.dumps(SCHEMA)}}}]}}],
 "generationConfig":{{"temperature":1,"topP":0.95,"topK":64,
   "thinkingConfig":{{"includeThoughts":true,"thinkingBudget":8192}}}}}}"""
LLAMA = f"""{{"model":"MODEL", "messages":[{{"role":"user","content":"{ODD}"}}],"keep_alive":"5m",
 "options":{{"num_ctx":4096,"mirostat":1}},"stream":STREAM}}"""
BETAS = "claude-code-20250219,context-management-2025-06-27"
CLAUDE_HEADERS = (("anthropic-version", "2023-01-01"), ("anthropic-beta", BETAS))
CODEX_HEADERS = (("session-id", "s-1"), ("originator", "codex_exec"), ("x-codex-beta-features", "remote"))


def native(name: str, path: str, body: str, streams: bool, **more: Any) -> Any:
    """A row of the table below."""
    asked = Native(name, path, body.replace("STREAM", "true" if streams else "false"), **more)
    return pytest.param(asked, id=f"{name}-{'streamed' if streams else 'whole'}")


GEMINI_PATH = "/v1beta/models/MODEL:"
NATIVES = [
    *(
        native("claude", "/v1/messages?beta=true", CLAUDE_CODE, streams, headers=CLAUDE_HEADERS, key="x-api-key")
        for streams in (True, False)
    ),
    *(native("codexes", "/v1/responses", CODEX, streams, headers=CODEX_HEADERS) for streams in (True, False)),
    native("google", GEMINI_PATH + "streamGenerateContent?alt=sse", GEMINI_CLI, True, key="x-goog-api-key"),
    native("google", GEMINI_PATH + "generateContent", GEMINI_CLI, False, key="x-goog-api-key"),
    *(native("llamas", "/api/chat", LLAMA, streams) for streams in (True, False)),
]


@pytest.mark.parametrize("asked", NATIVES)
def test_request_and_answer_go_through(asked: Native, gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """The upstream gets the caller's bytes and headers, the caller the upstream's; only the model's name is another."""
    model = "agent?rounds=1"
    path_model = "agent" if asked.provider == "google" else model
    root = sandbox.base_url.removesuffix("/v1")
    sandbox.reset()
    direct = asked.send(root, path_model, "key")
    sandbox.reset()
    relayed = asked.send(gateway.url, f"{asked.provider}/{path_model}", FIRST)
    assert (direct.status_code, relayed.status_code) == (200, 200), relayed.text
    (record,) = received(sandbox)
    assert record.body.decode() == asked.body.replace("MODEL", model)
    assert dict(asked.headers).items() <= record.headers.items()
    assert FIRST not in str(record.headers)
    assert without_times(relayed.text.replace(f"{asked.provider}/", "")) == without_times(direct.text)
    assert relayed.headers["content-type"].partition(";")[0] == direct.headers["content-type"].partition(";")[0]
    assert "x-orcestator-dropped" not in relayed.headers


def without_times(text: str) -> str:
    """The text without what depends on the clock."""
    return re.sub(r'("(?:created_at|completed_at)":)(\d+|"[^"]*")', r"\1T", text)


def test_what_the_upstream_refuses_is_told_in_the_callers_dialect(gateway: KeyedCluster) -> None:
    """An unknown field is the upstream's to refuse: we do not know better."""
    body = {"model": "claude/agent", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "mood": "calm"}
    refused = gateway.post("/v1/messages", body)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert "mood: Extra inputs are not permitted" in refused.json()["error"]["message"]
    assert refused.headers["request-id"] == refused.json()["request_id"]


# A conversation of which another provider took a turn


def claude_turn(gateway: KeyedCluster, model: str, messages: list[Json]) -> Json:
    """A turn of a caller that keeps every block, as Anthropic wants it."""
    body = {
        "model": model,
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": TOOL, "input_schema": SCHEMA}],
        "messages": messages,
    }
    answer = gateway.post("/v1/messages", body)
    assert answer.status_code == 200, answer.text
    said: Json = answer.json()
    used = [block for block in said["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "found"} for block in used]
    messages += [{"role": "assistant", "content": said["content"]}, {"role": "user", "content": results}]
    return said


@pytest.mark.parametrize("other", ["plain/agent", "plain/strict", "google/agent", "codexes/agent"])
def test_anthropic_takes_back_a_conversation_that_fell_back(
    other: str, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Its own thinking as it was, nothing of what we signed for somebody else, and no thinking over a loop without."""
    messages: list[Json] = [{"role": "user", "content": "Look around."}]
    own = claude_turn(gateway, "claude/agent?rounds=9", messages)
    foreign = claude_turn(gateway, f"{other}?rounds=9", messages)
    sandbox.reset()
    claude_turn(gateway, "claude/agent?rounds=9", messages)
    (record,) = received(sandbox)
    assert body_of(record)["messages"][1]["content"] == own["content"]
    assert [block["type"] for block in body_of(record)["messages"][3]["content"]] == ["tool_use", "tool_use"]
    assert "thinking" not in body_of(record)
    assert (foreign["content"][0]["type"] == "thinking") == (other != "plain/strict")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("other", ["plain/agent", "claude/agent", "google/agent"])
def test_a_responses_upstream_takes_back_a_conversation_that_fell_back(
    other: str, streams: bool, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Without ids of ours and without the reasoning of others, which it would not find."""
    items: list[Json] = [{"role": "user", "content": "Look around."}]
    responses_turn(gateway, "codexes/agent?rounds=9", items, streams)
    responses_turn(gateway, f"{other}?rounds=9", items, streams)
    # Anthropic does not think over a tool loop that another began.
    assert ("reasoning" in [item["type"] for item in items[4:]]) == (other != "claude/agent")
    sandbox.reset()
    responses_turn(gateway, "codexes/agent?rounds=9", items, streams)
    (record,) = received(sandbox)
    sent = body_of(record)["input"]
    assert sent[1] == items[1]
    assert [item["type"] for item in sent[6:]] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert not any("id" in item for item in sent[6:])


def responses_turn(gateway: KeyedCluster, model: str, items: list[Json], streams: bool) -> None:
    """A turn of a caller that keeps every item, as Codex does."""
    body = {
        "model": model,
        "input": items,
        "tools": [{"type": "function", "name": TOOL, "parameters": SCHEMA}],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": streams,
    }
    answer = gateway.post("/v1/responses", body)
    assert answer.status_code == 200, answer.text
    last = answer.text.strip().rpartition("data: ")[2] if streams else answer.text
    output = (json.loads(last)["response"] if streams else json.loads(last))["output"]
    called = [item for item in output if item["type"] == "function_call"]
    items += output
    items += [{"type": "function_call_output", "call_id": item["call_id"], "output": "found"} for item in called]


@pytest.mark.parametrize("other", ["plain/strict", "plain/agent", "claude/agent"])
def test_gemini_takes_back_a_conversation_that_fell_back(
    other: str, gateway: KeyedCluster, sandbox: SandboxThread
) -> None:
    """Calls that no Gemini model made get the word that stands for a signature; its own keep theirs."""
    contents: list[Json] = [{"role": "user", "parts": [{"text": "Look around."}]}]
    gemini_turn(gateway, "google/agent", contents)
    gemini_turn(gateway, other, contents)
    sandbox.reset()
    gemini_turn(gateway, "google/agent", contents)
    (record,) = received(sandbox)
    sent = body_of(record)["contents"]
    assert sent[1] == contents[1]
    calls = [part for part in sent[3]["parts"] if "functionCall" in part]
    assert [part.get("thoughtSignature") for part in calls] == ["skip_thought_signature_validator", None]


def gemini_turn(gateway: KeyedCluster, model: str, contents: list[Json]) -> None:
    """A turn of a caller that keeps every part."""
    tools = [{"functionDeclarations": [{"name": TOOL, "parametersJsonSchema": SCHEMA}]}]
    body = {"contents": contents, "tools": tools}
    answer = gateway.post(f"/v1beta/models/{model.replace('/', '%2F')}%3Frounds=9:generateContent", body)
    assert answer.status_code == 200, answer.text
    content = answer.json()["candidates"][0]["content"]
    called = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    results = [
        {"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "found"}}}
        for call in called
    ]
    contents += [content, {"role": "user", "parts": results}]


# Failures after content


@pytest.mark.parametrize("fault", ["D-A1:after", "D-A3:after", "D-A4:cut", "D-A4:no-delta"])
def test_a_broken_relay_ends_in_anthropics_words(fault: str, gateway: KeyedCluster) -> None:
    """One error event and nothing after it; never the end of a whole message."""
    body = {
        "model": f"claude/fault:{fault}{LATE}",
        "max_tokens": 9999,
        "messages": [{"role": "user", "content": LONG_WORDS}],
    }
    answer = gateway.post("/v1/messages", body | {"stream": True})
    names = re.findall(r"^event: (.*)$", answer.text, re.MULTILINE)
    assert names.count("content_block_delta") == MANY
    assert names[-1] == "error"
    assert names.count("error") == 1
    assert {"message_delta", "message_stop", "message"}.isdisjoint(names)
    error = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert error["error"]["message"]
    assert "orcestator" not in error["error"]


@pytest.mark.parametrize("fault", ["D-R1:after", "D-R3:after", "D-R4:no-completed", "D-R4:cut"])
def test_a_broken_relay_ends_in_the_words_of_responses(fault: str, gateway: KeyedCluster) -> None:
    """One failed response, and the error that SDKs raise on; never a completed one."""
    answer = gateway.post(
        "/v1/responses", {"model": f"codexes/fault:{fault}{LATE}", "input": LONG_WORDS, "stream": True}
    )
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    kinds = [event["type"] for event in events]
    assert kinds.count("response.output_text.delta") == MANY
    told = [kind for kind in kinds if kind in ("error", "response.failed", "response.completed")]
    assert kinds[-2:] == told == ["response.failed", "error"]
    assert events[-2]["response"]["error"]["message"] == events[-1]["error"]["message"]


@pytest.mark.parametrize("fault", ["D-G4:after", "D-G5:no-finish", "D-G5:cut"])
def test_a_broken_relay_ends_in_geminis_words(fault: str, gateway: KeyedCluster) -> None:
    """One error object and nothing after it; no candidate has a reason to have ended."""
    model = f"google%2Ffault:{fault}{LATE.replace('?', '%3F')}"
    answer = gateway.post(
        f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": LONG_WORDS}]}]},
    )
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert ["error" in event for event in events] == [False] * MANY + [True]
    assert "finishReason" not in answer.text
    assert events[-1]["error"]["message"]


@pytest.mark.parametrize("fault", ["D-O1:after", "D-O2:no-done", "D-O2:cut"])
def test_a_broken_relay_ends_in_ollamas_words(fault: str, gateway: KeyedCluster) -> None:
    """One error line and nothing after it; never ``done``."""
    body = {"model": f"llamas/fault:{fault}{LATE}", "messages": [{"role": "user", "content": LONG_WORDS}]}
    lines = [json.loads(line) for line in gateway.post("/api/chat", body).text.splitlines()]
    assert ["error" in line for line in lines] == [False] * MANY + [True]
    assert not any(line.get("done") for line in lines)
    assert lines[-1]["error"]


def test_a_key_of_the_callers_goes_to_nobody(gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """However it was shown: the upstream sees its own."""
    sandbox.reset()
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    answer = gateway.post(f"/v1beta/models/google%2Fagent:generateContent?key={FIRST}", body, headers={})
    assert answer.status_code == 200, answer.text
    (record,) = received(sandbox)
    assert record.headers["x-goog-api-key"] == "key-of-google"
    assert FIRST not in str(record.headers)
    assert bearer(FIRST)["authorization"] not in str(record)
