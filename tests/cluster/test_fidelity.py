"""What reaches the upstream is what the caller sent, and what the caller gets is what it needs; in both wirings."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.conftest import CANARY, two_providers
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, local_request, streamed, text_of

USAGE_FIRST = b'{"stream_options":{"include_usage":true},'


def sent(
    cluster: Cluster, upstream: SandboxThread, body: bytes, path: str = "/v1/chat/completions", **more: Any
) -> Any:
    """The upstream's record of a call with these very bytes."""
    upstream.reset()
    headers = {"content-type": "application/json", **more}
    answer = local_request("POST", cluster.url + path, content=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return next(record for record in upstream.records if record.path == path)


# The body


AS_WRITTEN = {
    "numbers": b'{"model" : "beta/echo","messages":[{"role":"user","content":"x"}],"seed":9223372036854775807,'
    b'"temperature":1.10,"logit_bias":{"50256":-100},"a":1E2,"b":-0.0,"c":18446744073709551615,"d":0.1e-7}',
    "unknown fields": b'{"zeta":{"deep":[1,{"x":null}]},"messages":[{"role":"user","content":"x","cot_id":"c1"}],'
    b'"model":"beta/echo","alpha":[],"reasoning_effort":"high","route":{"order":["a"]},"transforms":["m"]}',
    "white space": b'\n {\n\t"messages" : [ {"role" : "user", "content" : "x" } ] ,\r\n "model":\t"beta/echo"\n}\n',
    "unicode": '{"model":"beta/echo","messages":[{"role":"user","content":"Привет 👋 \u2028 é \\ud83d\\ude00 \\n"}]}'.encode(),
    "image and file parts": b'{"messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url",'
    b'"image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low","media_type":"image/png"}},{"type":"file",'
    b'"file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}},{"type":"input_audio",'
    b'"input_audio":{"data":"AAAA","format":"wav"}}]}],"model":"beta/echo"}',
    "custom and function tools": b'{"model":"beta/tools","messages":[{"role":"user","content":"x"}],"tools":[{"type":"custom",'
    b'"custom":{"name":"apply_patch","description":"edits","format":{"type":"grammar","grammar":{"syntax":"lark",'
    b'"definition":"start: \\"a\\"+\\n"}}}},{"type":"function","function":{"name":"f","strict":true,"parameters":'
    b'{"type":"object","properties":{},"additionalProperties":false}}}],"tool_choice":"auto","parallel_tool_calls":true}',
    "sampling": b'{"model":"beta/echo","messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"x"}],'
    b'"logprobs":true,"top_logprobs":5,"seed":7,"n":2,"stop":["END"],"frequency_penalty":0.5,"presence_penalty":-0.5,'
    b'"max_completion_tokens":64,"response_format":{"type":"json_object"},"service_tier":"auto","store":false,'
    b'"metadata":{"k":"v"},"user":"u-1","prediction":{"type":"content","content":"x"},"verbosity":"low"}',
    "a tool conversation": b'{"model":"beta/echo","messages":[{"role":"user","content":"run pwd"},{"role":"assistant",'
    b'"content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"bash",'
    b'"arguments":"{\\"command\\":\\"pwd\\"}"}},{"id":"call_2","type":"function","function":{"name":"ls","arguments":""}}],'
    b'"reasoning_content":"thinking about it"},{"role":"tool","tool_call_id":"call_1","content":"/home"},{"role":"tool",'
    b'"tool_call_id":"call_2","content":[{"type":"text","text":"a"}]}]}',
}


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_the_body_goes_through_byte_for_byte(cluster: Cluster, beta: SandboxThread, name: str) -> None:
    """Only the model's name changes: spaces, order, numbers and escapes stay as the caller wrote them."""
    body = AS_WRITTEN[name]
    assert sent(cluster, beta, body).body == body.replace(b'"beta/', b'"')


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_a_streamed_body_only_gains_stream_options(cluster: Cluster, beta: SandboxThread, name: str) -> None:
    """We ask for the usage, since somebody has to count; the rest stays as it was written."""
    body = b'{"stream":true,' + AS_WRITTEN[name].lstrip()[1:]
    assert sent(cluster, beta, body).body == USAGE_FIRST + body[1:].replace(b'"beta/', b'"')


REBUILT = {
    "model named twice": '{"model":"beta/tools","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function",'
    '"function":{"name":"f","parameters":{"type":"object","properties":{"model":{"type":"string"}}}}}]}',
    "an escaped letter": '{"messages":[{"role":"user","content":"\\u0041"}],"mod\\u0065l":"beta/echo","seed":9223372036854775807}',
    "options that decline usage": '{"stream":true,"messages":[{"role":"user","content":"x"}],"model":"beta/echo",'
    '"stream_options":{"include_usage":false,"include_obfuscation":false},"top_p":0.1}',
}


@pytest.mark.parametrize("name", REBUILT)
def test_a_body_that_cannot_be_spliced_keeps_its_meaning(cluster: Cluster, beta: SandboxThread, name: str) -> None:
    """Every value and the order of the fields, except the model and whether the usage is asked for."""
    before = json.loads(REBUILT[name])
    after = json.loads(sent(cluster, beta, REBUILT[name].encode()).body)
    assert list(after) == list(before)
    assert after.pop("model") == before.pop("model").removeprefix("beta/")
    if "stream_options" in before:
        assert after["stream_options"] == {**before["stream_options"], "include_usage": True}
        before["stream_options"]["include_usage"] = True
    assert after == before


def test_without_a_model_the_default_is_meant(cluster: Cluster, alpha: SandboxThread) -> None:
    """The upstream is told its own default, and the answer says ``orcestator``."""
    body = {"messages": [{"role": "user", "content": "x"}]}
    record = sent(cluster, alpha, json.dumps(body).encode())
    assert json.loads(record.body) == {**body, "model": "echo"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", b'{"input":["a","b"],"model":"beta/embed","encoding_format":"base64","x":1.50}'),
        ("/v1/completions", b'{"model":"beta/echo","prompt":"def f(","max_tokens":5,"suffix":")","extra":{"a":[1.0]}}'),
    ],
)
def test_other_routes_too(cluster: Cluster, beta: SandboxThread, path: str, body: bytes) -> None:
    """Embeddings and completions go through as chat does."""
    assert sent(cluster, beta, body, path).body == body.replace(b'"beta/', b'"')


