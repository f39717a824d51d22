"""What each upstream is told of what each caller says: limits, identifiers, histories, tool names and numbers."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orcestator.json_text import Json, dumps, loads_exactly
from tests.cluster.harness import WIRINGS, Cluster, local_request
from tests.cluster.recorder import DIALECTS, Recorder

MOST = 5000
DOORS = ("openai", "responses", "anthropic", "gemini", "ollama")
NUMBERS = (
    '{"big":18446744073709551616,"low":-99999999999999999999,"vast":1e400,"tiny":1e-400,'
    '"long":0.12345678901234567890123,"plain":[0.5,7,1.50]}'
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    """Every provider."""
    with Recorder() as running:
        yield running


@pytest.fixture(scope="module", params=WIRINGS)
def gateway(
    request: pytest.FixtureRequest, upstream: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster with an upstream of each dialect, whose model writes at most ``MOST`` tokens."""
    config = upstream.providers(max_output_tokens=str(MOST)) + "aliases:\n"
    config += "".join(
        f"  {name}: [at-{dialect}/m]\n" for dialect in DIALECTS for name in (f"some-{dialect}", f"team-{dialect}-m")
    )
    environment = {"OR_ATTEMPTS": "1", "OR_BREAKER_CONSECUTIVE_FAILURES": "10000"}
    with Cluster(tmp_path_factory.mktemp("said"), config, request.param, environment) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(upstream: Recorder) -> None:
    upstream.forget()


