"""Routes beside the chats: what is on offer in each dialect's words, what an answer cost, and how a key is shown."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orcestator.json_text import Json
from tests.cluster.dialects import FIRST, KeyedCluster, bearer, body_of, provider, received
from tests.cluster.harness import SandboxThread

CHAT: Json = {"messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxThread]:
    """The upstream of every provider."""
    with SandboxThread() as running:
        yield running


@pytest.fixture(scope="module")
def priced() -> Iterator[int]:
    """The port of an upstream whose prices are known."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Priced) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxThread, priced: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedCluster]:
    """A provider whose prices are known, and one that says what its models can."""
    facts = "{id: agent, context_length: 4096, max_output_tokens: 512, supported_parameters: [tools, reasoning_effort]}"
    lines = [
        "providers:",
        provider("priced", f"http://127.0.0.1:{priced}/v1"),
        provider("plain", sandbox.base_url, models=f'{facts}, "llama3:8b"'),
        "aliases:",
        "  cheap: [plain/agent]",
    ]
    with KeyedCluster(tmp_path_factory.mktemp("routes"), "\n".join(lines)) as running:
        yield running


# What an answer cost


def test_an_answer_that_tells_its_cost(gateway: KeyedCluster) -> None:
    """Where the price is known; who answered and how long it took are always there."""
    told = gateway.post("/api/v1/chat/completions", {"model": "cheap", **CHAT}).json()
    assert (told["provider"], told["cost"], told["model"]) == ("plain", None, "cheap")
    assert isinstance(told["response_time_ms"], int)
    plain = gateway.post("/v1/chat/completions", {"model": "cheap", **CHAT}).json()
    assert {"provider", "cost", "response_time_ms"}.isdisjoint(plain)


class Priced(BaseHTTPRequestHandler):
    """An upstream that lists what it takes for a token, as OpenRouter does, and counts always the same."""

    def do_GET(self) -> None:
        """The list of its models."""
        prices = {"prompt": "0.000002", "completion": "0.00001", "input_cache_read": "0.0000005"}
        self.reply({"data": [{"id": "dear", "pricing": prices}]})

    def do_POST(self) -> None:
        """The answer to anything."""
        self.rfile.read(int(self.headers["content-length"]))
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        usage |= {"prompt_tokens_details": {"cached_tokens": 400}}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Dear."}, "finish_reason": "stop"}
        self.reply({"id": "c-1", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage})

    def reply(self, body: Json) -> None:
        """A whole answer."""
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_the_cost_is_that_of_the_price_list(gateway: KeyedCluster) -> None:
    """600 tokens at two dollars a million, 400 from a cache at half a dollar, 100 of the answer at ten."""
    told = gateway.post("/api/v1/chat/completions", {"model": "priced/dear", **CHAT}).json()
    assert told["cost"] == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 10) / 1e6)
    assert next(card["pricing"] for card in gateway.models() if card["id"] == "priced/dear")["input"] == 2


# Text completions by an engine's name


@pytest.mark.parametrize("engine", ["plain/agent", "plain%2Fagent", "plain/agent%3Ftokens=3"])
def test_an_engines_completions(engine: str, gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """The model is in the path, whatever the body says; the rest goes through, the suffix too."""
    sandbox.reset()
    body = {"model": "somebody-else", "prompt": "def f(", "suffix": "    return 1", "max_tokens": 5}
    answer = gateway.post(f"/v1/engines/{engine}/completions", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "text_completion"
    (record,) = received(sandbox)
    assert body_of(record) | {"model": ""} == body | {"model": ""}
    assert record.model.startswith("agent")


# Ollama


def test_ollamas_lists(gateway: KeyedCluster) -> None:
    """What its clients read before they ask anything."""
    version = gateway.get("/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    tags = {model["name"]: model for model in gateway.get("/api/tags").json()["models"]}
    assert {"orcestator", "cheap", "plain/agent", "plain/llama3:8b"} <= set(tags)
    assert tags["plain/agent"]["model"] == "plain/agent"
    assert tags["plain/agent"]["capabilities"] == ["completion", "tools", "thinking", "vision", "audio"]
    running = gateway.get("/api/ps").json()["models"]
    assert [model["name"] for model in running] == list(tags)


@pytest.mark.parametrize("asked", [{"model": "plain/agent"}, {"name": "plain/agent:latest"}])
def test_ollama_shows_a_model(asked: Json, gateway: KeyedCluster) -> None:
    """Under its name, with or without the tag that Ollama adds."""
    shown = gateway.post("/api/show", asked).json()
    assert shown["context_length"] == 4096
    assert "tools" in shown["capabilities"]
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] == 4096


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/api/show", {"model": "nobody"}, 404, "nobody"),
        ("/api/show", {}, 400, "model"),
        ("/api/chat", {"model": "nobody", **CHAT}, 404, "nobody"),
        ("/api/embed", {"model": "plain/embed", "input": []}, 400, "input"),
        ("/api/chat", {"model": "nobody", "messages": []}, 404, "nobody"),
    ],
)
def test_ollama_says_what_is_wrong(path: str, body: Json, status: int, message: str, gateway: KeyedCluster) -> None:
    """In its own shape: one text."""
    answer = gateway.post(path, body)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


