"""Leases are released exactly once, the last first, whatever becomes of the request that they were taken for."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orcestator.errors import QuotaExceeded
from orcestator.gateway.caller import Caller
from orcestator.gateway.leases import release
from orcestator.gateway.seams import Answers, Guarded, Lease, PlannedCall
from orcestator.routing.events import RequestEnded
from orcestator.upstream.call import Answer
from tests.cluster.dialects import LATE, LONG_WORDS
from tests.gateway.parts import Release
from tests.gateway.served import KEY, Json, Served, chat, run, served

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
HANGS = "plain/echo?ttft=600"
FLOWS = "plain/echo?tps=20&tokens=100000"


class Books:
    """What was taken and released, in order, and the records that the leases were shown."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.released: list[str] = []
        self.shown: list[RequestEnded | None] = []
        self.was_asked = asyncio.Event()

    def lease(self, name: str, *, fails: bool = False) -> Lease:
        """A lease of this name."""

        def note(ended: RequestEnded | None) -> None:
            self.released.append(name)
            self.shown.append(ended)
            if fails:
                raise RuntimeError("a bug in a lease")

        self.taken.append(name)
        self.was_asked.set()
        return Release(note)

    def check(self, *names: str) -> RequestEnded | None:
        """Just these were taken, and each was released once in the reverse order and with the same record, which is given."""
        assert self.taken == list(names)
        assert self.released == list(reversed(names))
        assert len(set(map(id, self.shown))) <= 1
        return self.shown[0] if self.shown else None


class Gate:
    """A limiter and a reserver of one name; ``refuses`` and ``breaks`` say where it does."""

    def __init__(self, books: Books, name: str, *, refuses: str = "", breaks: str = "", fails: bool = False) -> None:
        self._books = books
        self._name = name
        self._refuses = refuses
        self._breaks = breaks
        self._fails = fails

    def admit(self, caller: Caller, peer: str, now: float) -> Lease | None:
        """As a limiter."""
        assert caller.id
        assert peer == "127.0.0.1"
        assert now > 0.0
        return self._asked("limit")

    def reserve(self, call: PlannedCall, now: float) -> Lease | None:
        """As a reserver."""
        assert call.plan.candidates
        assert call.order.call is not None
        assert now > 0.0
        return self._asked("reserve")

    def _asked(self, where: str) -> Lease:
        if where == self._breaks:
            raise RuntimeError("a bug in a seam")
        if where == self._refuses:
            raise QuotaExceeded("No more.", headers={"retry-after": "7"})
        return self._books.lease(f"{where} {self._name}", fails=self._fails)


ALL = ("limit a", "limit b", "reserve a", "reserve b")


def gates(books: Books, **second: Any) -> Json:
    """Two gates at both seams, the second as it is said."""
    both = (Gate(books, "a"), Gate(books, "b", **second))
    return {"limiters": both, "reservers": both}


def check_rest(gateway: Served) -> None:
    """Nothing of a request is left."""
    assert not gateway.gateway.drain.active
    assert gateway.gateway.bodies.held == 0
    assert len(gateway.gateway.attempts.line) == 0


@WAYS
def test_of_a_request_that_went_well(stream: bool) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:
            assert (await gateway.post(chat("plain/echo", stream=stream))).status_code == 200
            record = await gateway.record(1)
            assert books.check(*ALL) is record
            assert (record.outcome, record.usage.prompt_tokens) == ("ok", 2)
            check_rest(gateway)

    run(work)


@WAYS
@pytest.mark.parametrize(
    ("model", "status", "taken"),
    [
        ("plain/fault:H1:500", 503, ALL),
        ("plain/fault:H1:400", 400, ALL),
        ("nobody/has-this", 404, ALL[:2]),
        ("", 400, ALL[:2]),
    ],
)
def test_of_a_request_that_failed(stream: bool, model: str, status: int, taken: tuple[str, ...]) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:
            body = (
                chat(model, stream=stream) if model else {"model": "plain/echo", "stream": stream, "messages": "none"}
            )
            answer = await gateway.post(body)
            assert answer.status_code == status, answer.text
            record = await gateway.record(1)
            assert books.check(*taken) is record
            assert record.status == status
            check_rest(gateway)

    run(work)


def test_of_a_stream_that_broke() -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:
            answer = await gateway.post(chat(f"plain/fault:S4:rst{LATE}", LONG_WORDS, stream=True))
            assert '"partial":true' in answer.text
            record = await gateway.record(1)
            assert books.check(*ALL) is record
            assert record.outcome == "upstream_error"
            check_rest(gateway)

    run(work)