def ask(gateway: Cluster, door: str, model: str, body: Json, streamed: bool = False, **headers: str) -> httpx.Response:
    """Send a body through a door."""
    name = f"at-{model}/m" if model in DIALECTS else model
    paths = {"openai": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}
    verb = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    paths |= {"gemini": f"/v1beta/models/{name}:{verb}", "ollama": "/api/chat"}
    whole = body if door == "gemini" else {"model": name, "stream": streamed, **body}
    content = {"content-type": "application/json", **headers}
    answer = local_request("POST", gateway.url + paths[door], content=dumps(whole), headers=content, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def dropped(answer: httpx.Response) -> list[str]:
    """What the answer's header names."""
    return [name for name in answer.headers.get("x-orcestator-dropped", "").split(",") if name]


def said(door: str, **more: Any) -> Json:
    """A plain question as the door wants it; ``limit`` is the longest answer, ``user`` who asks."""
    limit, user = more.pop("limit", None), more.pop("user", None)
    body: Json = {"messages": [{"role": "user", "content": "Hi"}]}
    if door == "responses":
        body = {"input": "Hi"} | ({"max_output_tokens": limit} if limit else {}) | ({"user": user} if user else {})
    elif door == "anthropic":
        body |= {"max_tokens": limit or 100} | ({"metadata": {"user_id": user}} if user else {})
    elif door == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        body |= {"generationConfig": {"maxOutputTokens": limit}} if limit else {}
    elif door == "ollama":
        body |= {"options": {"num_predict": limit}} if limit else {}
    else:
        body |= ({"max_completion_tokens": limit} if limit else {}) | ({"user": user} if user else {})
    return body | more


def limits(told: Any) -> list[int]:
    """Every limit of the answer in a body."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "num_predict", "maxTokens")
    found = []
    for name, value in told.items() if isinstance(told, dict) else ():
        found += [int(value)] if name in names else limits(value)
    return found


# The longest answer


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("door", DOORS)
def test_a_longer_answer_than_the_model_writes_is_lowered(
    gateway: Cluster, upstream: Recorder, door: str, dialect: str
) -> None:
    """And named, also where the dialects are the same but the caller did not choose the model."""
    lowered = ask(gateway, door, f"some-{dialect}", said(door, limit=32_000))
    assert limits(upstream.told) == [MOST]
    assert any("max" in name or "num_predict" in name for name in dropped(lowered))
    within = ask(gateway, door, f"some-{dialect}", said(door, limit=MOST))
    assert limits(upstream.told) == [MOST]
    assert not any("max" in name or "num_predict" in name for name in dropped(within))


@pytest.mark.parametrize("door", DOORS)
def test_who_names_the_model_is_taken_at_its_word_in_its_own_dialect(
    gateway: Cluster, upstream: Recorder, door: str
) -> None:
    answer = ask(gateway, door, door, said(door, limit=32_000))
    assert limits(upstream.told) == [32_000]
    assert dropped(answer) == []


@pytest.mark.parametrize("door", DOORS)
def test_an_alias_that_ends_as_the_model_does_is_not_the_model(gateway: Cluster, upstream: Recorder, door: str) -> None:
    """Who asks for ``team-m`` did not choose ``m``."""
    lowered = ask(gateway, door, f"team-{door}-m", said(door, limit=32_000))
    assert limits(upstream.told) == [MOST]
    assert dropped(lowered)


def test_a_lowered_answer_leaves_room_for_thinking(gateway: Cluster, upstream: Recorder) -> None:
    """A budget has to be below the limit."""
    thinking = {"type": "enabled", "budget_tokens": 31_999}
    ask(gateway, "anthropic", "some-anthropic", said("anthropic", limit=32_000, thinking=thinking))
    assert upstream.told["max_tokens"] == MOST
    assert 1024 <= upstream.told["thinking"]["budget_tokens"] < MOST


def test_strict_refuses_to_lower(gateway: Cluster) -> None:
    body = {"model": "some-openai", **said("anthropic", limit=32_000)}
    answer = gateway.post("/v1/messages", body, headers={"x-orcestator-strict": "true"})
    assert answer.status_code == 400
    assert "max_tokens" in answer.text


# Who asks


def users(told: Json) -> list[str]:
    """Everything in a body that says who asks."""
    names = [told.get("user"), told.get("safety_identifier"), (told.get("metadata") or {}).get("user_id")]
    return [name for name in names if name]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("door", "length"), [("anthropic", 65), ("responses", 129), ("openai", 513), ("openai", 257)])
def test_a_long_user_becomes_a_short_one(
    gateway: Cluster, upstream: Recorder, door: str, length: int, dialect: str
) -> None:
    """The same for the same, another for another."""
    if door == dialect:
        return
    found = []
    for user in ("u" * length, "u" * length, "v" * length):
        answer = ask(gateway, door, dialect, said(door, user=user))
        found += users(upstream.told)
        assert "user" in dropped(answer) or user in users(upstream.told)
        assert (user not in upstream.bodies[-1].decode()) or dialect == "anthropic"
    most = 256 if dialect == "anthropic" else 64
    assert all(len(user) <= most for user in found)
    assert len(set(found)) in (0, 2)


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "anthropic"])
@pytest.mark.parametrize("form", ["json", "older", "no account"])
def test_the_session_of_an_agent_is_no_user(gateway: Cluster, upstream: Recorder, form: str, dialect: str) -> None:
    """Claude Code's identifier names device, account and session: only the account tells who it is."""
    seen = set()
    for session in ("1" * 36, "2" * 36):
        told = {"device_id": "a" * 64, "account_uuid": "" if form == "no account" else "b" * 36, "session_id": session}
        older = f"user_{'a' * 64}_account_{'b' * 36}_session_{session}"
        answer = ask(
            gateway, "anthropic", dialect, said("anthropic", user=older if form == "older" else json.dumps(told))
        )
        text = upstream.bodies[-1].decode()
        assert "a" * 64 not in text
        assert "b" * 36 not in text
        assert session not in text
        assert "metadata.user_id" in dropped(answer)
        seen |= set(users(upstream.told))
    assert len(seen) == (1 if dialect in ("openai", "responses") else 0)


# Claude Code


def test_the_line_for_anthropic_goes_to_nobody_else(gateway: Cluster, upstream: Recorder) -> None:
    lines = ["x-anthropic-billing-header: cc_version=2.1.1; cch=abc;", "x-anthropic-billing-header: x;\nBe brief."]
    system = [{"type": "text", "text": text} for text in (*lines, "You help.")]
    for dialect in DIALECTS:
        ask(gateway, "anthropic", dialect, said("anthropic", system=system))
        text = upstream.bodies[-1].decode()
        assert ("billing" in text) is (dialect == "anthropic")
        assert "Be brief." in text
        assert "You help." in text


def test_a_name_of_its_model_list_is_understood(gateway: Cluster, upstream: Recorder) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    listed = [card["id"] for card in gateway.get("/v1/models?limit=1000", headers=headers).json()["data"]]
    assert "claude-via-some-openai" in listed
    assert "claude-via-some-openai" not in [card["id"] for card in gateway.models()]
    answer = ask(gateway, "anthropic", "claude-via-some-openai", said("anthropic"))
    assert upstream.told["model"] == "m"
    assert answer.json()["model"] == "some-openai"
    body = {"model": "claude-via-some-anthropic", "messages": [{"role": "user", "content": "Hi"}]}
    assert gateway.post("/v1/messages/count_tokens", body).status_code == 200
    assert gateway.get("/v1/models/claude-via-some-openai").json()["id"] == "some-openai"


# Histories


def result_first(told: Any) -> str:
    """The kinds of what a conversation is made of, in their order."""
    text = json.dumps(told)
    calls = r'"(?:tool_calls|functionCall)":|"type": "(?:function_call|tool_use)"'
    results = r'"(?:functionResponse|functionResult)":|"type": "(?:function_call_output|tool_result)"|"role": "tool"'
    found = re.finditer(f"({calls})|{results}", text)
    return "".join("C" if match[1] else "R" for match in found)


CALL: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "c1", "output": "r1"}
TOOLS: list[Json] = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]
USER: Json = {"role": "user", "content": "go"}
WAIT: Json = {"role": "user", "content": "wait"}


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "responses"])
@pytest.mark.parametrize(
    ("items", "shape", "named"),
    [
        ([USER, CALL, WAIT, OUTPUT], "CR", []),
        ([USER, CALL, {"role": "developer", "content": "wait"}, OUTPUT], "CR", []),
        ([USER, CALL, WAIT], "CR", ["messages.tool_calls"]),
        ([USER, OUTPUT], "", ["messages.tool_call_id"]),
        ([USER, CALL, OUTPUT, {**OUTPUT, "output": "r2"}], "CR", ["messages.tool_call_id"]),
        ([USER, CALL, {"role": "assistant", "content": "hm"}, OUTPUT], "CR", []),
        ([USER, CALL, WAIT, {"role": "assistant", "content": "hm"}, OUTPUT], "CR", ["messages.tool_calls"]),
    ],
)
def test_results_follow_their_calls(
    gateway: Cluster, upstream: Recorder, items: list[Json], shape: str, named: list[str], dialect: str
) -> None:
    """Nothing that was said is lost."""
    answer = ask(gateway, "responses", dialect, {"input": items, "tools": TOOLS})
    found = result_first(upstream.told)
    assert found == shape
    assert set(named) <= set(dropped(answer))
    text = upstream.bodies[-1].decode()
    wanted = {"r1" for item in items if item is OUTPUT} | {"r2" for item in items if item.get("output") == "r2"}
    wanted |= {"wait" for item in items if item.get("content") == "wait"}
    assert all(word in text for word in wanted)


