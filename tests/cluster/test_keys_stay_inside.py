"""A provider's key reaches no caller, no log and no record, wherever the provider repeats it; in both wirings."""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests.cluster.harness import WIRINGS, Cluster, until
from tests.cluster.told_upstream import Heard, Told, ToldUpstream

KEY = "AbC/dEf+CANARY0123456789xyz=="
LINES = {
    "openai": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "responses": "/v1",
    "ollama": "",
    "cohere": "/v2",
}
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: json.dumps(f"bad key {text} end"),
    "php": lambda text: json.dumps(f"bad key {text} end").replace("/", "\\/"),
    "u002f": lambda text: json.dumps(f"bad key {text} end").replace("/", "\\u002f"),
    "nested": lambda text: json.dumps(json.dumps({"why": f"bad key {text}"}).replace("/", "\\/")),
    "url": lambda text: json.dumps(f"GET /?key={quote(text, safe='')} failed"),
    "basic": lambda text: json.dumps("Basic " + base64.b64encode(b"user:" + text.encode()).decode()),
    "half": lambda text: json.dumps(f"bad key {text[:15]}..."),
}


def error(dialect: str, said: str, status: int) -> str:
    """An error in the dialect whose message is the JSON text ``said``."""
    return {
        "anthropic": f'{{"type": "error", "error": {{"type": "api_error", "message": {said}}}}}',
        "gemini": f'{{"error": {{"code": {status}, "status": "INTERNAL", "message": {said}}}}}',
        "ollama": f'{{"error": {said}}}',
        "cohere": f'{{"message": {said}}}',
    }.get(dialect, f'{{"error": {{"message": {said}, "type": {said}, "code": {said}, "param": {said}}}}}')


FIRST = {
    "openai": 'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n',
    "anthropic": 'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    '"model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
    'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n\n',
    "gemini": 'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hello"}]}}]}\n\n',
    "ollama": '{"model":"m","message":{"role":"assistant","content":"Hello"},"done":false}\n',
}
"""The beginning of a stream, for those dialects whose errors inside one are as they are in a body."""
MANY = 12_000
"""So many of its last events that no single read holds them and the error after it: that would be a failure before anything was sent."""


def in_stream(dialect: str, wire: str) -> str:
    if dialect == "ollama":
        return f"{wire}\n"
    event = "event: error\n" if dialect == "anthropic" else ""
    return f"{event}data: {wire}\n\n"


FRESH = count()
"""A model of its own for each request: what was refused before stays out for a while."""


class House(NamedTuple):
    """The cluster, and what its upstream says next."""

    cluster: Cluster
    upstream: ToldUpstream


@pytest.fixture(scope="module", params=WIRINGS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ToldUpstream(lambda _heard: Told(b"{}", 500)) as upstream:
        rows = "".join(
            f"  p-{dialect}: {{base_url: '{upstream.url}{path}', api_key: '{KEY}', dialect: {dialect}, models: [m], default_model: m,"
            f" endpoints: [chat, embeddings, images, audio]}}\n"
            for dialect, path in LINES.items()
        )
        config = f"expose_router: true\ndb_path: rows.sqlite\nbreaker_consecutive_failures: 10000\nattempts: 1\nrate_limit_retries: 0\nproviders:\n{rows}"
        with Cluster(tmp_path_factory.mktemp("keys"), config, request.param) as cluster:
            yield House(cluster, upstream)


def told(
    house: House, dialect: str, path: str, body: dict[str, Any], answer: Callable[[Heard], Told]
) -> httpx.Response:
    """What a caller is answered when the upstream says ``answer``, which it really is asked for."""
    house.upstream.answer = answer
    # A key that was refused in the test before is out for a while, and nobody would be asked.
    assert house.cluster.post(f"/admin/state/reset?provider=p-{dialect}", {}).status_code == 200
    before = len(house.upstream.heard)
    body = {"model": f"p-{dialect}/m{next(FRESH)}", **body}
    got = house.cluster.post(path, body, headers={"x-orcestator-router": "true"})
    assert len(house.upstream.heard) > before, got.text
    return got


def ask(house: House, dialect: str, answer: Callable[[Heard], Told], *, streamed: bool = False) -> str:
    """Everything that a caller sees of a chat: in OpenAI's dialect, and in Anthropic's."""
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "stream": streamed}
    answers = [told(house, dialect, path, body, answer) for path in ("/v1/chat/completions", "/v1/messages")]
    return "\n".join(f"{got.headers} {got.text}" for got in answers)


def leaks(text: str) -> list[str]:
    """Pieces of the key, or of its forms, that are in the text."""
    encoded = base64.b64encode(b"user:" + KEY.encode()).decode()
    pieces = ["CANARY", "AbC/dEf", "AbC\\/dEf", "0123456789xyz", encoded[8:20], encoded[-20:-8]]
    return [piece for piece in pieces if piece in text]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", LINES)
def test_a_key_in_a_refusal_is_masked(house: House, dialect: str, form: str) -> None:
    """By status; and where it is all there is, without any JSON around it."""
    said = FORMS[form](KEY)
    for status in (400, 401, 429, 500) if form in ("plain", "php") else (400,):
        wire = error(dialect, said, status).encode()
        seen = ask(house, dialect, lambda _heard, status=status, wire=wire: Told(wire, status))  # type: ignore[misc]
        assert not leaks(seen), leaks(seen)
    bare = f"bad key {KEY}".encode()
    seen = ask(house, dialect, lambda _heard: Told(bare, 403, "text/plain"))
    assert not leaks(seen), leaks(seen)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", LINES)
