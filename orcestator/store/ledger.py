"""The ledger: a row for each request and each attempt. The target of a background writer.

The writer queues, waits for company and tries again; this writes one batch as one transaction, in the writer's
thread.
"""

import logging
from collections.abc import Callable, Sequence

from orcestator.routing.events import Event, RequestEnded
from orcestator.store.record_rows import ATTEMPTS, COLUMNS, REQUESTS, attempt_row, request_row
from orcestator.store.rows import Guarantees, Row, Rows, Transaction

GUARANTEES = Guarantees(survives_power_cuts=True)

logger = logging.getLogger("orcestator.store")


class Ledger:
    """Appends to ``rows``; ``text`` is what every prompt and answer goes through first, ``redact`` what
    every other text of a caller or an upstream does. Raises StartupProblem when the database cannot be used."""

    def __init__(self, rows: Rows, text: Callable[[str], str], redact: Callable[[str], str]) -> None:
        rows.check()
        self._rows = rows
        self._text = text
        self._redact = redact

    def prepare(self) -> None:
        """Open the database and make the tables. Raises OSError.

        Until this is done rows wait in the queue and a kill would lose them: a program that promises otherwise from
        its first request flushes the writer before it says that it is ready.
        """
        self._rows.prepare()

    def write(self, items: Sequence[Event]) -> None:
        """Commit a row for each request among ``items`` and for each of its attempts; one that the database can never take is logged and
        left out. Raises OSError when nothing was written."""
        events = [self._kept(event) for event in items if isinstance(event, RequestEnded)]
        requests = [request_row(event) for event in events]
        attempts = [attempt_row(event.request_id, attempt) for event in events for attempt in event.tried]
        if not requests:
            self._rows.prepare()
            return

        def append(transaction: Transaction) -> None:
            _append(transaction, REQUESTS, requests)
            _append(transaction, ATTEMPTS, attempts)

        self._rows.transact(append)

    def close(self) -> None:
        """Let go of the database."""
        self._rows.close()

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


def _append(transaction: Transaction, table: str, rows: Sequence[Row]) -> None:
    for number, reason in transaction.append(table, tuple(COLUMNS[table]), rows):
        logger.error("a row was refused: %s", reason, extra={"request_id": rows[number][0]})
