"""Counts events for Prometheus. A subscriber: the code that serves requests does not know it exists.

Prometheus's own ``Counter.labels().inc()`` takes locks and costs microseconds each; ours are plain dictionaries that
a collector shows at a scrape. Must never let a caller's words become a label: only known names do.
"""

import platform
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from orcestator import __version__
from orcestator.routing.events import AttemptEnded, Event, HealthChanged, RequestEnded
from orcestator.telemetry.series import LARGEST_SERIES, OTHER, Counter, Distribution, Gauge, Histogram, Labels, Sum

LATENCY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds an answer may take: models need from a tenth of a second to the ten minutes SDKs wait."""
OVERHEAD_BOUNDS = (1e-05, 2.5e-05, 5e-05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
"""Seconds of our own work on a request: ten microseconds when all is well."""
LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds the event loop was late."""
LAGS_KEPT = 240
"""Samples the highest lag is taken from: one minute of them."""
DEPLOYMENT_STATES = ("closed", "half_open", "cooldown", "open", "key_refused")


class WriterCounts(Protocol):
    """What the metrics want to know of a background writer."""

    name: str
    failed_writes: int

    @property
    def dropped(self) -> int:
        """Events that were never written."""


class Metrics:
    """An EventSink, and the collector behind ``registry``. ``known_models`` tells which names may be labels."""

    def __init__(self, known_models: Callable[[str], bool]) -> None:
        self.registry = CollectorRegistry()
        self.active = 0
        self._known_models = known_models
        self._writers: list[WriterCounts] = []
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        self._deployments: dict[tuple[str, str], str] = {}
        self._bound: dict[Labels, _RequestSeries] = {}
        self._define_request_series()
        self._define_attempt_series()
        self._define_process_series()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def __call__(self, event: Event) -> None:
        """Count one event. Costs a few microseconds."""
        if isinstance(event, RequestEnded):
            self._count_request(event)
        elif isinstance(event, AttemptEnded):
            self._count_attempt(event)
        else:
            self._note_health(event)

    def request_started(self) -> None:
        """A caller's request is being served."""
        self.active += 1

    def request_ended(self) -> None:
        """It no longer is."""
        self.active -= 1

    def observe_lag(self, seconds: float) -> None:
        """The event loop was ``seconds`` late."""
        self._lag.at(()).observe(seconds)
        self._lags.append(seconds)

    def watch(self, writer: WriterCounts) -> None:
        """Show from now on what ``writer`` dropped and failed to write."""
        self._writers.append(writer)

    def collect(self) -> Iterable[Metric]:
        """Every metric, for the registry; may be called from any thread."""
        for series in self._series:
            yield series.family()
        yield self._active_family()
        yield self._highest_lag_family()
        yield self._deployment_family()
        yield self._writer_family("orcestator_dropped_events", _DROPPED, lambda writer: writer.dropped)
        yield self._writer_family("orcestator_failed_writes", _FAILED, lambda writer: writer.failed_writes)

    def _define_request_series(self) -> None:
        self._requests = Counter(
            "orcestator_requests",
            "Requests that ended.",
            ("route", "model", "provider", "outcome", "status"),
        )
        self._prompt_tokens = Counter("orcestator_prompt_tokens", "Tokens in prompts.", ("model", "provider"))
        self._completion_tokens = Counter("orcestator_completion_tokens", "Tokens in answers.", ("model", "provider"))
        self._latency = Histogram(
            "orcestator_request_latency_seconds",
            "From the request's arrival to the end of its answer.",
            ("route", "streamed"),
            LATENCY_BOUNDS,
        )
        self._first_content = Histogram(
            "orcestator_time_to_first_content_seconds",
            "From the request's arrival to the first content of its answer.",
            ("provider",),
            LATENCY_BOUNDS,
        )
        self._overhead = Histogram(
            "orcestator_overhead_seconds", "Our own work on a request.", ("stage",), OVERHEAD_BOUNDS
        )
        self._parse_time = self._overhead.at(("parse",))
        self._plan_time = self._overhead.at(("plan",))
        self._relay_time = self._overhead.at(("relay",))

    def _define_attempt_series(self) -> None:
        self._attempts = Counter("orcestator_attempts", "Attempts that ended.", ("provider", "outcome"))
        self._upstream_latency = Histogram(
            "orcestator_upstream_latency_seconds",
            "From the start of an attempt to its first content, whole reply or failure.",
            ("provider",),
            LATENCY_BOUNDS,
        )
        self._fallbacks = Counter(
            "orcestator_fallbacks", "Attempts after which the next candidate was tried.", ("provider", "error")
        )
        self._retries = Counter(
            "orcestator_retries", "Attempts after which the same candidate was tried again.", ("provider", "error")
        )
        self._errors = Counter("orcestator_errors", "Attempts and requests that failed.", ("error", "cause"))
        self._maybe_billed = Counter(
            "orcestator_maybe_billed_attempts", "Failed attempts that the provider may have billed.", ("provider",)
        )

    def _define_process_series(self) -> None:
        self._lag = Histogram(
            "orcestator_event_loop_lag_seconds", "How late the event loop ran a timer.", (), LAG_BOUNDS
        )
        build = Gauge("orcestator_build_info", "Always 1; the labels tell what runs.", ("version", "python"))
        build.at((__version__, platform.python_version())).value = 1
        self._series = (
            self._requests,
            self._prompt_tokens,
            self._completion_tokens,
            self._latency,
            self._first_content,
            self._overhead,
            self._attempts,
            self._upstream_latency,
            self._fallbacks,
            self._retries,
            self._errors,
            self._maybe_billed,
            self._lag,
            build,
        )

    def _count_request(self, event: RequestEnded) -> None:
        series = self._request_series(event)
        series.requests.value += 1
        series.latency.observe(event.latency_s)
        if event.provider:
            series.prompt_tokens.value += event.prompt_tokens
            series.completion_tokens.value += event.completion_tokens
            if event.first_content_s >= 0:
                series.first_content.observe(event.first_content_s)
        if event.error:
            self._errors.at((event.error, event.outcome)).value += 1
        self._parse_time.observe(event.parse_s)
        self._plan_time.observe(event.plan_s)
        self._relay_time.observe(event.relay_s)

    def _request_series(self, event: RequestEnded) -> "_RequestSeries":
        # What served it, for that is what costs; what was asked for when nothing did.
        asked_or_served = event.model or event.requested_model
        facts = (event.route, event.streamed, asked_or_served, event.provider, event.outcome, event.status)
        found = self._bound.get(facts)
        if found is None:
            model = self._label(asked_or_served)
            found = self._bind(event, model)
            if model != OTHER and len(self._bound) < LARGEST_SERIES:
                self._bound[facts] = found
        return found

    def _bind(self, event: RequestEnded, model: str) -> "_RequestSeries":
        served = (model, event.provider)
        return _RequestSeries(
            self._requests.at((event.route, model, event.provider, event.outcome, event.status)),
            self._prompt_tokens.at(served) if event.provider else _UNSEEN,
            self._completion_tokens.at(served) if event.provider else _UNSEEN,
            self._latency.at((event.route, event.streamed)),
            self._first_content.at((event.provider,)) if event.provider else _UNSEEN_TIMES,
        )

    def _count_attempt(self, event: AttemptEnded) -> None:
        provider = event.provider
        self._attempts.at((provider, event.error or "ok")).value += 1
        self._upstream_latency.at((provider,)).observe(event.latency_s)
        if event.error:
            self._count_failure(event)

    def _count_failure(self, event: AttemptEnded) -> None:
        self._errors.at((event.error, event.cause)).value += 1
        if event.verdict == "fall_back":
            self._fallbacks.at((event.provider, event.error)).value += 1
        elif event.verdict == "retry":
            self._retries.at((event.provider, event.error)).value += 1
        if event.maybe_billed:
            self._maybe_billed.at((event.provider,)).value += 1

    def _note_health(self, event: HealthChanged) -> None:
        self._deployments[event.provider, self._label(event.model)] = event.state

    def _label(self, model: str) -> str:
        return model if self._known_models(model) else OTHER

    def _active_family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("orcestator_active_requests", "Requests being served.", value=self.active)

    def _highest_lag_family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "orcestator_event_loop_lag_seconds_max",
            "The longest lag of the event loop in the last minute.",
            value=max(self._lags.copy(), default=0.0),
        )

    def _deployment_family(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "orcestator_deployment_state",
            "1 for the state a deployment is in; absent while it never failed.",
            labels=("provider", "model", "state"),
        )
        for (provider, model), current in self._deployments.copy().items():
            for state in DEPLOYMENT_STATES:
                family.add_metric((provider, model, state), float(state == current))
        return family

    def _writer_family(self, name: str, text: str, count: Callable[[WriterCounts], int]) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=("sink",))
        for writer in self._writers:
            family.add_metric((writer.name,), count(writer))
        return family


class _RequestSeries(NamedTuple):
    """Every series that requests of one kind count up, found once."""

    requests: Sum
    prompt_tokens: Sum
    completion_tokens: Sum
    latency: Distribution
    first_content: Distribution


_UNSEEN, _UNSEEN_TIMES = Sum(), Distribution(())  # for requests that nothing served: no metric shows them
_DROPPED = "Events that were never written: the queue was full, or a write failed for good."
_FAILED = "Writes that failed, whether or not they were tried again."
