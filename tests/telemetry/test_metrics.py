"""Events in, samples out."""

import platform
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.samples import Sample

from orcestator import __version__
from orcestator.routing.events import AttemptEnded, HealthChanged, QuotaRefused, RequestEnded, Waited
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.metrics import Metrics
from orcestator.telemetry.series import LARGEST_SERIES, Counter, Distribution, Gauge, Histogram
from orcestator.usage import Usage

BuildRequest = Callable[..., RequestEnded]
BuildAttempt = Callable[..., AttemptEnded]
GPT = {"model": "gpt-4o", "provider": "openai"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics({"orcestator", "gpt-4o"}.__contains__)


@pytest.fixture
def tell(metrics: Metrics, request_ended: BuildRequest, attempt_ended: BuildAttempt) -> Callable[..., None]:
    """Tells of a request of one attempt, or of several, by what is special in each."""

    def told(*attempts: dict[str, Any]) -> None:
        metrics(request_ended(tried=tuple(attempt_ended(**fields) for fields in attempts)))

    return told


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"orcestator_{name}", labels)


def test_requests_are_counted_by_what_served_them(metrics: Metrics, request_ended: BuildRequest) -> None:
    for _ in range(3):
        metrics(request_ended())
    labels = {"route": "chat", **GPT, "outcome": "ok", "status": "200"}
    assert value(metrics, "requests_total", **labels) == 3
    assert value(metrics, "prompt_tokens_total", **GPT) == 9
    assert value(metrics, "completion_tokens_total", **GPT) == 15


def test_a_request_that_nothing_served_is_counted_by_what_was_asked_for(
    metrics: Metrics, request_ended: BuildRequest
) -> None:
    failed = {"outcome": "upstream_error", "status": 502, "error": "AttemptsExhausted", "provider": "", "model": ""}
    metrics(request_ended(**failed))
    labels = {"route": "chat", "model": "orcestator", "provider": "", "outcome": "upstream_error", "status": "502"}
    assert value(metrics, "requests_total", **labels) == 1
    assert value(metrics, "errors_total", error="AttemptsExhausted", cause="upstream_error") == 1
    assert value(metrics, "prompt_tokens_total", model="orcestator", provider="") is None


def test_latencies_fall_into_buckets(metrics: Metrics, request_ended: BuildRequest) -> None:
    for seconds in (0.05, 0.06, 1_000.0):
        metrics(request_ended(latency_s=seconds, streamed=True))
    labels = {"route": "chat", "streamed": "true"}
    name = "request_latency_seconds"
    assert value(metrics, f"{name}_bucket", **labels, le="0.05") == 1, "an upper bound is part of its bucket"
    assert value(metrics, f"{name}_bucket", **labels, le="600.0") == 2
    assert value(metrics, f"{name}_bucket", **labels, le="+Inf") == 3
    assert value(metrics, f"{name}_count", **labels) == 3
    assert value(metrics, f"{name}_sum", **labels) == pytest.approx(1_000.11)


def test_time_to_first_content_is_counted_when_there_was_any(metrics: Metrics, request_ended: BuildRequest) -> None:
    metrics(request_ended(first_content_s=0.0))
    metrics(request_ended(first_content_s=-1.0))
    assert value(metrics, "time_to_first_content_seconds_count", provider="openai") == 1


def test_our_own_work_is_counted_by_stage(metrics: Metrics, request_ended: BuildRequest) -> None:
    metrics(request_ended(parse_s=0.001, plan_s=0.002, relay_s=0.004))
    sums = {stage: value(metrics, "overhead_seconds_sum", stage=stage) for stage in ("parse", "plan", "relay")}
    assert sums == {"parse": 0.001, "plan": 0.002, "relay": 0.004}


def test_attempts_are_counted_with_what_followed(metrics: Metrics, tell: Callable[..., None]) -> None:
    failure = {"error": "UpstreamTimeout", "cause": "first_byte"}
    tell({})
    tell({**failure, "verdict": "retry"}, {**failure, "verdict": "fall_back", "maybe_billed": True}, {})
    tell({**failure, "verdict": "give_up"})
    assert value(metrics, "attempts_total", provider="openai", outcome="ok") == 2
    assert value(metrics, "attempts_total", provider="openai", outcome="UpstreamTimeout") == 3
    assert value(metrics, "retries_total", provider="openai", error="UpstreamTimeout") == 1
    assert value(metrics, "fallbacks_total", provider="openai", error="UpstreamTimeout") == 1
    assert value(metrics, "errors_total", error="UpstreamTimeout", cause="first_byte") == 3
    assert value(metrics, "maybe_billed_attempts_total", provider="openai") == 1
    assert value(metrics, "upstream_latency_seconds_count", provider="openai") == 5


