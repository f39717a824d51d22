"""Names to addresses: cached, looked up once however many ask, old answers used when the resolver fails.

It never judges addresses; the guard does, at every use, so that an answer that changes cannot slip through.
"""

import asyncio
import encodings.idna  # noqa: F401 - the system's resolver needs it, maybe when there are no file descriptors left to import it with
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from orcestator.errors import UpstreamUnavailable
from orcestator.upstream.http.addresses import is_literal

Lookup = Callable[[str], Awaitable[list[str]]]
"""Gives the numeric addresses of a name, in order of preference; raises ``OSError`` when there are none."""

_STALE_PATIENCE_SECONDS = 0.25


class _Answer(NamedTuple):
    addresses: list[str]
    found_at: float


class Resolver:
    """One cache of names.

    An answer is used for ``ttl`` seconds. After that a new lookup is made, and the old answer, up to ``stale``
    seconds old, still serves when that lookup fails or is slow.
    """

    def __init__(self, lookup: Lookup | None = None, *, ttl: float = 60.0, stale: float = 3600.0) -> None:
        self._lookup = lookup or _ask_system
        self._ttl = ttl
        self._stale = stale
        self._answers: dict[str, _Answer] = {}
        self._running: dict[str, asyncio.Task[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        """The addresses of a host; raises ``UpstreamUnavailable`` with the cause ``dns``."""
        if is_literal(host):
            return [host]
        now = asyncio.get_running_loop().time()
        known = self._answers.get(host)
        if known is None or now - known.found_at >= self._stale:
            return await self._fresh(host, patience=None)
        if now - known.found_at < self._ttl:
            return known.addresses
        try:
            return await self._fresh(host, patience=_STALE_PATIENCE_SECONDS)
        except (UpstreamUnavailable, TimeoutError):
            return known.addresses

    async def close(self) -> None:
        """Stop the lookups that still run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _fresh(self, host: str, *, patience: float | None) -> list[str]:
        task = self._running.get(host) or self._start(host)
        try:
            # Shielded: the lookup serves everybody who waits for this name, and the next ones.
            async with asyncio.timeout(patience):
                return await asyncio.shield(task)
        except (OSError, UnicodeError) as problem:
            if isinstance(problem, TimeoutError):
                raise
            raise UpstreamUnavailable(f"{host} has no address: {problem}", cause="dns", sent=False) from problem

    def _start(self, host: str) -> asyncio.Task[list[str]]:
        task = asyncio.get_running_loop().create_task(self._remember(host))
        self._running[host] = task
        task.add_done_callback(lambda done: self._forget(host, done))
        return task

    async def _remember(self, host: str) -> list[str]:
        addresses = await self._lookup(host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "the resolver gave no address")
        self._answers[host] = _Answer(addresses, asyncio.get_running_loop().time())
        return addresses

    def _forget(self, host: str, done: asyncio.Task[list[str]]) -> None:
        del self._running[host]
        if not done.cancelled():
            done.exception()  # whoever still waits has it; when nobody does, it is no news


async def _ask_system(host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return _interleaved([str(sockaddr[0]) for *_, sockaddr in found])


def _interleaved(addresses: list[str]) -> list[str]:
    """Alternate the two families, so that one that is broken on this host delays a connection once (RFC 8305 §4)."""
    first_is_v6 = ":" in addresses[0]
    same = [address for address in addresses if (":" in address) == first_is_v6]
    other = [address for address in addresses if (":" in address) != first_is_v6]
    mixed = []
    while same or other:
        mixed += same[:1] + other[:1]
        same, other = same[1:], other[1:]
    return mixed
