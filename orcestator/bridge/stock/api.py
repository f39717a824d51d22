"""The stock API server's routes behind our own (contract C4), imported when one of them is first asked for.

The import takes most of a second and 25 MB, which a laptop that never uses these routes should not pay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from orcestator.providers.secret import Secret

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


class StockApi:
    """Gives the stock application, configured for one controller."""

    def __init__(self, controller_address: str, caller_keys: Sequence[Secret]) -> None:
        self._controller_address = controller_address
        self._caller_keys = [key.reveal() for key in caller_keys]
        self._app: AsgiApp | None = None
        self._importing = asyncio.Lock()

    async def app(self) -> AsgiApp:
        """The application; the first call imports it off the event loop."""
        async with self._importing:
            if self._app is None:
                self._app = await asyncio.to_thread(self._mounted)
        return self._app

    def _mounted(self) -> AsgiApp:
        from orcestator.bridge.stock.fastchat import mount_stock_api  # noqa: PLC0415 - see the module docstring

        return mount_stock_api(self._controller_address, self._caller_keys)
