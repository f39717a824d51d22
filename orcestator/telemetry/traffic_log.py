"""The traffic log: one line for each request, appended to one file that several processes may share.

A ``Target`` for a ``BackgroundWriter``. Must never write part of a request's line as a line of its own, and never
more than one ``write`` a batch: appends of one call do not interleave with those of other processes.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from orcestator.errors import StartupProblem
from orcestator.routing.events import Event, RequestEnded
from orcestator.telemetry.traffic_codec import TrafficLine, format_line

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_OWNER_ONLY = 0o600


class TrafficLog:
    """Appends to the file at ``path``; ``text`` is what every prompt, answer and model name goes through first.

    Raises StartupProblem when the file cannot be opened. It is opened again when it was moved or removed, so any
    log rotation works without a signal.
    """

    def __init__(self, path: Path, text: Callable[[str], str], redact: Callable[[str], str]) -> None:
        self._path = path
        self._text = text
        self._redact = redact
        self._torn = (
            b""  # what a full disk cut off a line, or the line after it: it comes first when there is room again
        )
        try:
            self._file = _open(path)
        except OSError as problem:
            raise StartupProblem(
                f"the traffic log {path} cannot be written ({problem.strerror}); set OR_LOG_FILE to another file, or to"
                f" {os.devnull} for none"
            ) from problem

    def prepare(self) -> None:
        """Nothing is slow here."""

    def write(self, items: Sequence[Event]) -> None:
        """Append a line for each request among ``items``. Raises OSError when they did not all fit on the disk."""
        lines = [format_line(self._line(event)) for event in items if isinstance(event, RequestEnded)]
        if lines or not items:
            self._follow_rotation()
            self._append("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _line(self, event: RequestEnded) -> TrafficLine:
        return TrafficLine(
            utc_timestamp(event.started_at),
            self._text(event.user_text),
            self._text(event.assistant_text),
            event.usage.prompt_tokens,
            event.usage.completion_tokens,
            round(event.latency_s * 1000),
            self._redact(event.requested_model),
            f"{event.provider}/{event.model}" if event.provider else "",
        )

    def _append(self, data: bytes) -> None:
        pending = self._torn + data
        self._torn = _rest_of_line(pending, 0)
        written = os.write(self._file, pending)
        if written < len(pending):
            self._torn = _rest_of_line(pending, written)
            raise OSError(f"only {written} of {len(pending)} bytes fit on the disk")
        self._torn = b""

    def _follow_rotation(self) -> None:
        if not _is_same_file(self._path, self._file):
            renewed = _open(self._path)
            os.close(self._file)
            self._file = renewed
            self._torn = b""


def utc_timestamp(epoch_seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds: ``2026-11-21T06:33:12.123Z``."""
    seconds, milliseconds = divmod(int(epoch_seconds * 1000), 1000)
    return f"{_utc_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)
def _utc_second(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, _APPEND, _OWNER_ONLY)


def _is_same_file(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _rest_of_line(data: bytes, written: int) -> bytes:
    return data[written : data.find(b"\n", written) + 1]
