"""The event of a request's end: every field is what its name says."""

from typing import Any, cast

import pytest

from orcestator.errors import UpstreamBroken
from orcestator.gateway.caller import Caller
from orcestator.gateway.gateway import Gateway, Route
from orcestator.gateway.record import cost_of, record
from orcestator.gateway.request_state import RequestState
from orcestator.prices import prices_of
from orcestator.routing.attempts.attempt import Attempt
from orcestator.routing.events import Event, RequestEnded
from orcestator.routing.offer import Deployment
from orcestator.upstream.call import WholeAnswer
from orcestator.usage import NOTHING, Usage
from tests.routing.plans import candidate_of, plan_of

USED = Usage(100_000, 1_000, cache_read_tokens=90_000)
"""The prompt of which nine tenths were cached."""
ALPHA = candidate_of(Deployment("alpha", "one", "", "proxy"))
BETA = candidate_of(
    Deployment("beta", "two", "", "proxy"), prices=prices_of({"input": 3.0, "output": 15.0, "cache_read": 0.3})
)


class Clocks:
    """What the gateway has of time."""

    def now(self) -> float:
        return 12.0


class Policy:
    """What it keeps of a text."""

    text_chars = 4


class Chat:
    """What it has of a route."""

    name = "chat"


class House:
    """As much of a gateway as a record needs."""

    def __init__(self) -> None:
        self.attempts, self.policy = Clocks(), Policy()
        self.told: list[Event] = []
        self.emit = self.told.append

    def wall(self) -> float:
        return 1_790_000_000.25


@pytest.fixture
def state() -> RequestState:
    """A request that came ten seconds ago and was served by its second candidate."""
    state = RequestState(cast(Gateway, House()), cast(Route, Chat()), {}, "req-1", None)
    state.started, state.parsed, state.planned = 10.0, 10.25, 10.75
    state.caller, state.model, state.user_text, state.streamed = Caller("of-the-key", "caller-1"), "fine", "hello", True
    state.status, state.first_content, state.relay = 200, 0.5, 0.125
    state.plan = plan_of([ALPHA, BETA])
    failed, won = Attempt(ALPHA, 10.75), Attempt(BETA, 11.0, "fallback")
    failed.error, failed.verdict, failed.seconds = "UpstreamUnavailable", "fall_back", 0.25
    won.usage, won.seconds, won.lasted = USED, 0.5, 1.0
    tally = state.tally
    tally.made, tally.winner, tally.served = [failed, won], won, BETA
    tally.attempts, tally.fallbacks, tally.retries, tally.hedges = 2, 1, 3, 4
    state.answer = WholeAnswer(b"{}", "application/json", "an answer", USED)
    return state


def told(state: RequestState) -> RequestEnded:
    record(state)
    (event,) = cast(Any, state.gateway).told
    assert isinstance(event, RequestEnded)
    return event


def test_every_field_has_its_place(state: RequestState) -> None:
    event = told(state)
    tried = event.tried
    assert event == RequestEnded(
        request_id="req-1",
        started_at=1_790_000_000.25,
        route="chat",
        streamed=True,
        outcome="ok",
        status=200,
        error="",
        caller="caller-1",
        requested_model="fine",
        served_by="attempt",
        provider="beta",
        model="two",
        usage=USED,
        nano_usd=72_000_000,
        latency_s=2.0,
        first_content_s=0.5,
        attempts=2,
        retries=3,
        fallbacks=1,
        hedges=4,
        is_paid_fallback=False,
        parse_s=0.25,
        plan_s=0.5,
        relay_s=0.125,
        tried=tried,
        planned_at=10.25,
        plan=state.plan,
        message="",
        user_text="hello",
        assistant_text="an a",
    )
    assert [(one.number, one.provider, one.started_s) for one in tried] == [(1, "alpha", 0.75), (2, "beta", 1.0)]


def test_the_answer_s_cost_is_that_of_the_record(state: RequestState) -> None:
    assert isinstance(state.answer, WholeAnswer)
    assert cost_of(state, state.answer) == 0.072 == (told(state).nano_usd or 0) / 1e9


def test_what_nobody_served_costs_nothing(state: RequestState) -> None:
    state.tally.made.pop()
    state.tally.winner = state.tally.served = state.answer = None
    state.error, state.outcome, state.status = UpstreamBroken("it is broken", cause="closed"), "upstream_error", 502
    event = told(state)
    assert (event.error, event.message, event.outcome, event.status) == (
        "UpstreamBroken",
        "it is broken",
        "upstream_error",
        502,
    )
    assert (event.served_by, event.provider, event.model, event.usage, event.nano_usd) == ("", "", "", NOTHING, 0)
    assert len(event.tried) == 1


def test_middleware_that_answered_is_who_served(state: RequestState) -> None:
    """Also where an attempt of the same request had failed before."""
    tally = state.tally
    tally.made, tally.winner, tally.served = tally.made[:1], None, None
    state.served_by = "cache"
    event = told(state)
    assert (event.served_by, event.outcome, event.provider, event.nano_usd) == ("cache", "ok", "", 0)
    assert event.assistant_text == "an a"
