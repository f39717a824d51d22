"""One program that a supervisor starts, watches and talks to."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orcestator.cluster.pipe_rpc import Answer, PipeChannel, Send
from orcestator.cluster.supervision import READY
from orcestator.json_text import Json


@dataclass(slots=True, eq=False)
class Child:
    """One supervised program."""

    name: str
    """What people call it; it keeps the name when it is started again."""
    arguments: list[str]
    environment: Mapping[str, str]
    asked: Answer
    """Answers what it asks, but for its word that it serves."""
    address: str = ""
    """Where it alone is reached; "" for one that shares its port."""
    keys_of: str | None = None
    """The provider whose keys it needs."""
    pass_fds: Sequence[int] = ()
    process: asyncio.subprocess.Process | None = None
    failures: int = 0
    """How often in a row it died before it was well."""
    restarts: int = 0
    _talk: PipeChannel | None = None
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the program."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *self.arguments,
            env=dict(self.environment),
            # Held open as long as we live: a child that sees it close has lost its supervisor and ends.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self.pass_fds if sys.platform != "win32" else (),
            # A Ctrl-C at the terminal reaches the supervisor alone; it tells the children itself.
            start_new_session=sys.platform != "win32",
        )
        self._ready = asyncio.Event()
        self.process, self._talk = process, PipeChannel(_writer(process))
        self._talk.answer_with(self._answer)
        self._listening = asyncio.create_task(_listen(process, self._talk))

    async def start_again(self) -> None:
        """Start it after it ended."""
        self.restarts += 1
        await self.start()

    async def ready(self, seconds: float) -> bool:
        """Wait until it says that it serves; whether it did so, before it ended and in time."""
        serves, ends = asyncio.create_task(self._ready.wait()), asyncio.create_task(self.wait())
        try:
            await asyncio.wait({serves, ends}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return self._ready.is_set() and self.is_running
        finally:
            serves.cancel()
            ends.cancel()

    async def ask(self, question: Json, seconds: float) -> Json | None:
        """Its answer; None when it gave none."""
        return await self._talk.ask(question, seconds) if self._talk is not None else None

    async def _answer(self, question: Json) -> Json:
        if question["do"] != READY:
            return await self.asked(question)
        self._ready.set()
        return {}

    @property
    def pid(self) -> int:
        """The process of now, or the last one; 0 before the first."""
        return self.process.pid if self.process is not None else 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Pass a signal on."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.returncode is None

    async def wait(self) -> int:
        """Until it ends; its status."""
        return await self.process.wait() if self.process is not None else 0


def _writer(process: asyncio.subprocess.Process) -> Send:
    async def send(line: bytes) -> None:
        if process.stdin is not None:
            process.stdin.write(line)
            await process.stdin.drain()

    return send


async def _listen(process: asyncio.subprocess.Process, talk: PipeChannel) -> None:
    """Until the program ends."""
    while process.stdout is not None and (piece := await process.stdout.read(1 << 16)):
        talk.feed(piece)
    talk.close()
