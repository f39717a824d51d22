"""A list of models is fetched from where a person said, and from nowhere else."""

import pytest

from orcestator.errors import StartupProblem, UpstreamBroken, UpstreamError, UpstreamUnavailable
from orcestator.upstream.model_list import MOST_BYTES, ListAddress, fetch_list
from tests.upstream.scripted_upstream import Peer, Run, Script, ScriptedUpstream


def answers_with(head: bytes, body: bytes = b"") -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    return script


def test_the_content_is_given_and_the_query_is_sent(run: Run) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers_with(b"200 OK", b"models: []\n")) as upstream:
            url = f"http://127.0.0.1:{upstream.origin.port}/lists/free.yaml?token=canary"
            address = ListAddress.from_url(url, private=True)
            assert await fetch_list(address) == b"models: []\n"
            assert "canary" not in address.shown
            assert upstream.peers[0].requests[0].startswith(b"GET /lists/free.yaml?token=canary HTTP/1.1\r\n")

    run(scenario)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"302 Found\r\nLocation: http://169.254.169.254/", b"", "answered 302 and redirects are not followed"),
        (b"404 Not Found", b"no", "answered 404"),
        (b"200 OK", b"x" * (MOST_BYTES + 1), "is too large"),
    ],
)
def test_anything_else_is_a_failure(run: Run, head: bytes, body: bytes, expected: str) -> None:
    async def scenario() -> None:
        async with ScriptedUpstream(answers_with(head, body)) as upstream:
            address = ListAddress.from_url(f"http://127.0.0.1:{upstream.origin.port}/", private=True)
            with pytest.raises(UpstreamBroken, match=expected):
                await fetch_list(address)
            assert len(upstream.peers) == 1

    run(scenario)


@pytest.mark.parametrize("found", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"])
def test_a_public_name_that_leads_inside_is_refused(run: Run, found: str) -> None:
    async def lookup(host: str) -> list[str]:
        assert host == "lists.example"
        return ["93.184.215.14", found]

    async def scenario() -> None:
        address = ListAddress.from_url("https://lists.example/free.yaml", private=False)
        with pytest.raises(UpstreamUnavailable) as refused:
            await fetch_list(address, lookup=lookup)
        assert refused.value.cause == "private_address"

    run(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1.2.3", "localhost", "169.254.169.254", "2130706433"])
def test_an_address_inside_is_refused(run: Run, host: str) -> None:
    async def scenario() -> None:
        with pytest.raises(UpstreamError):
            await fetch_list(ListAddress.from_url(f"https://{host}/free.yaml", private=False))

    run(scenario)


@pytest.mark.parametrize(
    "url", ["http://lists.example/", "https://u:p@lists.example/", "ftp://x/", "https:///x", "https://x/#y"]
)
def test_what_is_no_address_for_this_is_refused(url: str) -> None:
    with pytest.raises(StartupProblem):
        ListAddress.from_url(url, private=False)


def test_the_metadata_service_is_refused_even_where_private_addresses_are_allowed(run: Run) -> None:
    async def scenario() -> None:
        with pytest.raises(UpstreamUnavailable):
            await fetch_list(ListAddress.from_url("http://169.254.169.254/latest", private=True))

    run(scenario)
