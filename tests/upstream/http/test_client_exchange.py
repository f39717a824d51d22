"""What goes out, and every legal shape of what comes back."""

import asyncio
import socket

import pytest

from orcestator.errors import UpstreamBroken, UpstreamUnavailable
from tests.upstream.scripted_upstream import (
    CHUNKED_HEAD,
    PATIENT,
    Peer,
    Run,
    ScriptedUpstream,
    answers,
    chunked,
    eventually,
    fetch,
    hang_up,
    plain,
    post,
    upstream_client,
)


def test_a_request_has_host_length_and_the_callers_lines(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            assert await fetch(client, upstream.origin, b'{"a":1}') == (200, b"ok")
            lines = upstream.requests[0].split(b"\r\n")
            assert lines == [
                b"POST /v1/chat HTTP/1.1",
                b"Host: 127.0.0.1:%d" % upstream.port,
                b"Content-Length: 7",
                b"Content-Type: application/json",
                b"",
                b'{"a":1}',
            ]

    run(scenario)


def test_a_get_has_no_length_and_an_empty_post_has_zero(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            response = await client.send(upstream.origin, b"GET", b"/v1/models", b"", b"", PATIENT)
            assert await response.read_all() == b"ok"
            await fetch(client, upstream.origin, b"")
            assert b"content-length" not in upstream.requests[0].lower()
            assert b"Content-Length: 0\r\n" in upstream.requests[1]

    run(scenario)


@pytest.mark.parametrize("target", [b"/a b", b"/a\r\nX: y", b"/a\nb", b""])
def test_a_target_that_would_break_the_request_line_is_never_sent(run: Run, target: bytes) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            with pytest.raises(ValueError, match="cannot be sent"):
                await client.send(upstream.origin, b"POST", target, b"", b"", PATIENT)
            assert upstream.peers == []

    run(scenario)


@pytest.mark.parametrize("size", [0, 100, 65_536, 65_537, 3_000_000])
def test_a_body_of_any_size_arrives_whole(run: Run, size: int) -> None:
    async def scenario() -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            assert await fetch(client, upstream.origin, body[:size]) == (200, b"ok")
            assert upstream.requests[0].partition(b"\r\n\r\n")[2] == body[:size]

    run(scenario)


def test_connections_are_kept_and_the_last_used_comes_first(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            first = await post(client, upstream.origin)
            second = await post(client, upstream.origin)
            assert (client.in_use(), client.idle()) == (2, 0)
            await second.read_all()
            await first.read_all()
            assert (client.in_use(), client.idle()) == (0, 2)
            for _ in range(3):
                await fetch(client, upstream.origin)
            assert [len(peer.requests) for peer in upstream.peers] == [4, 1]

    run(scenario)


def test_the_socket_sends_at_once_and_notices_a_dead_peer(run: Run) -> None:
    seen: list[int] = []

    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            sock = connection._transport.get_extra_info("socket")
            seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            seen.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            response.close()

    run(scenario)
    assert all(seen)


WHOLE_ANSWERS = {
    "length": plain(b"body"),
    "chunks": chunked(b"bo", b"dy"),
    "chunk extensions": CHUNKED_HEAD + b'2;a=b\r\nbo\r\n2;c="d"\r\ndy\r\n0;e\r\n\r\n',
    "trailers": CHUNKED_HEAD + b"4\r\nbody\r\n0\r\nX-Checksum: 1\r\nContent-Encoding: gzip\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"body"),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n" * 3 + plain(b"body"),
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody",
    "empty lines first": b"\r\n\r\n" + plain(b"body"),
    "1.0 kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
    "odd case": b"HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:4\r\n\r\nbody",
}
LAST_ANSWERS = {
    "1.0 with length": b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    "1.0 until close": b"HTTP/1.0 200 OK\r\n\r\nbody",
    "1.1 until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
    "1.1 close with length": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody",
    "early hints until close": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody",
}


@pytest.mark.parametrize("name", WHOLE_ANSWERS)
@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_an_answer_is_read_however_it_is_framed_and_cut(run: Run, name: str, step: int) -> None:
    raw = WHOLE_ANSWERS[name]

    async def in_steps(peer: Peer) -> None:
        while True:
            await peer.request()
            for start in range(0, len(raw), step):
                await peer.send(raw[start : start + step])

    async def scenario() -> None:
        async with ScriptedUpstream(in_steps) as upstream, upstream_client() as client:
            for _ in range(3):
                assert await fetch(client, upstream.origin) == (200, b"body")
            assert len(upstream.peers) == 1
            assert client.idle() == 1

    run(scenario)


@pytest.mark.parametrize("name", LAST_ANSWERS)
def test_an_answer_that_ends_its_connection_is_complete_and_the_connection_unused(run: Run, name: str) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(LAST_ANSWERS[name], close=True)) as upstream,
            upstream_client() as client,
        ):
            for _ in range(2):
                assert await fetch(client, upstream.origin) == (200, b"body")
                assert client.idle() == 0
            assert len(upstream.peers) == 2

    run(scenario)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_needs_no_length(run: Run, status: bytes) -> None:
    async def scenario() -> None:
        raw = b"HTTP/1.1 " + status + b"\r\nContent-Encoding: gzip\r\n\r\n"
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            for _ in range(2):
                assert await fetch(client, upstream.origin) == (int(status[:3]), b"")
            assert len(upstream.peers) == 1

    run(scenario)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 429, 500, 529])
