"""What the cluster remembers and shows of a request, in both wirings: the log's lines, the rows, the metrics."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from orcestator.telemetry.traffic_codec import TrafficLine, parse_line
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, streamed, until

CHAT = "/v1/chat/completions"
SECRET_TEXT = "pineapples | are \\ strange\nsecond line \u2028 third"
CONTRACT = (
    "orcestator_requests_total",
    "orcestator_prompt_tokens_total",
    "orcestator_completion_tokens_total",
    "orcestator_request_latency_seconds_count",
    "orcestator_active_requests",
)


def config_for(alpha: SandboxThread, beta: SandboxThread) -> str:
    """Two providers, and an alias that fails at the first."""
    return f"""
providers:
  alpha: {{base_url: "{alpha.base_url}", api_key: "alpha-key", default_model: echo}}
  beta: {{base_url: "{beta.base_url}", api_key: "beta-key", default_model: echo}}
models:
  - {{name: priced, provider: beta, model: "echo?answer=priced", cost_per_token: 0.000002}}
aliases:
  shaky: ["alpha/fault:H1:503", "beta/echo"]
"""


@pytest.fixture(scope="module", params=WIRINGS)
def told(
    request: pytest.FixtureRequest, alpha: SandboxThread, beta: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster that remembers everything."""
    directory: Path = tmp_path_factory.mktemp("told")
    environment = {"OR_DB_PATH": "rows.db", "OR_BREAKER_CONSECUTIVE_FAILURES": "1000"}
    with Cluster(directory, config_for(alpha, beta), request.param, environment) as running:
        until(lambda: any(card["id"] == "beta/echo" for card in running.models()), "the models are listed")
        yield running


def rows(cluster: Cluster, table: str, request_id: str) -> list[dict[str, Any]]:
    """The rows of one request, as soon as there are any."""
    found: list[dict[str, Any]] = []

    def written() -> bool:
        path = cluster.directory / "rows.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            query = f"SELECT * FROM {table} WHERE request_id = ? ORDER BY id"
            found[:] = [dict(row) for row in database.execute(query, [request_id])]
        return bool(found)

    until(written, f"{table} of {request_id}")
    return found


def line_of(cluster: Cluster, model: str) -> TrafficLine:
    """The one line of the traffic log about a model that was asked for once."""
    until(lambda: any(parse_line(line).model == model for line in cluster.traffic()), f"a line about {model}")
    (line,) = [parsed for line in cluster.traffic() if (parsed := parse_line(line)).model == model]
    return line


def entries(cluster: Cluster, request_id: str) -> list[dict[str, Any]]:
    """The lines of the program's log that carry a request id, the request's own among them."""
    found: list[dict[str, Any]] = []

    def logged() -> bool:
        lines = [line for line in cluster.program.output().splitlines() if line.startswith("{")]
        found[:] = [entry for line in lines if (entry := json.loads(line)).get("request_id") == request_id]
        return any(entry["logger"] == "orcestator.request" for entry in found)

    until(logged, f"the log tells of {request_id}")
    return found


# The traffic log


def test_the_line_of_an_answer(told: Cluster) -> None:
    """Eight columns, the texts as they were, escaped so that they come back."""
    model = "beta/echo?answer={text}!&tokens=40"
    answer = told.post(CHAT, chat(SECRET_TEXT, model)).json()
    line = line_of(told, model)
    assert line.user == SECRET_TEXT
    assert line.assistant == answer["choices"][0]["message"]["content"]
    assert line.prompt_tokens == answer["usage"]["prompt_tokens"]
    assert line.completion_tokens == answer["usage"]["completion_tokens"] == 40
    assert line.latency_ms >= 0
    assert line.original_model == model
    assert datetime.fromisoformat(line.timestamp).utcoffset() == timedelta(0)
    raw = [text for text in told.traffic() if model in text]
    assert len(raw) == 1
    assert raw[0].count(" | ") == 7


def test_the_line_of_a_stream(told: Cluster) -> None:
    """The text that was relayed, and the upstream's own count although the caller did not ask for it."""
    model = "beta/echo?answer=streamed&tokens=7"
    _, events, _ = streamed(told, chat("hello", model))
    assert not any('"usage":{' in event for event in events)
    line = line_of(told, model)
    assert line.assistant.split() == ["streamed"] * 7
    assert line.completion_tokens == 7
    assert line.prompt_tokens > 0