async def opened(gateway: Served, body: bytes, *, length: int = 0) -> asyncio.StreamWriter:
    """A connection on which a request was sent, or a part of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    gateway.kept.append(reader)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (KEY.encode(), length or len(body), body)
    )
    await writer.drain()
    return writer


async def has_asked(gateway: Served) -> None:
    """Until an attempt has reached the upstream."""
    await gateway.sandbox.wait_for(lambda records: any(record.method == "POST" for record in records), 30.0)


async def in_the_body(gateway: Served, books: Books, stream: bool) -> asyncio.StreamWriter:
    """A request of which half the body has come."""
    writer = await opened(gateway, b'{"model":', length=1000)
    await books.was_asked.wait()
    return writer


async def in_the_attempt(gateway: Served, books: Books, stream: bool) -> asyncio.StreamWriter:
    """A request whose upstream is silent."""
    writer = await opened(gateway, json.dumps(chat(HANGS, stream=stream)).encode())
    await has_asked(gateway)
    return writer


async def in_the_answer(gateway: Served, books: Books, stream: bool) -> asyncio.StreamWriter:
    """A stream of which something has come."""
    writer = await opened(gateway, json.dumps(chat(FLOWS, stream=True)).encode())
    assert (await gateway.kept[0].readline()).startswith(b"HTTP/1.1 200")
    return writer


STAGES = [
    pytest.param(in_the_body, False, ALL[:2], id="body"),
    pytest.param(in_the_attempt, False, ALL, id="whole"),
    pytest.param(in_the_attempt, True, ALL, id="stream"),
    pytest.param(in_the_answer, True, ALL, id="answer"),
]
Stage = Callable[[Served, Books, bool], Awaitable[asyncio.StreamWriter]]


@pytest.mark.parametrize(("stage", "stream", "taken"), STAGES)
def test_of_a_caller_that_leaves(stage: Stage, stream: bool, taken: tuple[str, ...]) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:
            writer = await stage(gateway, books, stream)
            writer.transport.abort()
            record = await gateway.record(1)
            assert books.check(*taken) is record
            assert record.outcome == "cancelled"
            check_rest(gateway)

    run(work)


@pytest.mark.parametrize(("stage", "stream", "taken"), STAGES)
def test_of_a_request_that_a_shutdown_ends(stage: Stage, stream: bool, taken: tuple[str, ...]) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:
            writer = await stage(gateway, books, stream)
            gateway.gateway.drain.begin()
            assert await gateway.gateway.drain.finish(0.0, 30.0) == 1
            record = await gateway.record(1)
            assert books.check(*taken) is record
            assert (record.outcome, record.error) == ("shed", "ShuttingDown")
            check_rest(gateway)
            writer.transport.abort()

    run(work)


@WAYS
@pytest.mark.parametrize(("where", "taken"), [("limit", ALL[:1]), ("reserve", ALL[:3])])
def test_when_one_further_down_refuses(where: str, taken: tuple[str, ...], stream: bool) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books, refuses=where)) as gateway:
            answer = await gateway.post(chat("plain/echo", stream=stream))
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
            assert not gateway.calls
            assert books.check(*taken) is await gateway.record(1)
            check_rest(gateway)

    run(work)


@WAYS
@pytest.mark.parametrize(("where", "taken"), [("limit", ALL[:1]), ("reserve", ALL[:3])])
def test_when_one_further_down_has_a_bug(where: str, taken: tuple[str, ...], stream: bool) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books, breaks=where)) as gateway:
            assert (await gateway.post(chat("plain/echo", stream=stream))).status_code == 500
            record = await gateway.record(1)
            assert books.check(*taken) is record
            assert record.error == "OrcestatorError"
            check_rest(gateway)

    run(work)


class Broken:
    """A guardrail and middleware that has a bug in the stage that is named."""

    name = "broken"

    def __init__(self, stage: str) -> None:
        self._stage = stage

    async def check(self, caller: Caller, endpoint: str, call: Json) -> Guarded:
        """As a guardrail."""
        self._at("check")
        return Guarded(call, lambda: self)

    async def answer(self, call: PlannedCall, proceed: Answers) -> Answer:
        """As middleware."""
        self._at("before")
        answer = await proceed(call)
        self._at("after")
        return answer

    def text(self, piece: str) -> str:
        """As what watches a text."""
        self._at("text")
        return piece

    def rest(self) -> str:
        """Nothing was held back."""
        self._at("rest")
        return ""

    def _at(self, stage: str) -> None:
        if stage == self._stage:
            raise RuntimeError("a bug in a stage")


@WAYS
@pytest.mark.parametrize("stage", ["check", "before", "after", "text", "rest"])
def test_when_a_stage_has_a_bug(stage: str, stream: bool) -> None:
    async def work() -> None:
        books, broken = Books(), Broken(stage)
        async with served(**gates(books), guardrails=(broken,), middleware=(broken,)) as gateway:
            answer = await gateway.post(chat("plain/echo", stream=stream))
            assert "failed inside (RuntimeError)" in answer.text
            record = await gateway.record(1)
            assert books.check(*(ALL[:2] if stage == "check" else ALL)) is record
            assert record.error == "OrcestatorError"
            check_rest(gateway)

    run(work)


@WAYS
def test_when_the_record_cannot_be_told(stream: bool) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books)) as gateway:

            def emit(event: object) -> None:
                gateway.news.set()
                raise RuntimeError("a bug in a subscriber")

            gateway.gateway.emit = emit
            assert (await gateway.post(chat("plain/echo", stream=stream))).status_code == 200
            await gateway.news.wait()
            assert books.check(*ALL) is None
            check_rest(gateway)

    run(work)


@WAYS
def test_one_that_fails_keeps_no_other(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        books = Books()
        async with served(**gates(books, fails=True)) as gateway:
            assert (await gateway.post(chat("plain/echo", stream=stream))).status_code == 200
            assert books.check(*ALL) is await gateway.record(1)
            check_rest(gateway)

    run(work)
    assert caplog.text.count("a lease could not be released") == 2


def test_a_lease_that_releases_the_rest_itself_finds_none_twice() -> None:
    """Each is taken off the list before it is released."""
    released: list[int] = []
    leases: list[Lease] = []
    for number in range(3):
        leases.append(Release(lambda _ended, number=number: (released.append(number), release(leases, None, "inner"))))
    release(leases, None, "outer")
    assert released == [2, 1, 0]
