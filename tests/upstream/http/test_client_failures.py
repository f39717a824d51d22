"""Every way an exchange can fail: the class, the cause, whether it was sent, and that its slot is free again."""

import asyncio
import os
import socket
import sys

import pytest

from orcestator.errors import (
    Overloaded,
    ShuttingDown,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts
from tests.upstream.scripted_upstream import (
    CHUNKED_HEAD,
    LONG,
    PATIENT,
    Peer,
    Run,
    Script,
    ScriptedUpstream,
    answers,
    chunked,
    eventually,
    fetch,
    hang_up,
    plain,
    post,
    silent,
    upstream_client,
)


async def _failure(script: Script, timeouts: Timeouts = PATIENT, body: bytes = b"{}") -> UpstreamError:
    async with ScriptedUpstream(script) as upstream, upstream_client() as client:
        with pytest.raises(UpstreamError) as caught:
            await fetch(client, upstream.origin, body, timeouts=timeouts)
        await eventually(lambda: upstream.ended == len(upstream.peers))
        assert len(upstream.peers) == 1
        assert client.idle() == 0
        return caught.value


def _facts(failure: UpstreamError) -> tuple[type[UpstreamError], str, bool]:
    return type(failure), failure.cause, failure.sent


async def _reset(peer: Peer) -> None:
    await peer.request()
    peer.reset()


def _closing_after(raw: bytes) -> Script:
    return answers(raw, close=True)


def test_a_closed_port_refuses(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            origin = Origin("http", "127.0.0.1", unused.getsockname()[1], private=True)
            async with upstream_client() as client:
                with pytest.raises(UpstreamUnavailable) as caught:
                    await post(client, origin)
        assert _facts(caught.value) == (UpstreamUnavailable, "refused", False)

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a SYN when the backlog is full")
def test_a_black_hole_ends_in_a_connect_timeout(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
            hole.bind(("127.0.0.1", 0))
            hole.listen(0)
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(hole.getsockname())
            origin = Origin("http", "127.0.0.1", hole.getsockname()[1], private=True)
            async with upstream_client() as client:
                with pytest.raises(UpstreamTimeout) as caught:
                    await post(client, origin, timeouts=Timeouts(connect=0.05))
                with pytest.raises(UpstreamTimeout) as caught_total:
                    await post(client, origin, timeouts=Timeouts(connect=LONG, total=0.05))
        assert _facts(caught.value) == (UpstreamTimeout, "connect_timeout", False)
        assert _facts(caught_total.value) == (UpstreamTimeout, "total_timeout", False)

    run(scenario)


def test_a_peer_that_hangs_up_without_an_answer(run: Run) -> None:
    assert _facts(run(lambda: _failure(hang_up))) == (UpstreamUnavailable, "closed", True)


def test_a_peer_that_resets_without_an_answer(run: Run) -> None:
    assert _facts(run(lambda: _failure(_reset))) == (UpstreamUnavailable, "reset", True)


@pytest.mark.parametrize("resets", [False, True])
def test_a_peer_that_leaves_before_it_is_asked(run: Run, resets: bool) -> None:
    async def scenario() -> None:
        async def leaves(peer: Peer) -> None:
            if resets:
                peer.reset()

        async with ScriptedUpstream(leaves) as upstream, upstream_client() as client:
            for _ in range(20):
                with pytest.raises(UpstreamUnavailable) as caught:
                    await post(client, upstream.origin, timeouts=Timeouts(first_byte=LONG, total=LONG))
                assert caught.value.cause in {"closed", "reset"}

    run(scenario)


def test_a_connection_that_is_gone_before_the_request_has_sent_nothing(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            connection.abort()
            connection.begin(b"", b"", LONG, LONG)
            assert connection.failure is not None
            assert not connection.failure.sent
            response.close()

    run(scenario)


CUT_ANSWERS = {
    "in the head": b"HTTP/1.1 200 OK\r\nContent-",
    "before the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",
    "between chunks": chunked(b"body", end=False),
    "in a chunk": CHUNKED_HEAD + b"9\r\nbody",
    "before the last line": CHUNKED_HEAD + b"4\r\nbody\r\n0\r\n",
    "after an interim head": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("name", CUT_ANSWERS)
def test_a_cut_answer_is_never_a_clean_end(run: Run, name: str) -> None:
    failure = run(lambda: _failure(_closing_after(CUT_ANSWERS[name])))
    assert _facts(failure) == (UpstreamBroken, "closed", True)


def test_what_came_before_the_cut_is_read_first(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(_closing_after(chunked(b"one", b"two", end=False))) as upstream,
            upstream_client() as client,
        ):
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            await eventually(lambda: connection.failure is not None)
            assert await response.read() == b"onetwo"
            for _ in range(2):
                with pytest.raises(UpstreamBroken):
                    await response.read()

    run(scenario)


def test_a_reset_in_the_body_is_a_broken_answer(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(chunked(b"one", end=False))
            await had_one.wait()
            peer.reset()

        had_one = asyncio.Event()
        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            assert await response.read() == b"one"
            had_one.set()
            with pytest.raises(UpstreamBroken) as caught:
                await response.read()
            assert caught.value.cause == "reset"

    run(scenario)


GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody!",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody",
    "bad chunk size": CHUNKED_HEAD + b"xyz\r\nbody\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4\r\n\r\nbody",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbody",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_not_http_is_garbage(run: Run, name: str) -> None:
    failure = run(lambda: _failure(_closing_after(GARBAGE[name])))
    assert _facts(failure) == (UpstreamBroken, "garbage", True)


@pytest.mark.parametrize("ending", [b"", b"\r\n\r\nbody"])
def test_a_head_over_64_kib_is_refused(run: Run, ending: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 0123456789\r\n" * 3100 + b"X: y" + ending
    assert _facts(run(lambda: _failure(_closing_after(raw)))) == (UpstreamBroken, "too_large", True)


ONE_BYTE_AT_A_TIME = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 0123456789\r\n" * 1000


async def _slow_head(peer: Peer) -> None:
    await peer.request()
    for byte in ONE_BYTE_AT_A_TIME:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.002)


async def _interim_heads_for_ever(peer: Peer) -> None:
    await peer.request()
    while True:
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("script", [silent, _slow_head, _interim_heads_for_ever])
def test_the_head_is_due_whatever_drips(run: Run, script: Script) -> None:
    failure = run(lambda: _failure(script, Timeouts(first_byte=0.06, idle=LONG, total=LONG)))
    assert _facts(failure) == (UpstreamTimeout, "first_byte_timeout", True)


def test_a_request_that_nobody_reads_times_out(run: Run) -> None:
    async def reads_nothing(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()

    async def scenario() -> UpstreamError:
        async with ScriptedUpstream(reads_nothing) as upstream, upstream_client() as client:
            with pytest.raises(UpstreamTimeout) as caught:
                await fetch(client, upstream.origin, b"x" * 30_000_000, timeouts=Timeouts(first_byte=0.06))
            done.set()
            return caught.value

    done = asyncio.Event()
    assert _facts(run(scenario)) == (UpstreamTimeout, "first_byte_timeout", True)


async def _stalls_after_one(peer: Peer) -> None:
    await peer.request()
    await peer.send(chunked(b"one", end=False))
    await peer.gone()


async def _comments_for_ever(peer: Peer) -> None:
    await peer.request()
    await peer.send(chunked(b"data: one\n\n", end=False))
    while True:
        await peer.send(b"e\r\n: keep-alive\n\n\r\n")
        await asyncio.sleep(0.002)


def test_silence_in_the_body_times_out(run: Run) -> None:
    failure = run(lambda: _failure(_stalls_after_one, Timeouts(idle=0.06, total=LONG)))
    assert _facts(failure) == (UpstreamTimeout, "idle_timeout", True)


def test_bytes_that_are_not_content_do_not_count_when_the_reader_says_so(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(_comments_for_ever) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts(idle=0.06, total=LONG))
            response.auto_touch = False
            assert await response.read()
            response.touch()
            with pytest.raises(UpstreamTimeout) as caught:
                await response.read_all()
            assert caught.value.cause == "idle_timeout"

    run(scenario)


def test_the_first_content_is_due_whatever_comes_before_it(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(_comments_for_ever) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts(first_byte=0.06, idle=LONG, total=LONG))
            response.auto_touch = False
            with pytest.raises(UpstreamTimeout) as caught:
                await response.read_all()
            assert caught.value.cause == "first_content_timeout"

    run(scenario)


def test_the_idle_time_does_not_cut_before_the_first_content(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            await asyncio.sleep(0.5)
            await peer.send(b"2\r\nok\r\n0\r\n\r\n")

        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            waits = Timeouts(first_byte=LONG, idle=0.06, total=LONG)
            assert await fetch(client, upstream.origin, timeouts=waits) == (200, b"ok")

    run(scenario)


def test_blank_lines_are_no_content(run: Run) -> None:
    async def blank_for_ever(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED_HEAD)
        while True:
            await peer.send(b"2\r\n\n\n\r\n")
            await asyncio.sleep(0.002)

    failure = run(lambda: _failure(blank_for_ever, Timeouts(first_byte=0.06, idle=LONG, total=LONG)))
    assert _facts(failure) == (UpstreamTimeout, "first_content_timeout", True)


def test_a_sign_of_life_prolongs_the_wait_for_the_first_content_and_never_shortens_it(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(_comments_for_ever) as upstream, upstream_client() as client:
            loop = asyncio.get_running_loop()
            for first_byte, idle in ((0.06, 0.7), (LONG, 0.0)):
                waits = Timeouts(first_byte=first_byte, idle=idle, total=LONG)
                response = await post(client, upstream.origin, timeouts=waits)
                response.auto_touch = False
                until = loop.time() + 0.5
                while loop.time() < until:
                    assert await response.read()
                    response.prolong()
                response.close()

    run(scenario)


def test_a_touch_gives_another_idle_time(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(_comments_for_ever) as upstream, upstream_client() as client:
            loop = asyncio.get_running_loop()
            response = await post(client, upstream.origin, timeouts=Timeouts(idle=0.7, total=LONG))
            response.auto_touch = False
            until = loop.time() + 1.0
            while loop.time() < until:
                assert await response.read()
                response.touch()
            response.close()

    run(scenario)


def test_every_byte_counts_by_default_until_the_total_is_up(run: Run) -> None:
    failure = run(lambda: _failure(_comments_for_ever, Timeouts(idle=0.7, total=1.0)))
    assert _facts(failure) == (UpstreamTimeout, "total_timeout", True)


def test_the_callers_deadline_is_a_total_too(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(silent) as upstream, upstream_client() as client:
            now = asyncio.get_running_loop().time()
            with pytest.raises(UpstreamTimeout) as caught:
                await post(client, upstream.origin, deadline=now + 0.5)
            assert _facts(caught.value) == (UpstreamTimeout, "total_timeout", True)
            with pytest.raises(UpstreamTimeout) as caught:
                await post(client, upstream.origin, deadline=now)
            assert _facts(caught.value) == (UpstreamTimeout, "total_timeout", False)
            assert len(upstream.requests) == 1

    run(scenario)


def test_a_slow_reader_is_not_mistaken_for_a_silent_upstream(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.send(chunked(b"one", end=False))
            await finish.wait()
            await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

        finish = asyncio.Event()
        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts(first_byte=1.0, idle=1.0, total=LONG))
            connection = response._connection
            assert connection is not None
            await eventually(lambda: connection._timer_at > asyncio.get_running_loop().time() + 100)
            assert await response.read() == b"one"
            finish.set()
            assert await response.read_all() == b"two"

    run(scenario)


def test_a_client_that_closes_fails_what_runs_and_sends_nothing_more(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(silent) as upstream, upstream_client() as client:
            running = asyncio.ensure_future(post(client, upstream.origin))
            await eventually(lambda: len(upstream.requests) == 1)
            await client.close()
            with pytest.raises(UpstreamUnavailable) as caught:
                await running
            assert caught.value.cause == "closed"
            with pytest.raises(ShuttingDown):
                await post(client, upstream.origin)
            assert len(upstream.requests) == 1

    run(scenario)


# What is ours.


def test_a_want_of_descriptors_of_ours_is_not_the_providers_failure(run: Run) -> None:
    resource = pytest.importorskip("resource")

    async def scenario() -> None:
        async with ScriptedUpstream(silent) as upstream, upstream_client() as client:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            lowest = os.dup(0)  # the next free descriptor: no further one can be had
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                with pytest.raises(Overloaded) as caught:
                    await post(client, upstream.origin)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert caught.value.code == "out_of_sockets"
            assert "ulimit -n" in caught.value.message

    run(scenario)


@pytest.mark.parametrize("extra", [b"more", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"])
def test_what_follows_a_whole_answer_costs_the_connection_and_not_the_answer(run: Run, extra: bytes) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain(b"ok") + extra)) as upstream, upstream_client() as client:
            for _ in range(2):
                assert await fetch(client, upstream.origin) == (200, b"ok")
            assert len(upstream.peers) == (1 if not extra.strip() and client.idle() else 2)

    run(scenario)