def test_the_line_of_a_fallback(told: Cluster) -> None:
    """What was asked for, and what really served it."""
    told.post(CHAT, chat("hello", "shaky"))
    until(lambda: any(parse_line(line).model == "shaky" for line in told.traffic()), "a line")
    line = next(parsed for text in told.traffic() if (parsed := parse_line(text)).model == "shaky")
    assert line.original_model == "beta/echo"


def test_the_line_of_an_error(told: Cluster) -> None:
    """There is one, without an answer and without anybody who served it."""
    model = "alpha/fault:H1:500?answer=for-the-log"
    assert told.post(CHAT, chat("why?", model)).status_code == 503
    line = line_of(told, model)
    assert (line.user, line.assistant, line.original_model) == ("why?", "", "")
    assert line.completion_tokens == 0


def test_the_line_of_a_caller_that_left(told: Cluster, beta: SandboxThread) -> None:
    """What it got until then, and the tokens of that."""
    model = "beta/echo?tps=50&tokens=100000&answer=left"
    beta.reset()
    with (
        httpx.Client(timeout=30, trust_env=False, verify=False) as client,
        client.stream("POST", told.url + CHAT, json=chat("hello", model, stream=True)) as answer,
    ):
        assert any(b"left" in piece for piece in answer.iter_bytes())
    line = line_of(told, model)
    assert line.assistant.startswith("left")
    assert line.completion_tokens > 0
    assert line.original_model == model


# The rows


def test_the_row_of_an_answer(told: Cluster) -> None:
    """Every field, under the id that the caller saw."""
    answer = told.post(CHAT, chat("how are you?", "beta/echo", user="u"))
    (row,) = rows(told, "request_row", answer.headers["x-request-id"])
    assert (row["outcome"], row["status"], row["route"], row["streamed"]) == ("ok", 200, "chat", 0)
    assert (row["provider"], row["model"], row["requested_model"]) == ("beta", "echo", "beta/echo")
    assert row["user_text"] == "how are you?"
    assert row["assistant_text"] == answer.json()["choices"][0]["message"]["content"]
    assert row["prompt_tokens"] == answer.json()["usage"]["prompt_tokens"]
    assert row["tokens_estimated"] == 0
    assert (row["attempts"], row["fallbacks"], row["error"]) == (1, 0, "")
    assert 0 < row["first_content_s"] <= row["latency_s"]


def test_the_rows_of_a_fallback(told: Cluster) -> None:
    """One request, and a row for each attempt: the one that failed and the one that served."""
    answer = told.post(CHAT, chat("hello", "shaky"))
    request_id = answer.headers["x-request-id"]
    (row,) = rows(told, "request_row", request_id)
    assert (row["outcome"], row["provider"], row["attempts"], row["fallbacks"]) == ("ok", "beta", 2, 1)
    failed, served = rows(told, "attempt_row", request_id)
    assert (failed["number"], failed["provider"], failed["error"]) == (1, "alpha", "UpstreamUnavailable")
    assert (failed["upstream_status"], failed["cause"], failed["verdict"]) == (503, "http_503", "fall_back")
    assert (failed["maybe_billed"], failed["tokens_estimated"], failed["completion_tokens"]) == (1, 1, 0)
    assert (served["number"], served["provider"], served["kind"], served["verdict"]) == (2, "beta", "fallback", "")
    used = answer.json()["usage"]
    assert (served["prompt_tokens"], served["completion_tokens"]) == (used["prompt_tokens"], used["completion_tokens"])
    assert failed["started_s"] < served["started_s"] < served["started_s"] + served["total_s"] <= row["latency_s"]


def test_the_row_of_an_answer_whose_price_is_known(told: Cluster) -> None:
    """Whole nano-dollars; where no price is known there is none."""
    priced = told.post(CHAT, chat("hello " * 100, "priced"))
    (row,) = rows(told, "request_row", priced.headers["x-request-id"])
    assert row["nano_usd"] == 2000 * (row["prompt_tokens"] + row["completion_tokens"]) > 0
    unpriced = told.post(CHAT, chat("hello", "beta/echo"))
    (row,) = rows(told, "request_row", unpriced.headers["x-request-id"])
    assert (row["nano_usd"], row["served_by"]) == (None, "attempt")


