"""The count of requests that are being served, for whoever shows it or waits for their end. State changes are synchronous."""

import asyncio


class InFlight:
    """``count`` requests run now."""

    def __init__(self) -> None:
        self.count = 0
        self._empty = asyncio.Event()

    def enter(self) -> None:
        """One more request runs."""
        self.count += 1

    def leave(self) -> None:
        """One came to its end."""
        self.count -= 1
        if not self.count:
            self._empty.set()

    async def emptied(self, seconds: float) -> bool:
        """Wait for what runs to end; whether it did in time."""
        self._empty.clear()
        if self.count:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return False
        return True