def test_ollama_loads_a_model_by_asking_nothing(gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """Answered at once; no upstream hears of it."""
    sandbox.reset()
    for path, body in (
        ("/api/chat", {"messages": []}),
        ("/api/generate", {}),
        ("/api/generate", {"prompt": "", "keep_alive": 0}),
    ):
        answer = gateway.post(path, {"model": "plain/agent", **body})
        assert answer.status_code == 200, answer.text
        assert answer.json()["done"] is True
        assert answer.json()["done_reason"] == ("unload" if "keep_alive" in body else "load")
    assert received(sandbox) == []


def test_ollama_embeds(gateway: KeyedCluster) -> None:
    """By the newer route and the older one."""
    many = gateway.post("/api/embed", {"model": "plain/embed", "input": ["one", "two"], "truncate": True})
    assert many.status_code == 200, many.text
    assert [type(vector) for vector in many.json()["embeddings"]] == [list, list]
    assert many.json()["model"] == "plain/embed"
    assert many.headers["x-orcestator-dropped"] == "truncate"
    body = {"model": "plain/embed", "input": "one", "truncate": True}
    strict = gateway.post("/api/embed", body, headers=bearer(FIRST, **{"x-orcestator-strict": "true"}))
    assert (strict.status_code, "truncate" in strict.json()["error"]) == (400, True)
    one = gateway.post("/api/embeddings", {"model": "plain/embed", "prompt": "one"}).json()
    assert one == {"embedding": many.json()["embeddings"][0]}


# Gemini and Anthropic


@pytest.mark.parametrize("name", ["plain/agent", "plain%2Fagent", "plain/llama3:8b", "orcestator"])
def test_gemini_shows_models(name: str, gateway: KeyedCluster) -> None:
    """One page of everything, and each of it alone, a colon in its name or not."""
    listed = {card["name"]: card for card in gateway.get("/v1beta/models?pageSize=50").json()["models"]}
    shown = gateway.get(f"/v1beta/models/{name}").json()
    assert shown == listed[f"models/{name.replace('%2F', '/')}"]
    assert shown["supportedGenerationMethods"] == ["generateContent", "countTokens"]


def test_gemini_asks_a_model_with_a_colon_in_its_name(gateway: KeyedCluster, sandbox: SandboxThread) -> None:
    """As many of Ollama's have."""
    sandbox.reset()
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    gateway.post("/v1beta/models/plain/llama3:8b:generateContent", body)
    assert [record.model for record in received(sandbox)] == ["llama3:8b"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1beta/models/plain%2Fagent:countTokens", "totalTokens"),
        ("/v1/messages/count_tokens?beta=true", "input_tokens"),
    ],
)
def test_tokens_are_counted(path: str, field: str, gateway: KeyedCluster) -> None:
    """An estimate where the upstream does not count in this dialect: more for more."""
    counts = []
    for words in ("word " * 10, "word " * 1000):
        body = {"contents": [{"role": "user", "parts": [{"text": words}]}]} if "v1beta" in path else {
            "model": "plain/agent", "messages": [{"role": "user", "content": words}]
        }  # fmt: skip
        counts.append(gateway.post(path, body).json()[field])
    assert 5 <= counts[0] <= 30
    assert 500 <= counts[1] <= 2000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1beta/models/plain%2Fagent:embedContent", 400),
        ("POST", "/v1beta/models/nobody:countTokens", 404),
        ("GET", "/v1beta/models/nobody", 404),
        ("POST", "/v1beta/models", 405),
    ],
)
def test_gemini_says_what_is_wrong(method: str, path: str, status: int, gateway: KeyedCluster) -> None:
    """In its own shape."""
    answer = gateway.ask(method, path, json={"contents": [{"role": "user", "parts": [{"text": "x"}]}]})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == status
    assert answer.json()["error"]["status"]


def test_the_list_of_models_has_what_every_client_reads(gateway: KeyedCluster) -> None:
    """OpenAI's fields, VS Code's and Anthropic's in one card."""
    page = gateway.get("/v1/models?limit=1000", headers={"x-api-key": FIRST, "anthropic-version": "2023-06-01"}).json()
    cards = {card["id"]: card for card in page["data"]}
    assert (page["object"], page["first_id"], page["has_more"]) == ("list", page["data"][0]["id"], False)
    card = cards["plain/agent"]
    assert {
        "type": "model",
        "display_name": "plain/agent",
        "object": "model",
        "owned_by": "plain",
    }.items() <= card.items()
    assert (card["context_length"], card["max_model_len"], card["max_output_tokens"]) == (4096, 4096, 512)
    assert card["supported_parameters"] == ["tools", "reasoning_effort"]
    assert card["created_at"].endswith("Z")
    assert cards["cheap"]["context_length"] == 4096
    assert gateway.get("/v1/models/plain/agent").json() == card


# Keys


@pytest.mark.parametrize(
    "path", ["/v1/models", "/api/tags", "/v1beta/models", "/v1/responses/resp_x", "/v1/messages/count_tokens"]
)
@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-goog-api-key", "api-key", "?key="])
def test_a_key_is_taken_as_each_dialect_shows_it(name: str, path: str, gateway: KeyedCluster) -> None:
    """On every route; a wrong one nowhere, and what is said then has the shape of the route's dialect."""
    statuses = []
    for key in (FIRST, "wrong-key"):
        shown = bearer(key) if name == "authorization" else {} if name == "?key=" else {name: key}
        answer = gateway.ask("GET", path, headers=shown, params={"key": key} if name == "?key=" else {})
        statuses.append(answer.status_code == 401)
    assert statuses == [False, True]
    assert "key" in str(answer.json()["error"])


def test_an_empty_authorization_does_not_hide_a_key(gateway: KeyedCluster) -> None:
    """Some clients send both, one of them without a value."""
    headers = {"authorization": "Bearer", "x-api-key": FIRST}
    assert gateway.ask("GET", "/v1/models", headers=headers).status_code == 200
