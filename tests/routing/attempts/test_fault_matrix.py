"""Every kind of failure at every moment, alone and beside others, through the loop and the real decoders.

Before its first content a failure is invisible to the caller while anybody else can answer; after it the caller gets a typed error,
and never the text of a second model. Whatever happens, nothing stays in hand.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from orcestator.dialects.openai.events import StreamTerms
from orcestator.dialects.openai.reply import ReplyTerms, chat_reply
from orcestator.dialects.openai.stream import ChatStream
from orcestator.errors import (
    AttemptsExhausted,
    CannotExpress,
    OrcestatorError,
    Overloaded,
    StreamInterrupted,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)
from orcestator.routing.attempts.fallback import LoopPolicy
from orcestator.routing.attempts.loop import AttemptLoop, Tally
from orcestator.routing.attempts.retry_budget import RetryBudget
from orcestator.routing.events import Event
from orcestator.routing.planning.catalog import Candidate
from orcestator.routing.state.circuit_breaker import BreakerPolicy, CircuitBreakers
from orcestator.routing.verdict import VERDICTS, judge
from orcestator.simulator.virtual_loop import run_virtually
from orcestator.upstream.hedge_runner import AsyncioConcurrency
from orcestator.usage import Usage
from tests.routing.failures import deployment
from tests.routing.plans import candidate_of, plan_of

BAD, WORSE, GOOD = (
    candidate_of(deployment(name), place, max_concurrent=2, context_length=size)
    for place, (name, size) in enumerate((("bad", 8000), ("worse", 16_000), ("good", 32_000)))
)
ATTEMPT_SECONDS = 20.0


def chunk(**choice: Any) -> bytes:
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return (
        b"data: " + json.dumps({**body, "choices": [{"index": 0, "finish_reason": None, **choice}]}).encode() + b"\n\n"
    )


def says(text: str) -> bytes:
    return chunk(delta={"content": text})


ROLE = chunk(delta={"role": "assistant", "content": ""})
FINISH = chunk(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"
ERROR_EVENT = b'data: {"error":{"message":"the model fell over","type":"server_error"}}\n\n'
GARBAGE = b"data: {not json\n\n" * 5


class Fault(NamedTuple):
    """How an upstream fails: it raises, it sends these bytes, it stalls, or (``is_cut``) it closes without an end."""

    name: str
    error: Callable[[], BaseException] | None = None
    sends: bytes = b""
    reply: bytes = b""
    stalls: bool = False
    is_cut: bool = False


def raising(kind: type[UpstreamError]) -> Fault:
    if kind is CannotExpress:
        return Fault(kind.__name__, lambda: CannotExpress("no words for it", "tools"))
    return Fault(kind.__name__, lambda: kind(f"{kind.__name__} happened", cause="x"))


RAISED = [raising(kind) for kind in VERDICTS]
OF_THE_REQUEST = {kind.__name__ for kind, verdict in VERDICTS.items() if verdict.blames_request}
"""Failures that say nothing of the deployment."""
LEAVING = Fault("the caller leaves", asyncio.CancelledError)
SENT = [
    Fault("an error event", sends=ERROR_EVENT, reply=b'{"error":{"message":"the model fell over"}}'),
    Fault("garbage", sends=GARBAGE, reply=b"<html>busy</html>"),
    Fault("a cut", is_cut=True, reply=b'{"id":"c1","cho'),
    Fault("a stall", stalls=True),
]
EMPTY = Fault("an empty answer", sends=b"data: [DONE]\n\n", reply=b'{"choices":[]}')
FULL = Fault("a full pool", lambda: Overloaded("all connections are in use", code="pool_full"))
BEFORE = {"before anything": 0, "before the first content": 1}
AFTER = {"after the first content": 2, "later": 4}
ANY_TIME = {**BEFORE, **AFTER}


class Stream:
    """A flowing answer over the real decoder."""

    def __init__(self, pieces: list[bytes], fault: Fault | None) -> None:
        self.decoder = ChatStream(StreamTerms("p", "m", False, 10, 1, 1000, lambda prefix: prefix + "1"))
        self.pieces = pieces
        self.fault = fault
        self.given = b""

    async def commit(self) -> None:
        while not (self.decoder.committed or self.decoder.done):
            await self.read()

    async def read(self) -> None:
        await asyncio.sleep(0.01)
        if self.pieces:
            self.decoder.feed(self.pieces.pop(0))
        elif self.fault is None or self.fault.is_cut:
            self.decoder.end()
        elif self.fault.stalls:
            try:
                async with asyncio.timeout(60):
                    await asyncio.get_running_loop().create_future()
            except TimeoutError:
                raise UpstreamTimeout("nothing came", cause="idle") from None
        elif self.fault.error is not None:
            raise self.fault.error()
        else:
            self.decoder.feed(self.fault.sends)

    async def relay(self) -> None:
        """Give the caller the rest. Raises StreamInterrupted."""
        self.given += self.decoder.take()
        try:
            while not self.decoder.done:
                await self.read()
                self.given += self.decoder.take()
        except UpstreamError as error:
            self.given += self.decoder.take()
            raise StreamInterrupted(error) from error


Answer = Stream | bytes


@dataclass
class Stage:
    """The loop over upstreams that fail as they are told to; made inside the running loop."""

    faults: dict[Candidate, Fault]
    position: int
    streamed: bool
    events: list[Event] = field(default_factory=list)
    tried: list[Candidate] = field(default_factory=list)
    answers: list[Stream] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.health = CircuitBreakers(BreakerPolicy(), self.events.append, lambda: 0.5)
        self.loop: AttemptLoop[Answer] = AttemptLoop(
            LoopPolicy(attempt_seconds=ATTEMPT_SECONDS),
            self.health,
            RetryBudget(),
            asyncio.get_running_loop().time,
            asyncio.sleep,
            lambda: 0.5,
            self.events.append,
            AsyncioConcurrency(lambda answer: None),
        )

    async def attempt(self, candidate: Candidate, _taken_at: float) -> Answer:
        self.tried.append(candidate)
        fault = self.faults.get(candidate)
        name = candidate.deployment.provider
        if not self.streamed:
            return await self.whole(name, fault)
        said = [ROLE, *(says(f"{name}{number} ") for number in range(4)), FINISH]
        stream = Stream(said if fault is None else said[: self.position], fault)
        self.answers.append(stream)
        await stream.commit()
        return stream

    async def whole(self, name: str, fault: Fault | None) -> bytes:
        await asyncio.sleep(0.01)
        if fault is not None and fault.stalls:
            await asyncio.get_running_loop().create_future()
        if fault is not None and fault.error is not None:
            raise fault.error()
        choice = {"index": 0, "message": {"role": "assistant", "content": f"{name}0 "}, "finish_reason": "stop"}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        raw = json.dumps(body).encode() if fault is None else fault.reply
        return chat_reply(raw, ReplyTerms("p", "m", 10, 1, lambda prefix: prefix + "1")).body

    async def ask(self, candidates: list[Candidate]) -> "Seen":
        """What one caller sees. Raises CancelledError when it left."""
        try:
            plan = plan_of(candidates, streamed=self.streamed)
            answer = await self.loop.run("r", plan, self.attempt, self.tally, asyncio.get_running_loop().time() + 600)
        except OrcestatorError as error:
            return Seen(b"", error, is_committed=False)
        failure: OrcestatorError | None = None
        try:
            if isinstance(answer, Stream):
                await answer.relay()
        except StreamInterrupted as error:
            failure = error
            assert isinstance(answer, Stream)
            answer.given += answer.decoder.failure_frames(error)
        finally:
            self.loop.ended(self.tally, usage=Usage(0, 5), seconds=0.1, failure=failure)
        return Seen(answer.given if isinstance(answer, Stream) else answer, failure, is_committed=True)

    def assert_books_balance(self) -> None:
        """Nothing is in hand, and every attempt is told of."""
        assert self.loop.line.permits.taken == {}
        assert {record.in_flight for record in self.loop.stats.records.values()} <= {0}
        assert all(record.probing_since is None for record in self.health.records.values())
        made = self.tally.made
        assert self.tally.attempts == len(self.tried) == len(made) <= self.loop.policy.attempts
        assert all(attempt.is_over for attempt in made)
        told = [attempt.verdict for attempt in made if attempt.verdict != "abandoned"]
        assert (self.tally.served is None) == (not told or told[-1] == "give_up")


class Seen(NamedTuple):
    frames: bytes
    error: OrcestatorError | None
    is_committed: bool

    @property
    def finishes(self) -> int:
        return self.frames.count(b'"finish_reason":"')


def played(stage: Callable[[], Stage], candidates: list[Candidate]) -> tuple[Stage, Seen | None]:
    """The stage after one request; None stands for a caller that left."""

    async def whole() -> tuple[Stage, Seen | None]:
        made = stage()
        try:
            seen: Seen | None = await made.ask(candidates)
        except asyncio.CancelledError:
            seen = None
        return made, seen

    play: Coroutine[Any, Any, tuple[Stage, Seen | None]] = whole()
    return run_virtually(play)


def falls_back(fault: Fault) -> bool:
    error = fault.error() if fault.error else None
    return judge(error).falls_back if isinstance(error, UpstreamError) else True


def named(faults: list[Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name.replace(" ", "-"))


@named([*RAISED, *SENT, EMPTY, FULL])
@pytest.mark.parametrize("position", BEFORE)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_before_the_first_content_a_failure_is_invisible(fault: Fault, position: str, streamed: bool) -> None:
    stage, seen = played(lambda: Stage({BAD: fault, WORSE: fault}, BEFORE[position], streamed), [BAD, WORSE, GOOD])
    stage.assert_books_balance()

    assert seen is not None
    if not falls_back(fault):
        assert stage.tried == [BAD]
        assert isinstance(seen.error, UpstreamError)
        return
    assert seen.error is None
    assert stage.tried == [BAD, WORSE, GOOD]
    assert b"good0" in seen.frames
    assert b"bad" not in seen.frames
    assert b"worse" not in seen.frames
    assert (seen.finishes, seen.frames.count(b"[DONE]")) == (1, 1 if streamed else 0)


@named([*RAISED, *SENT, EMPTY, FULL])
@pytest.mark.parametrize("position", BEFORE)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("candidates", [[BAD], [BAD, WORSE]], ids=["alone", "all-bad"])
def test_with_nobody_else_the_caller_gets_one_typed_error(
    fault: Fault, position: str, streamed: bool, candidates: list[Candidate]
) -> None:
    stage, seen = played(lambda: Stage({BAD: fault, WORSE: fault}, BEFORE[position], streamed), candidates)
    stage.assert_books_balance()

    assert seen is not None
    assert not seen.is_committed
    assert isinstance(seen.error, AttemptsExhausted | UpstreamError | Overloaded)
    assert seen.error.body()["error"]["type"]
    assert 400 <= seen.error.http_status <= 504
    is_about_health = fault.error is None or (fault is not FULL and _moves_health(fault))
    assert bool(stage.health.records or stage.health.pauses) == is_about_health


def _moves_health(fault: Fault) -> bool:
    error = fault.error() if fault.error else None
    assert isinstance(error, UpstreamError)
    verdict = judge(error)
    return verdict.counts or verdict.cooldown_seconds > 0.0 or verdict.is_final


@named([*RAISED, *SENT])
@pytest.mark.parametrize("position", AFTER)
@pytest.mark.parametrize("candidates", [[BAD], [BAD, GOOD], [BAD, WORSE]], ids=["alone", "healthy-next", "all-bad"])
def test_after_the_first_content_the_caller_is_told_and_nobody_else_speaks(
    fault: Fault, position: str, candidates: list[Candidate]
) -> None:
    stage, seen = played(lambda: Stage({BAD: fault, WORSE: fault}, AFTER[position], streamed=True), candidates)
    stage.assert_books_balance()

    assert seen is not None
    assert stage.tried == [BAD]
    assert isinstance(seen.error, StreamInterrupted)
    assert b"bad0" in seen.frames
    assert b"good" not in seen.frames
    assert b"worse" not in seen.frames
    assert (seen.finishes, seen.frames.count(b"[DONE]"), seen.frames.count(b'data: {"error":')) == (1, 1, 1)
    figures = stage.loop.stats.of(BAD.deployment)
    assert figures is not None
    assert (figures.success_rate() == 1.0) is (fault.name in OF_THE_REQUEST)


@pytest.mark.parametrize("position", ANY_TIME)
@pytest.mark.parametrize("candidates", [[BAD], [BAD, GOOD]], ids=["alone", "healthy-next"])
def test_a_caller_who_leaves_is_followed_by_nothing(position: str, candidates: list[Candidate]) -> None:
    stage, seen = played(lambda: Stage({BAD: LEAVING}, ANY_TIME[position], streamed=True), candidates)

    assert seen is None
    assert stage.tried == [BAD]
    assert stage.loop.line.permits.taken == {}
    assert stage.health.records == {}
    figures = stage.loop.stats.of(BAD.deployment)
    assert figures is not None
    assert figures.in_flight == 0


def test_a_stall_is_ended_by_the_bound_of_one_attempt() -> None:
    stage, _ = played(lambda: Stage({BAD: SENT[-1]}, 1, streamed=True), [BAD, GOOD])

    first = stage.tally.made[0]
    assert (first.error, first.cause, first.seconds) == ("UpstreamTimeout", "attempt_timeout", ATTEMPT_SECONDS)


def test_the_faults_are_all_there_are() -> None:
    """A new class of error gets its row here by itself; what the decoders make of bytes is ``UpstreamBroken``."""
    assert {fault.name for fault in RAISED} == {kind.__name__ for kind in VERDICTS}
    assert UpstreamBroken in VERDICTS
