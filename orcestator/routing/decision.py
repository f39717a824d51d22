"""What was decided about the last requests, and what came of it: the answer to "why did this go there".

Noting costs a request one tuple; everything else is worked out when somebody asks. A record holds no text of a message and
no exception (those hold the frames they were raised in, and with them the request).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from orcestator.routing.attempts.attempt_notes import AttemptNote
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.events import Outcome
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.planning.explanation import explanation
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.state.stats import Stats

Json = dict[str, Any]
REMEMBERED_REQUESTS = 2000
NUMBER_SIGN = "~"
"""Before the number of a record in its own id. No request id that is a caller's has one, so that nobody can choose another's."""
MOST_OPTIONS = 64
"""Options of each kind that a record keeps: a plan over ten thousand deployments would keep ten thousand exclusions."""


class Decision(NamedTuple):
    """One request. Durations are seconds; ``arrived_at`` is wall-clock epoch seconds, ``planned_at`` monotonic ones.

    ``plan`` is None when the request was refused before there was one. ``first_content_s`` is -1.0 when there was none.
    ``left_out`` counts the candidates that the plan had and the record has not.
    """

    request_id: str
    plan: Plan | None
    notes: Sequence[AttemptNote]
    served: Candidate | None
    retries: int
    fallbacks: int
    hedges: int
    outcome: Outcome
    status: int
    error: str
    requested: str
    caller: str
    route: str
    streamed: bool
    arrived_at: float
    planned_at: float
    parse_s: float
    plan_s: float
    first_content_s: float
    total_s: float
    left_out: int


class DecisionBook:
    """The records of the last requests of this process, the oldest forgotten first."""

    def __init__(self, stats: Stats, size: int = REMEMBERED_REQUESTS) -> None:
        self.size = size
        self.paid_fallbacks = 0
        """Requests since the start that the paid fallback served."""
        self._stats = stats
        self._noted = 0
        self._records: deque[tuple[Any, ...]] = deque(maxlen=size)

    def note(
        self,
        request_id: str,
        plan: Plan | None,
        tally: Tally,
        outcome: Outcome,
        status: int,
        error: str,
        requested: str,
        caller: str,
        route: str,
        streamed: bool,
        arrived_at: float,
        planned_at: float,
        parse_s: float,
        plan_s: float,
        first_content_s: float,
        total_s: float,
    ) -> None:
        """A request has its outcome; the arguments are those of ``Decision``, ``error`` the class name of one or "".

        It takes references to the plan and to the tally's notes, which nobody changes any more.
        """
        self.paid_fallbacks += tally.fallback_used
        self._noted += 1
        left_out = 0
        if plan is not None and len(plan.scored) + len(plan.reserve) + len(plan.excluded) > MOST_OPTIONS:
            plan, left_out = _shortened(plan)
        # A plain tuple in the order of Decision, which takes five times as long to build.
        self._records.append((
            request_id, plan, tally.notes, tally.served, tally.retries, tally.fallbacks, tally.hedges,
            outcome, status, error, requested, caller, route, streamed, arrived_at, planned_at,
            parse_s, plan_s, first_content_s, total_s, left_out,
        ))  # fmt: skip

    def render(self, name: str) -> Json | None:
        """Everything about one request, by the id of its record or by its request id; None when it is not (or no longer) known.

        Callers choose request ids: of several with the same one this is the latest, with a line of each other in ``same_request_id``.
        """
        found = [numbered for numbered in self._newest() if name in (numbered[1][0], _own_id(*numbered))]
        if not found:
            return None
        number, record = found[0]
        others = [_line(*other) for other in found[1:]]
        return {**_whole(number, Decision._make(record), self._stats), "same_request_id": others}

    def latest(self, limit: int) -> list[Json]:
        """The last requests in a line each, newest first."""
        return [_line(*numbered) for numbered, _ in zip(self._newest(), range(limit), strict=False)]

    def _newest(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The records with their numbers, newest first."""
        return zip(count(self._noted, -1), reversed(self._records), strict=False)

    def asks(self, limit: int) -> list[RoutingRequest]:
        """What the last requests asked of routing, newest first; those that were refused before it are not among them."""
        plans = [record[1] for record, _ in zip(reversed(self._records), range(limit), strict=False)]
        return [plan.ask for plan in plans if plan is not None]

    def __len__(self) -> int:
        return len(self._records)


def _shortened(plan: Plan) -> tuple[Plan, int]:
    """The plan with the first candidates of each kind, and how many are missing."""
    short = replace(
        plan,
        scored=plan.scored[:MOST_OPTIONS],
        reserve=plan.reserve[:MOST_OPTIONS],
        excluded=plan.excluded[:MOST_OPTIONS],
    )
    return short, _size(plan) - _size(short)


def _size(plan: Plan) -> int:
    return len(plan.scored) + len(plan.reserve) + len(plan.excluded)


def _own_id(number: int, record: Sequence[Any]) -> str:
    """What a record is called by, whatever its caller called its request."""
    return f"{record[0]}{NUMBER_SIGN}{number}"


def _line(number: int, fields: Sequence[Any]) -> Json:
    record = Decision._make(fields)
    return {
        "id": _own_id(number, record),
        "request_id": record.request_id,
        "at": _moment(record.arrived_at),
        "route": record.route,
        "streamed": record.streamed,
        "caller": record.caller,
        "requested": record.requested,
        "served": _served(record.served),
        "outcome": record.outcome,
        "status": record.status,
        "error": record.error,
        "attempt_count": len(record.notes),
        "retries": record.retries,
        "fallbacks": record.fallbacks,
        "hedges": record.hedges,
        "total_ms": _milliseconds(record.total_s),
    }


def _whole(number: int, record: Decision, stats: Stats) -> Json:
    plan = record.plan
    return {
        **_line(number, record),
        "attempts": [_attempt(note) for note in record.notes],
        "timings": {
            "parse_ms": _milliseconds(record.parse_s),
            "plan_ms": _milliseconds(record.plan_s),
            "first_content_ms": None if record.first_content_s < 0.0 else _milliseconds(record.first_content_s),
            "total_ms": _milliseconds(record.total_s),
        },
        "decision": None if plan is None else _told(plan, record, stats),
        "options_left_out": record.left_out,
    }


def _told(plan: Plan, record: Decision, stats: Stats) -> Json:
    return explanation(plan, record.planned_at, stats, is_shortened=record.left_out > 0)


def _attempt(note: AttemptNote) -> Json:
    deployment = note.candidate.deployment
    return {
        "number": note.number,
        "provider": deployment.provider,
        "model": deployment.model,
        "worker": deployment.worker,
        "credential": deployment.credential,
        "started_ms": _milliseconds(note.started_s),
        "took_ms": _milliseconds(note.seconds),
        "error": note.error,
        "cause": note.cause,
        "upstream_status": note.upstream_status,
        "verdict": note.verdict,
        "is_hedge": note.is_hedge,
        "is_probe": note.is_probe,
    }


def _served(candidate: Candidate | None) -> Json | None:
    if candidate is None:
        return None
    return {"name": candidate.name, "provider": candidate.deployment.provider, "model": candidate.deployment.model}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000.0, 3)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