def test_an_id_that_is_too_long_for_openai_is_shortened(gateway: Cluster, upstream: Recorder) -> None:
    ids = {"call_id": "c" * 60}
    ask(gateway, "responses", "openai", {"input": [USER, {**CALL, **ids}, {**OUTPUT, **ids}], "tools": TOOLS})
    messages = upstream.told["messages"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]
    assert len(messages[2]["tool_call_id"]) <= 40


# Names of tools

NAMES = ["server.tool", "a b", "код", "n" * 65, "n" * 129, "mcp__" + "x" * 77, "1st:one"]
TAKES = {
    "anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "gemini": r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}",
}


def offering(door: str, names: list[str]) -> Json:
    """A question with tools, the first of which was called before and must be called now."""
    schema: Json = {"type": "object", "properties": {"x": {"type": "number"}}}
    name = names[0]
    if door == "gemini":
        call = {"functionCall": {"name": name, "args": {}}}
        result = {"functionResponse": {"name": name, "response": {"output": "ok"}}}
        contents = [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [call]},
            {"role": "user", "parts": [result]},
        ]
        declared = [{"name": one, "parametersJsonSchema": schema} for one in names]
        config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
        return {"contents": contents, "tools": [{"functionDeclarations": declared}], "toolConfig": config}
    if door == "responses":
        items = [USER, {**CALL, "name": name}, OUTPUT]
        tools = [{"type": "function", "name": one, "parameters": schema} for one in names]
        return {"input": items, "tools": tools, "tool_choice": {"type": "function", "name": name}}
    if door == "anthropic":
        use = {"type": "tool_use", "id": "t1", "name": name, "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
        tools = [{"name": one, "input_schema": schema} for one in names]
        choice = {"type": "tool", "name": name}
        return {"max_tokens": 100, "messages": messages, "tools": tools, "tool_choice": choice}
    functions = [{"type": "function", "function": {"name": one, "parameters": schema}} for one in names]
    arguments: Any = {} if door == "ollama" else "{}"
    wire = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [wire]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    body: Json = {"messages": messages, "tools": functions}
    return body if door == "ollama" else body | {"tool_choice": {"type": "function", "function": {"name": name}}}


def names_in(told: Any) -> set[str]:
    """Every name of a tool in a body."""
    found: set[str] = set()
    for key, value in told.items() if isinstance(told, dict) else ():
        if key in ("name", "tool_name", "functionName") and isinstance(value, str):
            found.add(value)
        elif key == "allowedFunctionNames":
            found |= set(value)
        found |= names_in(value)
    for value in told if isinstance(told, list) else ():
        found |= names_in(value)
    return found


def called(door: str, answer: httpx.Response) -> tuple[list[str], list[str]]:
    """The names and argument texts of the calls in an answer, whole or streamed, as the digits were sent."""
    names: list[str] = []
    texts: list[str] = []
    events = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith(("data: ", "{"))]
    for event in (loads_exactly(event.encode()) for event in events if event != "[DONE]"):
        if event.get("type") in ("response.output_item.added", "response.output_item.done", "response.created"):
            continue
        whole = event.get("response", event)
        _calls_in({"output": whole["output"]} if "output" in whole else whole, names, texts)
    return names, ["".join(texts)]


