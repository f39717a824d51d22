"""The log: one line each, no secret and no prompt in any of them."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orcestator.routing.events import AttemptEnded, HealthChanged, RequestEnded
from orcestator.telemetry.json_log import LogForm, LogWriter, setup_logging
from orcestator.telemetry.redaction import MASK, Redactor

CANARY = "canary-0123456789"
Start = Callable[..., tuple[LogWriter, io.StringIO]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Logging set up on a stream in memory, and put back as it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    writers: list[LogWriter] = []

    def build(form: LogForm = "json", level: str = "info") -> tuple[LogWriter, io.StringIO]:
        stream = io.StringIO()
        writers.append(setup_logging(level, form, Redactor([CANARY]), stream))
        return writers[-1], stream

    yield build
    for writer in writers:
        writer.close(10)
    root.handlers[:] = before
    root.setLevel(level)


def written(writer: LogWriter, stream: io.StringIO) -> list[dict[str, Any]]:
    assert writer.flush(20)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_call_becomes_one_json_object(start: Start) -> None:
    writer, stream = start()
    logging.getLogger("orcestator.web").warning("%s is slow", "the disk", extra={"request_id": "r1", "tries": 2})
    (line,) = written(writer, stream)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "orcestator.web",
        "message": "the disk is slow",
        "request_id": "r1",
        "tries": 2,
    }


def test_an_exception_is_part_of_its_line(start: Start) -> None:
    writer, stream = start()
    try:
        raise ValueError(f"bad {CANARY}")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = written(writer, stream)
    assert line["exception"].startswith("Traceback")
    assert f"ValueError: bad {MASK}" in line["exception"]


def test_records_below_the_level_leave_no_line(start: Start, request_ended: Callable[..., RequestEnded]) -> None:
    writer, stream = start(level="WARNING")
    logging.getLogger("x").info("quiet")
    writer(request_ended())
    writer(request_ended(outcome="upstream_error", error="UpstreamTimeout", status=504))
    assert [line["error"] for line in written(writer, stream)] == ["UpstreamTimeout"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="loud"):
        setup_logging("loud", "json", Redactor([]))


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("ok", "info"),
        ("cancelled", "info"),
        ("client_error", "warning"),
        ("upstream_error", "warning"),
        ("shed", "warning"),
    ],
)
def test_a_request_s_line_has_every_fact_but_its_texts(
    start: Start, request_ended: Callable[..., RequestEnded], outcome: str, level: str
) -> None:
    writer, stream = start()
    event = request_ended(outcome=outcome, user_text="my prompt", assistant_text="my answer", message="why")
    writer(event)
    (line,) = written(writer, stream)
    assert (line["level"], line["logger"], line["error_message"]) == (level, "orcestator.request", "why")
    assert "my prompt" not in stream.getvalue()
    assert "my answer" not in stream.getvalue()
    left_out = {
        "user_text",
        "assistant_text",
        "started_at",
        "message",
        "usage",
        "nano_usd",
        "tried",
        "plan",
        "planned_at",
    }
    for name, value in {**event._asdict(), **event.usage._asdict(), "usd": 0.000055}.items():
        assert name in left_out or line[name] == value


def test_only_failed_attempts_leave_a_line(
    start: Start, request_ended: Callable[..., RequestEnded], attempt_ended: Callable[..., AttemptEnded]
) -> None:
    writer, stream = start()
    failed = attempt_ended(
        error="UpstreamTimeout", cause="first_byte", verdict="fall_back", started_s=1.0, latency_s=2.5
    )
    broken = attempt_ended(error="UpstreamBroken", verdict="broke")
    event = request_ended(tried=(failed, attempt_ended(), broken), started_at=1_763_706_792.125)
    writer(event)
    line, of_request = written(writer, stream)
    assert (line["level"], line["logger"], line["ts"]) == ("warning", "orcestator.attempt", "2025-11-21T06:33:15.625Z")
    assert (line["request_id"], line["error"], line["verdict"]) == ("r1", "UpstreamTimeout", "fall_back")
    assert (line["prompt_tokens"], line["usd"]) == (3, 0.000055)
    assert of_request["logger"] == "orcestator.request"


def test_a_change_of_health_leaves_a_line(start: Start) -> None:
    writer, stream = start()
    writer(HealthChanged("openai", "gpt-4o", "open", 5.0, "UpstreamTimeout: first_byte"))
    writer(HealthChanged("openai", "gpt-4o", "closed", 0.0, ""))
    assert [(line["level"], line["state"]) for line in written(writer, stream)] == [
        ("warning", "open"),
        ("info", "closed"),
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_canary_shows_up_nowhere(
    start: Start,
    request_ended: Callable[..., RequestEnded],
    attempt_ended: Callable[..., AttemptEnded],
    form: LogForm,
) -> None:
    writer, stream = start(form)
    log = logging.getLogger(CANARY)
    log.info("plain %s", CANARY)
    log.info(CANARY, extra={"inner": {CANARY: [CANARY, {"deep": (CANARY,)}]}, "odd": OSError(CANARY)})
    log.info("headers", extra={"headers": {"authorization": "Bearer shortkey", "cookie": "a=shortkey"}})
    log.info("upstream said sk-or-v1-abcdefghijklmnop and https://h/?key=shortkey")
    failed = attempt_ended(error="X", cause=CANARY, model=CANARY)
    writer(request_ended(message=CANARY, requested_model=CANARY, error="X", tried=(failed,)))
    writer(HealthChanged("p", "m", "open", 1.0, CANARY))
    try:
        raise ValueError(CANARY)
    except ValueError:
        log.exception(CANARY)
    assert writer.flush(20)
    text = stream.getvalue()
    assert len(text.splitlines()) >= 8
    assert CANARY not in text
    assert "shortkey" not in text
    assert "sk-or-v1-abc" not in text


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("message", ["two\nlines", "a\u2028b\x85c\x1b[31m", "\ud800 lone", "кириллица"])
def test_one_record_is_one_line_whatever_it_says(start: Start, form: LogForm, message: str) -> None:
    writer, stream = start(form)
    logging.getLogger("x").info(message, extra={"field": message})
    assert writer.flush(20)
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()
    if form == "json":
        assert json.loads(stream.getvalue())["message"] == message


def test_a_number_too_large_for_the_quick_encoder_is_written_too(start: Start) -> None:
    writer, stream = start()
    logging.getLogger("x").info("big", extra={"number": 10**30})
    (line,) = written(writer, stream)
    assert line["number"] == 10**30


def test_a_field_cannot_pose_as_the_line_s_own(start: Start) -> None:
    writer, stream = start()
    logging.getLogger("x").warning("true", extra={"level": "debug", "logger": "y", "ts": 0})
    (line,) = written(writer, stream)
    assert (line["level"], line["logger"]) == ("warning", "x")


def test_the_text_form_is_for_people(start: Start) -> None:
    writer, stream = start("text")
    logging.getLogger("orcestator").info("listening", extra={"port": 8000})
    try:
        raise ValueError("no\n2026 ERROR forged")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert writer.flush(20)
    first, second, *traceback = stream.getvalue().splitlines()
    assert first.split(" ", 1)[1] == "INFO    orcestator: listening port=8000"
    assert second.endswith("ERROR   x: failed")
    assert traceback
    assert all(line.startswith("    ") for line in traceback)


def test_a_call_with_the_wrong_arguments_is_logged_all_the_same(start: Start) -> None:
    writer, stream = start()
    logging.getLogger("x").info("%d items", "many")
    (line,) = written(writer, stream)
    assert line["message"] == "%d items ('many',)"


def test_a_closed_stream_harms_nobody(start: Start) -> None:
    writer, stream = start()
    stream.close()
    logging.getLogger("x").info("lost")
    assert writer.flush(20)
    assert writer.dropped >= 1


def test_what_is_logged_after_close_is_written_at_once(start: Start) -> None:
    writer, stream = start()
    writer.close(10)
    logging.getLogger("x").info("goodbye")
    assert json.loads(stream.getvalue())["message"] == "goodbye"


def test_standard_error_is_the_default(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start()  # so that the root logger is put back afterwards
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    writer = setup_logging("info", "json", Redactor([]))
    logging.getLogger("x").info("here")
    writer.close(10)
    assert "here" in stream.getvalue()