def test_a_key_in_an_error_inside_a_200_is_masked(house: House, dialect: str, form: str) -> None:
    """Whole, as the first event of a stream, and after its first content."""
    wire = error(dialect, FORMS[form](KEY), 500)
    seen = ask(house, dialect, lambda _heard: Told(wire.encode()))
    assert not leaks(seen), leaks(seen)
    kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    for before in dict.fromkeys(("", FIRST.get(dialect, "") if form in ("php", "half") else "")):
        last = before[before.rfind("event:") :] if dialect == "anthropic" else before
        stream = (before + MANY * last + in_stream(dialect, wire)).encode()
        seen = ask(house, dialect, lambda _heard, stream=stream: Told(stream, 200, kind), streamed=True)  # type: ignore[misc]
        assert not leaks(seen), leaks(seen)
        assert ("Hello" in seen) == bool(before), seen[-2000:]


def test_a_key_in_a_header_that_is_passed_on_is_masked(house: House) -> None:
    """Of a good answer the type of its content is all that its caller sees of its head."""
    heads = (
        ("x-request-id", KEY),
        ("request-id", KEY),
        ("set-cookie", f"k={KEY}"),
        ("x-ratelimit-limit-requests", KEY),
    )
    sound = Told(b"\xff\xf3 sound", 200, f"audio/mpeg; key={KEY}", heads)
    got = told(house, "openai", "/v1/audio/speech", {"input": "x", "voice": "v"}, lambda _heard: sound)
    assert (got.status_code, got.headers["content-type"]) == (200, "audio/mpeg; key=(key)")
    assert not leaks(str(got.headers))
    reply = json.dumps(
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}
    )
    seen = ask(house, "openai", lambda _heard: Told(reply.encode(), 200, f"application/json; key={KEY}", heads))
    assert not leaks(seen)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/images/generations", "/v1/audio/speech"])
def test_a_key_in_what_is_no_chat_is_masked(house: House, path: str) -> None:
    """Also in an error event among events that are passed on as they come."""
    wire = error("openai", FORMS["php"](KEY), 500).encode()
    events = b'data: {"type":"image.part"}\n\nevent: error\ndata: ' + wire + b"\n\n"
    unnamed = f'event: failed\ndata: {{"message": "bad key {KEY}"}}\n\n: {KEY}\n\nevent: error\ndata: bad key {KEY}\n\n'.encode()
    others = (f'{{"errors": [{{"message": "bad key {KEY}"}}]}}', f'{{"detail": [{{"msg": "bad key {KEY}"}}]}}')
    body = {"input": "x", "prompt": "x", "voice": "v"}
    said_by_others = [Told(text.encode(), status) for text in others for status in (200, 422)]
    streamed = [Told(stream, 200, "text/event-stream") for stream in (events, unnamed)]
    for said in (Told(wire), Told(wire, 401), *said_by_others, *streamed):
        got = told(house, "openai", path, body, lambda _heard, said=said: said)  # type: ignore[misc]
        assert not leaks(f"{got.headers} {got.text}"), got.text


def test_an_answer_is_passed_on_as_it_is(house: House) -> None:
    """A model's words are nobody's to change, whatever they look like."""
    words = f"echo {KEY[10:24]}"
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}]}
    body = {"messages": [{"role": "user", "content": "hi"}]}
    got = told(house, "openai", "/v1/chat/completions", body, lambda _heard: Told(json.dumps(reply).encode()))
    assert got.json()["choices"][0]["message"]["content"] == words


def test_a_page_stays_no_page(house: House) -> None:
    """What a browser would run is refused, or handed on as bytes, and the browser may not guess."""
    body = {"input": "x", "voice": "v"}
    page = Told(b"<script>alert(1)</script>", 200, "text/html; charset=utf-8")
    assert told(house, "openai", "/v1/audio/speech", body, lambda _heard: page).status_code == 502
    script = Told(b"\xff\xd8 alert(1)", 200, "application/javascript")
    got = told(house, "openai", "/v1/audio/speech", body, lambda _heard: script)
    assert (got.status_code, got.headers["content-type"]) == (200, "application/octet-stream")
    assert got.headers["x-content-type-options"] == "nosniff"


def test_no_record_has_a_key(house: House) -> None:
    """Asked last: the logs, the rows, the decisions and the status pages of everything before."""
    cluster = house.cluster
    ask(house, "openai", lambda _heard: Told(error("openai", FORMS["php"](KEY), 401).encode(), 401))
    database = cluster.directory / "rows.sqlite"

    def rows() -> int:
        with sqlite3.connect(database) as connection:
            return int(connection.execute("select count(*) from request_row").fetchone()[0])

    until(lambda: database.exists() and rows() > 0, "a row is written")
    ids = [row["request_id"] for row in cluster.get("/orchestrator/decisions?limit=50").json()["decisions"]]
    kept = [cluster.get(f"/orchestrator/decisions/{one}").text for one in ids]
    kept += [cluster.get(path).text for path in ("/health", "/admin/state", "/orchestrator/providers", "/metrics")]
    with sqlite3.connect(database) as connection:
        kept += list(connection.iterdump())
    kept += [cluster.program.output(), *cluster.traffic()]
    for text in kept:
        assert not leaks(text), [text[max(0, text.find(leak) - 300) : text.find(leak) + 100] for leak in leaks(text)]
