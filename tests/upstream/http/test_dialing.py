"""Opening connections: names, the address guard at use, several addresses, TLS, and the proxy."""

import asyncio
import socket
import ssl
import sys
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.http.timeouts import Timeouts
from tests.upstream.scripted_upstream import (
    Peer,
    Run,
    ScriptedUpstream,
    answers,
    eventually,
    fetch,
    plain,
    post,
    upstream_client,
)

Certificate = tuple[Path, Path]


def _server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def _trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def _loopback(_host: str) -> list[str]:
    return ["127.0.0.1"]


def _named(upstream: ScriptedUpstream, host: str, scheme: str = "http", *, private: bool = True) -> Origin:
    return Origin(scheme, host, upstream.port, private)


async def _refused(client: UpstreamClient, origin: Origin) -> tuple[type[UpstreamError], str, bool]:
    with pytest.raises(UpstreamError) as caught:
        await post(client, origin)
    return type(caught.value), caught.value.cause, caught.value.sent


# Names and addresses.


def test_a_name_without_an_address_is_a_dns_failure(run: Run) -> None:
    async def scenario() -> None:
        async def unknown(host: str) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known")

        async with upstream_client(lookup=unknown) as client:
            origin = Origin("https", "nowhere.example", 443, private=False)
            assert await _refused(client, origin) == (UpstreamUnavailable, "dns", False)

    run(scenario)


def test_the_next_address_is_tried_when_one_refuses(run: Run) -> None:
    async def scenario() -> None:
        async def several(_host: str) -> list[str]:
            return ["127.0.0.9", "127.0.0.8", "127.0.0.1"]

        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(lookup=several) as client:
            assert await fetch(client, _named(upstream, "upstream.test")) == (200, b"ok")

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a SYN when the backlog is full")
def test_the_next_address_is_tried_while_one_hangs(run: Run) -> None:
    async def scenario() -> None:
        async def two(_host: str) -> list[str]:
            return ["127.0.0.2", "127.0.0.1"]

        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(lookup=two) as client:
            with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
                hole.bind(("127.0.0.2", upstream.port))
                hole.listen(0)
                for filler in (first, second):
                    filler.setblocking(False)
                    filler.connect_ex(hole.getsockname())
                assert await fetch(client, _named(upstream, "upstream.test")) == (200, b"ok")

    run(scenario)


def test_all_addresses_refusing_is_refused(run: Run) -> None:
    async def scenario() -> None:
        async def several(_host: str) -> list[str]:
            return ["127.0.0.1", "127.0.0.1"]

        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            origin = Origin("http", "x.test", unused.getsockname()[1], private=True)
            async with upstream_client(lookup=several) as client:
                assert await _refused(client, origin) == (UpstreamUnavailable, "refused", False)

    run(scenario)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["0.0.0.0"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_public_name_that_leads_inside_is_never_connected_to(run: Run, answer: list[str]) -> None:
    async def scenario() -> None:
        async def inside(_host: str) -> list[str]:
            return answer

        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client(lookup=inside) as client:
            origin = _named(upstream, "rebound.example", private=False)
            assert await _refused(client, origin) == (UpstreamUnavailable, "private_address", False)
            assert upstream.peers == []

    run(scenario)


def test_the_guard_judges_every_answer_of_the_resolver(run: Run) -> None:
    """An answer that changes between two uses: DNS rebinding."""

    async def scenario() -> None:
        turns = iter([["127.0.0.1"], ["169.254.169.254"]])

        async def flips(_host: str) -> list[str]:
            return next(turns)

        async with ScriptedUpstream(answers(plain(), close=True)) as upstream, upstream_client(lookup=flips) as client:
            client._resolver._ttl = 0.0
            origin = _named(upstream, "rebound.example")
            assert await fetch(client, origin) == (200, b"ok")
            await eventually(lambda: client.idle() == 0)
            assert await _refused(client, origin) == (UpstreamUnavailable, "private_address", False)

    run(scenario)


NUMBERS_FOR_THIS_HOST = [
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "localhost",
    "localhost.",
    "0",
    "\uff11\uff12\uff17.0.0.1",
]


@pytest.mark.parametrize("host", NUMBERS_FOR_THIS_HOST)
def test_no_spelling_of_this_host_passes_the_guard(run: Run, host: str) -> None:
    """The system's resolver reads these; where it does not, there is no address at all."""

    async def scenario() -> None:
        async with ScriptedUpstream(answers(plain())) as upstream, upstream_client() as client:
            _, cause, sent = await _refused(client, _named(upstream, host, private=False))
            assert cause in {"private_address", "dns"}
            assert not sent
            assert upstream.peers == []

    run(scenario)


# TLS.


def test_a_trusted_certificate_is_served(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain()), ssl_context=_server_context(certificate)) as upstream,
            upstream_client(ssl_context=_trusting(certificate), lookup=_loopback) as client,
        ):
            for _ in range(2):
                assert await fetch(client, upstream.origin, b"x" * 200_000) == (200, b"ok")
            assert len(upstream.peers) == 1

    run(scenario)


