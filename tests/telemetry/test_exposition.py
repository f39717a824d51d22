"""The text form, of one process and of several."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orcestator.routing.events import RequestEnded
from orcestator.telemetry.exposition import merge, render
from orcestator.telemetry.metrics import Metrics

BuildRequest = Callable[..., RequestEnded]


def counted(requests: int, lag: float, build: BuildRequest, **fields: object) -> bytes:
    metrics = Metrics(lambda name: True)
    for _ in range(requests):
        metrics(build(**fields))
    metrics.active = 1
    metrics.observe_lag(lag)
    return render(metrics.registry)


def values(exposition: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def total(exposition: bytes, name: str) -> float:
    return sum(value for (sample, _), value in values(exposition).items() if sample == name)


def test_merging_adds_counters_histograms_and_gauges(request_ended: BuildRequest) -> None:
    merged = merge([counted(2, 0.1, request_ended), counted(3, 0.2, request_ended)])
    assert total(merged, "orcestator_requests_total") == 5
    assert total(merged, "orcestator_request_latency_seconds_count") == 5
    assert total(merged, "orcestator_request_latency_seconds_sum") == pytest.approx(1.0)
    assert total(merged, "orcestator_active_requests") == 2


def test_merging_takes_the_highest_of_what_cannot_be_added(request_ended: BuildRequest) -> None:
    one, other = counted(1, 0.1, request_ended), counted(1, 0.2, request_ended)
    merged = merge([one, other])
    assert total(merged, "orcestator_event_loop_lag_seconds_max") == 0.2
    assert total(merged, "orcestator_build_info") == 1
    assert total(merged, "process_start_time_seconds") == total(one, "process_start_time_seconds")


def test_merging_keeps_what_only_one_has(request_ended: BuildRequest) -> None:
    odd = 'a "quoted" \\ name # with {braces} and \u2028 spaces 1'
    merged = merge([counted(1, 0.1, request_ended), counted(1, 0.1, request_ended, model=odd)])
    assert total(merged, "orcestator_requests_total") == 2
    assert any(odd in str(labels).replace("\\\\", "\\").replace("\\u2028", "\u2028") for _, labels in values(merged))


def test_merging_one_changes_nothing(request_ended: BuildRequest) -> None:
    alone = counted(2, 0.1, request_ended)
    assert values(merge([alone])) == values(alone)
    assert merge([]) == b""


def test_buckets_stay_in_order(request_ended: BuildRequest) -> None:
    merged = merge([counted(1, 0.1, request_ended, route="chat"), counted(1, 0.1, request_ended, route="images")])
    bounds = [
        float(line.split('le="')[1].split('"')[0])
        for line in merged.decode().splitlines()
        if line.startswith("orcestator_request_latency_seconds_bucket") and 'route="images"' in line
    ]
    assert bounds == sorted(bounds)
    assert len(bounds) == 15


@pytest.mark.parametrize("text", [b"<html>", b"name value", b"# HELP"])
def test_what_is_no_exposition_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"convert|unpack"):
        merge([text])
