"""Counts events for Prometheus. A subscriber: the code that serves requests does not know it exists.

Prometheus's own ``Counter.labels().inc()`` takes locks and costs microseconds each; ours are plain dictionaries that
a collector shows at a scrape. Must never let a caller's words become a label: only known names do.
"""

import platform
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from orcestator import __version__
from orcestator.json_text import Json
from orcestator.prices import NANO_DOLLARS
from orcestator.routing.events import (
    ABANDONED,
    BROKE,
    HEDGE_LOST,
    HEDGE_WON,
    SERVING,
    AttemptEnded,
    Event,
    HealthChanged,
    QuotaRefused,
    RequestEnded,
    Waited,
)
from orcestator.telemetry.series import (
    LARGEST_SERIES,
    OTHER,
    Counter,
    Distribution,
    Gauge,
    Histogram,
    Labels,
    Sum,
    added_up,
)

LATENCY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds an answer may take: models need from a tenth of a second to the ten minutes SDKs wait."""
OVERHEAD_BOUNDS = (1e-05, 2.5e-05, 5e-05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
"""Seconds of our own work on a request: ten microseconds when all is well."""
LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds the event loop was late."""
LAGS_KEPT = 240
"""Samples the highest lag is taken from: one minute of them."""
DEPLOYMENT_STATES = ("closed", "half_open", "cooldown", "open", "key_refused", "permanently_unavailable")


class WriterCounts(Protocol):
    """What the metrics want to know of a background writer."""

    name: str
    failed_writes: int

    @property
    def dropped(self) -> int:
        """Events that were never written."""


