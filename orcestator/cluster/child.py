"""One program that a supervisor starts, watches and talks to."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orcestator.cluster.pipe_rpc import Answer, PipeChannel, Send
from orcestator.cluster.supervision import RELOAD_SECONDS

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Child:
    """One supervised program. ``ready_url`` answers 200 when it serves; ``keys_of`` is the provider whose keys it needs; ``asked``
    answers what it asks."""

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    ready_url: str
    asked: Answer
    keys_of: str | None = None
    pass_fds: Sequence[int] = ()
    process: asyncio.subprocess.Process | None = None
    failures: int = field(default=0)
    talk: PipeChannel | None = None
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
        self.process, self.talk = process, PipeChannel(_writer(process))
        self.talk.answer_with(self.asked)
        self._listening = asyncio.create_task(_listen(process, self.talk))

    async def ask(self, question: Json) -> Json | None:
        """Its answer; None when it gave none."""
        return await self.talk.ask(question, RELOAD_SECONDS) if self.talk is not None else None

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