def _calls_in(value: Any, names: list[str], texts: list[str]) -> None:
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(child, dict) and isinstance(child.get("name"), str):
            names.append(child["name"])
        for key in ("arguments", "args", "input", "partial_json"):
            held = child.get(key) if isinstance(child, dict) else None
            if held:
                texts.append(held if isinstance(held, str) else dumps(held).decode())
        _calls_in(child, names, texts)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("door", DOORS)
def test_a_tool_that_the_upstream_would_refuse_goes_by_an_alias(
    gateway: Cluster, upstream: Recorder, door: str, dialect: str, streamed: bool
) -> None:
    """In the offer, the history and the choice; the caller is answered by its own name."""
    if door == dialect:
        return
    first = (DOORS.index(door) + DIALECTS.index(dialect)) % len(NAMES)
    names = [*NAMES[first:], *NAMES[:first], "plain", "server_tool"]
    answer = ask(gateway, door, dialect, offering(door, names), streamed)
    told = names_in(upstream.told)
    pattern = TAKES.get(dialect, r"[a-zA-Z0-9_-]{1,64}")
    assert all(re.fullmatch(pattern, one) for one in told), told
    assert len(told) == len(names) or dialect == "cohere"
    assert set(called(door, answer)[0]) == {names[0]}


# Numbers


@pytest.mark.parametrize("dialect", DIALECTS)
def test_numbers_in_a_history_keep_their_digits(gateway: Cluster, upstream: Recorder, dialect: str) -> None:
    body = offering("openai", ["f"])
    body["messages"][1]["tool_calls"][0]["function"]["arguments"] = NUMBERS
    ask(gateway, "openai", dialect, body)
    assert NUMBERS[1:-1] in upstream.bodies[-1].decode().replace('\\"', '"')


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("door", DOORS)
def test_numbers_in_a_call_keep_their_digits(
    gateway: Cluster, upstream: Recorder, door: str, dialect: str, streamed: bool
) -> None:
    upstream.arguments = NUMBERS
    answer = ask(gateway, door, dialect, offering(door, ["f"]), streamed)
    assert called(door, answer)[1] == [NUMBERS]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", ["openai", "cohere"])
def test_numbers_keep_their_digits_where_a_text_is_sent_as_an_object(
    gateway: Cluster, upstream: Recorder, dialect: str, streamed: bool
) -> None:
    upstream.arguments, upstream.are_objects = NUMBERS, True
    for door in DOORS:
        answer = ask(gateway, door, dialect, offering(door, ["f"]), streamed)
        assert called(door, answer)[1] == [NUMBERS]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("door", ["anthropic", "gemini", "ollama"])
def test_numbers_of_a_callers_history_keep_their_digits(
    gateway: Cluster, upstream: Recorder, door: str, dialect: str
) -> None:
    """Where it is an object in the caller's body; what no reader of JSON can hold is refused."""
    numbers = NUMBERS.replace('"vast":1e400,', "")
    text = dumps(offering(door, ["f"])).decode()
    key = {"anthropic": "input", "gemini": "args", "ollama": "arguments"}[door]
    assert f'"{key}":{{}}' in text
    body = loads_exactly(text.replace(f'"{key}":{{}}', f'"{key}":{numbers}').encode())
    ask(gateway, door, dialect, body)
    assert numbers[1:-1] in upstream.bodies[-1].decode().replace('\\"', '"')