@pytest.mark.parametrize(
    ("call", "status", "outcome", "error"),
    [
        (chat("x", "no-such-model"), 404, "client_error", "ModelNotFound"),
        (chat() | {"messages": 5}, 400, "client_error", "InvalidRequest"),
        (chat("x", "alpha/fault:H1:400"), 400, "client_error", "UpstreamRejected"),
        (chat("x", "alpha/fault:H3:html"), 502, "upstream_error", "AttemptsExhausted"),
    ],
    ids=["unknown model", "bad body", "refused", "broken"],
)
def test_the_row_of_an_error(told: Cluster, call: dict[str, Any], status: int, outcome: str, error: str) -> None:
    """The status that the caller saw, the class and the message."""
    answer = told.post(CHAT, call)
    assert answer.status_code == status
    (row,) = rows(told, "request_row", answer.headers["x-request-id"])
    assert (row["status"], row["outcome"], row["error"]) == (status, outcome, error)
    assert row["message"] == answer.json()["error"]["message"]
    assert (row["provider"], row["first_content_s"]) == ("", -1.0)


def test_the_row_of_a_broken_stream(told: Cluster) -> None:
    """It began well: status 200, the text so far, and the error that ended it."""
    name = {"x-request-id": "broken-stream"}
    answer = told.post(CHAT, chat("x", "alpha/fault:S2:data?after=3&tps=50", stream=True), headers=name)
    assert answer.status_code == 200
    (row,) = rows(told, "request_row", "broken-stream")
    assert (row["outcome"], row["error"], row["provider"]) == ("upstream_error", "StreamInterrupted", "alpha")
    assert row["assistant_text"]
    assert row["tokens_estimated"] == 1


@pytest.mark.parametrize(
    ("path", "body", "route"),
    [
        ("/v1/embeddings", {"model": "beta/embed", "input": "some words"}, "embeddings"),
        ("/v1/completions", {"model": "beta/echo", "prompt": "some words"}, "completions"),
    ],
)
def test_the_row_of_other_routes(told: Cluster, path: str, body: dict[str, Any], route: str) -> None:
    """They are remembered as chat is."""
    answer = told.post(path, body)
    (row,) = rows(told, "request_row", answer.headers["x-request-id"])
    assert (row["route"], row["outcome"], row["user_text"]) == (route, "ok", "some words")
    assert row["prompt_tokens"] == answer.json()["usage"]["prompt_tokens"]


# The program's log


def test_the_log_is_json_and_knows_the_request(told: Cluster) -> None:
    """Its lines carry the id of the ``x-request-id`` header, and no text of a prompt or an answer."""
    answer = told.post(CHAT, chat("a-word-not-for-the-log", "shaky"))
    found = entries(told, answer.headers["x-request-id"])
    by_logger = {entry["logger"]: entry for entry in found}
    assert by_logger["orcestator.request"]["outcome"] == "ok"
    assert by_logger["orcestator.request"]["level"] == "info"
    assert by_logger["orcestator.attempt"]["error"] == "UpstreamUnavailable"
    assert all({"ts", "level", "logger", "message"} <= entry.keys() for entry in found)
    assert "a-word-not-for-the-log" not in told.program.output()


def test_the_given_request_id_is_in_the_log(told: Cluster) -> None:
    """An id of the caller's is used throughout."""
    name = {"x-request-id": "the-callers-own-id"}
    told.post(CHAT, chat("x", "no-such-model"), headers=name)
    (entry,) = entries(told, "the-callers-own-id")
    assert (entry["status"], entry["error"]) == (404, "ModelNotFound")


# The metrics


def total(samples: dict[str, float], name: str, *labels: str) -> float:
    """The sum of a metric's samples that have all the labels."""
    return sum(
        value
        for sample, value in samples.items()
        if sample.partition("{")[0] == name and all(label in sample for label in labels)
    )


