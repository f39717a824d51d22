"""The name cache: how long an answer serves, who shares a lookup, and what a failing resolver costs."""

import asyncio
import socket

import pytest

from orcestator.errors import UpstreamUnavailable
from orcestator.upstream.http.resolver import Resolver, _interleaved
from tests.upstream.scripted_upstream import Run, eventually


class Names:
    """A lookup that a test scripts: each turn gives addresses or fails; it waits while ``gate`` is closed."""

    def __init__(self, *turns: list[str] | OSError) -> None:
        self._turns = list(turns)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        await self.gate.wait()
        if isinstance(turn, OSError):
            raise turn
        return turn


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "unknown")


def test_an_address_is_no_name(run: Run) -> None:
    async def scenario() -> None:
        names = Names(UNKNOWN)
        resolver = Resolver(names)
        assert await resolver.resolve("192.0.2.1") == ["192.0.2.1"]
        assert await resolver.resolve("2001:db8::1") == ["2001:db8::1"]
        assert names.asked == []

    run(scenario)


def test_an_answer_serves_until_it_is_too_old(run: Run) -> None:
    async def scenario() -> None:
        names = Names(["192.0.2.1"], ["192.0.2.2"])
        fresh, expired = Resolver(names), Resolver(names, ttl=0.0)
        for _ in range(3):
            assert await fresh.resolve("a.example") == ["192.0.2.1"]
        assert names.asked == ["a.example"]
        for _ in range(2):
            assert await expired.resolve("a.example") == ["192.0.2.2"]
        assert names.asked == ["a.example"] * 3

    run(scenario)


def test_many_who_ask_share_one_lookup_even_when_one_leaves(run: Run) -> None:
    async def scenario() -> None:
        names = Names(["192.0.2.1"])
        names.gate.clear()
        resolver = Resolver(names)
        asking = [asyncio.ensure_future(resolver.resolve("a.example")) for _ in range(10)]
        await eventually(lambda: names.asked != [])
        asking[0].cancel()
        await asyncio.gather(asking[0], return_exceptions=True)
        names.gate.set()
        assert await asyncio.gather(*asking[1:]) == [["192.0.2.1"]] * 9
        assert names.asked == ["a.example"]

    run(scenario)


def test_an_old_answer_serves_when_the_resolver_fails(run: Run) -> None:
    async def scenario() -> None:
        resolver = Resolver(Names(["192.0.2.1"], UNKNOWN), ttl=0.0)
        for _ in range(3):
            assert await resolver.resolve("a.example") == ["192.0.2.1"]

    run(scenario)


def test_an_old_answer_serves_when_the_resolver_hangs(run: Run) -> None:
    async def scenario() -> None:
        names = Names(["192.0.2.1"])
        resolver = Resolver(names, ttl=0.0)
        assert await resolver.resolve("a.example") == ["192.0.2.1"]
        names.gate.clear()
        assert await resolver.resolve("a.example") == ["192.0.2.1"]
        await resolver.close()

    run(scenario)


def test_an_answer_that_is_far_too_old_does_not_serve(run: Run) -> None:
    async def scenario() -> None:
        resolver = Resolver(Names(["192.0.2.1"], UNKNOWN), ttl=0.0, stale=0.0)
        await resolver.resolve("a.example")
        with pytest.raises(UpstreamUnavailable) as caught:
            await resolver.resolve("a.example")
        assert (caught.value.cause, caught.value.sent) == ("dns", False)

    run(scenario)


def test_a_failure_is_not_remembered_and_no_address_is_one(run: Run) -> None:
    async def scenario() -> None:
        resolver = Resolver(Names(UNKNOWN, [], ["192.0.2.1"]))
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable):
                await resolver.resolve("a.example")
        assert await resolver.resolve("a.example") == ["192.0.2.1"]

    run(scenario)


def test_the_system_knows_localhost_and_not_nonsense(run: Run) -> None:
    async def scenario() -> None:
        resolver = Resolver()
        assert set(await resolver.resolve("localhost")) & {"127.0.0.1", "::1"}
        with pytest.raises(UpstreamUnavailable):
            await resolver.resolve("x" * 70 + ".example")

    run(scenario)


def test_the_two_families_alternate() -> None:
    assert _interleaved(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert _interleaved(["1.1.1.1"]) == ["1.1.1.1"]