def test_each_dialect_is_asked_where_it_listens(gateway: Cluster, upstream: Recorder) -> None:
    for dialect in DIALECTS:
        ask(gateway, "openai", dialect, said("openai"))
        assert upstream.paths[-1].startswith(f"/{dialect}/")


# Other endpoints


@pytest.mark.parametrize("path", ["edits", "variations"])
def test_pictures_are_edited(gateway: Cluster, upstream: Recorder, path: str) -> None:
    """A form with several pictures goes on as it came, but for the model's name."""
    files = [("image[]", (f"{n}.png", b"\x89PNG" + bytes([n]) * 50, "image/png")) for n in range(3)]
    form = {"model": "at-openai/m", "prompt": "a cat", "n": "2"}
    answer = local_request("POST", f"{gateway.url}/v1/images/{path}", data=form, files=files, timeout=60)
    assert (answer.status_code, answer.json()["data"]) == (200, [{"b64_json": "eA=="}])
    assert upstream.paths[-1] == f"/openai/v1/images/{path}"
    sent = upstream.bodies[-1]
    assert sent.count(b'name="image[]"') == 3
    assert all(picture[1][1] in sent for picture in files)
    assert b"at-openai" not in sent
    assert b'name="model"\r\n\r\nm\r\n' in sent


def test_pictures_are_named_in_json_too(gateway: Cluster, upstream: Recorder) -> None:
    """As OpenAI takes them; what is neither form nor JSON is refused."""
    body = {"model": "at-openai/m", "prompt": "a cat", "images": [{"image_url": "data:image/png;base64,eA=="}]}
    assert gateway.post("/v1/images/edits", body).json()["data"] == [{"b64_json": "eA=="}]
    assert (upstream.paths[-1], upstream.told) == ("/openai/v1/images/edits", {**body, "model": "m"})
    headers = {"content-type": "text/plain"}
    refused = local_request("POST", f"{gateway.url}/v1/images/edits", content=b"{}", headers=headers, timeout=60)
    assert refused.status_code == 400
    assert "application/json" in refused.text


