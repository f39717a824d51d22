"""Lag is what a blocking call does to the loop."""

import asyncio
import time

from orcestator.telemetry.loop_lag import LoopLag


def test_a_blocked_loop_shows_as_lag() -> None:
    async def run() -> float:
        lags: asyncio.Queue[float] = asyncio.Queue()
        lag = LoopLag(lags.put_nowait, sample_seconds=0.01)
        lag.start()
        time.sleep(0.2)  # noqa: ASYNC251 the fault under test
        async with asyncio.timeout(20):
            late = await lags.get()
            await lags.get()  # it goes on sampling
        lag.stop()
        return late

    assert asyncio.run(run()) >= 0.18


def test_nothing_is_sampled_after_stop() -> None:
    async def run() -> list[float]:
        lags: list[float] = []
        lag = LoopLag(lags.append, sample_seconds=0.0)
        lag.stop()
        lag.start()
        lag.stop()
        for _ in range(10):
            await asyncio.sleep(0)
        return lags

    assert asyncio.run(run()) == []