def test_a_large_answer_comes_over_tls_through_a_slow_reader(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        body = b"x" * 5_000_000
        async with (
            ScriptedUpstream(answers(plain(body)), ssl_context=_server_context(certificate)) as upstream,
            upstream_client(ssl_context=_trusting(certificate), lookup=_loopback) as client,
        ):
            response = await post(client, upstream.origin)
            connection = response._connection
            assert connection is not None
            await eventually(lambda: connection._is_paused)
            assert await response.read_all() == body

    run(scenario)


def test_a_self_signed_certificate_is_refused(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain()), ssl_context=_server_context(certificate)) as upstream,
            upstream_client(lookup=_loopback) as client,
        ):
            assert await _refused(client, upstream.origin) == (UpstreamUnavailable, "tls", False)
            assert upstream.requests == []

    run(scenario)


def test_a_certificate_for_another_host_is_refused(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain()), ssl_context=_server_context(certificate)) as upstream,
            upstream_client(ssl_context=_trusting(certificate), lookup=_loopback) as client,
        ):
            origin = _named(upstream, "other.example", "https")
            assert await _refused(client, origin) == (UpstreamUnavailable, "tls", False)

    run(scenario)


def test_a_peer_without_tls_and_one_that_hangs_up_are_tls_failures(run: Run) -> None:
    async def scenario() -> None:
        async def speaks_plainly(peer: Peer) -> None:
            await peer.reader.read(1)
            await peer.send(plain())

        async def leaves(peer: Peer) -> None:
            await peer.reader.read(1)

        for script in (speaks_plainly, leaves):
            async with ScriptedUpstream(script) as upstream, upstream_client(lookup=_loopback) as client:
                origin = _named(upstream, "localhost", "https")
                assert await _refused(client, origin) == (UpstreamUnavailable, "tls", False)

    run(scenario)


def test_a_handshake_that_stalls_times_out(run: Run) -> None:
    async def scenario() -> None:
        async def stalls(peer: Peer) -> None:
            await peer.gone()

        async with ScriptedUpstream(stalls) as upstream, upstream_client(lookup=_loopback) as client:
            with pytest.raises(UpstreamTimeout) as caught:
                await post(client, _named(upstream, "localhost", "https"), timeouts=Timeouts(tls=0.5))
            assert (caught.value.cause, caught.value.sent) == ("tls", False)
            await eventually(lambda: upstream.ended == 1)

    run(scenario)


def test_a_tls_context_that_does_not_verify_stops_the_start() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(StartupProblem, match="verify"):
        UpstreamClient(ssl_context=context)


# The proxy.


def _tunnel_to(port: int) -> object:
    async def script(peer: Peer) -> None:
        await peer.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))
        finally:
            writer.close()

    return script


