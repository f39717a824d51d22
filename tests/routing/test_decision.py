"""The records of decisions: what they hold, how many, and that noting one costs next to nothing."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orcestator.prices import prices_of
from orcestator.routing.attempts.attempt import Attempt, records_of
from orcestator.routing.decision import MOST_OPTIONS, DecisionBook
from orcestator.routing.events import RequestEnded, Waited
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.plan import Excluded, Plan
from orcestator.routing.state.stats import Stats
from orcestator.usage import Usage
from tests.routing.plans import candidate_of, plan_of

ALPHA = candidate_of(Deployment("alpha", "one", "", "proxy", credential="2"))
BETA = candidate_of(Deployment("beta", "two", "", "proxy"), 1, prices=prices_of({"input": 1.0, "output": 6.0}))

OF_BOTH = plan_of([ALPHA, BETA])


def note(book: DecisionBook, request_id: str, plan: Plan | None = OF_BOTH, **more: Any) -> None:
    """A request that went well."""
    event = RequestEnded(
        request_id=request_id, started_at=1_790_000_000.25, route="chat", streamed=True, outcome="ok", status=200, error="",
        caller="caller-1", requested_model="m", latency_s=1.5, first_content_s=0.25, parse_s=0.0001, plan_s=0.00002,
        planned_at=500.0, plan=plan, message="said the secret word", user_text="the secret word",
        assistant_text="secret",
    )  # fmt: skip
    book(event._replace(**more))


def served_by_beta() -> dict[str, Any]:
    """What is told of an attempt that failed and one that served."""
    first, second = Attempt(ALPHA, 9.001), Attempt(BETA, 9.102, "fallback")
    first.error, first.cause, first.status, first.verdict = "UpstreamUnavailable", "http_503", 503, "fall_back"
    first.seconds, first.is_probe, first.maybe_billed = 0.1, True, True
    second.status, second.seconds, second.lasted, second.usage = 200, 0.148, 1.3, Usage(40, 5, cache_read_tokens=10)
    tried = records_of([first, second], 9.0, 50)
    used = {
        "usage": second.usage,
        "nano_usd": tried[1].nano_usd,
        "tried": tried,
        "fallbacks": 1,
        "served_by": "attempt",
    }
    return {**used, "provider": "beta", "model": "two"}


def test_everything_about_one_request() -> None:
    """Candidates, attempts, what served, and how long each part took, in milliseconds."""
    book = DecisionBook(Stats())
    note(book, "req-1", **served_by_beta())
    record = book.render("req-1")
    assert record is not None
    decision: Any = record.pop("decision")
    assert [row["provider"] for row in decision["candidates"]] == ["alpha", "beta"]
    assert record == {
        "id": "req-1~1",
        "request_id": "req-1",
        "at": "2026-09-21T14:13:20.250Z",
        "route": "chat",
        "streamed": True,
        "caller": "caller-1",
        "requested": "m",
        "served": {"name": "two", "provider": "beta", "model": "two"},
        "outcome": "ok",
        "status": 200,
        "error": "",
        "attempt_count": 2,
        "retries": 0,
        "fallbacks": 1,
        "hedges": 0,
        "total_ms": 1500.0,
        "usage": {"prompt_tokens": 40, "completion_tokens": 5, "cache_read_tokens": 10},
        "cost": 0.00007,
        "attempts": [
            {
                **{"number": 1, "provider": "alpha", "model": "one", "worker": "", "credential": "2", "kind": ""},
                **{"started_ms": 1.0, "took_ms": 100.0, "error": "UpstreamUnavailable", "cause": "http_503"},
                **{"upstream_status": 503, "verdict": "fall_back", "is_hedge": False, "is_probe": True},
                **{"lasted_ms": 100.0, "maybe_billed": True, "cost": None},
                "usage": {"prompt_tokens": 50, "completion_tokens": 0, "tokens_estimated": True},
            },
            {
                **{"number": 2, "provider": "beta", "model": "two", "worker": "", "credential": "", "kind": "fallback"},
                **{"started_ms": 102.0, "took_ms": 148.0, "error": "", "cause": ""},
                **{"upstream_status": 200, "verdict": "", "is_hedge": False, "is_probe": False},
                **{"lasted_ms": 1300.0, "maybe_billed": False, "cost": 0.00007},
                "usage": {"prompt_tokens": 40, "completion_tokens": 5, "cache_read_tokens": 10},
            },
        ],
        "timings": {"parse_ms": 0.1, "plan_ms": 0.02, "first_content_ms": 250.0, "total_ms": 1500.0},
        "options_left_out": 0,
        "same_request_id": [],
    }


def test_a_record_holds_nothing_that_anybody_said() -> None:
    """Neither a message, nor an error's words: these may repeat one."""
    book = DecisionBook(Stats())
    note(book, "req-1", **served_by_beta())
    assert "secret" not in repr(book._records)
    assert "secret" not in str(book.render("req-1"))


