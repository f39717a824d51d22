"""The whole loop in virtual time: random plans, outcomes, waits, hedges and callers that leave; whatever happens, nothing leaks."""

import asyncio
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from orcestator.errors import AttemptsExhausted, OrcestatorError, Overloaded, UpstreamError
from orcestator.routing.attempts.fallback import LoopPolicy
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.attempts.wait_queue import WaitQueuePolicy
from orcestator.routing.events import SERVING
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.verdict import VERDICTS
from orcestator.simulator.virtual_loop import run_virtually
from tests.routing.failures import deployment
from tests.routing.plans import candidate_of, plan_of
from tests.routing.virtual_world import Fate, Reply, VirtualWorld, outcome_of

OPTIONS = [
    candidate_of(deployment("a"), 0, max_concurrent=1, context_length=8000),
    candidate_of(deployment("b"), 1, max_concurrent=2, context_length=16_000),
    candidate_of(deployment("c"), 2, context_length=4000),
    candidate_of(deployment("d"), 3),
    candidate_of(deployment("p"), 4, is_paid_fallback=True),
]
POLICY = LoopPolicy(attempt_seconds=8.0)
PATIENCE = 20.0
LONGEST_WAIT = 5.0
ROUNDING = 1e-6


class Request(NamedTuple):
    """One caller: when it comes, where it may go, how long it reads, and when it leaves (seconds; None: never)."""

    comes: float
    places: list[int]
    lasts: float
    leaves: float | None
    caller: str
    priority: int


def _error(kind: type[OrcestatorError]) -> OrcestatorError:
    if kind is Overloaded:
        return Overloaded("full", code="pool_full")
    return kind("it failed", cause="x") if kind in VERDICTS else kind("it failed")  # type: ignore[call-arg]


_seconds = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 3.0, 9.0])
_fates = st.builds(
    lambda seconds, kind: Fate(seconds, None if kind is None else _error(kind)),
    _seconds,
    st.sampled_from([None, None, None, Overloaded, *(kind for kind in VERDICTS if kind.__name__ != "CannotExpress")]),
)
_requests = st.lists(
    st.builds(
        Request,
        _seconds,
        st.lists(st.integers(0, len(OPTIONS) - 1), min_size=1, max_size=5, unique=True).map(sorted),
        _seconds,
        st.none() | _seconds,
        st.sampled_from("xy"),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=8,
)


class Served(NamedTuple):
    request: Request
    tally: Tally
    task: "asyncio.Task[Reply]"
    ended_at: float


async def _one(world: VirtualWorld, request: Request, found: list[Served]) -> None:
    await asyncio.sleep(request.comes)
    tally = Tally()
    plan = plan_of([OPTIONS[place] for place in request.places], caller=request.caller, priority=request.priority)
    asking = asyncio.create_task(world.ask(plan, tally, patience=PATIENCE, lasts=request.lasts))
    if request.leaves is not None:
        asyncio.get_running_loop().call_later(request.leaves, asking.cancel)
    await asyncio.wait([asking])
    found.append(Served(request, tally, asking, world.clock()))


async def _play(requests: list[Request], fates: list[Fate]) -> tuple[VirtualWorld, list[Served]]:
    turn = 0

    def next_fate(candidate: Candidate) -> Fate:
        nonlocal turn
        turn += 1
        return fates[turn % len(fates)]

    world = VirtualWorld(next_fate, POLICY, WaitQueuePolicy(length=3, longest_wait_seconds=LONGEST_WAIT))
    for candidate in OPTIONS:
        world.learn(candidate, [0.25] * 40)
    found: list[Served] = []
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(_one(world, request, found))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return world, found


@given(_requests, st.lists(_fates, min_size=1, max_size=12))
@settings(deadline=None, max_examples=100)
def test_whatever_happens_nothing_leaks_and_every_request_has_one_end(
    requests: list[Request], fates: list[Fate]
) -> None:
    world, found = run_virtually(_play(requests, fates))

    world.assert_nothing_leaks()
    assert len(found) == len(requests)
    for served in found:
        _check(served)


def _check(served: Served) -> None:
    request, tally, outcome = served.request, served.tally, outcome_of(served.task)
    notes = tally.made
    assert tally.attempts == len(notes)
    ordinary = [note for note in notes if not note.candidate.is_paid_fallback]
    assert len(ordinary) <= POLICY.attempts
    assert len(notes) - len(ordinary) <= 1
    assert {note.candidate for note in notes} <= {OPTIONS[place] for place in request.places}
    assert sum(note.kind == "hedge" for note in notes) == tally.hedges <= 1
    assert all(note.seconds <= POLICY.attempt_seconds + ROUNDING for note in notes)
    assert served.ended_at - request.comes <= PATIENCE + POLICY.attempt_seconds + request.lasts + ROUNDING
    _check_end(outcome, tally)


def _check_end(outcome: Any, tally: Tally) -> None:
    verdicts = [note.verdict for note in tally.made]
    if isinstance(outcome, Reply):
        assert sum(verdict in SERVING for verdict in verdicts) == 1
        assert tally.served is outcome.candidate
    elif isinstance(outcome, AttemptsExhausted | UpstreamError):
        assert verdicts.count("give_up") == 1
        assert list(outcome.failures if isinstance(outcome, AttemptsExhausted) else tally.failures) == tally.failures
    else:
        assert isinstance(outcome, Overloaded | asyncio.CancelledError)
    assert verdicts.count("") <= 1
    assert tally.attempts == bool(tally.attempts) + tally.fallbacks + tally.retries + tally.hedges or not isinstance(
        outcome, Reply
    )