def test_no_status_is_judged_and_no_redirect_followed(run: Run, status: int) -> None:
    async def scenario() -> None:
        headers = b"Location: http://127.0.0.1:1/elsewhere\r\nRetry-After: 1\r\nretry-after: 2\r\n"
        reply = plain(b"why", status=b"%d X" % status, headers=headers)
        async with ScriptedUpstream(answers(reply)) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            assert (response.status, await response.read_all()) == (status, b"why")
            assert response.headers.get(b"location") == b"http://127.0.0.1:1/elsewhere"
            assert response.headers.get_all(b"retry-after") == [b"1", b"2"]
            assert len(upstream.requests) == 1

    run(scenario)


def test_a_kept_connection_that_the_peer_closed_meanwhile_is_replaced_silently(run: Run) -> None:
    async def scenario() -> None:
        async def answers_once(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await peer.request()  # and closes just as the second request comes

        async with ScriptedUpstream(answers_once, answers(plain(b"fresh"))) as upstream, upstream_client() as client:
            await fetch(client, upstream.origin)
            assert await fetch(client, upstream.origin) == (200, b"fresh")
            assert len(upstream.requests) == 3

    run(scenario)


def test_a_reset_of_a_kept_connection_is_replaced_silently_and_only_once(run: Run) -> None:
    async def scenario() -> None:
        async def answers_then_resets(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await peer.request()
            peer.reset()

        async with ScriptedUpstream(answers_then_resets, hang_up) as upstream, upstream_client() as client:
            await fetch(client, upstream.origin)
            with pytest.raises(Exception, match="without an answer") as caught:
                await fetch(client, upstream.origin)
            assert getattr(caught.value, "cause", "") == "closed"
            assert len(upstream.requests) == 3

    run(scenario)


def test_a_repeated_request_may_have_been_billed_even_if_the_second_try_was_never_sent(run: Run) -> None:
    async def scenario() -> None:
        async def answers_once(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await peer.request()

        async with ScriptedUpstream(answers_once) as upstream, upstream_client() as client:
            origin = upstream.origin
            await fetch(client, origin)
            upstream.stop_listening()
            with pytest.raises(UpstreamUnavailable) as caught:
                await fetch(client, origin)
            assert (caught.value.cause, caught.value.sent) == ("refused", True)

    run(scenario)


def test_an_answer_that_has_begun_is_never_asked_for_again(run: Run) -> None:
    async def scenario() -> None:
        async def answers_then_breaks(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await peer.request()
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")

        async with ScriptedUpstream(answers_then_breaks) as upstream, upstream_client() as client:
            await fetch(client, upstream.origin)
            with pytest.raises(UpstreamBroken) as caught:
                await fetch(client, upstream.origin)
            assert caught.value.cause == "closed"
            assert len(upstream.requests) == 2

    run(scenario)


@pytest.mark.parametrize("unasked", [plain(b"nobody asked"), b"\r\n"])
def test_an_idle_connection_that_closes_or_speaks_is_dropped(run: Run, unasked: bytes) -> None:
    async def scenario() -> None:
        async def speaks_unasked(peer: Peer) -> None:
            await peer.request()
            await peer.send(plain())
            await eventually(lambda: client.idle() == 1)
            await peer.send(unasked)
            await peer.gone()

        async with (
            ScriptedUpstream(speaks_unasked, answers(plain(), close=True), answers(plain(b"third"))) as upstream,
            upstream_client() as client,
        ):
            await fetch(client, upstream.origin)
            await eventually(lambda: client.idle() == 0)
            await fetch(client, upstream.origin)
            await eventually(lambda: client.idle() == 0)
            assert await fetch(client, upstream.origin) == (200, b"third")
            assert [len(peer.requests) for peer in upstream.peers] == [1, 1, 1]

    run(scenario)


def test_an_idle_connection_expires(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(keep_alive=0.02) as client:
            await fetch(client, upstream.origin)
            await eventually(lambda: client.idle() == 0 and upstream.ended == 1)
            assert await fetch(client, upstream.origin) == (200, b"ok")

    run(scenario)


def test_an_answer_before_the_request_is_written_leaves_no_connection_behind(run: Run) -> None:
    async def scenario() -> None:
        async def refuses_unread(peer: Peer) -> None:
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.send(plain(b"too big", status=b"413 Content Too Large"))
            await peer.reader.read(1)
            await released.wait()

        released = asyncio.Event()
        async with ScriptedUpstream(refuses_unread) as upstream, upstream_client() as client:
            assert await fetch(client, upstream.origin, b"x" * 20_000_000) == (413, b"too big")
            assert client.idle() == 0
            released.set()

    run(scenario)
