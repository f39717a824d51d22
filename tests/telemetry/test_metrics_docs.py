"""docs/metrics.md names every metric there is, with its labels, and no other."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from orcestator.routing.events import AttemptEnded, HealthChanged, QuotaRefused, RequestEnded, Waited
from orcestator.telemetry.exposition import MergedExposition, ProcessPage, render
from orcestator.telemetry.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SUFFIX = {"counter": "_total"}
OF_SEVERAL = {"orcestator_process_up", "orcestator_process_restarts_total"}
"""What only the page of several processes has."""


class Writer:
    """What the metrics see of a background writer."""

    name = "ledger"
    failed_writes = 0
    dropped = 0


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exposed(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    return _facts(metrics.registry.collect())


def exposed_by_several(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    page = MergedExposition().page([ProcessPage("a", 1, 0, render(metrics.registry))])
    return _facts(text_string_to_metric_families(page.decode()))


def _facts(families: Iterable[Metric]) -> dict[str, tuple[str, frozenset[str]]]:
    return {
        family.name + SUFFIX.get(family.type, ""): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in families
    }


def test_the_page_and_the_metrics_agree(
    request_ended: Callable[..., RequestEnded], attempt_ended: Callable[..., AttemptEnded]
) -> None:
    metrics = Metrics(lambda name: True)
    metrics.watch(Writer())
    failures = [
        attempt_ended(error="X", cause=cause, verdict=verdict, maybe_billed=True)
        for cause, verdict in (("y", "retry"), ("y", "fall_back"))
    ]
    metrics(request_ended(error="X", tried=(*failures, attempt_ended(verdict="hedge_lost"))))
    metrics(QuotaRefused("r", "p", "m", "quota", 1.0))
    metrics(HealthChanged("p", "m", "open", 1.0, ""))
    metrics.checked("p", is_up=True, response_ms=1.0)
    metrics.count_notice("fallback_used", "told")
    metrics(Waited(0.1, was_served=True))
    ours = {name: facts for name, facts in exposed(metrics).items() if name.startswith("orcestator_")}
    pages = documented()
    assert ours == {
        name: facts for name, facts in pages.items() if name.startswith("orcestator_") and name not in OF_SEVERAL
    }
    # What the platform tells of a process differs from one platform to another.
    assert exposed(metrics).keys() <= pages.keys()
    merged = exposed_by_several(metrics)
    assert merged.keys() - exposed(metrics).keys() == OF_SEVERAL
    assert {name: merged[name] for name in OF_SEVERAL} == {name: pages[name] for name in OF_SEVERAL}
