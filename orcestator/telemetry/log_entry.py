"""One line of the log before it is formatted: from a record of the standard library, or from an event.

Must never carry a prompt or an answer.
"""

import logging
import time
import traceback
from typing import Any, NamedTuple

from orcestator.routing.events import AttemptEnded, Event, HealthChanged, QuotaRefused, RequestEnded

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEFT_OUT = ("user_text", "assistant_text", "started_at")


class LogEntry(NamedTuple):
    """What happened. ``fields`` are further facts; ``exception`` is a traceback or ""."""

    created: float  # epoch seconds
    level: int
    logger: str
    message: str
    fields: dict[str, Any]
    exception: str = ""


def of_record(record: logging.LogRecord) -> LogEntry:
    """The entry of a log call; what its ``extra`` held becomes fields."""
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    exception = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
    return LogEntry(record.created, record.levelno, record.name, _message(record), fields, exception)


def of_event(event: Event) -> LogEntry | None:
    """The entry of an event; None when it is not worth a line (an attempt that went well)."""
    if isinstance(event, RequestEnded):
        return _of_request(event)
    if isinstance(event, AttemptEnded):
        return _of_attempt(event) if event.error else None
    if isinstance(event, QuotaRefused):
        return _of_refusal(event)
    return _of_health(event) if isinstance(event, HealthChanged) else None


def _of_request(event: RequestEnded) -> LogEntry:
    level = logging.INFO if event.outcome in ("ok", "cancelled") else logging.WARNING
    fields = event._asdict()
    for left_out in _LEFT_OUT:
        del fields[left_out]
    # "message" is the entry's own; the request's one is its error message.
    fields["error_message"] = fields.pop("message")
    served = f" by {event.provider}/{event.model}" if event.provider else ""
    message = f"{event.route} {event.status} {event.outcome} in {event.latency_s * 1000:.0f} ms{served}"
    return LogEntry(event.started_at + event.latency_s, level, "orcestator.request", message, fields)


def _of_attempt(event: AttemptEnded) -> LogEntry:
    message = f"attempt {event.number} at {event.provider}/{event.model} failed: {event.error} ({event.cause})"
    return LogEntry(time.time(), logging.WARNING, "orcestator.attempt", message, event._asdict())


def _of_refusal(event: QuotaRefused) -> LogEntry:
    message = f"{event.provider}/{event.model} was not asked: {event.cause}, {event.seconds:.1f} s to go"
    return LogEntry(time.time(), logging.WARNING, "orcestator.quota", message, event._asdict())


def _of_health(event: HealthChanged) -> LogEntry:
    level = logging.INFO if event.state == "closed" else logging.WARNING
    message = f"{event.provider}/{event.model} is {event.state}: {event.reason}"
    return LogEntry(time.time(), level, "orcestator.health", message, event._asdict())


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A log call whose arguments do not fit its format still says something.
        return f"{record.msg} {record.args}"