# Requests of real clients, in the shape they were captured in November 2026


READ_FILE = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
NO_ARGUMENTS = {
    "type": "function",
    "function": {"name": "no_args", "description": "x", "parameters": {"type": "object", "properties": {}}},
}
VSCODE: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "You are an AI programming assistant."},
        {"role": "user", "content": "earlier"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_a", "function": {"name": "read_file", "arguments": '{"p":1}'}, "type": "function"}
            ],
        },
        {"role": "tool", "content": "tool says hi", "tool_call_id": "call_a"},
        {"role": "user", "content": "Say hello"},
    ],
    "model": "",
    "temperature": 0.1,
    "top_p": 1,
    "stream": True,
    "tools": [READ_FILE, NO_ARGUMENTS],
    "n": 1,
    "stream_options": {"include_usage": True},
}
VSCODE_THINKING: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "You are an AI programming assistant."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Say hello"},
                {
                    "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "media_type": "image/png"},
                    "type": "image_url",
                },
            ],
        },
    ],
    "model": "",
    "top_p": 1,
    "stream": True,
    "tools": [READ_FILE, NO_ARGUMENTS],
    "n": 1,
    "reasoning_effort": "high",
    "max_completion_tokens": 8192,
    "stream_options": {"include_usage": True},
}
COPILOT_CLI: dict[str, Any] = {
    "model": "",
    "messages": [
        {"role": "system", "content": "You are the GitHub Copilot CLI, a terminal assistant built by GitHub."},
        {"role": "user", "content": "<current_datetime>2026-11-21T05:33:01.461+00:00</current_datetime>\n\nRun pwd"},
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [
                {
                    "id": "call_mock1",
                    "type": "function",
                    "function": {"name": "bash", "arguments": '{"command":"pwd","description":"x"}'},
                }
            ],
            "reasoning_content": "thinking about it",
        },
        {"role": "tool", "tool_call_id": "call_mock1", "content": "/home/me\n<shellId: 0 completed with exit code 0>"},
    ],
    "temperature": 0,
    "top_p": 0.95,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "tools": [READ_FILE],
    "stream": True,
    "stream_options": {"include_usage": True},
}
COPILOT_CLI_NO_KEY = {
    **COPILOT_CLI,
    "reasoning_effort": "medium",
    "max_tokens": 128000,
    "tools": [
        READ_FILE,
        {
            "type": "custom",
            "custom": {
                "name": "apply_patch",
                "description": "Edit files.",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: begin_patch"}},
            },
        },
    ],
}
SDK_PARSE = {
    "model": "",
    "stream": False,
    "messages": [{"role": "user", "content": "hi"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "schema": {
                "properties": {"a": {"title": "A", "type": "integer"}},
                "required": ["a"],
                "title": "P",
                "type": "object",
                "additionalProperties": False,
            },
            "name": "P",
            "strict": True,
        },
    },
}
REAL: dict[str, dict[str, Any]] = {
    "vscode": VSCODE,
    "vscode not streaming": {**{k: v for k, v in VSCODE.items() if k != "stream_options"}, "stream": False},
    "vscode thinking and vision": VSCODE_THINKING,
    "copilot cli": COPILOT_CLI,
    "copilot cli without a key": COPILOT_CLI_NO_KEY,
    "openai-python": {"model": "", "messages": [{"role": "user", "content": "hi"}]},
    "openai-python parse": SDK_PARSE,
}


