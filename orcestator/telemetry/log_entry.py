"""One line of the log before it is formatted: from a record of the standard library, or from an event.

Must never carry a prompt or an answer.
"""

import logging
import time
import traceback
from typing import Any, NamedTuple

from orcestator.prices import dollars
from orcestator.routing.events import BROKE, NOT_FACTS, AttemptEnded, Event, HealthChanged, QuotaRefused, RequestEnded

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEFT_OUT = ("user_text", "assistant_text", "started_at", *NOT_FACTS)


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


def of_event(event: Event) -> list[LogEntry]:
    """The entries of an event: of a request its own and one for each attempt that failed."""
    if isinstance(event, RequestEnded):
        failed = [attempt for attempt in event.tried if attempt.error and attempt.verdict != BROKE]
        return [*(_of_attempt(attempt, event) for attempt in failed), _of_request(event)]
    if isinstance(event, QuotaRefused):
        return [_of_refusal(event)]
    return [_of_health(event)] if isinstance(event, HealthChanged) else []


def _of_request(event: RequestEnded) -> LogEntry:
    level = logging.INFO if event.outcome in ("ok", "cancelled") else logging.WARNING
    fields = _flat(event._asdict())
    for left_out in _LEFT_OUT:
        del fields[left_out]
    # "message" is the entry's own; the request's one is its error message.
    fields["error_message"] = fields.pop("message")
    served = f" by {event.provider}/{event.model}" if event.provider else ""
    message = f"{event.route} {event.status} {event.outcome} in {event.latency_s * 1000:.0f} ms{served}"
    return LogEntry(event.started_at + event.latency_s, level, "orcestator.request", message, fields)


def _of_attempt(attempt: AttemptEnded, event: RequestEnded) -> LogEntry:
    message = (
        f"attempt {attempt.number} at {attempt.provider}/{attempt.model} failed: {attempt.error} ({attempt.cause})"
    )
    ended_at = event.started_at + attempt.started_s + attempt.latency_s
    fields = {"request_id": event.request_id, **_flat(attempt._asdict())}
    return LogEntry(ended_at, logging.WARNING, "orcestator.attempt", message, fields)


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Each class of what was used as a field of its own, and money as people read it: in US dollars."""
    usage, nano_usd = fields.pop("usage"), fields.pop("nano_usd")
    return {**fields, **usage._asdict(), "usd": dollars(nano_usd)}


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
