"""Fetches a list of models from an address that a person configured: once, without redirects, and from nowhere private.

The addresses are judged where connections are opened, after names are resolved, so that a name that leads into the local
network is refused, too.
"""

from dataclasses import dataclass, replace

from orcestator import __version__
from orcestator.errors import UpstreamBroken
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.http.resolver import Lookup
from orcestator.upstream.http.timeouts import Timeouts

MOST_BYTES = 4 << 20
PATIENCE = Timeouts(connect=5.0, tls=5.0, first_byte=10.0, idle=10.0, total=10.0)
_HEADERS = f"User-Agent: orcestator/{__version__}\r\nAccept: application/yaml, text/yaml, */*\r\n".encode()


@dataclass(frozen=True, slots=True)
class ListAddress:
    """Where the list is. ``shown`` is the address without its query, which may hold a key."""

    origin: Origin
    target: str
    shown: str

    @classmethod
    def from_url(cls, url: str, *, private: bool) -> "ListAddress":
        """Read it; ``private`` allows addresses in private networks and plain http. Raises StartupProblem."""
        base, mark, query = url.partition("?")
        origin, path = Origin.from_url(base, private=private)
        return cls(origin, (path or "/") + mark + query, base)

    def through(self, proxy: Proxy | None) -> "ListAddress":
        """The same, asked through a proxy."""
        return replace(self, origin=replace(self.origin, proxy=proxy))


async def fetch_list(address: ListAddress, *, lookup: Lookup | None = None) -> bytes:
    """The content at the address. Raises UpstreamError: nobody answers in time, not a 200, too large, or a private address."""
    client = UpstreamClient(max_reply_bytes=MOST_BYTES, lookup=lookup)
    try:
        target = address.target.encode("ascii", "replace")
        response = await client.send(address.origin, b"GET", target, _HEADERS, b"", PATIENCE)
        try:
            if response.status != 200:
                aside = " and redirects are not followed" if 300 <= response.status < 400 else ""
                raise UpstreamBroken(f"{address.shown} answered {response.status}{aside}", cause="status")
            return await response.read_all()
        finally:
            response.close()
    finally:
        await client.close()
