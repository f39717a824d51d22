"""What a new catalog tells the health board: what workers' checks found, and which models are listed again."""

import random
import time
from collections.abc import Mapping
from typing import Any

from orcestator.cluster.health_watch import CHECKS_FAILED
from orcestator.cluster.worker_health import WorkerHealthFeed
from orcestator.errors import UpstreamKeyRefused, UpstreamModelMissing, UpstreamUnavailable
from orcestator.routing.events import Event, HealthChanged
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.verdict import judge
from orcestator.upstream.health_checks import UNKNOWN, Check
from tests.routing.failures import failure

OUT_SECONDS = 300.0
FAR = 1000.0
"""Seconds for which a breaker here stays open: longer than any test."""


def offer(provider: str = "a", worker: str = "http://w1", *models: str, **more: Any) -> Offer:
    listed: Mapping[str, Any] = {name: {} for name in models or ("m",)}
    return Offer(provider, 1, frozenset({"chat"}), listed, worker=worker, **more)


def down(**more: Any) -> dict[str, Any]:
    return {"check": Check("down", checked_at=5.0, failures=3, message="refused").to_wire(), **more}


def up(**more: Any) -> dict[str, Any]:
    return {"check": Check("operational", response_ms=12.0, checked_at=6.0).to_wire(), **more}


def at(provider: str = "a", worker: str = "http://w1", model: str = "m", credential: str = "") -> Deployment:
    return Deployment(provider, model, worker, "proxy", credential=credential)


class Process:
    """A board, and the catalog that an API server last read."""

    def __init__(self, *offers: Offer) -> None:
        self.events: list[HealthChanged] = []
        policy = BreakerPolicy(consecutive_failures=1, open_seconds=FAR, longest_open_seconds=FAR)
        self.health = CircuitBreakers(policy, self._emit, random.random)
        self.quota = QuotaBook()
        self.feed = WorkerHealthFeed(self.health, self.quota, lambda: self.catalog, OUT_SECONDS)
        self.reads(*offers)

    def _emit(self, event: Event) -> None:
        assert isinstance(event, HealthChanged)
        self.events.append(event)

    def reads(self, *offers: Offer) -> None:
        """A new catalog, which is looked at."""
        self.catalog = Catalog(offers)
        self.feed.refresh()

    def fails(self, deployment: Deployment, kind: type[Any] = UpstreamUnavailable) -> None:
        error = failure(kind)
        self.health.failed(deployment, error, judge(error), time.monotonic())

    def is_in(self, deployment: Deployment) -> bool:
        return self.health.allows(deployment, time.monotonic())

    @property
    def states(self) -> list[tuple[str, str, str]]:
        return [(event.provider, event.state, event.reason) for event in self.events]


def test_a_provider_that_is_down_is_set_aside() -> None:
    """All its models, with every key, at that worker; for so long and no longer."""
    process = Process(offer(credentials=("", "2")), offer("b"))
    assert process.is_in(at())

    began = time.monotonic()
    process.reads(offer(**down(credentials=("", "2"))), offer("b"))
    for credential in ("", "2"):
        standing = process.health.standing(at(model="any", credential=credential), time.monotonic())
        assert standing is not None
        assert (standing.state, standing.reason) == ("open", CHECKS_FAILED)
        assert began <= standing.until - OUT_SECONDS <= time.monotonic()
    assert process.is_in(at("b"))
    assert process.states == [("a", "open", CHECKS_FAILED)]


def test_another_worker_of_the_same_provider_is_its_own_place() -> None:
    process = Process(offer(**down()), offer(worker="http://w2", **up()))
    assert not process.is_in(at())
    assert process.is_in(at(worker="http://w2"))


def test_one_that_is_back_may_be_tried_at_once() -> None:
    """Both what the checks had taken out and what requests had."""
    process = Process(offer(**down()))
    process.fails(at(model="n"))
    assert not process.is_in(at(model="n"))

    process.reads(offer(**up()))
    assert process.is_in(at())
    assert process.is_in(at(model="n"))
    assert process.states[-1] == ("a", "closed", "a background check went well")