class Metrics:
    """An EventSink, and the collector behind ``registry``. ``known_models`` tells which names may be labels; ``active`` and ``waiting``
    give the requests of this moment."""

    def __init__(
        self,
        known_models: Callable[[str], bool],
        now: Callable[[], float] = time.monotonic,
        *,
        active: Callable[[], int] = lambda: 0,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self.registry = CollectorRegistry()
        self._active = active
        self._waiting = waiting
        self._known_models = known_models
        self._now = now
        self._started = now()
        self._writers: list[WriterCounts] = []
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        self._deployments: dict[tuple[str, str, str], str] = {}
        self._bound: dict[Labels, _RequestSeries] = {}
        self._define_request_series()
        self._define_attempt_series()
        self._define_watching_series()
        self._define_process_series()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def __call__(self, event: Event) -> None:
        """Count one event. Costs a few microseconds."""
        if type(event) is RequestEnded:
            self.count_request(event)
        elif isinstance(event, QuotaRefused):
            self._quota_refusals.at((event.provider,)).value += 1
        elif isinstance(event, Waited):
            self._waits.at(("served" if event.was_served else "refused",)).observe(event.seconds)
        elif isinstance(event, HealthChanged):
            self._note_health(event)

    def observe_lag(self, seconds: float) -> None:
        """The event loop was ``seconds`` late."""
        self._lag.at(()).observe(seconds)
        self._lags.append(seconds)

    def checked(self, provider: str, *, is_up: bool, response_ms: float) -> None:
        """A provider was looked at in the background; ``response_ms`` is below 0 when it did not answer."""
        self._checks.at((provider, "up" if is_up else "down")).value += 1
        self._provider_up.at((provider,)).value = float(is_up)
        if response_ms >= 0.0:
            self._check_seconds.at((provider,)).value = response_ms / 1000.0

    def count_notice(self, kind: str, outcome: str) -> None:
        """A notice was told, or held back."""
        self._notices.at((kind, outcome)).value += 1

    def summary(self) -> Json:
        """What happened since the start, for pages that are not Prometheus's. Seconds; ``cancelled`` requests, whose callers
        left, are neither a success nor a failure."""
        outcomes: dict[str, float] = {}
        for (_, _, _, outcome, _), counted in self._requests.items():
            outcomes[str(outcome)] = outcomes.get(str(outcome), 0.0) + counted.value
        total, cancelled = sum(outcomes.values()), outcomes.get("cancelled", 0.0)
        success = outcomes.get("ok", 0.0)
        latency = added_up((counted for _, counted in self._latency.items()), LATENCY_BOUNDS)
        return {
            "uptime": round(self._now() - self._started, 3),
            "requests": {
                "total": int(total),
                "success": int(success),
                "failed": int(total - success - cancelled),
                "cancelled": int(cancelled),
            },
            "performance": {
                "avg_response_time": round(latency.mean(), 4),
                "p95_response_time": round(latency.quantile(0.95), 4),
            },
        }

    def watch(self, writer: WriterCounts) -> None:
        """Show from now on what ``writer`` dropped and failed to write."""
        self._writers.append(writer)

    def collect(self) -> Iterable[Metric]:
        """Every metric, for the registry; may be called from any thread."""
        for series in self._series:
            yield series.family()
        yield GaugeMetricFamily("orcestator_active_requests", "Requests being served.", value=self._active())
        yield GaugeMetricFamily(
            "orcestator_waiting_requests", "Requests that wait for a permit.", value=self._waiting()
        )
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
        self._cache_read_tokens = Counter(
            "orcestator_cache_read_tokens", "Tokens of prompts that a provider's cache had.", ("model", "provider")
        )
        self._cache_write_tokens = Counter(
            "orcestator_cache_write_tokens", "Tokens of prompts that a provider's cache took in.", ("model", "provider")
        )
        self._cost = Counter(
            "orcestator_cost_usd", "US dollars that answers cost, where that is known.", ("model", "provider")
        )
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
        self._hedges = Counter("orcestator_hedges", "Attempts of which two ran at once.", ("provider", "outcome"))
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

        self._refused = Counter(
            "orcestator_refused_access", "Requests that were turned away at a door, by why.", ("door", "reason")
        )
        # All of them at once, so that an alarm on a rise sees the first one, too.
        for door in ("caller", "management"):
            for reason in ("no_key", "wrong_key", "throttled", "foreign"):
                self._refused.at((door, reason))
        self._quota_refusals = Counter(
            "orcestator_quota_refusals",
            "Attempts that were not made because a quota is known to be used up.",
            ("provider",),
        )

    def _define_watching_series(self) -> None:
        self._checks = Counter("orcestator_health_checks", "Background looks at a provider.", ("provider", "outcome"))
        self._provider_up = Gauge(
            "orcestator_provider_up", "1 when the last background look found the provider working.", ("provider",)
        )
        self._check_seconds = Gauge(
            "orcestator_provider_check_seconds", "How long its last good answer took.", ("provider",)
        )
        self._notices = Counter("orcestator_notices", "Notices to people.", ("kind", "outcome"))
        self._waits = Histogram(
            "orcestator_permit_wait_seconds", "How long requests waited for a permit.", ("outcome",), LATENCY_BOUNDS
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
            self._cache_read_tokens,
            self._cache_write_tokens,
            self._cost,
            self._latency,
            self._first_content,
            self._overhead,
            self._attempts,
            self._hedges,
            self._upstream_latency,
            self._fallbacks,
            self._retries,
            self._errors,
            self._maybe_billed,
            self._quota_refusals,
            self._refused,
            self._checks,
            self._provider_up,
            self._check_seconds,
            self._notices,
            self._waits,
            self._lag,
            build,
        )

    def count_refusal(self, door: str, reason: str) -> None:
        """Somebody was turned away: at the ``caller`` or ``management`` door, with ``no_key``, a ``wrong_key`` (``throttled`` after too many), or
        as ``foreign`` where no key is asked for."""
        self._refused.at((door, reason)).value += 1

    def count_request(self, event: RequestEnded) -> None:
        """Count a request and its attempts: most events are one."""
        # What served it, for that is what costs; what was asked for when nothing did.
        asked_or_served = event.model or event.requested_model
        kind = (event.route, event.streamed, asked_or_served, event.provider, event.outcome, event.status)
        series = self._bound.get(kind) or self._bind(event, asked_or_served)
        series.requests.value += 1
        seen = [
            (series.latency, event.latency_s),
            (self._parse_time, event.parse_s),
            (self._plan_time, event.plan_s),
            (self._relay_time, event.relay_s),
        ]
        usage = event.usage
        if event.provider:
            series.prompt_tokens.value += usage.prompt_tokens
            series.completion_tokens.value += usage.completion_tokens
            series.cache_read_tokens.value += usage.cache_read_tokens
            series.cache_write_tokens.value += usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
            if event.nano_usd:
                series.cost.value += event.nano_usd / NANO_DOLLARS
            if event.first_content_s >= 0:
                seen.append((series.first_content, event.first_content_s))
        if event.error:
            self._errors.at((event.error, event.outcome)).value += 1
        tried = event.tried
        if len(tried) == 1 and tried[0].verdict == "":
            series.served_attempts.value += 1
            seen.append((series.upstream_latency, tried[0].latency_s))
        else:
            for attempt in tried:
                self._count_attempt(attempt)
        # Distribution.observe, without a call for each.
        for distribution, value in seen:
            distribution.counts[bisect_left(distribution.bounds, value)] += 1
            distribution.total += value

    def _bind(self, event: RequestEnded, asked_or_served: str) -> "_RequestSeries":
        """What nobody knows shares the series of ``OTHER``; a name may become known later, so that it is looked up each time."""
        model = self._label(asked_or_served)
        kind = (event.route, event.streamed, model, event.provider, event.outcome, event.status)
        found = self._bound.get(kind)
        if found is None:
            served, provider = (model, event.provider), (event.provider,)
            requests = self._requests.at((event.route, model, event.provider, event.outcome, event.status))
            latency = self._latency.at((event.route, event.streamed))
            if event.provider:
                found = _RequestSeries(
                    requests,
                    latency,
                    self._prompt_tokens.at(served),
                    self._completion_tokens.at(served),
                    self._cache_read_tokens.at(served),
                    self._cache_write_tokens.at(served),
                    self._cost.at(served),
                    self._first_content.at(provider),
                    self._attempts.at((event.provider, "ok")),
                    self._upstream_latency.at(provider),
                )
            else:
                found = _RequestSeries(requests, latency)
            if len(self._bound) < LARGEST_SERIES:
                self._bound[kind] = found
        return found

    def _count_attempt(self, attempt: AttemptEnded) -> None:
        provider, verdict = attempt.provider, attempt.verdict
        if verdict == ABANDONED:
            # Its caller did not wait to see what becomes of it.
            return
        if verdict == HEDGE_LOST or (attempt.kind == "hedge" and verdict in SERVING):
            self._hedges.at((provider, HEDGE_LOST if verdict == HEDGE_LOST else HEDGE_WON)).value += 1
        # An answer that broke after its first content is the request's failure. Of one that another outran nobody knows how
        # long it takes.
        outcome = "" if verdict == BROKE else attempt.error or (HEDGE_LOST if verdict == HEDGE_LOST else "")
        self._attempts.at((provider, outcome or "ok")).value += 1
        if outcome != HEDGE_LOST:
            self._upstream_latency.at((provider,)).observe(attempt.latency_s)
        if outcome:
            self._count_unserved(attempt)

    def _count_unserved(self, attempt: AttemptEnded) -> None:
        if attempt.maybe_billed:
            self._maybe_billed.at((attempt.provider,)).value += 1
        if not attempt.error:
            return
        self._errors.at((attempt.error, attempt.cause)).value += 1
        if attempt.verdict == "fall_back":
            self._fallbacks.at((attempt.provider, attempt.error)).value += 1
        elif attempt.verdict == "retry":
            self._retries.at((attempt.provider, attempt.error)).value += 1

    def _note_health(self, event: HealthChanged) -> None:
        model = self._label(event.model) if event.model else ""
        place = (event.provider, model, event.credential)
        if place in self._deployments or len(self._deployments) < LARGEST_SERIES:
            self._deployments[place] = event.state

    def _label(self, model: str) -> str:
        return model if self._known_models(model) else OTHER

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
            labels=("provider", "model", "credential", "state"),
        )
        for place, current in self._deployments.copy().items():
            for state in DEPLOYMENT_STATES:
                family.add_metric((*place, state), float(state == current))
        return family

    def _writer_family(self, name: str, text: str, count: Callable[[WriterCounts], int]) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=("sink",))
        for writer in self._writers:
            family.add_metric((writer.name,), count(writer))
        return family


_UNSEEN, _UNSEEN_TIMES = Sum(), Distribution(())  # for requests that nothing served: no metric shows them


class _RequestSeries(NamedTuple):
    """Every series that requests of one kind count up, found once."""

    requests: Sum
    latency: Distribution
    prompt_tokens: Sum = _UNSEEN
    completion_tokens: Sum = _UNSEEN
    cache_read_tokens: Sum = _UNSEEN
    cache_write_tokens: Sum = _UNSEEN
    cost: Sum = _UNSEEN
    first_content: Distribution = _UNSEEN_TIMES
    served_attempts: Sum = _UNSEEN
    upstream_latency: Distribution = _UNSEEN_TIMES


_DROPPED = "Events that were never written: the queue was full, or a write failed for good."
_FAILED = "Writes that failed, whether or not they were tried again."