def test_an_attempt_that_was_outrun_is_neither_good_nor_an_error(metrics: Metrics, tell: Callable[..., None]) -> None:
    tell(
        {"verdict": "hedge_lost", "maybe_billed": True, "upstream_status": 0}, {"kind": "hedge", "verdict": "hedge_won"}
    )
    assert value(metrics, "attempts_total", provider="openai", outcome="hedge_lost") == 1
    assert value(metrics, "attempts_total", provider="openai", outcome="ok") == 1
    assert value(metrics, "hedges_total", provider="openai", outcome="hedge_lost") == 1
    assert value(metrics, "hedges_total", provider="openai", outcome="hedge_won") == 1
    assert value(metrics, "maybe_billed_attempts_total", provider="openai") == 1
    assert value(metrics, "upstream_latency_seconds_count", provider="openai") == 1, "nobody knows how long it takes"


def test_an_answer_that_broke_is_the_failure_of_its_request(metrics: Metrics, tell: Callable[..., None]) -> None:
    tell({"verdict": "broke", "error": "UpstreamBroken", "cause": "closed"})
    assert value(metrics, "attempts_total", provider="openai", outcome="ok") == 1
    assert value(metrics, "errors_total", error="UpstreamBroken", cause="closed") is None


def test_an_attempt_whose_caller_left_is_not_counted(metrics: Metrics, tell: Callable[..., None]) -> None:
    tell({"verdict": "abandoned", "maybe_billed": True})
    assert not value(metrics, "attempts_total", provider="openai", outcome="ok")
    assert value(metrics, "maybe_billed_attempts_total", provider="openai") is None


def test_quota_refusals_are_counted(metrics: Metrics, tell: Callable[..., None]) -> None:
    metrics(QuotaRefused("r", "openai", "gpt-4o", "quota", 30.0))
    tell({"error": "UpstreamRateLimited", "verdict": "fall_back", "cause": "http_429"})
    assert value(metrics, "quota_refusals_total", provider="openai") == 1


def test_caches_and_money_are_counted(metrics: Metrics, request_ended: BuildRequest) -> None:
    used = Usage(100, 5, cache_read_tokens=50, cache_write_5m_tokens=20, cache_write_1h_tokens=10)
    metrics(request_ended(usage=used, nano_usd=1_500_000_000))
    metrics(request_ended(nano_usd=None))
    assert value(metrics, "cache_read_tokens_total", **GPT) == 50
    assert value(metrics, "cache_write_tokens_total", **GPT) == 30
    assert value(metrics, "cost_usd_total", **GPT) == 1.5


def test_a_deployment_is_in_one_state(metrics: Metrics) -> None:
    for state in ("open", "half_open"):
        metrics(HealthChanged("openai", "gpt-4o", state, 5.0, "why"))
    assert value(metrics, "deployment_state", **GPT, credential="", state="open") == 0
    assert value(metrics, "deployment_state", **GPT, credential="", state="half_open") == 1


def test_a_refused_key_is_about_all_models(metrics: Metrics) -> None:
    metrics(HealthChanged("openai", "", "key_refused", 5.0, "why", "2"))
    labels = {"provider": "openai", "model": "", "credential": "2"}
    assert value(metrics, "deployment_state", **labels, state="key_refused") == 1


def test_the_deployments_are_bounded() -> None:
    metrics = Metrics(lambda name: True)
    for number in range(LARGEST_SERIES + 5):
        metrics(HealthChanged("openai", f"m{number}", "open", 5.0, "why"))
    assert len({sample.labels["model"] for sample in samples(metrics, "orcestator_deployment_state")}) == LARGEST_SERIES


def test_background_looks_are_counted_and_their_last_result_shown(metrics: Metrics) -> None:
    metrics.checked("openai", is_up=True, response_ms=120.0)
    metrics.checked("openai", is_up=False, response_ms=-1.0)
    assert value(metrics, "health_checks_total", provider="openai", outcome="up") == 1
    assert value(metrics, "health_checks_total", provider="openai", outcome="down") == 1
    assert value(metrics, "provider_up", provider="openai") == 0
    assert value(metrics, "provider_check_seconds", provider="openai") == 0.12


def test_notices_and_waits_are_counted(metrics: Metrics) -> None:
    metrics.count_notice("fallback_used", "told")
    metrics(Waited(0.2, was_served=True))
    assert value(metrics, "notices_total", kind="fallback_used", outcome="told") == 1
    assert value(metrics, "permit_wait_seconds_count", outcome="served") == 1


def test_totals_before_the_first_request(metrics: Metrics) -> None:
    totals = metrics.summary()
    assert totals["requests"] == {"total": 0, "success": 0, "failed": 0, "cancelled": 0}
    assert totals["performance"] == {"avg_response_time": 0.0, "p95_response_time": 0.0}


