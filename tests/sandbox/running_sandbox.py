"""A sandbox in a thread of its own, so that tests can use plain sockets and the blocking SDK."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from openai import OpenAI

from orcestator.sandbox.server import SandboxServer
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire.records import Record

Result = TypeVar("Result")


class RunningSandbox:
    """A started server and its event loop."""

    def __init__(self, **how: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = SandboxServer(how.pop("settings", SandboxSettings()), **how)
        self.run(self.server.start())

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def wait_for(self, condition: Callable[[list[Record]], bool]) -> list[Record]:
        return self.run(self.server.wait_for(condition, deadline_seconds=20))

    def last(self) -> Record:
        """The last record, once its script has been played."""
        return self.wait_for(lambda records: bool(records) and records[-1].finished)[-1]

    def client(self) -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key="sk-canary", max_retries=0, timeout=20)

    def stop(self) -> None:
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class StartSandbox(Protocol):
    """Start a sandbox with arguments of SandboxServer."""

    def __call__(self, **how: Any) -> RunningSandbox: ...
