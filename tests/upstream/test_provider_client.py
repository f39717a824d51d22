"""One provider's link over a real upstream: its keys, and the ledger that it asks before it sends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orcestator.errors import (
    QUOTA,
    QUOTA_GUESSED,
    QUOTA_SIZE,
    QuotaUsedUp,
    StreamInterrupted,
    UpstreamKeyRefused,
    UpstreamRateLimited,
)
from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import Provider
from orcestator.providers.secret import Secret
from orcestator.routing.offer import Deployment
from orcestator.routing.state.quota import QuotaBook
from orcestator.sandbox.faults.hidden_limits import HiddenLimit
from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings
from orcestator.telemetry.background import BackgroundWriter
from orcestator.upstream.call import UpstreamCall, WholeAnswer
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.ids import new_id
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts
from tests.store.engines import quotas_at
from tests.upstream.scripted_upstream import Peer, Run, ScriptedUpstream, answers, chunked, plain, upstream_client

KEYS = (Secret("first-key"), Secret("second-key"), Secret("third-key"))
ROW = Provider("prov", "Prov", "", "", "", 1, models=(ModelFacts("echo"),))
HOUR = 3600.0


class House(NamedTuple):
    """A link, its ledger and its upstream."""

    link: ProviderClient
    quota: QuotaBook
    sandbox: SandboxServer


def book(seconds: float = 60.0) -> QuotaBook:
    return QuotaBook(time.time() - time.monotonic(), minute=seconds)


@asynccontextmanager
async def house(quota: QuotaBook, limit: HiddenLimit | None = None, row: Provider = ROW) -> AsyncIterator[House]:
    client = UpstreamClient(connections_per_origin=32, pending_per_origin=32)
    try:
        async with SandboxServer(SandboxSettings(), hidden_limit=limit) as sandbox:
            yield House(
                ProviderClient(row, sandbox.base_url, KEYS, 1, client, ProviderTimeouts(), quota), quota, sandbox
            )
    finally:
        await client.close()


def order(model: str = "echo", *, streamed: bool = False, words: int = 1) -> UpstreamCall:
    call: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "word " * words}],
        "stream": streamed,
    }
    return UpstreamCall(
        "chat", "/chat/completions", json.dumps(call).encode(), call, "application/json", model, streamed, False, "req-1",
        asyncio.get_running_loop().time() + 30, 100, 1, new_id,
    )  # fmt: skip


async def outcome(
    house: House, model: str = "echo", credential: str = "", *, streamed: bool = False, words: int = 1
) -> str:
    try:
        asked, now = order(model, streamed=streamed, words=words), time.monotonic()
        house.quota.admit(Deployment("prov", model, "", "proxy", credential=credential), asked.tokens, now)
        answer = await house.link.attempt(model, asked, credential, now)
    except QuotaUsedUp as refused:
        return refused.cause
    except (UpstreamRateLimited, UpstreamKeyRefused) as error:
        return error.cause if error.sent == error.cause.startswith("http_") else f"{error.cause}, sent: {error.sent}"
    if not isinstance(answer, WholeAnswer):
        while await answer.next():
            pass
        answer.close()
        answer.close()
    return "ok"


def seen(house: House) -> int:
    return len(house.sandbox.records)


def test_each_key_has_its_header_and_an_unknown_one_sends_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with house(book()) as at:
            assert at.link.offer.credentials == ("", "2", "3")
            assert [await outcome(at, credential=credential) for credential in ("", "2", "3", "", "4")] == [
                "ok", "ok", "ok", "ok", "no_credential",
            ]  # fmt: skip
            sent = [record.headers["authorization"] for record in at.sandbox.records]
            assert sent == [f"Bearer {name}-key" for name in ("first", "second", "third", "first")]

    run(scenario)


def test_after_the_first_429_of_a_hidden_limit_there_is_none(run: Run) -> None:
    async def scenario() -> None:
        # The windows are an hour here and there: nothing comes back while this runs.
        async with house(book(HOUR), HiddenLimit(5, HOUR, "sliding")) as at:
            outcomes = [await outcome(at) for _ in range(9)]
            assert outcomes == ["ok"] * 5 + ["http_429"] + [QUOTA_GUESSED] * 3
            assert seen(at) == 6
            assert await outcome(at, credential="2") == "ok", "another key has a limit of its own"

    run(scenario)


def test_refusals_of_requests_sent_at_once_are_one_and_teach_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with house(book(HOUR), HiddenLimit(5, HOUR, "sliding")) as at:
            outcomes = await asyncio.gather(*(outcome(at) for _ in range(12)))
            assert outcomes.count("ok") == 5
            assert await outcome(at) == QUOTA_GUESSED
            assert list(at.quota.states(time.monotonic())) == []

    run(scenario)


def test_what_was_learned_is_known_after_a_restart(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "state" / "quota.sqlite"

    async def life(limit: HiddenLimit, requests: int) -> tuple[list[str], int]:
        rows = quotas_at(path)
        quota = book(HOUR)
        quota.restore(rows.read())
        writer = BackgroundWriter("quota", rows, keeps_failed=True)
        quota.changed = writer
        writer.start()
        async with house(quota, limit) as at:
            outcomes, sent = [await outcome(at) for _ in range(requests)], seen(at)
        await asyncio.to_thread(writer.close, 5.0)
        return outcomes, sent

    async def scenario() -> None:
        limit = HiddenLimit(4, HOUR, "sliding")
        assert await life(limit, 6) == (["ok"] * 4 + ["http_429", QUOTA_GUESSED], 5)
        assert await life(limit, 3) == ([QUOTA_GUESSED] * 3, 0)
        assert b"first-key" not in path.read_bytes()

    run(scenario)


def test_tokens_and_money_are_counted_when_the_answer_is_over(run: Run) -> None:
    async def scenario() -> None:
        quota = book()
        quota.limit("prov", "", "", {"tpd": 1e6, "usd_per_day": 1e6})
        row = Provider(
            "prov", "Prov", "", "", "", 1, models=(ModelFacts("echo", prices={"input": 1e6, "output": 1e6}),)
        )
        async with house(quota, row=row) as at:
            for streamed in (False, True):
                assert await outcome(at, streamed=streamed, words=10) == "ok"
            tokens, usd = (state.limit - state.remaining for state in quota.states(time.monotonic()))
            assert tokens == usd > 20.0

    run(scenario)


def test_a_request_that_is_too_large_for_what_is_left_is_told_from_a_spent_limit(run: Run) -> None:
    async def scenario() -> None:
        quota = book()
        quota.limit("prov", "", "echo", {"tpm": 1000.0})
        async with house(quota) as at:
            assert await outcome(at, words=300) == "ok"
            assert await outcome(at, words=600) == QUOTA_SIZE
            assert await outcome(at) == "ok"
            assert seen(at) == 2

    run(scenario)


HEAD = b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: %d\r\nx-ratelimit-reset-requests: 40s\r\n"
REPLY = json.dumps(
    {"id": "c", "object": "chat.completion", "created": 1, "model": "echo",
     "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
).encode()  # fmt: skip


@asynccontextmanager
async def scripted(quota: QuotaBook, *replies: bytes) -> AsyncIterator[tuple[ProviderClient, ScriptedUpstream]]:
    async with ScriptedUpstream(answers(*replies)) as upstream, upstream_client() as client:
        url = f"http://127.0.0.1:{upstream.port}/v1"
        yield ProviderClient(ROW, url, KEYS[:1], 1, client, ProviderTimeouts(), quota), upstream


def test_limits_in_the_headers_of_an_answer_are_kept(run: Run) -> None:
    async def scenario() -> None:
        quota = book()
        async with scripted(quota, plain(REPLY, headers=HEAD % 1 + b"Content-Type: application/json\r\n")) as (link, _):
            await link.attempt_beside("echo", order())
            (state,) = quota.states(time.monotonic())
            assert (state.limit, state.remaining, state.source) == (60.0, 1.0, "told")
            assert quota.take("prov", "", "echo", 1, time.monotonic()) == 0.0
            with pytest.raises(QuotaUsedUp) as caught:
                await link.attempt_beside("echo", order())
            assert caught.value.cause == QUOTA
            assert caught.value.retry_after == pytest.approx(40.0, abs=1.0)

    run(scenario)


def test_a_busy_upstream_behind_the_upstream_teaches_nothing(run: Run) -> None:
    async def scenario() -> None:
        quota = book()
        refusal = {"error": {"message": "Provider returned error", "code": 429, "metadata": {"provider_name": "X"}}}
        body = json.dumps(refusal).encode()
        async with scripted(quota, plain(body, status=b"429 Too Many Requests")) as (link, _):
            with pytest.raises(UpstreamRateLimited):
                await link.attempt_beside("echo", order())
            assert quota.is_empty

    run(scenario)


EVENTS = b"Content-Type: text/event-stream\r\n"
BUSY = {"error": {"code": 429, "message": "Rate limit reached (RPM): Limit 30, Used 30. Please try again in 20s."}}
PIECE = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}  # fmt: skip


def assert_is_learned(quota: QuotaBook) -> None:
    now = time.monotonic()
    assert quota.back_for("prov", "", "echo", 0, now) == pytest.approx(now + 20.0, abs=2.0)
    assert 30.0 in {state.limit for state in quota.states(now)}


def event(wire: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(wire).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("reply", "streamed"),
    [
        (plain(json.dumps(BUSY).encode(), headers=b"Content-Type: application/json\r\n"), False),
        (plain(event(BUSY), headers=EVENTS), True),
    ],
    ids=["in a 200", "first in a stream"],
)
def test_a_rate_limit_inside_an_answer_reaches_the_ledger(run: Run, reply: bytes, streamed: bool) -> None:
    async def scenario() -> None:
        quota = book()
        async with scripted(quota, reply) as (link, _):
            with pytest.raises(UpstreamRateLimited):
                await link.attempt_beside("echo", order(streamed=streamed))
            assert_is_learned(quota)

    run(scenario)


def test_a_rate_limit_that_is_told_after_content_reaches_the_ledger(run: Run) -> None:
    async def scenario() -> None:
        quota, has_begun = book(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(chunked(event(PIECE), headers=EVENTS, end=False))
            await has_begun.wait()
            rest = event(BUSY)
            await peer.send(b"%x\r\n%b\r\n" % (len(rest), rest))
            await peer.gone()

        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            link = ProviderClient(
                ROW, f"http://127.0.0.1:{upstream.port}/v1", KEYS[:1], 1, client, ProviderTimeouts(), quota
            )
            answer = await link.attempt_beside("echo", order(streamed=True))
            assert not isinstance(answer, WholeAnswer)
            assert await answer.next()
            assert quota.is_empty
            has_begun.set()
            with pytest.raises(StreamInterrupted):
                await answer.next()
            answer.close()
            assert_is_learned(quota)

    run(scenario)


def test_a_busy_upstream_behind_the_upstream_teaches_nothing_inside_an_answer_either(run: Run) -> None:
    async def scenario() -> None:
        quota = book()
        busy = {"error": {"message": "Provider returned error", "code": 429, "metadata": {"provider_name": "X"}}}
        async with scripted(quota, plain(event(busy), headers=EVENTS)) as (link, _):
            with pytest.raises(UpstreamRateLimited):
                await link.attempt_beside("echo", order(streamed=True))
            assert quota.is_empty

    run(scenario)


def test_a_refused_request_does_not_count_as_answered(run: Run) -> None:
    async def scenario() -> None:
        quota = book(HOUR)
        quota.limit("prov", "", "echo", {"tpm": 1e6})
        async with house(quota, HiddenLimit(5, HOUR, "sliding")) as at:
            assert [await outcome(at) for _ in range(6)] == ["ok"] * 5 + ["http_429"]
            (account,) = quota.accounts.values()
            assert account.pause == HOUR, "the next pause without an answer in between is longer"

    run(scenario)
