"""The program's log: standard-library records and events, one line each, formatted and written off the event loop.

``setup_logging`` is called once by a program. The encoder is the one place through which every line goes, so it is
where secrets are taken out. Must never raise into the code that logs, nor write a prompt or an answer.
"""

import json
import logging
import re
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, TextIO

import orjson

from orcestator.routing.events import Event
from orcestator.telemetry import log_entry
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.log_entry import LogEntry
from orcestator.telemetry.redaction import Redactor
from orcestator.telemetry.traffic_codec import escape_controls
from orcestator.telemetry.traffic_log import utc_timestamp

LogForm = Literal["json", "text"]
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")  # what JSON leaves as it is and a terminal or a splitter does not


class LineEncoder:
    """Turns an entry into one line (a text form's traceback follows on lines of its own), without its secrets."""

    def __init__(self, form: LogForm, redactor: Redactor) -> None:
        self._form = _json_line if form == "json" else _text_line
        self._redactor = redactor

    def encode(self, entries: Sequence[LogEntry]) -> str:
        """Their lines, each with its line end. Where all of them together hold nothing suspicious, no line does."""
        lines = "".join([f"{self._form(entry)}\n" for entry in entries])
        if self._redactor.suspects(lines):
            lines = "".join([f"{self._cleaned(entry)}\n" for entry in entries])
        return lines

    def _cleaned(self, entry: LogEntry) -> str:
        line = self._form(entry)
        if self._redactor.suspects(line):
            # Value by value: a mask over a whole JSON line could swallow its quotes.
            line = self._form(LogEntry(*(self._clean(value) for value in entry)))
        return line

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redactor(value)
        if isinstance(value, dict):
            return {self._redactor(str(key)): self._clean_field(str(key), inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner) for inner in value]
        return value if isinstance(value, int | float | None) else self._redactor(str(value))

    def _clean_field(self, key: str, value: Any) -> Any:
        """A value whose key alone gives it away ("authorization") is recognised by looking at the pair."""
        if isinstance(value, str) and self._redactor(f"{key}: {value}") != f"{key}: {value}":
            return self._redactor(f"{key}: {value}").removeprefix(f"{key}: ")
        return self._clean(value)


class LogStream:
    """The ``Target`` that formats and writes; attempts that went well leave no line."""

    def __init__(self, stream: TextIO, encoder: LineEncoder, level: int) -> None:
        self._stream = stream
        self._encoder = encoder
        self._level = level

    def prepare(self) -> None:
        """Nothing is slow here."""

    def write(self, items: Sequence[logging.LogRecord | Event]) -> None:
        """Write a line for each item that is worth one. Raises OSError when the stream is gone."""
        entries = [entry for entry in chain.from_iterable(map(_entries, items)) if entry.level >= self._level]
        try:
            self._stream.write(self._encoder.encode(entries))
            self._stream.flush()
        except ValueError as problem:
            raise OSError(f"the log stream is closed: {problem}") from problem

    def close(self) -> None:
        """The stream belongs to whoever handed it in."""


class LogWriter(BackgroundWriter[logging.LogRecord | Event]):
    """The log's writer: it is an EventSink, and the handler of the root logger feeds it too."""

    def __init__(self, target: LogStream) -> None:
        super().__init__("log", target)
        self._stream_target = target

    def write_now(self, record: logging.LogRecord) -> None:
        """Write at once, in this thread: for what is logged after ``close``."""
        self._stream_target.write([record])


class QueueingHandler(logging.Handler):
    """Hands records to the log's writer. Whoever logs never waits for a full pipe."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def createLock(self) -> None:  # noqa: N802 the name is the standard library's
        """No lock: putting into the writer's queue needs none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queue ``record``; after the writer's end, write it directly."""
        if not self._writer.closed:
            self._writer(record)
            return
        try:
            self._writer.write_now(record)
        except OSError:
            self.handleError(record)


def setup_logging(level: str, form: LogForm, redactor: Redactor, stream: TextIO | None = None) -> LogWriter:
    """Send everything that is logged to ``stream`` (standard error when None) and return the writer, started.

    ``level`` is a name of the standard library in any case. The caller subscribes the writer to events and closes it
    last. Raises ValueError for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"unknown log level {level!r}")
    writer = LogWriter(LogStream(stream or sys.stderr, LineEncoder(form, redactor), number))
    root = logging.getLogger()
    root.handlers[:] = [QueueingHandler(writer)]
    root.setLevel(number)
    writer.start()
    return writer


def _entries(item: logging.LogRecord | Event) -> list[LogEntry]:
    return [log_entry.of_record(item)] if isinstance(item, logging.LogRecord) else log_entry.of_event(item)


def _json_line(entry: LogEntry) -> str:
    line: dict[str, Any] = {
        "ts": utc_timestamp(entry.created),
        "level": logging.getLevelName(entry.level).lower(),
        "logger": entry.logger,
        "message": entry.message,
    }
    # The line's own keys win: a field must not be able to pose as another level or logger.
    line = entry.fields | line
    if entry.exception:
        line["exception"] = entry.exception
    return _one_line(_json(line))


def _json(value: dict[str, Any]) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # Lone surrogates and very large integers, which orjson refuses.
        return json.dumps(value, default=str, skipkeys=True)


def _one_line(line: str) -> str:
    # Both encoders escape what is below a space; of a line without other alphabets there is one character left to fear.
    if line.isascii() and "\x7f" not in line:
        return line
    return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _text_line(entry: LogEntry) -> str:
    fields = "".join(f" {name}={value}" for name, value in entry.fields.items() if value not in ("", None))
    level = logging.getLevelName(entry.level).ljust(7)
    line = escape_controls(f"{utc_timestamp(entry.created)} {level} {entry.logger}: {entry.message}{fields}")
    if not entry.exception:
        return line
    # Indented, so that no line of a traceback can pose as a log line.
    return "\n".join([line, *(f"    {escape_controls(part)}" for part in entry.exception.split("\n") if part)])
