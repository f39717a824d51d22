"""Background checks and notices, wired: who is asked, what follows for the routing, and who is told."""

import random
import time
from collections.abc import Callable, Iterable, Sequence

from orcestator.routing.state.circuit_breaker import CircuitBreakers
from orcestator.routing.state.stats import Stats
from orcestator.settings import Settings
from orcestator.telemetry.apprise_notices import apprise_writers
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.metrics import Metrics
from orcestator.telemetry.notices import Notice, NoticeGate, NoticeReader, Notices
from orcestator.telemetry.webhook import WebhookTarget, webhook_writer
from orcestator.upstream.health_checks import Calls, Check, CheckPolicy, HealthChecks, probe_of
from orcestator.upstream.provider_client import ProviderClient

UNWELL_STATES = frozenset({"open", "half_open"})
"""What a check may end: a pause that an upstream asked for and a refused key end by themselves or by a person."""
CHECKS_FAILED = "background checks failed"


class HealthWatch:
    """The checks of one process and what follows from them. ``checks`` has their results.

    A good answer of a provider whose breaker is open lets the next request be its probe at once. Checks that fail as often in
    a row as requests may take the provider out, as failed requests would.
    """

    def __init__(
        self,
        settings: Settings,
        health: CircuitBreakers,
        stats: Stats,
        tell: Iterable[Callable[[str, Check], None]] = (),
    ) -> None:
        self._by_chat = settings.health_check_chat
        self._most_failures = settings.breaker_consecutive_failures
        self._out_seconds = settings.breaker_longest_open_seconds
        self._health = health
        self._stats = stats
        self._tell = tuple(tell)
        self._links: dict[str, ProviderClient] = {}
        self.checks = HealthChecks(
            policy(settings),
            is_unwell=self._is_unwell,
            calls=self._calls,
            tell=self._told,
            now=time.monotonic,
            wall=time.time,
            rng=random.random,
            served=lambda provider: self._links[provider].served if provider in self._links else 0,
        )

    def watch(self, links: Sequence[ProviderClient]) -> None:
        """Look after these providers from now on, and after no others."""
        wanted = {link.row.name: link for link in links}
        for gone in self._links.keys() - wanted.keys():
            self.checks.forget(gone)
        for provider, link in wanted.items():
            self.checks.watch(provider, probe_of(link, by_chat=self._by_chat))
        self._links = wanted

    def _is_unwell(self, provider: str) -> bool:
        if self._health.is_quiet:
            return False
        return any(
            state.provider == provider and state.state in UNWELL_STATES
            for state in self._health.states(time.monotonic())
        )

    def _calls(self, provider: str) -> Calls:
        found = [figures for deployment, figures in self._stats.records.items() if deployment.provider == provider]
        latencies = [figures.whole if figures.whole.count else figures.streamed for figures in found]
        known = [latency.mean for latency in latencies if latency.count]
        seconds = sum(known) / len(known) if known else 0.0
        return Calls(
            sum(figures.total_calls for figures in found), sum(figures.total_failures for figures in found), seconds
        )

    def _told(self, provider: str, check: Check) -> None:
        now = time.monotonic()
        if check.is_recovery:
            self._health.probe_now(provider, now)
        elif check.failures >= self._most_failures:
            offer = self._links[provider].offer
            # Longer than to the next check, which says more.
            self._health.set_aside(provider, offer.worker, offer.credentials, self._out_seconds, CHECKS_FAILED, now)
        for tell in self._tell:
            tell(provider, check)


def policy(settings: Settings) -> CheckPolicy:
    """When providers are asked."""
    return CheckPolicy(
        interval=settings.health_check_interval_seconds,
        timeout=settings.health_check_timeout_seconds,
        most_failures=settings.breaker_consecutive_failures,
    )


def metrics_of(metrics: Metrics) -> Callable[[str, Check], None]:
    """Shows each check in the metrics."""
    return lambda provider, check: metrics.checked(
        provider, is_up=check.failures == 0 and check.status != "down", response_ms=check.response_ms
    )


def notices_of(notices: Notices) -> Callable[[str, Check], None]:
    """Tells people of a provider that is down, and back."""
    return lambda provider, check: notices.checked(provider, check.status, check.message)


def notice_writers(settings: Settings) -> list[BackgroundWriter[Notice]]:
    """What sends notices away from here. Raises StartupProblem for what cannot work."""
    writers = apprise_writers([address.reveal() for address in settings.notify])
    if settings.webhook_url:
        writers.append(webhook_writer(WebhookTarget(settings.webhook_url.reveal(), settings.webhook_secret.reveal())))
    return writers


def make_notices(
    settings: Settings,
    writers: Sequence[BackgroundWriter[Notice]],
    metrics: Metrics,
    redact: Callable[[str], str],
    knows: Callable[[str], bool],
) -> Notices:
    """The subscriber that decides what people are told. Its ``run`` has to run beside."""
    return Notices(
        NoticeReader(knows),
        NoticeGate(),
        writers,
        min_level=settings.notify_min_level,
        redact=redact,
        now=time.monotonic,
        wall=time.time,
        count=metrics.count_notice,
    )
