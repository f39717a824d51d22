"""Bodies: bounded in memory, capped in size, decompressed once and never into a bomb."""

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from orcestator.errors import UpstreamBroken
from orcestator.upstream.http import pool
from orcestator.upstream.http.timeouts import Timeouts
from tests.upstream.scripted_upstream import (
    CHUNKED_HEAD,
    Peer,
    Run,
    ScriptedUpstream,
    answers,
    chunked,
    eventually,
    fetch,
    plain,
    post,
    upstream_client,
)

MIB = 1024 * 1024


def test_a_slow_reader_slows_the_upstream_and_then_gets_everything(run: Run) -> None:
    async def scenario() -> None:
        written = 0

        async def floods(peer: Peer) -> None:
            nonlocal written
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            for _ in range(512):
                await peer.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                written += 65536
            await peer.send(b"0\r\n\r\n")

        async with ScriptedUpstream(floods) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            await eventually(lambda: connection._is_paused)
            paused_at = written
            assert sum(map(len, connection.pieces)) < 1 * MIB
            total = 0
            while piece := await response.read():
                total += len(piece)
            assert total == 512 * 65536
            assert paused_at < total
            assert client.idle() == 1

    run(scenario)


def test_while_a_piece_is_in_hand_little_more_is_read(run: Run) -> None:
    """What a reader who stops costs: the piece that it was given, and what was read until the upstream was asked to wait."""

    async def scenario() -> None:
        async def floods(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            for _ in range(512):
                await peer.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await peer.send(b"0\r\n\r\n")

        async with ScriptedUpstream(floods) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            total = 0
            for _ in range(16):
                if not connection._is_paused:
                    await eventually(lambda: connection._is_paused)
                in_hand = await response.read()
                held = sum(map(len, connection.pieces))
                assert len(in_hand) + held <= 400 * 1024
                assert connection._is_paused, "it was read on before anybody asked for more"
                total += len(in_hand)
                total += len(await response.read())
            while piece := await response.read():
                total += len(piece)
            assert total == 512 * 65536

    run(scenario)


def test_a_silence_that_is_ours_is_not_held_against_the_upstream(run: Run) -> None:
    async def scenario() -> None:
        asked_again = asyncio.Event()

        async def waits(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            await peer.send(b"%x\r\n" % 70_000 + b"x" * 70_000 + b"\r\n")
            await asked_again.wait()
            await peer.send(b"1\r\ny\r\n0\r\n\r\n")

        async with ScriptedUpstream(waits) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts(idle=0.5))
            connection = response._connection
            assert connection is not None
            await eventually(lambda: connection._is_paused)
            begun = await response.read()
            await asyncio.sleep(0.6)  # longer than the idle time-out
            rest = asyncio.create_task(response.read_all())
            await eventually(lambda: not connection._is_paused)
            asked_again.set()
            assert begun + await rest == b"x" * 70_000 + b"y"

    run(scenario)


def test_a_hundred_thousand_tiny_chunks_come_joined(run: Run) -> None:
    async def scenario() -> None:
        raw = chunked(*[b"x"] * 100_000)
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            reads = 0
            total = 0
            while piece := await response.read():
                reads += 1
                total += len(piece)
            assert total == 100_000
            assert reads < 1000

    run(scenario)


@pytest.mark.parametrize("raw", [plain(b"x" * 5000), chunked(*[b"x" * 100] * 50)])
def test_a_body_over_the_cap_is_cut(run: Run, raw: bytes) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client(max_reply_bytes=4999) as client:
            with pytest.raises(UpstreamBroken) as caught:
                await fetch(client, upstream.origin)
            assert caught.value.cause == "too_large"
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client(max_reply_bytes=5000) as client:
            assert await fetch(client, upstream.origin) == (200, b"x" * 5000)

    run(scenario)


def _deflated(plain_bytes: bytes, wbits: int) -> bytes:
    deflater = zlib.compressobj(wbits=wbits)
    return deflater.compress(plain_bytes) + deflater.flush()


TEXT = b"".join(b"line %d of the answer\n" % number for number in range(2000))
ENCODED = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "x-gzip": (b"X-GZip", gzip.compress(TEXT)),
    "gzip members": (b"gzip", gzip.compress(TEXT[:999]) + gzip.compress(b"") + gzip.compress(TEXT[999:])),
    "deflate": (b"deflate", _deflated(TEXT, zlib.MAX_WBITS)),
    "raw deflate": (b"deflate", _deflated(TEXT, -zlib.MAX_WBITS)),
    "identity": (b"identity", TEXT),
}


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("step", [1, 700, 100_000])
def test_an_encoded_body_is_read_plain(run: Run, name: str, step: int) -> None:
    async def scenario() -> None:
        encoding, body = ENCODED[name]
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
        raw = chunked(*pieces, headers=b"Content-Encoding: " + encoding + b"\r\n")
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            for _ in range(2):
                assert await fetch(client, upstream.origin) == (200, TEXT)
            assert len(upstream.peers) == 1

    run(scenario)


