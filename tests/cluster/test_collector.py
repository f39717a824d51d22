"""What the garbage collector walks through while requests are served."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from orcestator.cluster.garbage import keep_pauses_short, put_the_start_aside


@pytest.fixture
def usual_collector() -> Iterator[None]:
    """As the interpreter has it, before and after."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.collect()


@pytest.mark.usefixtures("usual_collector")
def test_what_lives_is_put_aside_and_freed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full look comes never while somebody is served, and once in a long while when nobody is."""
    monkeypatch.setattr("orcestator.cluster.garbage.ASIDE_SECONDS", 0.0)
    monkeypatch.setattr("orcestator.cluster.garbage.WHOLE_SECONDS", 0.0)
    idle: list[bool] = []
    looked, freed = asyncio.Event(), asyncio.Event()

    class Cycle:
        """Only the collector frees it."""

        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            freed.set()

    def is_idle() -> bool:
        looked.set()
        return bool(idle)

    async def run() -> None:
        put_the_start_aside()
        assert gc.get_freeze_count() > 0
        Cycle()
        gc.freeze()
        task = asyncio.create_task(keep_pauses_short(is_idle))
        await looked.wait()
        assert not freed.is_set()
        idle.append(True)
        await freed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