@pytest.mark.parametrize("name", REAL)
def test_real_clients(cluster: Cluster, beta: SandboxThread, name: str) -> None:
    """What VS Code, the Copilot CLI and the SDK send arrives as they sent it."""
    body = json.dumps({**REAL[name], "model": "beta/tools"}, separators=(",", ":"), ensure_ascii=False).encode()
    assert sent(cluster, beta, body).body == body.replace(b'"beta/tools"', b'"tools"')


# Headers


def test_headers(cluster: Cluster, beta: SandboxThread) -> None:
    """Ours alone: the provider's key, who we are, and what we can read; nothing of the caller's."""
    record = sent(
        cluster,
        beta,
        json.dumps(chat("x", "beta/echo")).encode(),
        **{
            "authorization": "Bearer caller-secret",
            "x-api-key": "caller-secret",
            "cookie": "session=caller-secret",
            "user-agent": "GitHubCopilotChat/0.66.0",
            "x-request-id": "caller-request",
            "openai-organization": "org-caller",
            "x-stainless-lang": "python",
            "accept-encoding": "gzip, br, zstd",
            "accept-language": "ru",
        },
    )
    assert record.headers["authorization"] == "Bearer beta-key"
    assert record.headers["accept-encoding"] == "identity"
    assert record.headers["user-agent"].startswith("orcestator/")
    assert record.headers["host"] == beta.base_url.split("/")[2]
    assert record.headers.keys() <= {
        "host", "user-agent", "accept-encoding", "authorization", "content-type", "accept", "content-length",
    }  # fmt: skip
    assert "caller" not in str(record.headers)


# Answers


@pytest.mark.parametrize("model", ["orcestator", "both", "beta/echo", "alpha/echo?answer=x"])
def test_the_model_is_what_was_asked_for(cluster: Cluster, model: str) -> None:
    """Whole and streamed; who really served it is in the headers."""
    answer = cluster.post("/v1/chat/completions", chat("nonce:medlar", model))
    assert answer.json()["model"] == model
    provider, _, upstream_model = model.partition("/")
    assert answer.headers["x-orcestator-provider"] == (provider if upstream_model else "alpha")
    assert answer.headers["x-orcestator-model"] == (upstream_model or "echo")
    assert answer.headers["x-orcestator-attempts"] == "1"
    assert "_router" not in answer.json()
    _, events, whole = streamed(cluster, chat("nonce:medlar", model))
    assert whole
    assert {json.loads(event)["model"] for event in events[:-1]} == {model}


def test_a_healthy_answer_keeps_what_the_upstream_said(cluster: Cluster, beta: SandboxThread) -> None:
    """Log probabilities, two choices, a fingerprint of nothing: the answer differs from the upstream's by its model."""
    call = chat("nonce:rowan", "beta/echo", n=2, logprobs=True, top_logprobs=1)
    ours = cluster.post("/v1/chat/completions", call).json()
    direct = local_request(
        "POST", f"{beta.base_url}/chat/completions", json={**call, "model": "echo"}, timeout=30
    ).json()
    for answer in (ours, direct):
        del answer["id"], answer["created"]
    assert ours.pop("model") == "beta/echo"
    assert direct.pop("model") == "echo"
    assert ours == direct