def test_the_metrics_of_the_contract(told: Cluster) -> None:
    """The five names, each with what was just asked."""
    before = told.metrics()
    answer = told.post(CHAT, chat("hello there", "beta/echo")).json()
    after = told.metrics()
    growth = {name: total(after, name) - total(before, name) for name in CONTRACT}
    assert growth == {
        "orcestator_requests_total": 1,
        "orcestator_prompt_tokens_total": answer["usage"]["prompt_tokens"],
        "orcestator_completion_tokens_total": answer["usage"]["completion_tokens"],
        "orcestator_request_latency_seconds_count": 1,
        "orcestator_active_requests": 0,
    }
    assert all(any(sample.startswith(name) for sample in after) for name in CONTRACT)


def test_the_metrics_of_attempts(told: Cluster) -> None:
    """Attempts, a fallback, and the error's class."""
    before = told.metrics()
    told.post(CHAT, chat("x", "shaky"))
    after = told.metrics()

    def growth(name: str, *labels: str) -> float:
        return total(after, name, *labels) - total(before, name, *labels)

    assert growth("orcestator_attempts_total", 'provider="alpha"') == 1
    assert growth("orcestator_attempts_total", 'provider="beta"') == 1
    assert growth("orcestator_fallbacks_total", 'provider="alpha"') == 1
    assert growth("orcestator_errors_total", 'error="UpstreamUnavailable"') == 1
    assert growth("orcestator_requests_total", 'outcome="ok"', 'provider="beta"') == 1
    assert growth("orcestator_upstream_latency_seconds_count") == 2
    assert growth("orcestator_time_to_first_content_seconds_count") == 1


def test_an_active_request_is_counted(told: Cluster, beta: SandboxThread) -> None:
    """While it runs, and not after."""
    model = "beta/echo?tps=50&tokens=100000&answer=active"
    with (
        httpx.Client(timeout=30, trust_env=False, verify=False) as client,
        client.stream("POST", told.url + CHAT, json=chat("hello", model, stream=True)) as answer,
    ):
        pieces = answer.iter_bytes()
        assert any(b"active" in piece for piece in pieces)
        assert told.metrics()["orcestator_active_requests"] == 1
    until(lambda: told.metrics()["orcestator_active_requests"] == 0, "it is over")
    assert total(told.metrics(), "orcestator_requests_total", 'outcome="cancelled"') >= 1


def test_a_callers_words_are_no_label(told: Cluster) -> None:
    """A model that nobody lists must not make a series of its own."""
    for number in range(20):
        told.post(CHAT, chat("x", f"made-up-{number}"))
    assert not any("made-up" in sample for sample in told.metrics())


# How much of the texts is kept


ASKED, ANSWERED = "ask" * 100, "tell" * 100


@pytest.mark.parametrize(
    ("mode", "wiring", "user", "assistant"),
    [
        ("full", "one process", ASKED[:250], ANSWERED[:250]),
        ("short", "one process", ASKED[:100] + "…", ANSWERED[:100] + "…"),
        ("none", "split", "", ""),
    ],
    ids=["full", "short", "none"],
)
def test_texts_can_be_shortened_or_left_out(
    alpha: SandboxThread, beta: SandboxThread, tmp_path: Path, mode: str, wiring: str, user: str, assistant: str
) -> None:
    """In the traffic log and in the rows; what is left out is nowhere."""
    environment = {"OR_LOG_TEXTS": mode, "OR_LOG_TEXT_CHARS": "250", "OR_DB_PATH": "rows.db"}
    config = config_for(alpha, beta) + f'  talkative: ["beta/echo?answer={ANSWERED}"]\n'
    with Cluster(tmp_path, config, wiring, environment) as cluster:
        for stream in (False, True):
            answer = cluster.post(CHAT, chat(ASKED, "talkative", stream=stream))
            assert ANSWERED.encode() in answer.content
            (row,) = rows(cluster, "request_row", answer.headers["x-request-id"])
            assert (row["user_text"], row["assistant_text"]) == (user, assistant)
        until(lambda: len(cluster.traffic()) == 2, "both lines")
        assert {(line.user, line.assistant) for line in map(parse_line, cluster.traffic())} == {(user, assistant)}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or ASKED.encode() not in path.read_bytes(), path
