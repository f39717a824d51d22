"""Callers that leave while a connection is made: nothing may stay behind, and closing may not wait for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin, Proxy
from tests.upstream.scripted_upstream import Peer, Run, Script, ScriptedUpstream, eventually, post, silent

Certificate = tuple[Path, Path]
TURNS = range(13)
"""After how many turns of the loop a caller leaves. A plain connection is there after five, a TLS one has begun its handshake."""


@asynccontextmanager
async def _reached(
    way: str, certificate: Certificate
) -> AsyncIterator[tuple[UpstreamClient, Origin, ScriptedUpstream]]:
    """A client, the origin it reaches in this way, and the server whose connections count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])

    async def loopback(_host: str) -> list[str]:
        return ["127.0.0.1"]

    async with ScriptedUpstream(silent, ssl_context=context if way != "tcp" else None) as upstream:
        if way != "proxy":
            yield UpstreamClient(ssl_context=trusting, lookup=loopback), upstream.origin, upstream
            return
        async with ScriptedUpstream(_tunnel_to(upstream.port)) as proxy:
            through = replace(upstream.origin, proxy=Proxy("127.0.0.1", proxy.port))
            yield UpstreamClient(ssl_context=trusting, lookup=loopback), through, proxy


def _tunnel_to(port: int) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while piece := await reader.read(65536):
                await peer.send(piece)

        task = asyncio.create_task(back())
        try:
            while piece := await peer.reader.read(65536):
                writer.write(piece)
        finally:
            task.cancel()
            writer.close()
            await asyncio.gather(task, return_exceptions=True)

    return script


async def _leaves_after(client: UpstreamClient, origin: Origin, turns: int) -> None:
    caller = asyncio.ensure_future(post(client, origin))
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)


@pytest.mark.parametrize("way", ["tcp", "tls", "proxy"])
def test_a_caller_that_leaves_while_connecting_leaves_nothing_behind(
    run: Run, certificate: Certificate, way: str
) -> None:
    async def scenario() -> None:
        async with _reached(way, certificate) as (client, origin, server):
            for _ in range(4):
                for turns in (*TURNS, 20, 40, 80):
                    await _leaves_after(client, origin, turns)
            (pool,) = client._pools.values()
            await eventually(lambda: not pool._connections)
            await eventually(lambda: server.ended == len(server.peers))
            assert (client.in_use(), client.idle(), client.waiting()) == (0, 0, 0)
            async with asyncio.timeout(5):
                await client.close()

    run(scenario)


@pytest.mark.parametrize("way", ["tcp", "tls", "proxy"])
def test_closing_ends_though_a_caller_has_just_left(run: Run, certificate: Certificate, way: str) -> None:
    async def scenario() -> None:
        for turns in TURNS:
            async with _reached(way, certificate) as (client, origin, _server):
                await _leaves_after(client, origin, turns)
                async with asyncio.timeout(5):
                    await client.close()

    run(scenario)
