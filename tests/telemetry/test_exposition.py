"""The text form, of one process and of several."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orcestator.routing.events import HealthChanged, RequestEnded
from orcestator.telemetry.exposition import MergedExposition, ProcessPage, render
from orcestator.telemetry.metrics import Metrics

BuildRequest = Callable[..., RequestEnded]


def counted(requests: int, lag: float, build: BuildRequest, **fields: object) -> bytes:
    metrics = Metrics(lambda name: True, active=lambda: 1)
    for _ in range(requests):
        metrics(build(**fields))
    metrics.observe_lag(lag)
    return render(metrics.registry)


def merged(*pages: bytes) -> bytes:
    """The page of as many processes, which all answered."""
    return MergedExposition().page([ProcessPage(f"p{place}", place, 0, page) for place, page in enumerate(pages)])


def values(exposition: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def total(exposition: bytes, name: str) -> float:
    return sum(value for (sample, _), value in values(exposition).items() if sample == name)


def by_process(exposition: bytes, name: str) -> dict[str, float]:
    return {
        sample.labels["process"]: sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
        if sample.name == name
    }


def test_counters_histograms_and_gauges_are_added_up(request_ended: BuildRequest) -> None:
    page = merged(counted(2, 0.1, request_ended), counted(3, 0.2, request_ended))
    assert total(page, "orcestator_requests_total") == 5
    assert total(page, "orcestator_request_latency_seconds_count") == 5
    assert total(page, "orcestator_request_latency_seconds_sum") == pytest.approx(1.0)
    assert total(page, "orcestator_active_requests") == 2


def test_the_highest_is_taken_of_what_cannot_be_added(request_ended: BuildRequest) -> None:
    page = merged(counted(1, 0.1, request_ended), counted(1, 0.2, request_ended))
    assert total(page, "orcestator_event_loop_lag_seconds_max") == 0.2
    assert total(page, "orcestator_build_info") == 1


def test_a_state_is_1_however_many_processes_see_it() -> None:
    """An alarm compares it with 1."""
    seeing = Metrics(lambda _name: True)
    seeing(HealthChanged("p", "m", "open", 1.0, ""))
    page = merged(render(seeing.registry), render(seeing.registry))
    place = [("credential", ""), ("model", "m"), ("provider", "p"), ("state", "open")]
    assert values(page)["orcestator_deployment_state", str(place)] == 1


@pytest.mark.parametrize("name", ["process_max_fds", "process_start_time_seconds", "process_cpu_seconds_total"])
def test_what_the_platform_tells_of_a_process_is_its_own(name: str, request_ended: BuildRequest) -> None:
    """Neither added up nor lost: with the process's name as a label."""
    alone = counted(1, 0.1, request_ended)
    if not total(alone, name):
        pytest.skip("this platform does not tell it")
    assert by_process(merged(alone, alone), name) == {"p0": total(alone, name), "p1": total(alone, name)}
    assert set(by_process(merged(alone, alone), "python_gc_collections_total")) == {"p0", "p1"}


def test_what_only_one_has_is_kept(request_ended: BuildRequest) -> None:
    odd = 'a "quoted" \\ name # with {braces} and \u2028 spaces 1'
    page = merged(counted(1, 0.1, request_ended), counted(1, 0.1, request_ended, model=odd))
    assert total(page, "orcestator_requests_total") == 2
    assert any(odd in str(labels).replace("\\\\", "\\").replace("\\u2028", "\u2028") for _, labels in values(page))


def test_a_process_may_have_any_name(request_ended: BuildRequest) -> None:
    odd = 'worker "a" \\ b'
    page = MergedExposition().page([ProcessPage(odd, 1, 2, counted(1, 0.1, request_ended))])
    assert by_process(page, "orcestator_process_up") == {odd: 1}
    assert by_process(page, "orcestator_process_restarts_total") == {odd: 2}


def test_who_does_not_answer_is_seen_and_its_counts_stand(request_ended: BuildRequest) -> None:
    """A sum that fell would be a restart to Prometheus, and be counted anew when it rises again."""
    merging = MergedExposition()
    one, other = counted(2, 0.1, request_ended), counted(3, 0.1, request_ended)
    merging.page([ProcessPage("a", 1, 0, one), ProcessPage("b", 2, 0, other)])
    for silent in (None, b"<html>", b"name value", b"# HELP"):
        page = merging.page([ProcessPage("a", 1, 0, one), ProcessPage("b", 2, 0, silent)])
        assert by_process(page, "orcestator_process_up") == {"a": 1, "b": 0}
        assert total(page, "orcestator_requests_total") == 5
        assert total(page, "orcestator_active_requests") == 1, "what runs now is not known of it"
        assert "b" not in by_process(page, "python_gc_collections_total")


def test_what_a_process_counted_outlives_it(request_ended: BuildRequest) -> None:
    """Started again under its name, or gone for good."""
    merging = MergedExposition()
    merging.page([ProcessPage("a", 1, 0, counted(2, 0.1, request_ended))])
    page = merging.page([ProcessPage("a", 7, 1, counted(1, 0.1, request_ended))])
    assert total(page, "orcestator_requests_total") == 3
    assert total(merging.page([ProcessPage("a", 7, 1, None)]), "orcestator_requests_total") == 3
    page = merging.page([ProcessPage("b", 9, 0, counted(4, 0.1, request_ended))])
    assert total(page, "orcestator_requests_total") == 7
    assert total(merging.page([]), "orcestator_request_latency_seconds_count") == 7


def test_one_that_was_never_heard_is_told_of() -> None:
    page = MergedExposition().page([ProcessPage("a", 0, 0, None)])
    assert by_process(page, "orcestator_process_up") == {"a": 0}


def test_buckets_stay_in_order(request_ended: BuildRequest) -> None:
    page = merged(counted(1, 0.1, request_ended, route="chat"), counted(1, 0.1, request_ended, route="images"))
    bounds = [
        float(line.split('le="')[1].split('"')[0])
        for line in page.decode().splitlines()
        if line.startswith("orcestator_request_latency_seconds_bucket") and 'route="images"' in line
    ]
    assert bounds == sorted(bounds)
    assert len(bounds) == 15
