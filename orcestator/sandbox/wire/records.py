"""What the sandbox received, what it sent, and when the peer left. Bounded; it never prints anything."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RECORDS_KEPT = 10_000
BODIES_KEPT_BYTES = 16 * 1024 * 1024
SHOWN_BODY_BYTES = 64 * 1024
REDACTED_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)


@dataclass(slots=True)
class Record:
    """One request. Times are ``time.monotonic()`` seconds; ``number`` counts from 1; ``path`` is without its query.

    ``finished``: everything the answer's script holds was handed to the kernel, also when the script ends badly.
    ``peer_closed_at``: when the peer left before that, None if it stayed. ``port`` is the local port that took the
    request: another one than the server's means that a redirect (U10) was followed. ``headers`` holds credentials as
    they came: only ``shown`` may leave the process. ``body`` becomes empty once newer bodies fill the memory
    (``body_bytes`` keeps its size).
    """

    number: int
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    port: int
    body_bytes: int = 0
    model: str = ""
    sent_bytes: int = 0
    sent_events: int = 0
    finished: bool = False
    peer_closed_at: float | None = None
    started_at: float = field(default_factory=time.monotonic)

    def shown(self) -> dict[str, Any]:
        """The record as JSON, with credentials redacted and the body capped at 64 KiB."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "headers": {name: _shown_header(name, value) for name, value in self.headers.items()},
            "body": self.body[:SHOWN_BODY_BYTES].decode("utf-8", "replace"),
            "body_bytes": self.body_bytes,
            "port": self.port,
            "model": self.model,
            "sent_bytes": self.sent_bytes,
            "sent_events": self.sent_events,
            "finished": self.finished,
            "peer_closed_at": self.peer_closed_at,
            "started_at": self.started_at,
        }


class RecordLog:
    """The last 10,000 records, the newest bodies up to 16 MiB, and whoever waits for a change."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=RECORDS_KEPT)
        self._with_body: deque[Record] = deque()
        self._kept_bytes = 0
        self._count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def records(self) -> list[Record]:
        """The records, newest last."""
        return list(self._records)

    def open(self, *, method: str, path: str, headers: dict[str, str], body: bytes, port: int) -> Record:
        """A new record, already in the log."""
        self._count += 1
        record = Record(self._count, method, path, headers, body, port, len(body))
        self._records.append(record)
        self._keep_body(record)
        self.changed()
        return record

    def clear(self) -> None:
        """Forget everything and count from 1 again."""
        self._records.clear()
        self._with_body.clear()
        self._kept_bytes = 0
        self._count = 0
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits; every writer of a record calls it afterwards."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait_for(self, condition: Callable[[list[Record]], bool], deadline_seconds: float) -> list[Record]:
        """The records as soon as ``condition`` holds of them; ``TimeoutError`` with the records when it never does."""
        try:
            async with asyncio.timeout(deadline_seconds):
                while not condition(self.records):
                    await self._change()
        except TimeoutError:
            raise TimeoutError(f"After {deadline_seconds} s the sandbox's records are {self.records}.") from None
        return self.records

    async def _change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _keep_body(self, record: Record) -> None:
        if not record.body:
            return
        self._with_body.append(record)
        self._kept_bytes += record.body_bytes
        while self._kept_bytes > BODIES_KEPT_BYTES and len(self._with_body) > 1:
            oldest = self._with_body.popleft()
            self._kept_bytes -= oldest.body_bytes
            oldest.body = b""


def _shown_header(name: str, value: str) -> str:
    return "[redacted]" if name in REDACTED_HEADERS else value
