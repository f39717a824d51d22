"""The end of life: which exchanges run, and how they are told to stop. State changes are synchronous."""

import asyncio
from typing import Protocol


class Interruptible(Protocol):
    """A running exchange."""

    def interrupt(self) -> None:
        """End now, telling the caller that the server is shutting down."""


class Drain:
    """Draining refuses new exchanges, lets running ones finish, and interrupts what is left."""

    def __init__(self) -> None:
        self.is_draining = False
        self.active: set[Interruptible] = set()
        self._empty = asyncio.Event()

    def begin(self) -> None:
        """From now on ``/ready`` says 503 and new requests are refused."""
        self.is_draining = True
        self.note_end()

    def note_end(self) -> None:
        """An exchange ended while draining: wake ``finish`` when it was the last."""
        if not self.active:
            self._empty.set()

    async def finish(self, seconds: float, grace_seconds: float = 2.0) -> int:
        """Wait for running exchanges, interrupt the rest, and return how many were interrupted."""
        if await self._emptied(seconds):
            return 0
        left = list(self.active)
        for exchange in left:
            exchange.interrupt()
        await self._emptied(grace_seconds)
        return len(left)

    async def _emptied(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except TimeoutError:
            return False
        return True