def test_what_is_no_end_of_a_request_is_not_kept() -> None:
    book = DecisionBook(Stats())
    book(Waited(0.1, was_served=True))
    assert len(book) == 0


def test_what_the_paid_fallback_served_is_counted() -> None:
    book = DecisionBook(Stats(), 1)
    for is_paid in (True, False, True):
        note(book, "req", is_paid_fallback=is_paid)
    assert book.paid_fallbacks == 2


def test_a_request_that_was_refused_before_its_plan() -> None:
    """It has a record without one, and no time to first content."""
    book = DecisionBook(Stats())
    refused = {"outcome": "client_error", "status": 404, "error": "ModelNotFound", "requested_model": "gtp"}
    note(book, "req-1", **{**refused, "plan": None}, first_content_s=-1.0)
    record = book.render("req-1")
    assert record is not None
    assert record["decision"] is None
    assert record["timings"]["first_content_ms"] is None
    assert (record["error"], record["requested"], record["served"]) == ("ModelNotFound", "gtp", None)


def test_an_id_that_came_twice_leads_to_both() -> None:
    """Callers choose the ids: the later is told, and the way to the earlier, also when the oldest of all are forgotten."""
    book = DecisionBook(Stats(), 3)
    for request_id, candidate in (("gone", ALPHA), ("same", ALPHA), ("else", ALPHA), ("same", BETA)):
        note(book, request_id, plan_of([candidate]))
    record = book.render("same")
    assert record is not None
    assert [row["provider"] for row in record["decision"]["candidates"]] == ["beta"]
    assert [line["id"] for line in book.latest(9)] == ["same~4", "else~3", "same~2"]
    assert [line["id"] for line in record["same_request_id"]] == ["same~2"]
    earlier = book.render("same~2")
    assert earlier is not None
    assert [row["provider"] for row in earlier["decision"]["candidates"]] == ["alpha"]
    assert earlier["same_request_id"] == []
    assert [book.render(name) for name in ("other", "gone", "gone~1", "same~3", "same~")] == [None] * 5


@given(st.integers(1, 20), st.integers(0, 60), st.integers(1, 60))
def test_only_the_last_are_kept(size: int, noted: int, limit: int) -> None:
    """Newest first, never more than there is room for."""
    book = DecisionBook(Stats(), size)
    for number in range(noted):
        note(book, f"req-{number}")
    expected = [f"req-{number}" for number in reversed(range(noted))][: min(size, limit)]
    assert [line["request_id"] for line in book.latest(limit)] == expected
    assert len(book) == min(size, noted)
    assert (book.render("req-0") is not None) == (0 < noted <= size)


def test_a_plan_over_thousands_is_kept_short() -> None:
    """The first of each kind, and how many are missing; the plan that the loop works with is left alone."""
    plan = plan_of([ALPHA], [BETA])
    plan.excluded = tuple(Excluded(BETA, "tags", "It has no tag code.") for _ in range(10_000))
    book = DecisionBook(Stats())
    note(book, "req-1", plan)
    record = book.render("req-1")
    assert record is not None
    assert len(record["decision"]["excluded"]) == MOST_OPTIONS
    assert record["options_left_out"] == 10_000 - MOST_OPTIONS
    assert record["decision"]["asked"]["unused_names"] is None
    assert len(plan.excluded) == 10_000