BROKEN_ENCODINGS = {
    "brotli": (b"br", b"\x0b\x02\x80"),
    "two layers": (b"gzip, gzip", gzip.compress(gzip.compress(TEXT))),
    "wrong label": (b"gzip", b'{"choices":[]}'),
    "wrong deflate": (b"deflate", b"\xff\xff\xff"),
    "truncated": (b"gzip", gzip.compress(TEXT)[:-20]),
    "checksum": (b"gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
    "rest after the end": (b"gzip", gzip.compress(TEXT) + b"rest"),
    "rest after deflate": (b"deflate", zlib.compress(TEXT) + b"rest"),
}


@pytest.mark.parametrize("name", BROKEN_ENCODINGS)
def test_an_encoding_that_cannot_be_undone_is_refused(run: Run, name: str) -> None:
    async def scenario() -> None:
        encoding, body = BROKEN_ENCODINGS[name]
        raw = plain(body, headers=b"Content-Encoding: " + encoding + b"\r\n")
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            with pytest.raises(UpstreamBroken) as caught:
                await fetch(client, upstream.origin)
            assert caught.value.cause == "encoding"

    run(scenario)


@pytest.mark.parametrize("transfer", [b"gzip", b"gzip, chunked"])
def test_a_transfer_encoding_other_than_chunked_is_refused(run: Run, transfer: bytes) -> None:
    async def scenario() -> None:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + transfer + b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        async with ScriptedUpstream(answers(raw, close=True)) as upstream, upstream_client() as client:
            with pytest.raises(UpstreamBroken) as caught:
                await fetch(client, upstream.origin)
            assert caught.value.cause == "encoding"

    run(scenario)


def test_two_encoding_headers_are_two_layers(run: Run) -> None:
    async def scenario() -> None:
        raw = plain(gzip.compress(TEXT), headers=b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n")
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            with pytest.raises(UpstreamBroken):
                await fetch(client, upstream.origin)

    run(scenario)


def _bomb(plain_mib: int) -> bytes:
    deflater = zlib.compressobj(level=9, wbits=16 + zlib.MAX_WBITS)
    zeros = b"\0" * MIB
    return b"".join(deflater.compress(zeros) for _ in range(plain_mib)) + deflater.flush()


@pytest.mark.parametrize("plain_mib", [2, 128])
def test_a_bomb_is_defused_before_it_costs_memory(run: Run, plain_mib: int) -> None:
    raw = plain(_bomb(plain_mib), headers=b"Content-Encoding: gzip\r\n")

    async def scenario() -> int:
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client(max_reply_bytes=1024 * MIB) as client:
            tracemalloc.start()
            try:
                with pytest.raises(UpstreamBroken) as caught:
                    await fetch(client, upstream.origin)
                assert caught.value.cause == "too_large"
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert run(scenario) < 32 * MIB


def test_a_very_repetitive_but_small_answer_is_no_bomb(run: Run) -> None:
    async def scenario() -> None:
        body = b" " * (MIB - 1)
        raw = plain(gzip.compress(body), headers=b"Content-Encoding: gzip\r\n")
        async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
            assert await fetch(client, upstream.origin) == (200, body)

    run(scenario)


def test_the_cap_counts_what_a_compressed_body_becomes(run: Run) -> None:
    async def scenario() -> None:
        raw = plain(gzip.compress(TEXT), headers=b"Content-Encoding: gzip\r\n")
        async with (
            ScriptedUpstream(answers(raw)) as upstream,
            upstream_client(max_reply_bytes=len(TEXT) - 1) as client,
        ):
            with pytest.raises(UpstreamBroken) as caught:
                await fetch(client, upstream.origin)
            assert caught.value.cause == "too_large"

    run(scenario)


def test_reading_after_close_is_not_a_clean_end(run: Run) -> None:
    async def scenario() -> None:
        raws = (plain(b"x" * 10), plain(gzip.compress(TEXT), headers=b"Content-Encoding: gzip\r\n"))
        for raw in raws:
            async with ScriptedUpstream(answers(raw)) as upstream, upstream_client() as client:
                response = await post(client, upstream.origin)
                response.close()
                response.close()
                with pytest.raises(UpstreamBroken):
                    await response.read()

    run(scenario)


def test_a_closed_response_cannot_touch_the_next_exchange(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain(b"first"), chunked(b"a", b"b"))) as upstream,
            upstream_client() as client,
        ):
            first = await post(client, upstream.origin)
            assert await first.read_all() == b"first"
            second = await post(client, upstream.origin)
            first.close()
            first.touch()
            first.release()
            assert await first.read() == b""
            assert await second.read_all() == b"ab"
            assert len(upstream.peers) == 1

    run(scenario)


def test_a_released_stream_gives_its_connection_back_when_its_end_comes(run: Run) -> None:
    async def scenario() -> None:
        async def script(peer: Peer) -> None:
            for _ in range(2):
                await peer.request()
                await peer.send(chunked(b"data: [DONE]\n\n", end=False))
                await finish.wait()
                await peer.send(b"1\r\n\n\r\n0\r\n\r\n")

        finish = asyncio.Event()
        async with ScriptedUpstream(script) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            assert await response.read() == b"data: [DONE]\n\n"
            response.release()
            assert client.in_use() == 1
            assert await response.read() == b""
            finish.set()
            await eventually(lambda: (client.in_use(), client.idle()) == (0, 1))
            response = await post(client, upstream.origin)
            await eventually(lambda: response._connection is not None and response._connection.is_complete)
            response.release()
            assert len(upstream.peers) == 1

    run(scenario)


def test_a_released_stream_that_goes_on_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_WIND_UP_SECONDS", 1000.0)

    async def scenario() -> None:
        async def goes_on(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            while True:
                await peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        async with ScriptedUpstream(goes_on) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts())
            response.release()
            await eventually(lambda: client.in_use() == 0 and upstream.ended == 1)
            assert client.idle() == 0

    run(scenario)


def test_a_released_stream_that_stalls_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_WIND_UP_SECONDS", 0.02)

    async def scenario() -> None:
        async def stalls(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD)
            await peer.gone()

        async with ScriptedUpstream(stalls) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin, timeouts=Timeouts())
            response.release()
            await eventually(lambda: client.in_use() == 0 and upstream.ended == 1)

    run(scenario)
