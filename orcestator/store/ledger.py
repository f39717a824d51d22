"""The ledger: a row for each request and each attempt in SQLite. The target of a background writer.

The writer queues, waits for company and tries again; this writes one batch as one transaction, in the writer's
thread. Must never import SQLModel in the thread that starts the server: that takes most of a second.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orcestator.routing.events import Event, RequestEnded
from orcestator.store import ledger_file
from orcestator.store.record_rows import attempt_row, request_row

if TYPE_CHECKING:
    from orcestator.store.ledger_connection import LedgerConnection


class Ledger:
    """Rows in the file at ``path``; ``text`` is what every prompt and answer goes through first, ``redact`` what
    every other text of a caller or an upstream does. Raises StartupProblem when the file cannot be used."""

    def __init__(self, path: Path, text: Callable[[str], str], redact: Callable[[str], str]) -> None:
        ledger_file.check(path)
        self._path = path
        self._text = text
        self._redact = redact
        self._connection: LedgerConnection | None = None

    def prepare(self) -> None:
        """Import SQLModel, open the file and make the tables. Raises OSError.

        Until this is done rows wait in the queue and a kill would lose them: a program that promises otherwise from
        its first request flushes the writer before it says that it is ready.
        """
        self._connected()

    def write(self, items: Sequence[Event]) -> None:
        """Commit a row for each request among ``items``, and for each of its attempts. Raises OSError when nothing was written."""
        events = [self._kept(event) for event in items if isinstance(event, RequestEnded)]
        connection = self._connected()
        if not events:
            return
        requests = [request_row(event) for event in events]
        attempts = [attempt_row(event.request_id, attempt) for event in events for attempt in event.tried]
        try:
            connection.insert(requests, attempts)
        except OSError:
            # Never assume anything of a connection that failed: the next try opens the file anew.
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> "LedgerConnection":
        if self._connection is not None and not self._connection.file.is_still_there():
            self.close()
        if self._connection is None:
            # Here and not above: see the module's docstring.
            from orcestator.store.ledger_connection import LedgerConnection  # noqa: PLC0415

            self._connection = LedgerConnection(self._path)
        return self._connection

    def _kept(self, event: RequestEnded) -> RequestEnded:
        told = (event.user_text, event.assistant_text, event.requested_model, event.message)
        user_text, assistant_text, requested_model, message = told
        kept = (self._text(user_text), self._text(assistant_text), self._redact(requested_model), self._redact(message))
        if kept == told:
            return event
        user_text, assistant_text, requested_model, message = kept
        return event._replace(
            user_text=user_text, assistant_text=assistant_text, requested_model=requested_model, message=message
        )
