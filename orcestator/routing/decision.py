"""What was decided about the last requests, and what came of it: the answer to "why did this go there".

A subscriber of events. Keeping one costs a request one tuple; everything else is worked out when somebody asks. A record holds no
text of a message and no exception (those hold the frames they were raised in, and with them the request).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from orcestator.json_text import Json
from orcestator.prices import dollars
from orcestator.routing.events import SERVING, TEXTS, AttemptEnded, Event, RequestEnded
from orcestator.routing.planning.explanation import explanation
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats
from orcestator.usage import Usage

REMEMBERED_REQUESTS = 2000
NUMBER_SIGN = "~"
"""Before the number of a record in its own id. No request id that is a caller's has one, so that nobody can choose another's."""
MOST_OPTIONS = 64
"""Options of each kind that a record keeps: a plan over ten thousand deployments would keep ten thousand exclusions."""


class DecisionBook:
    """The records of the last requests of this process, the oldest forgotten first."""

    def __init__(self, stats: Stats, size: int = REMEMBERED_REQUESTS) -> None:
        self.size = size
        self.paid_fallbacks = 0
        """Requests since the start that the paid fallback served."""
        self._stats = stats
        self._noted = 0
        self._records: deque[tuple[Any, ...]] = deque(maxlen=size)
        """Plain tuples of the fields of ``RequestEnded``, which cost less than an object of their own."""

    def __call__(self, event: Event) -> None:
        """Keep what a request's end tells, but for what anybody said."""
        if type(event) is RequestEnded:
            self.paid_fallbacks += event.is_paid_fallback
            self._noted += 1
            plan, record = event.plan, event[:-TEXTS]
            if type(plan) is Plan and _size(plan) > MOST_OPTIONS:
                record = (*record[:-1], _shortened(plan))
            self._records.append(record)

    def render(self, name: str) -> Json | None:
        """Everything about one request, by the id of its record or by its request id; None when it is not (or no longer) known.

        Callers choose request ids: of several with the same one this is the latest, with a line of each other in ``same_request_id``.
        """
        found = [numbered for numbered in self._newest() if name in (numbered[1][0], _own_id(*numbered))]
        if not found:
            return None
        number, record = found[0]
        others = [_line(*other) for other in found[1:]]
        return {**_whole(number, _event(record), self._stats), "same_request_id": others}

    def latest(self, limit: int) -> list[Json]:
        """The last requests in a line each, newest first."""
        return [_line(*numbered) for numbered, _ in zip(self._newest(), range(limit), strict=False)]

    def _newest(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The records with their numbers, newest first."""
        return zip(count(self._noted, -1), reversed(self._records), strict=False)

    def asks(self, limit: int) -> list[RoutingRequest]:
        """What the last requests asked of routing, newest first; those that were refused before it are not among them."""
        plans = [_plan_of(record[-1])[0] for record, _ in zip(reversed(self._records), range(limit), strict=False)]
        return [plan.ask for plan in plans if plan is not None]

    def __len__(self) -> int:
        return len(self._records)


class _Shortened(NamedTuple):
    """A plan with the first candidates of each kind, and how many are missing."""

    plan: Plan
    left_out: int


def _shortened(plan: Plan) -> _Shortened:
    short = replace(
        plan,
        scored=plan.scored[:MOST_OPTIONS],
        reserve=plan.reserve[:MOST_OPTIONS],
        excluded=plan.excluded[:MOST_OPTIONS],
    )
    return _Shortened(short, _size(plan) - _size(short))


def _plan_of(kept: object) -> tuple[Plan | None, int]:
    """The plan that a record keeps, and how many candidates of it are missing."""
    if isinstance(kept, _Shortened):
        return kept
    return (kept if isinstance(kept, Plan) else None), 0


def _size(plan: Plan) -> int:
    return len(plan.scored) + len(plan.reserve) + len(plan.excluded)


def _own_id(number: int, record: Sequence[Any]) -> str:
    """What a record is called by, whatever its caller called its request."""
    return f"{record[0]}{NUMBER_SIGN}{number}"


def _event(record: tuple[Any, ...]) -> RequestEnded:
    """The event without its texts."""
    return RequestEnded._make((*record, *("",) * TEXTS))


def _line(number: int, record: tuple[Any, ...]) -> Json:
    return _shown(number, _event(record))


def _shown(number: int, event: RequestEnded) -> Json:
    return {
        "id": _own_id(number, event),
        "request_id": event.request_id,
        "at": _moment(event.started_at),
        "route": event.route,
        "streamed": event.streamed,
        "caller": event.caller,
        "requested": event.requested_model,
        "served": _served(event),
        "outcome": event.outcome,
        "status": event.status,
        "error": event.error,
        "attempt_count": len(event.tried),
        "retries": event.retries,
        "fallbacks": event.fallbacks,
        "hedges": event.hedges,
        "total_ms": _milliseconds(event.latency_s),
    }


def _whole(number: int, event: RequestEnded, stats: Stats) -> Json:
    plan, left_out = _plan_of(event.plan)
    return {
        **_shown(number, event),
        "attempts": [_attempt(attempt) for attempt in event.tried],
        "usage": _used(event.usage),
        "cost": dollars(event.nano_usd),
        "timings": {
            "parse_ms": _milliseconds(event.parse_s),
            "plan_ms": _milliseconds(event.plan_s),
            "first_content_ms": None if event.first_content_s < 0.0 else _milliseconds(event.first_content_s),
            "total_ms": _milliseconds(event.latency_s),
        },
        "decision": None if plan is None else explanation(plan, event.planned_at, stats, is_shortened=left_out > 0),
        "options_left_out": left_out,
    }


def _attempt(attempt: AttemptEnded) -> Json:
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "model": attempt.model,
        "worker": attempt.worker,
        "credential": attempt.credential,
        "kind": attempt.kind,
        "started_ms": _milliseconds(attempt.started_s),
        "took_ms": _milliseconds(attempt.latency_s),
        "lasted_ms": _milliseconds(attempt.total_s),
        "error": attempt.error,
        "cause": attempt.cause,
        "upstream_status": attempt.upstream_status,
        "verdict": attempt.verdict,
        "is_hedge": attempt.kind == "hedge",
        "is_probe": attempt.is_probe,
        "maybe_billed": attempt.maybe_billed,
        "usage": _used(attempt.usage),
        "cost": dollars(attempt.nano_usd),
    }


def _used(usage: Usage) -> Json:
    """What was used, without the classes of which nothing was."""
    told = usage._asdict()
    return {name: value for name, value in told.items() if value or name in ("prompt_tokens", "completion_tokens")}


def _served(event: RequestEnded) -> Json | None:
    names = [attempt.name for attempt in event.tried if attempt.verdict in SERVING]
    if not (event.served_by and names):
        return None
    return {"name": names[-1], "provider": event.provider, "model": event.model}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000.0, 3)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