async def _no_lookup(host: str) -> list[str]:
    raise AssertionError(f"{host} was looked up, which is the proxy's part")


def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_request(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain()), ssl_context=_server_context(certificate)) as upstream,
            ScriptedUpstream(_tunnel_to(upstream.port)) as proxy,  # type: ignore[arg-type]
            upstream_client(ssl_context=_trusting(certificate), lookup=_no_lookup) as client,
        ):
            origin = Origin("https", "upstream.example", 443, private=False, proxy=Proxy("127.0.0.1", proxy.port))
            for _ in range(2):
                assert await fetch(client, origin) == (200, b"ok")
            expected = b"CONNECT upstream.example:443 HTTP/1.1\r\nHost: upstream.example:443\r\n\r\n"
            assert proxy.requests == [expected]
            assert b"\r\nHost: upstream.example\r\n" in upstream.requests[0]

    run(scenario)


def test_http_is_asked_of_the_proxy_by_its_whole_address(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain())) as proxy,
            upstream_client(lookup=_no_lookup) as client,
        ):
            through = Proxy("127.0.0.1", proxy.port, b"Basic dTpw")
            origin = Origin("http", "upstream.lan", 8080, private=True, proxy=through)
            assert await fetch(client, origin) == (200, b"ok")
            assert proxy.requests[0].startswith(
                b"POST http://upstream.lan:8080/v1/chat HTTP/1.1\r\nHost: upstream.lan:8080\r\n"
                b"Proxy-Authorization: Basic dTpw\r\n"
            )

    run(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nand more",
        b"SSH-2.0\r\n\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_a_proxy_failure(run: Run, answer: bytes) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(answer, close=True)) as proxy,
            upstream_client() as client,
        ):
            origin = Origin("https", "upstream.example", 443, private=False, proxy=Proxy("127.0.0.1", proxy.port))
            assert await _refused(client, origin) == (UpstreamUnavailable, "proxy", False)

    run(scenario)


def test_a_proxy_that_stalls_times_out(run: Run) -> None:
    async def scenario() -> None:
        async def stalls(peer: Peer) -> None:
            await peer.gone()

        async with (
            ScriptedUpstream(stalls) as proxy,
            upstream_client() as client,
        ):
            origin = Origin("https", "upstream.example", 443, private=False, proxy=Proxy("127.0.0.1", proxy.port))
            with pytest.raises(UpstreamTimeout) as caught:
                await post(client, origin, timeouts=Timeouts(connect=0.5))
            assert (caught.value.cause, caught.value.sent) == ("connect_timeout", False)
            await eventually(lambda: proxy.ended == 1)

    run(scenario)


def test_a_private_literal_is_refused_behind_a_proxy_too(run: Run) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain())) as proxy,
            upstream_client() as client,
        ):
            origin = Origin("https", "169.254.169.254", 443, private=False, proxy=Proxy("127.0.0.1", proxy.port))
            assert await _refused(client, origin) == (UpstreamUnavailable, "private_address", False)
            assert proxy.peers == []

    run(scenario)


def test_a_proxy_is_told_who_asks_and_the_upstream_is_not(run: Run, certificate: Certificate) -> None:
    async def scenario() -> None:
        async with (
            ScriptedUpstream(answers(plain()), ssl_context=_server_context(certificate)) as upstream,
            ScriptedUpstream(_tunnel_to(upstream.port)) as proxy,  # type: ignore[arg-type]
            upstream_client(ssl_context=_trusting(certificate), lookup=_no_lookup) as client,
        ):
            through = Proxy("127.0.0.1", proxy.port, b"Basic dTpw")
            await fetch(client, Origin("https", "upstream.example", 443, private=False, proxy=through))
            assert proxy.requests[0].endswith(b"\r\nProxy-Authorization: Basic dTpw\r\n\r\n")
            assert b"Basic" not in upstream.requests[0]
            assert "dTpw" not in repr(through)

    run(scenario)
