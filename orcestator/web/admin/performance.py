"""What some deployments did lately, as one: for the pages that tell how a provider or a model does. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orcestator.routing.state.stats import DeploymentStats, Latency


class Performance(NamedTuple):
    """What some deployments did; seconds. Rates are of recent calls, 1.0 before the first."""

    calls: int = 0
    failures: int = 0
    in_flight: int = 0
    success_rate: float = 1.0
    mean_seconds: float = 0.0
    slow_seconds: float = 0.0
    last_call_at: float = 0.0


UNKNOWN = Performance()


def performance_of(stats: Iterable[DeploymentStats]) -> Performance:
    """The performance of several deployments as of one; means by the number of calls."""
    found = list(stats)
    if not found:
        return UNKNOWN
    calls, successes = sum(one.calls for one in found), sum(one.successes for one in found)
    latencies = [latency for one in found for latency in (one.streamed, one.whole) if latency.count]
    return Performance(
        calls=sum(one.total_calls for one in found),
        failures=sum(one.total_failures for one in found),
        in_flight=sum(one.in_flight for one in found),
        success_rate=successes / calls if calls else 1.0,
        mean_seconds=_mean(latencies),
        slow_seconds=max((latency.percentile(0.95) for latency in latencies), default=0.0),
        last_call_at=max((one.last_call_at for one in found), default=0.0),
    )


def _mean(latencies: Sequence[Latency]) -> float:
    count = sum(latency.count for latency in latencies)
    return sum(latency.seconds * latency.count for latency in latencies) / count if count else 0.0
