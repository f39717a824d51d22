"""The event loop whose clock jumps."""

import asyncio
import time

import pytest

from orcestator.simulator.virtual_loop import Deadlock, run_virtually


def test_a_day_passes_in_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert run_virtually(main()) == pytest.approx(86_400.0)
    assert time.monotonic() - started < 60.0


def test_timers_fire_in_their_order_and_at_their_times() -> None:
    heard: list[tuple[str, float]] = []

    async def one(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(one("late", 3.0), one("early", 1.0), one("also early", 1.0), one("middle", 2.5))

    run_virtually(main())
    assert heard == [("early", 1.0), ("also early", 1.0), ("middle", 2.5), ("late", 3.0)]


def test_a_timeout_cancels_at_its_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7.0):
                await asyncio.sleep(100.0)
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(7.0)


def test_waiting_for_what_cannot_come_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="no timer is set"):
        run_virtually(main())
