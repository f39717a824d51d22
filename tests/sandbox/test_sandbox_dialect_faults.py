"""The faults of the dialects: each dialect's own on its own routes, those of HTTP and the connection on all of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orcestator import errors
from orcestator.sandbox.faults import catalogue
from orcestator.sandbox.faults.catalogue import Fault
from orcestator.sandbox.faults.faults_dialects import FILTERED
from tests.sandbox.dialect_calls import DIALECTS, Asker, says, streamed_text
from tests.sandbox.running_sandbox import RunningSandbox
from tests.sandbox.sandbox_wire import Wire
from tests.sandbox.sandbox_wire import ask as ask_wire

ROWS = [(row, applies) for row in catalogue.DIALECT_FAULTS for applies in sorted(row.applies)]


def fully_received(wire: Wire) -> bytes:
    """What came in whole chunks: the fault may have cut the last one."""
    return b"".join(wire.chunks.data) if wire.header("transfer-encoding") else wire.framed


def parts(dialect: str, wire: Wire) -> list[Any]:
    """Every event or line."""
    text = fully_received(wire).decode()
    if dialect in ("yandex", "ollama"):
        return [json.loads(one) for one in text.splitlines()]
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(dialect: str, wire: Wire) -> int:
    """How many pieces of content came before the end."""
    rest = Wire(b"HTTP/1.1 200 OK\r\n\r\n" + fully_received(wire), was_reset=False)
    if dialect == "yandex":
        return sum(
            one.get("result", {}).get("alternatives", [{}])[0].get("status") == "ALTERNATIVE_STATUS_PARTIAL"
            for one in parts(dialect, wire)
        )
    if dialect == "ollama":
        return sum(bool(one.get("message", {}).get("content")) for one in parts(dialect, wire))
    if dialect == "gemini":
        return sum(
            bool(one.get("candidates") and one["candidates"][0]["content"].get("parts")) for one in parts(dialect, wire)
        )
    return streamed_text("gemini-openai" if dialect == "deepseek" else dialect, rest).count("walnut ")


def last_has(**fields: Any) -> Callable[[Any], bool]:
    return lambda one: all(one.get(name) == value for name, value in fields.items())


def anthropic_error(kind: str) -> Callable[[Any], bool]:
    return lambda one: one["type"] == "error" and one["error"]["type"] == kind


def finishes(reason: str) -> Callable[[Any], bool]:
    return lambda one: one["candidates"][0].get("finishReason") == reason


def stops(reason: str) -> Callable[[Any], bool]:
    return lambda one: one["type"] == "message_stop" or one["delta"]["stop_reason"] == reason


def grpc(code: int) -> Callable[[Any], bool]:
    return lambda one: bool(one["error"]["grpcCode"] == code)


def google(status: str) -> Callable[[Any], bool]:
    return lambda one: (one[0] if isinstance(one, list) else one)["error"]["status"] == status


def responds(status: str, code: str | None = None) -> Callable[[Any], bool]:
    def check(one: Any) -> bool:
        response = one.get("response", one)
        return bool(response["status"] == status and (response["error"] or {}).get("code") == code)

    return check


LAST: dict[str, Callable[[Any], bool]] = {
    "D-A1:before": anthropic_error("overloaded_error"),
    "D-A1:after": anthropic_error("overloaded_error"),
    "D-A2:529": anthropic_error("overloaded_error"),
    "D-A2:429": anthropic_error("rate_limit_error"),
    "D-A3:before": anthropic_error("api_error"),
    "D-A3:after": anthropic_error("api_error"),
    "D-A4:cut": last_has(type="content_block_delta"),
    "D-A4:no-delta": last_has(type="content_block_delta"),
    "D-A4:no-stop": last_has(type="message_delta"),
    "D-A5:pings": last_has(type="message_stop"),
    "D-A5:unknown": last_has(type="message_stop"),
    "D-A6:refusal": last_has(type="message_stop"),
    "D-A6:context": last_has(type="message_stop"),
    "D-A6:pause": last_has(type="message_stop"),
    "D-G1:malformed": finishes("MALFORMED_FUNCTION_CALL"),
    "D-G1:unexpected": finishes("UNEXPECTED_TOOL_CALL"),
    "D-G1:malformed-after": finishes("MALFORMED_FUNCTION_CALL"),
    "D-G2:blocked": lambda one: one["promptFeedback"]["blockReason"] == "SAFETY" and "candidates" not in one,
    "D-G2:safety": finishes("SAFETY"),
    "D-G2:recitation": finishes("RECITATION"),
    "D-G3:per-minute": google("RESOURCE_EXHAUSTED"),
    "D-G3:per-day": lambda one: "PerDay" in json.dumps(one) and '"retryDelay": "52s"' in json.dumps(one),
    "D-G3:array": lambda one: isinstance(one, list) and google("RESOURCE_EXHAUSTED")(one),
    "D-G4:before": google("UNAVAILABLE"),
    "D-G4:after": google("UNAVAILABLE"),
    "D-G5:no-finish": lambda one: "finishReason" not in one["candidates"][0],
    "D-G5:cut": lambda one: "finishReason" not in one["candidates"][0],
    "D-G6:empty": lambda one: finishes("STOP")(one) and one["candidates"][0]["content"] == {},
    "D-R1:before": responds("failed", "server_error"),
    "D-R1:after": responds("failed", "server_error"),
    "D-R1:plain": responds("failed", "server_error"),
    "D-R1:rate-limit": responds("failed", "rate_limit_exceeded"),
    "D-R2:filter": lambda one: one["response"]["incomplete_details"] == {"reason": "content_filter"},
    "D-R3:before": last_has(type="error", code="server_error"),
    "D-R3:after": last_has(type="error", code="server_error"),
    "D-R4:no-completed": last_has(type="response.output_text.delta"),
    "D-R4:cut": last_has(type="response.output_text.delta"),
    "D-R5:done": responds("completed"),
    "D-Y1:filter": lambda one: one["result"]["alternatives"][0]["message"]["text"] == FILTERED,
    "D-Y2:429": grpc(8),
    "D-Y2:503": grpc(14),
    "D-Y3:before": grpc(14),
    "D-Y3:after": grpc(14),
    "D-Y4:no-final": lambda one: one["result"]["alternatives"][0]["status"] == "ALTERNATIVE_STATUS_PARTIAL",
    "D-Y4:cut": lambda one: one["result"]["alternatives"][0]["status"] == "ALTERNATIVE_STATUS_PARTIAL",
    "D-C1:before": lambda one: one["delta"]["finish_reason"] == "ERROR",
    "D-C1:after": lambda one: one["delta"]["finish_reason"] == "ERROR",
    "D-C2:no-end": last_has(type="content-delta"),
    "D-C2:cut": last_has(type="content-delta"),
    "D-O1:before": lambda one: set(one) == {"error"},
    "D-O1:after": lambda one: set(one) == {"error"},
    "D-O2:no-done": last_has(done=False),
    "D-O2:cut": last_has(done=False),
    "D-O3:busy": lambda one: set(one) == {"error"},
    "D-S1:keep-alive": lambda one: one["choices"][0]["finish_reason"] == "stop",
    "D-S1:refused": lambda one: "must be passed back" in one["error"]["message"],
    "D-S2:resource": lambda one: one["choices"][0]["finish_reason"] == "insufficient_system_resource",
}
"""What the last event of a stream, or the body, has to be."""


def names(row: Fault) -> str:
    return f"{row.id}:{row.variant}"


def asked(sandbox: RunningSandbox, row: Fault, *, stream: bool) -> Wire:
    dialect = "openai" if row.dialect == "deepseek" else row.dialect
    return Asker(sandbox, dialect)(says(dialect, "Hi nonce:walnut"), row.model, stream=stream)


@pytest.mark.parametrize(("row", "applies"), ROWS, ids=[f"{names(row)}-{applies}" for row, applies in ROWS])
def test_a_dialects_own_fault_is_on_the_wire(sandbox: RunningSandbox, row: Fault, applies: str) -> None:
    wire = asked(sandbox, row, stream=applies == "stream")
    streams = wire.header("transfer-encoding") == ["chunked"]
    last = parts(row.dialect, wire)[-1] if streams else wire.json
    assert LAST[names(row)](last), wire.raw[-2000:]
    if row.after_content and row.expected == "error":
        assert said(row.dialect, wire) == 3
    if row.expected == "fall_over" and streams:
        assert said(row.dialect, wire) == 0
    if row.variant == "cut":
        assert not wire.chunks.ended
        assert wire.chunks.rest


def test_a_stop_reason_is_the_one_asked_for(sandbox: RunningSandbox) -> None:
    rows = {"refusal": "refusal", "context": "model_context_window_exceeded", "pause": "pause_turn"}
    for variant, reason in rows.items():
        wire = asked(sandbox, catalogue.find("D-A6", variant) or pytest.fail(variant), stream=True)
        assert wire.parsed[-2]["delta"]["stop_reason"] == reason


def test_a_dialects_fault_names_its_dialect_and_a_class_that_exists() -> None:
    assert set(LAST) == {names(row) for row in catalogue.DIALECT_FAULTS}
    for row in catalogue.DIALECT_FAULTS:
        assert row.dialect in (*DIALECTS, "deepseek")
        assert bool(row.ends_in) == (row.expected in ("error", "fall_over"))
        assert not row.ends_in or issubclass(getattr(errors, row.ends_in), errors.UpstreamError)
    assert {row.dialect for row in catalogue.FAULTS} == {"openai"}


def test_another_dialect_answers_well(sandbox: RunningSandbox) -> None:
    assert Asker(sandbox, "ollama")(says("ollama"), "fault:D-A2:529").status == 200
    assert Asker(sandbox, "anthropic")(says("anthropic"), "fault:H4:empty").status == 200
    assert Asker(sandbox, "openai")(says("openai"), "fault:D-G3").status == 200


@pytest.mark.parametrize("dialect", [one for one in DIALECTS if one != "gemini-openai"])
def test_what_a_dialect_serves(dialect: str) -> None:
    rows = list(catalogue.served(dialect))
    assert {"U3", "H1", "H2", "H3", "H7", "H9"} <= {row.id for row in rows}
    assert {row.dialect for row in rows} == {"openai", dialect}
    assert not {"H4", "S1"} & {row.id for row in rows}


SHAPES: dict[str, Callable[[Any], bool]] = {
    "anthropic": lambda body: body["type"] == "error" and body["error"]["type"] == "api_error",
    "gemini": lambda body: body["error"]["status"] == "UNAVAILABLE",
    "gemini-openai": lambda body: body[0]["error"]["status"] == "UNAVAILABLE",
    "responses": lambda body: set(body["error"]) == {"message", "type", "param", "code"},
    "yandex": lambda body: body["error"]["grpcCode"] == 14,
    "cohere": lambda body: set(body) == {"id", "message"},
    "ollama": lambda body: set(body) == {"error"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_faults_of_http_and_the_connection_hit_every_dialect(
    sandbox: RunningSandbox, dialect: str, stream: bool
) -> None:
    asker = Asker(sandbox, dialect)

    def ask(fault: str) -> Wire:
        return asker(says(dialect), f"fault:{fault}", stream=stream)

    unavailable = ask("H1:503")
    assert unavailable.status == 503
    assert SHAPES[dialect](unavailable.json)
    assert ask("H2:1").header("retry-after") == ["1"]
    assert ask("U3:rst").was_reset
    assert ask("H7:gzip").header("content-encoding") == ["gzip"]
    assert ask("U10:307").header("location")[0].startswith("http://127.0.0.1:")
    broken = ask("H3:truncated")
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.framed)


def test_a_gemini_array_breaks_with_an_error_as_its_last_element(sandbox: RunningSandbox) -> None:
    path = "/v1beta/models/fault:D-G4:after:streamGenerateContent"
    wire = ask_wire(sandbox.base_url, path, says("gemini"), headers="connection: close\r\nx-goog-api-key: k\r\n")
    *chunks, last = wire.json
    assert len(chunks) == 3
    assert google("UNAVAILABLE")(last)