def test_totals_add_everything_up(request_ended: BuildRequest) -> None:
    clock = iter([100.0, 160.5])
    metrics = Metrics({"gpt-4o"}.__contains__, lambda: next(clock))
    for streamed in (False, True):
        for _ in range(10):
            metrics(request_ended(latency_s=2.0, streamed=streamed))
    for outcome in ("upstream_error", "client_error", "shed", "cancelled"):
        metrics(request_ended(outcome=outcome, latency_s=2.0))
    totals = metrics.summary()
    assert totals["uptime"] == 60.5
    assert totals["requests"] == {"total": 24, "success": 20, "failed": 3, "cancelled": 1}
    assert totals["performance"]["avg_response_time"] == 2.0
    assert 1.0 < totals["performance"]["p95_response_time"] <= 2.5, "the bucket that two seconds fall into"


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.95, 0.0), ([0.5], 1.0, 1.0), ([0.5, 1.5], 0.5, 1.0), ([0.5, 1.5], 0.75, 1.5), ([9.0], 0.95, 2.0)],
)
def test_a_quantile_is_taken_within_its_bucket(values: list[float], share: float, expected: float) -> None:
    distribution = Distribution((1.0, 2.0))
    for each in values:
        distribution.observe(each)
    assert distribution.quantile(share) == expected


def test_requests_of_this_moment_are_asked_for_at_each_scrape() -> None:
    """Those that are served, and those that wait."""
    running, waiting = [1, 2, 3], [4]
    metrics = Metrics(lambda _name: True, active=lambda: len(running), waiting=lambda: len(waiting))
    assert (value(metrics, "active_requests"), value(metrics, "waiting_requests")) == (3, 1)
    running.clear()
    assert (value(metrics, "active_requests"), value(metrics, "waiting_requests")) == (0, 1)


def test_a_name_that_becomes_known_is_a_label_from_then_on(request_ended: BuildRequest) -> None:
    known: set[str] = set()
    metrics = Metrics(known.__contains__)
    served = request_ended()
    metrics(served)
    metrics(served)
    known.add(served.model)
    metrics(served)
    counted = {labels[1]: series.value for labels, series in metrics._requests.items()}
    assert counted == {"other": 2, served.model: 1}


def test_lag_is_counted_and_its_highest_shown(metrics: Metrics) -> None:
    assert value(metrics, "event_loop_lag_seconds_max") == 0
    for seconds in (0.001, 0.3, 0.002):
        metrics.observe_lag(seconds)
    assert value(metrics, "event_loop_lag_seconds_count") == 3
    assert value(metrics, "event_loop_lag_seconds_max") == 0.3


def test_the_build_is_named(metrics: Metrics) -> None:
    assert value(metrics, "build_info", version=__version__, python=platform.python_version()) == 1


def test_what_writers_lose_is_shown(metrics: Metrics) -> None:
    class Nowhere:
        def prepare(self) -> None: ...
        def write(self, items: object) -> None:
            raise OSError("no space left")

        def close(self) -> None: ...

    writer: BackgroundWriter[int] = BackgroundWriter("ledger", Nowhere())
    metrics.watch(writer)
    writer.start()
    writer(1)
    assert writer.flush(20)
    writer.close(10)
    assert value(metrics, "dropped_events_total", sink="ledger") == 1
    assert value(metrics, "failed_writes_total", sink="ledger") == 1


def test_a_caller_s_words_never_become_a_label(metrics: Metrics, request_ended: BuildRequest) -> None:
    for number in range(3_000):
        metrics(request_ended(requested_model=f"made-up-{number}", provider="", model="", outcome="client_error"))
    names = {sample.labels["model"] for sample in samples(metrics, "orcestator_requests")}
    assert names == {"other"}


def test_the_number_of_series_is_capped(request_ended: BuildRequest) -> None:
    metrics = Metrics(lambda name: True)
    for number in range(LARGEST_SERIES + 500):
        metrics(request_ended(model=f"m{number}"))
    found = samples(metrics, "orcestator_requests")
    assert len(found) == LARGEST_SERIES + 1
    assert sum(sample.value for sample in found) == LARGEST_SERIES + 500
    assert found[-1].labels["model"] == found[-1].labels["provider"] == "other"


@pytest.mark.parametrize(
    "metric", [Counter("c", "", ("a",)), Gauge("g", "", ("a",)), Histogram("h", "", ("a",), (1.0,))]
)
def test_every_kind_of_metric_is_capped(metric: Counter | Gauge | Histogram) -> None:
    for number in range(LARGEST_SERIES + 3):
        metric.at((number,))
    assert metric.at(("one more",)) is metric.at(("other",))


def samples(metrics: Metrics, name: str) -> list[Sample]:
    return next(family.samples for family in metrics.collect() if family.name == name)
