"""Bodies that are pushed: each piece is handed on in the callback in which it came, and nobody is woken for it."""

import asyncio

import pytest

from orcestator.errors import UpstreamBroken, UpstreamTimeout
from orcestator.upstream.http.connection import CONTENT, ENOUGH, PAUSE_AT_BYTES, SILENCE
from orcestator.upstream.http.timeouts import Timeouts
from tests.upstream.scripted_upstream import (
    CHUNKED_HEAD,
    Peer,
    Run,
    ScriptedUpstream,
    eventually,
    plain,
    post,
    upstream_client,
)


class Steps:
    """An upstream that sends a piece when it is told to."""

    def __init__(self) -> None:
        self._due: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, piece: bytes) -> None:
        """This comes next; b"" ends the body."""
        self._due.put_nowait(piece)

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED_HEAD)
        while piece := await self._due.get():
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await peer.send(b"0\r\n\r\n")


def test_pieces_come_without_anybody_being_woken(run: Run) -> None:
    async def scenario() -> None:
        steps = Steps()
        async with ScriptedUpstream(steps) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            came: list[bytes] = []
            pushed = response.push(lambda piece: came.append(piece) or SILENCE)
            assert pushed is not None
            for piece in (b"one", b"two"):
                steps.send(piece)
                await eventually(lambda piece=piece: came[-1:] == [piece])  # type: ignore[misc]
                assert not pushed.done()
            steps.send(b"")
            await pushed
            assert await response.read() == b""
            assert came == [b"one", b"two"]
            assert client.idle() == 1

    run(scenario)


def test_a_step_that_has_enough_gets_no_more(run: Run) -> None:
    """What comes afterwards lies there for whoever reads."""

    async def scenario() -> None:
        steps = Steps()
        async with ScriptedUpstream(steps) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            came: list[bytes] = []
            pushed = response.push(lambda piece: came.append(piece) or ENOUGH)
            assert pushed is not None
            steps.send(b"one")
            await pushed
            steps.send(b"two")
            assert await response.read() == b"two"
            assert came == [b"one"]
            response.close()

    run(scenario)


def test_whoever_is_full_of_a_large_piece_is_read_no_second_one(run: Run) -> None:
    """The last piece lies unsent with its caller: the next may be as large, and is left to TCP until somebody asks for it."""

    async def scenario() -> None:
        piece, count = b"x" * 200_000, 40

        async def floods(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD + count * (b"%x\r\n%b\r\n" % (len(piece), piece)) + b"0\r\n\r\n")

        async with ScriptedUpstream(floods) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            sizes = [len(await response.read())]

            def step(piece: bytes) -> int:
                sizes.append(len(piece))
                return CONTENT if len(piece) <= PAUSE_AT_BYTES else CONTENT | ENOUGH

            connection = response._connection
            assert connection is not None
            while (pushed := response.push(step)) is None:
                sizes.append(len(await response.read()))
            await pushed
            assert sizes[-1] > PAUSE_AT_BYTES
            assert not connection._transport.is_reading()
            sizes.append(len(await response.read_all()))
            assert sum(sizes) == count * len(piece)

    run(scenario)


def test_what_a_step_raises_is_raised_to_who_waits(run: Run) -> None:
    """A bug of the reader's is nothing that the connection may swallow."""

    async def scenario() -> None:
        steps = Steps()
        async with ScriptedUpstream(steps) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)

            def broken(_piece: bytes) -> int:
                raise ArithmeticError("a bug")

            pushed = response.push(broken)
            assert pushed is not None
            steps.send(b"one")
            with pytest.raises(ArithmeticError, match="a bug"):
                await pushed
            response.close()

    run(scenario)


def test_there_is_nothing_to_wait_for_where_something_lies_here(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(_answers_whole) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            assert response.push(lambda _piece: SILENCE) is None
            assert await response.read_all() == b"whole"

    run(scenario)


def test_a_cut_is_told_by_the_next_read(run: Run) -> None:
    async def scenario() -> None:
        async def cuts(peer: Peer) -> None:
            await peer.request()
            await peer.send(CHUNKED_HEAD + b"3\r\none\r\n")
            await asked.wait()
            peer.reset()

        asked = asyncio.Event()
        async with ScriptedUpstream(cuts) as upstream, upstream_client() as client:
            response = await post(client, upstream.origin)
            assert await response.read() == b"one"
            pushed = response.push(lambda _piece: SILENCE)
            assert pushed is not None
            asked.set()
            await pushed
            with pytest.raises(UpstreamBroken):
                await response.read()

    run(scenario)


def test_silence_is_told_in_its_time(run: Run) -> None:
    """The time between two pieces holds for pushed ones: each moves it."""

    async def scenario() -> None:
        steps = Steps()
        async with ScriptedUpstream(steps) as upstream, upstream_client() as client:
            response = await post(
                client,
                upstream.origin,
                timeouts=Timeouts(connect=5.0, tls=5.0, first_byte=1000.0, idle=0.2, total=1000.0, pool=5.0),
            )
            came: list[bytes] = []

            def step(piece: bytes) -> int:
                came.append(piece)
                return CONTENT

            pushed = response.push(step)
            assert pushed is not None
            steps.send(b"one")
            await pushed
            assert came == [b"one"]
            with pytest.raises(UpstreamTimeout) as failure:
                await response.read()
            assert failure.value.cause == "idle_timeout"

    run(scenario)


def test_more_than_a_body_may_have_is_refused(run: Run) -> None:
    async def scenario() -> None:
        steps = Steps()
        async with ScriptedUpstream(steps) as upstream, upstream_client(max_reply_bytes=1024) as client:
            response = await post(client, upstream.origin)
            came: list[bytes] = []
            pushed = response.push(lambda piece: came.append(piece) or SILENCE)
            assert pushed is not None
            steps.send(b"x" * 1000)
            await eventually(lambda: bool(came))
            steps.send(b"x" * 1000)
            await pushed
            with pytest.raises(UpstreamBroken) as failure:
                await response.read()
            assert failure.value.cause == "too_large"
            assert len(came) == 1

    run(scenario)


async def _answers_whole(peer: Peer) -> None:
    await peer.request()
    await peer.send(plain(b"whole"))
