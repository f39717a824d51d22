"""Everything that listens to events, assembled: metrics, traffic log, JSON log, ledger."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orcestator.cluster.health_watch import make_notices, notice_writers
from orcestator.cluster.lifetime import Lifetime
from orcestator.routing.events import Event, EventSink, HealthChanged, Outcome, RequestEnded
from orcestator.settings import Settings
from orcestator.store.engines import open_rows
from orcestator.store.ledger import GUARANTEES, Ledger
from orcestator.store.schema import RECORDS
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.exposition import render
from orcestator.telemetry.json_log import LogWriter, setup_logging
from orcestator.telemetry.loop_lag import LoopLag
from orcestator.telemetry.metrics import Metrics
from orcestator.telemetry.redaction import Redactor
from orcestator.telemetry.texts import text_policy
from orcestator.telemetry.traffic_log import TrafficLog

CLOSE_SECONDS = 5.0
SHORT_CHARACTERS = 100
"""What ``OR_LOG_TEXTS=short`` keeps of a text: enough to recognise it."""


class Recording:
    """The subscribers of one process. ``emit`` is the sink that the core is given.

    ``active`` and ``waiting`` give the requests of this moment; ``others`` are writers that somebody else starts and closes.
    """

    def __init__(
        self,
        settings: Settings,
        log: LogWriter,
        redact: Redactor,
        knows: Callable[[str], bool],
        *,
        active: Callable[[], int],
        waiting: Callable[[], int],
        others: Sequence[BackgroundWriter[Any]] = (),
    ) -> None:
        texts = text_policy(settings.log_texts, min(SHORT_CHARACTERS, settings.log_text_chars), redact)
        self._log = log
        self.metrics = Metrics(knows, active=active, waiting=waiting)
        self.writers: list[BackgroundWriter[Any]] = []
        self._others: list[BackgroundWriter[Any]] = [log, *others]
        self._request_sinks: list[Callable[[RequestEnded], None]] = [self.metrics.count_request, log]
        if settings.log_file:
            traffic = BackgroundWriter("traffic_log", TrafficLog(Path(settings.log_file), texts, redact))
            self.watch(traffic)
            self._request_sinks.append(traffic)
        if settings.db_path:
            ledger = BackgroundWriter("ledger", _ledger(settings, texts, redact), keeps_failed=True)
            self.watch(ledger)
            self._request_sinks.append(ledger)
        for other in self._others:
            self.metrics.watch(other)
        writers = notice_writers(settings)
        for writer in writers:
            self.watch(writer)
        self.notices = make_notices(settings, writers, self.metrics, redact, knows)
        self.lag = LoopLag(self.metrics.observe_lag)

    def emit(self, event: Event) -> None:
        """Hand an event to whom it concerns; called on the event loop."""
        if type(event) is RequestEnded:
            for sink in self._request_sinks:
                sink(event)
            if event.outcome != "ok" or len(event.tried) > 1:
                self.notices(event)
            return
        self.metrics(event)
        if type(event) is HealthChanged:
            self._log(event)
            self.notices(event)

    def subscribe(self, sink: EventSink) -> None:
        """Tell one more of every request's end."""
        self._request_sinks.append(sink)

    def watch(self, writer: BackgroundWriter[Any]) -> None:
        """Start and close one more writer with the others, and show what becomes of it."""
        self.writers.append(writer)
        self.metrics.watch(writer)

    async def start(self) -> None:
        """Start the writers and the lag sampler. Returns when every writer is ready: a row is never lost to a slow start."""
        for writer in self.writers:
            writer.start()
        for writer in self.writers:
            await asyncio.to_thread(writer.flush)
        self.lag.start()

    def state(self) -> tuple[bool, dict[str, object]]:
        """Whether each writer takes what it is given now, and which ones do not; with all that was ever lost."""
        writers = [*self.writers, *self._others]
        failing = [writer.name for writer in writers if writer.is_failing]
        return not failing, {"failing": failing, "dropped": {writer.name: writer.dropped for writer in writers}}

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return render(self.metrics.registry)

    def rejected(self, status: int, code: str, request_id: str) -> None:
        """The edge refused what never became a request: counted and logged, with no line among the requests."""
        outcome: Outcome = "shed" if status == 503 else "client_error"
        event = RequestEnded(
            request_id=request_id,
            started_at=time.time(),
            route="edge",
            streamed=False,
            outcome=outcome,
            status=status,
            error=code,
            message="refused at the edge",
            caller="",
            requested_model="",
        )
        self.metrics(event)
        self._log(event)

    def close(self) -> None:
        """Write what is queued. Blocks up to five seconds a writer."""
        self.lag.stop()
        for writer in self.writers:
            writer.close(CLOSE_SECONDS)


def check_files(settings: Settings) -> None:
    """For a program whose children write them. Raises StartupProblem when a record's file cannot be used."""
    if settings.log_file:
        TrafficLog(Path(settings.log_file), str, str).close()
    if settings.db_path:
        _ledger(settings, str, str)


def _ledger(settings: Settings, texts: Callable[[str], str], redact: Callable[[str], str]) -> Ledger:
    return Ledger(open_rows(settings.db_path, RECORDS, GUARANTEES), texts, redact)


def start_log(settings: Settings, lifetime: Lifetime) -> tuple[LogWriter, Redactor]:
    """The program's log, closed last, and the one redactor, from the settings' secrets."""
    redact = Redactor(settings.secrets())
    log = setup_logging(settings.log_level, settings.log_format, redact)
    lifetime.on_close(lambda: asyncio.to_thread(log.close, 2.0))
    return log, redact
