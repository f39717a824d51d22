"""The routing of a process, from its settings: put together once, and retuned in place when they change."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from orcestator.routing.attempts.fallback import FallbackPolicy, LoopPolicy
from orcestator.routing.attempts.hedging import HedgePolicy, Hedging, hedge_budget
from orcestator.routing.attempts.loop import AttemptLoop
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.attempts.wait_queue import WaitQueue, WaitQueuePolicy
from orcestator.routing.decision import DecisionBook
from orcestator.routing.events import EventSink
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.plan import Planner, PlanPolicy
from orcestator.routing.planning.rules import Rule
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.state.stats import Stats
from orcestator.routing.verdict import Verdicts
from orcestator.settings import Settings
from orcestator.upstream.call import Answer
from orcestator.upstream.hedge_runner import AsyncioConcurrency, close_answer


@dataclass(frozen=True, slots=True)
class Router:
    """What decides: ``planner`` before a request's first attempt, ``attempts`` from then on; ``decisions`` remembers."""

    planner: Planner
    attempts: AttemptLoop[Answer]
    decisions: DecisionBook

    @classmethod
    def of(
        cls,
        settings: Settings,
        catalog: Callable[[], Catalog],
        emit: EventSink,
        quota: QuotaBook,
        line: WaitQueue | None = None,
    ) -> "Router":
        """A new one, which knows nothing of any deployment yet. ``quota`` is that of the links in this process; ``line`` a
        ``wait_queue`` that somebody else looks at, too."""
        stats = Stats()
        health = CircuitBreakers(_breaker(settings), emit, random.random)
        attempts: AttemptLoop[Answer] = AttemptLoop(
            policy=_limits(settings),
            health=health,
            budget=_budget(settings),
            # Not the event loop's own clock: uvloop's stands still within one turn of it. Both count from the same start.
            now=time.monotonic,
            sleep=asyncio.sleep,
            rng=random.random,
            emit=emit,
            concurrency=AsyncioConcurrency(close_answer),
            stats=stats,
            hedging=_hedging(settings),
            line=wait_queue(settings) if line is None else line,
            verdicts=_verdicts(settings),
            quota=quota,
        )
        planner = Planner(catalog, health, stats, quota, random.random, planning(settings, settings.rules))
        return cls(planner, attempts, DecisionBook(stats))

    def apply_settings(self, settings: Settings) -> None:
        """Take over new settings. What is known of deployments stays; the rules are the rules book's to give."""
        attempts = self.attempts
        attempts.policy, attempts.verdicts = _limits(settings), _verdicts(settings)
        attempts.health.policy = _breaker(settings)
        attempts.budget = _budget(settings)
        attempts.hedging = _hedging(settings)
        attempts.line.policy = _line(settings)
        attempts.falling = FallbackPolicy(attempts.policy, attempts.health, attempts.line.permits, attempts.budget)
        self.planner.policy = planning(settings, self.planner.policy.rules)

    def use_rules(self, rules: tuple[Rule, ...]) -> None:
        """Plan by these rules from now on."""
        policy = self.planner.policy
        self.planner.policy = PlanPolicy(
            policy.strategy,
            rules,
            policy.free_first,
            policy.max_response_seconds,
            policy.min_success_rate,
            policy.max_error_rate,
        )


def _breaker(settings: Settings) -> BreakerPolicy:
    return BreakerPolicy(
        consecutive_failures=settings.breaker_consecutive_failures,
        window_seconds=settings.breaker_window_seconds,
        minimum_calls=settings.breaker_minimum_calls,
        failure_ratio=settings.breaker_failure_percent / 100.0,
        open_seconds=settings.breaker_open_seconds,
        longest_open_seconds=settings.breaker_longest_open_seconds,
        success_threshold=settings.breaker_success_threshold,
        slow_start_seconds=settings.slow_start_seconds,
    )


def _limits(settings: Settings) -> LoopPolicy:
    return LoopPolicy(
        attempts=settings.attempts,
        attempts_per_provider=settings.attempts_per_provider,
        rate_limit_retries=settings.rate_limit_retries,
        retry_delay_seconds=settings.retry_delay_seconds,
        first_backoff_seconds=settings.first_backoff_seconds,
        backoff_multiplier=settings.backoff_multiplier,
        attempt_seconds=settings.attempt_timeout_seconds,
        total_seconds=settings.total_timeout_seconds,
    )


def _budget(settings: Settings) -> RetryBudget:
    return RetryBudget(percent=settings.retry_budget_percent, floor=settings.retry_floor)


def _hedging(settings: Settings) -> Hedging:
    share, percent = settings.hedge_percentile / 100.0, settings.hedge_percent
    return Hedging(HedgePolicy(settings.hedging, share, settings.hedge_floor_seconds), hedge_budget(percent))


def wait_queue(settings: Settings) -> WaitQueue:
    """Where requests wait while all that could serve them is full."""
    return WaitQueue(_line(settings))


def _line(settings: Settings) -> WaitQueuePolicy:
    return WaitQueuePolicy(settings.line_length, settings.longest_wait_seconds)


def _verdicts(settings: Settings) -> Verdicts:
    return Verdicts(settings.verdicts, settings.content_policy_fallback)


def planning(settings: Settings, rules: tuple[Rule, ...]) -> PlanPolicy:
    """How these settings plan, by these rules."""
    return PlanPolicy(
        strategy=settings.strategy,
        rules=rules,
        free_first=settings.free_first,
        max_response_seconds=settings.fallback_max_response_seconds,
        min_success_rate=settings.fallback_min_success_rate,
        max_error_rate=settings.fallback_max_error_rate,
    )
