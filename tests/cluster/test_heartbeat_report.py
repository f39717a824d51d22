"""What a worker reports of its models: figures of what was called, trouble where its own plan would see it, and no more than that."""

import random
import time
from typing import Any

from orcestator.cluster.heartbeat_report import HeartbeatReport
from orcestator.errors import UpstreamUnavailable
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.plan import Planner
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import judge
from tests.routing.failures import failure

NAMES = ["orcestator", "p/m", "p/n", "p/voice"]


class Worker:
    """A provider with two chat models, one of which is its default, and two keys."""

    def __init__(self) -> None:
        models: dict[str, Any] = {"m": {}, "n": {}}
        offer = Offer("p", 1, frozenset({"chat"}), models, default_model="m", credentials=("", "2"))
        catalog = Catalog([offer])
        policy = BreakerPolicy(consecutive_failures=1, open_seconds=1000.0)
        self.health = CircuitBreakers(policy, lambda _event: None, random.random)
        self.stats = Stats()
        planner = Planner(lambda: catalog, self.health, self.stats, QuotaBook(0.0), random.random)
        self.reports = HeartbeatReport(planner, lambda: NAMES)

    def answers(self, model: str, seconds: float = 0.5, credential: str = "") -> None:
        deployment = Deployment("p", model, "", "proxy", credential=credential)
        self.stats.started(deployment)
        self.stats.answered(deployment, seconds, time.monotonic(), streamed=True)
        self.stats.finished(deployment, 10, 1.0)

    def fails(self, model: str) -> None:
        deployment = Deployment("p", model, "", "proxy")
        error = failure(UpstreamUnavailable)
        self.stats.started(deployment)
        self.stats.failed(deployment, "refused", time.monotonic())
        self.health.failed(deployment, error, judge(error), time.monotonic())


def test_nothing_is_reported_of_what_nobody_called() -> None:
    worker = Worker()
    assert worker.reports.all() == {}
    assert not worker.reports.has_news()


def test_a_name_has_the_figures_of_all_it_may_lead_to() -> None:
    """The name that the worker registered for itself those of its default model, with both keys."""
    worker = Worker()
    worker.answers("m", 0.4)
    worker.answers("m", 0.6, credential="2")
    found = worker.reports.all()
    assert set(found) == {"orcestator", "p/m"}
    assert found["p/m"].calls == found["p/m"].successes
    assert 1.9 < found["p/m"].calls <= 2.0
    assert 0.4 < found["p/m"].seconds < 0.6
    assert not found["p/m"].is_out


def test_what_was_told_is_told_again_only_when_it_has_changed() -> None:
    worker = Worker()
    worker.answers("m")
    assert worker.reports.has_news()
    told = worker.reports.to_tell()
    worker.reports.note_told(told)
    assert set(told) == {"orcestator", "p/m"}
    assert not worker.reports.has_news()
    worker.answers("m")
    assert worker.reports.to_tell() == {}
    for _ in range(8):
        worker.answers("m")
    assert set(worker.reports.to_tell()) == {"orcestator", "p/m"}


def test_trouble_is_told_as_long_as_it_lasts_and_so_is_its_end() -> None:
    worker = Worker()
    worker.fails("n")
    for _ in range(2):
        told = worker.reports.to_tell()
        assert {name: report.is_out for name, report in told.items()} == {"p/n": True}
        worker.reports.note_told(told)
    assert not worker.reports.has_news()
    worker.health.reset("p")
    assert worker.reports.has_news()
    assert {name: report.is_out for name, report in worker.reports.to_tell().items()} == {"p/n": False}