def test_being_well_is_news_only_after_being_down() -> None:
    """A breaker that requests opened is not for a check that was good all the time to close."""
    process = Process(offer(**up()))
    process.fails(at())
    for check in (up(), {}, up()):
        process.reads(offer(**check))
    assert not process.is_in(at())


def test_a_check_that_is_gone_counts_as_back() -> None:
    """A worker that was started anew has checked nothing yet: its provider may be tried."""
    process = Process(offer(**down()))
    process.reads(offer())
    assert process.is_in(at())


def test_a_provider_that_is_still_down_stays_out() -> None:
    """Each catalog says so anew, and people are told once."""
    process = Process(offer(**down()))
    process.reads(offer("a", "http://w1", "m", "n", **down()))
    assert not process.is_in(at())
    assert process.states == [("a", "open", CHECKS_FAILED)]


def test_a_refused_key_is_not_the_checks_to_forgive() -> None:
    process = Process(offer(**down()))
    process.fails(at(), UpstreamKeyRefused)
    process.reads(offer(**up()))
    standing = process.health.standing(at(), time.monotonic())
    assert standing is not None
    assert standing.state == "key_refused"


def test_a_model_that_is_listed_anew_is_readmitted() -> None:
    """Listed by the same worker, after a time in which it was not."""
    process = Process(offer("a", "http://w1", "m", "n"))
    process.fails(at(model="n"), UpstreamModelMissing)
    for still in (offer("a", "http://w1", "m", "n", **up()), offer("a", "http://w1", "m"), offer(worker="http://w2")):
        process.reads(still)
        assert not process.is_in(at(model="n"))

    process.reads(offer("a", "http://w1", "m"))
    process.reads(offer("a", "http://w1", "m", "n"))
    assert process.is_in(at(model="n"))
    assert process.states[-1] == ("a", "closed", "listed again")


def test_a_model_that_a_fresh_list_names_is_readmitted() -> None:
    """Also one that never left it; a catalog that is new for another reason is no fresh list."""
    process = Process(offer(listed=1.0), offer("b", listed=1.0))
    process.fails(at(), UpstreamModelMissing)
    process.reads(offer(listed=1.0), offer("b", listed=2.0))
    assert not process.is_in(at())

    process.reads(offer("a", "http://w1", "n", listed=2.0), offer("b", listed=2.0))
    assert not process.is_in(at())
    process.reads(offer(listed=3.0), offer("b", listed=2.0))
    assert process.is_in(at())


def test_a_catalog_that_was_seen_says_nothing_again() -> None:
    """Looking is cheap: what a person did meanwhile is not undone by what is old."""
    process = Process(offer(**down()))
    process.health.reset("a")
    process.feed.refresh()
    assert process.is_in(at())

    process.reads(offer(**down()))
    assert not process.is_in(at())


def test_a_worker_that_was_away_when_its_provider_came_back() -> None:
    """It was started anew in between: what it said before it left is over when it says otherwise."""
    process = Process(offer(**down()))
    process.reads()
    assert not process.is_in(at())
    process.reads(offer(**up()))
    assert process.is_in(at())


def test_the_status_is_that_of_the_last_check() -> None:
    """Of whichever worker has one; of nobody where none has, and for a name that nobody knows."""
    process = Process(offer(), offer(worker="http://w2", **down()), offer("b"))
    check = process.feed.status("a")
    assert (check.status, check.message, check.failures, check.checked_at) == ("down", "refused", 3, 5.0)
    assert process.feed.status("b") is UNKNOWN
    assert process.feed.status("c") is UNKNOWN

    process.catalog = Catalog([offer(**up())])
    assert process.feed.status("a").status == "operational"


def test_other_keys_of_a_worker_are_tried_at_once() -> None:
    """Also when it was away in between; a worker that says the same again has the same keys."""
    process = Process(offer(since=1.0), offer("b", since=1.0))
    process.fails(at(), UpstreamKeyRefused)
    process.fails(at("b"), UpstreamKeyRefused)
    process.reads(offer(since=1.0), offer("b", since=1.0))
    assert not process.is_in(at())
    process.reads(offer("b", since=1.0))
    process.reads(offer(since=2.0), offer("b", since=1.0))
    assert process.is_in(at())
    assert not process.is_in(at("b"))