def test_reasoning_is_relayed(cluster: Cluster) -> None:
    """Reasoning text comes in its own field, before the content."""
    _, events, _ = streamed(cluster, chat("hello", "beta/reasoner"))
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event)["choices"]]
    kinds = [next((key for key in ("reasoning_content", "content") if delta.get(key)), "") for delta in deltas]
    spoken = [kind for kind in kinds if kind]
    assert spoken == sorted(spoken, reverse=True)
    assert set(spoken) == {"reasoning_content", "content"}


@pytest.mark.parametrize(("asked", "chunks"), [(None, 0), (False, 0), (True, 1)])
def test_the_usage_chunk_comes_only_when_asked_for(cluster: Cluster, asked: bool | None, chunks: int) -> None:
    """With ``choices: []`` and three numbers, and never an empty or a null-filled one."""
    more = {} if asked is None else {"stream_options": {"include_usage": asked}}
    _, events, _ = streamed(cluster, chat("hello", "beta/echo", **more))
    usages = [chunk for event in events[:-1] if (chunk := json.loads(event)).get("usage")]
    assert len(usages) == chunks
    for chunk in usages:
        assert chunk["choices"] == []
        assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= chunk["usage"].keys()


def test_exactly_one_finish_reason(cluster: Cluster) -> None:
    """One a choice."""
    _, events, _ = streamed(cluster, chat("hello", "beta/echo", n=3))
    finished = [c["index"] for e in events[:-1] for c in json.loads(e)["choices"] if c["finish_reason"]]
    assert sorted(finished) == [0, 1, 2]


# Request ids