def test_the_kind_of_a_form_is_read_in_any_case(gateway: Cluster, upstream: Recorder) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nat-openai/m\r\n--x--\r\n'
    headers = {"content-type": "Multipart/Form-Data; Boundary=x"}
    answer = local_request("POST", f"{gateway.url}/v1/images/edits", content=form, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert upstream.bodies[-1] == form.replace(b"at-openai/m", b"m")


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_geminis_embeddings_are_any_upstreams(gateway: Cluster, upstream: Recorder, version: str) -> None:
    base = f"/{version}/models/at-openai/m"
    content = {"parts": [{"text": "one"}, {"text": "two"}]}
    whole = {"content": content, "outputDimensionality": 2, "taskType": "RETRIEVAL_QUERY"}
    one = gateway.post(f"{base}:embedContent", whole)
    assert one.json() == {"embedding": {"values": [0.5, 0]}, "usageMetadata": {"promptTokenCount": 3}}
    assert upstream.told == {"model": "m", "input": "one\ntwo", "dimensions": 2}
    assert dropped(one) == ["taskType"]
    requests = [{"model": "models/x", "content": content}, {"content": {"parts": [{"text": "three"}]}}]
    many = gateway.post(f"{base}:batchEmbedContents", {"requests": requests})
    assert [vector["values"] for vector in many.json()["embeddings"]] == [[0.5, 0], [0.5, 1]]
    assert upstream.told["input"] == ["one\ntwo", "three"]
    for body in ({}, {"content": {"parts": [{"inlineData": {}}]}}, {**whole, "outputDimensionality": "2"}):
        refused = gateway.post(f"{base}:embedContent", body)
        assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


NATIVE: dict[str, tuple[str, Json]] = {
    "gemini": (
        "/gemini/v1beta/models/m:batchEmbedContents",
        {
            "requests": [
                {"model": "models/m", "outputDimensionality": 2, "content": {"parts": [{"text": text}]}}
                for text in ("one", "two")
            ]
        },
    ),
    "cohere": (
        "/cohere/v2/embed",
        {
            "model": "m", "texts": ["one", "two"], "input_type": "search_document", "embedding_types": ["float"],
            "output_dimension": 2,
        },
    ),
    "ollama": ("/ollama/api/embed", {"model": "m", "input": ["one", "two"], "dimensions": 2}),
}  # fmt: skip


@pytest.mark.parametrize("dialect", NATIVE)
def test_embeddings_are_asked_in_the_upstreams_own_words(gateway: Cluster, upstream: Recorder, dialect: str) -> None:
    body = {"model": f"at-{dialect}/m", "input": ["one", "two"], "dimensions": 2, "encoding_format": "base64"}
    answer = gateway.post("/v1/embeddings", body)
    assert (upstream.paths[-1], upstream.told) == NATIVE[dialect]
    told = answer.json()
    assert told["data"] == [{"object": "embedding", "index": n, "embedding": [0.5, n]} for n in range(2)]
    assert (told["object"], told["model"]) == ("list", f"at-{dialect}/m")
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    ollama = gateway.post("/api/embed", {"model": f"at-{dialect}/m", "input": ["one", "two"]}).json()
    assert ollama["embeddings"] == [[0.5, 0], [0.5, 1]]
    assert gateway.post("/v1/embeddings", {**body, "user": "me"}).headers["x-orcestator-dropped"] == "user"
    for wrong in ({"input": [[1, 2]]}, {"input": ""}, {"dimensions": 0}):
        refused = gateway.post("/v1/embeddings", {**body, **wrong})
        assert refused.status_code == 400, refused.text
        assert next(iter(wrong)) in refused.json()["error"]["message"]


@pytest.mark.parametrize("verb", ["predict", "predictLongRunning", "batchGenerateContent"])
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_what_gemini_callers_cannot_have_is_told_in_their_words(gateway: Cluster, version: str, verb: str) -> None:
    answer = gateway.post(f"/{version}/models/at-openai/m:{verb}", {})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "embedContent" in answer.text


def test_a_model_with_a_colon_is_still_openais_to_look_up(gateway: Cluster) -> None:
    missing = gateway.get("/v1/models/nobody:8b")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


# Parts


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "anthropic"])
def test_a_reference_to_a_tool_says_which(gateway: Cluster, upstream: Recorder, dialect: str) -> None:
    body = offering("anthropic", ["find", "f"])
    body["messages"][2]["content"][0]["content"] = [{"type": "tool_reference", "tool_name": "wanted_tool"}]
    answer = ask(gateway, "anthropic", dialect, body)
    assert "wanted_tool" in upstream.bodies[-1].decode()
    assert "messages.tool_reference" not in dropped(answer)


PIXELS = {
    "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB", "image/jpeg": "/9j/4AAQSkZJRgABAQEAYABgAAD/2wBD",
    "image/gif": "R0lGODlhAQABAIAAAAAAAP///yH5BAEA", "image/webp": "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCd",
}  # fmt: skip


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect not in ("openai", "yandex")])
@pytest.mark.parametrize(
    "head", ["data:image/png;base64", "data:IMAGE/PNG;BASE64", "data:;base64", "DATA:image/jpg;base64"]
)
def test_a_picture_is_what_its_bytes_say(gateway: Cluster, upstream: Recorder, head: str, dialect: str) -> None:
    for kind, data in PIXELS.items():
        part = {"type": "image_url", "image_url": {"url": f"{head},{data}"}}
        answer = ask(gateway, "openai", dialect, {"messages": [{"role": "user", "content": [part]}]})
        text = upstream.bodies[-1].decode()
        assert data in text
        assert dropped(answer) == []
        assert (kind in text) or dialect == "ollama"
        assert not any(other in text for other in PIXELS if other != kind)


@pytest.mark.parametrize("dialect", ["openai", "responses", "gemini", "cohere"])
def test_a_callers_label_gives_way_to_the_bytes(gateway: Cluster, upstream: Recorder, dialect: str) -> None:
    for kind, data in PIXELS.items():
        source = {"type": "base64", "media_type": "image/png", "data": data}
        content = [{"type": "image", "source": source}]
        ask(gateway, "anthropic", dialect, said("anthropic", messages=[{"role": "user", "content": content}]))
        text = upstream.bodies[-1].decode()
        assert kind in text
        assert data in text