def test_the_request_id_is_echoed(cluster: Cluster) -> None:
    """A sane one of the caller's comes back, on success, on errors and on streams."""
    name = {"x-request-id": "0acf0ed9-7c2a-40d1-ba2f-32c3ad42adb3"}
    for call in (chat(), chat(stream=True), chat("x", "no-such-model/at-all"), {}):
        answer = cluster.post("/v1/chat/completions", call, headers=name)
        assert answer.headers["x-request-id"] == name["x-request-id"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>"])
def test_another_request_id_is_made_up(cluster: Cluster, given: str) -> None:
    """What could do harm in a log is replaced; every request has an id of its own."""
    ids = [cluster.post("/v1/embeddings", {}, headers={"x-request-id": given}).headers["x-request-id"] for _ in "ab"]
    assert len(set(ids)) == 2
    assert given not in ids


# Errors


BAD_CALLS: dict[str, Any] = {
    "no messages": {"model": "orcestator"},
    "messages of a wrong type": chat() | {"messages": "hello"},
    "a message that is no object": chat() | {"messages": ["hello"]},
    "model of a wrong type": chat() | {"model": 5},
    "stream of a wrong type": chat() | {"stream": "yes"},
    "too many choices": chat() | {"n": 99},
    "an array": [],
    "tools of a wrong type": chat() | {"tools": {}},
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_400_and_never_422(cluster: Cluster, name: str) -> None:
    """VS Code shows a 422 as a content filter, so that a wrong type is a 400 that names the field."""
    answer = cluster.post("/v1/chat/completions", BAD_CALLS[name])
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(".")
    assert answer.headers["x-should-retry"] == "false"


BAD_JSON = {
    "empty": b"",
    "cut": b'{"model":',
    "nan": b'{"model":"orcestator","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
    "overflow": b'{"model":"orcestator","messages":[{"role":"user","content":"x"}],"seed":' + b"9" * 5000 + b"}",
    "deep": b"[" * 100_000,
    "nested": b'{"messages":' + b"[" * 200 + b"]" * 200 + b"}",
    "surrogate": b'{"model":"\\ud800","messages":[]}',
    "not utf-8": b'{"model":"\xff"}',
    "byte order mark": b'\xef\xbb\xbf{"model":"orcestator"}',
    "utf-16": '{"model":"orcestator"}'.encode("utf-16"),
    "two models": b'{"model":"beta/echo","model":"alpha/echo","messages":[{"role":"user","content":"x"}]}',
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json_is_400(cluster: Cluster, name: str) -> None:
    """Every kind of bad JSON is the caller's mistake and not our failure."""
    answer = local_request("POST",
        f"{cluster.url}/v1/chat/completions", content=BAD_JSON[name], timeout=30,
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/v1/models/no-such-model", 404, "model_not_found"),
        ("TRACE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_and_methods(cluster: Cluster, method: str, path: str, status: int, code: str) -> None:
    """Each is an OpenAI error object, and a 405 says what would do."""
    answer = local_request(method, cluster.url + path, timeout=30)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]
    assert ("allow" in answer.headers) is (status == 405)


def test_the_nearest_names(cluster: Cluster) -> None:
    """A model that nobody has: 404 with what may have been meant."""
    answer = cluster.post("/v1/chat/completions", chat("x", "betta/ech"))
    assert answer.status_code == 404
    assert "'beta/echo'" in answer.json()["error"]["message"]


# While nothing comes


MORE_ALIASES = """
  late-failure: ["alpha/fault:H1:500?ttft=0.5", "beta/echo"]
  breaks-off: ["alpha/fault:S2:event?after=3&tps=20", "beta/echo"]
"""


@pytest.fixture(scope="module", params=WIRINGS)
def beating(
    request: pytest.FixtureRequest, alpha: SandboxThread, beta: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster that sends a comment after a tenth of a second of silence, and tells who served in the answer."""
    environment = {
        "OR_KEEPALIVE_INTERVAL_SECONDS": "0.1",
        "OR_EXPOSE_ROUTER": "true",
        "OR_BREAKER_OPEN_SECONDS": "300",
    }
    config = two_providers(alpha.base_url, beta.base_url) + MORE_ALIASES
    with Cluster(tmp_path_factory.mktemp("beating"), config, request.param, environment) as running:
        yield running


def raw_stream(cluster: Cluster, call: dict[str, Any]) -> tuple[int, bytes]:
    """Status and the whole body of a stream."""
    answer = cluster.post("/v1/chat/completions", {**call, "stream": True})
    return answer.status_code, answer.content


def frames_of(body: bytes) -> list[bytes]:
    """What stands between the blank lines."""
    assert body.endswith(b"\n\n")
    return body[:-2].split(b"\n\n")


def test_comments_while_nothing_comes(beating: Cluster) -> None:
    """Comments first, then the answer; between comments and events the framing holds."""
    status, body = raw_stream(beating, chat("nonce:damson", "beta/echo?ttft=0.5"))
    frames = frames_of(body)
    assert status == 200
    assert frames[0].startswith(b":")
    assert frames[-1] == b"data: [DONE]"
    assert all(frame.startswith((b":", b"data: ")) for frame in frames)
    assert b"damson" in body


def test_comments_between_events(beating: Cluster) -> None:
    """A stream that pauses after its content began gets comments, too."""
    _, body = raw_stream(beating, chat("one two", "beta/echo?tps=4&tokens=3"))
    frames = frames_of(body)
    place = next(n for n, frame in enumerate(frames) if b'"content":"' in frame)
    assert any(frame.startswith(b":") for frame in frames[place:])
    assert frames[-1] == b"data: [DONE]"


def test_an_error_after_the_first_comment(beating: Cluster) -> None:
    """The status is spent: the failure comes in the three frames that clients show."""
    status, body = raw_stream(beating, chat("x", "alpha/fault:H1:422?ttft=0.5"))
    frames = frames_of(body)
    events = [json.loads(frame[6:]) for frame in frames if frame.startswith(b"data: {")]
    assert status == 200
    assert frames[0].startswith(b":")
    assert events[0]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "error"}]
    assert events[0]["model"] == "alpha/fault:H1:422?ttft=0.5"
    assert events[1]["error"]["type"] == "invalid_request_error"
    assert "choices" not in events[1]
    assert frames[-1] == b"data: [DONE]"
    assert len(events) == 2


def test_fallback_after_the_first_comment(beating: Cluster) -> None:
    """A comment commits to nothing: the next upstream may still answer."""
    status, body = raw_stream(beating, chat("nonce:bullace", "late-failure"))
    frames = frames_of(body)
    assert status == 200
    assert frames[0].startswith(b":")
    assert b"bullace" in body
    assert frames[-1] == b"data: [DONE]"


def test_no_comment_in_a_quick_answer(beating: Cluster) -> None:
    """Nor in one that is not a stream."""
    _, body = raw_stream(beating, chat("x", "beta/echo"))
    assert not any(frame.startswith(b":") for frame in frames_of(body))
    assert beating.post("/v1/chat/completions", chat("x", "beta/echo?ttft=0.3")).json()["choices"]


def test_router_facts(beating: Cluster) -> None:
    """With OR_EXPOSE_ROUTER an answer says who served it and what failed before."""
    answer = beating.post("/v1/chat/completions", chat("x", "then-beta-H1-503")).json()
    assert answer["model"] == "then-beta-H1-503"
    router = answer["_router"]
    assert (router["provider"], router["model_name"], router["attempts"]) == ("beta", "echo", 2)
    assert router["fallback_used"] is False, "that is the paid model behind all others"
    assert [error["type"] for error in router["errors"]] == ["UpstreamUnavailable"]


# Cooldown, breaker, credential


def providers_asked(cluster: Cluster, model: str) -> tuple[str, str]:
    """(who served the model, how many attempts it took)."""
    headers = cluster.post("/v1/chat/completions", chat("x", model)).headers
    return headers["x-orcestator-provider"], headers["x-orcestator-attempts"]


def bring_back_alpha(cluster: Cluster) -> None:
    """A refused key takes all of alpha out of routing; a reset brings it back."""
    assert cluster.post("/admin/state/reset?provider=alpha", {}).status_code == 200


@pytest.mark.parametrize("fault", ["H2-future", "H1-401", "H1-404"])
def test_a_deployment_that_asks_for_peace_gets_it(beating: Cluster, fault: str) -> None:
    """After a 429 with Retry-After, a refused key or a missing model, the next request goes to beta first."""
    bring_back_alpha(beating)
    model = f"then-beta-{fault}"
    assert providers_asked(beating, model) == ("beta", "2")
    assert providers_asked(beating, model) == ("beta", "1")


def test_the_breaker_opens(beating: Cluster, alpha: SandboxThread) -> None:
    """After three failures in a row alpha is not asked again, and the metrics say so."""
    bring_back_alpha(beating)
    model = "then-beta-H1-502"
    alpha.reset()
    attempts = [providers_asked(beating, model)[1] for _ in range(7)]
    asked = len([record for record in alpha.records if record.model.startswith("fault:H1:502")])
    # A background check, which reads the list of models, may come meanwhile: after a good one the breaker lets a probe through.
    looks = len([record for record in alpha.records if record.method == "GET"])
    assert attempts[:3] == ["2"] * 3
    assert asked == attempts.count("2") <= 3 + looks


def test_the_last_one_is_never_refused(beating: Cluster) -> None:
    """With nobody else to ask, a deployment that is out is tried all the same."""
    bring_back_alpha(beating)
    for _ in range(5):
        answer = beating.post("/v1/chat/completions", chat("x", "alpha/fault:H1:502"))
        assert answer.status_code == 503
        assert int(answer.headers["x-orcestator-attempts"]) >= 1


def test_a_stream_that_broke_is_not_glued(beating: Cluster, beta: SandboxThread) -> None:
    """After content there is no second model's text, only the error."""
    bring_back_alpha(beating)
    beta.reset()
    status, events, whole = streamed(beating, chat("x", "breaks-off"))
    assert (status, whole) == (200, True)
    assert text_of(events)
    assert json.loads(events[-2])["error"]["message"]
    assert [record for record in beta.records if record.method == "POST"] == []


def test_an_echoed_key_is_taken_out(cluster: Cluster) -> None:
    """An upstream that repeats our key in its error does not give it away."""
    answer = cluster.post("/v1/chat/completions", chat("x", "alpha/fault:H1:400:echo"))
    assert answer.status_code == 400
    assert CANARY not in answer.text


def test_a_model_name_cannot_become_a_header(cluster: Cluster) -> None:
    """The name of what served the request is shown in a header, and a caller may have invented it."""
    model = "beta/echo?answer=x\r\nset-cookie: a=b\r\n\r\nżółw"
    for stream in (False, True):
        answer = cluster.post("/v1/chat/completions", chat("x", model, stream=stream))
        assert "set-cookie" not in answer.headers
        assert answer.headers["x-orcestator-model"].isascii()
        assert not answer.content.startswith(b"\xc5")
