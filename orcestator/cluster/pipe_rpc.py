"""One end of a pipe to a supervisor or to a child: questions and answers, a JSON object a line.

Pipes, because every system has them and nobody else can listen or speak there: what is said may hold a provider's key.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Awaitable, Callable

from orcestator.json_text import Json, dumps, loads

logger = logging.getLogger(__name__)
Answer = Callable[[Json], Awaitable[Json]]
Send = Callable[[bytes], Awaitable[None]]
"""Raises OSError when the other end is gone."""


class PipeChannel:
    """One end. Both may ask, also while an answer is waited for; what is asked before ``answer_with`` waits for it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._answer: Answer | None = None
        self._unanswered: list[Json] = []
        self._waiting: dict[int, asyncio.Future[Json | None]] = {}
        self._numbers = itertools.count(1)
        self._tail = b""
        self._answering: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def answer_with(self, answer: Answer) -> None:
        """Let this answer questions from now on."""
        self._answer = answer
        unanswered, self._unanswered = self._unanswered, []
        for said in unanswered:
            self._receive(said)

    async def ask(self, question: Json, seconds: float) -> Json | None:
        """The answer; None when the other end is gone, or silent for so long."""
        if self._is_closed:
            return None
        number = next(self._numbers)
        answer: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(seconds):
                await self._send(dumps({"number": number, "question": question}) + b"\n")
                return await answer
        except (TimeoutError, OSError):
            return None
        finally:
            del self._waiting[number]

    def feed(self, piece: bytes) -> None:
        """Some bytes came. A line that is none of ours says nothing: a program may print."""
        *lines, self._tail = (self._tail + piece).split(b"\n")
        for line in lines:
            try:
                said = loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and isinstance(said.get("number"), int):
                self._receive(said)

    def close(self) -> None:
        """The other end is gone: nobody waits for it any more."""
        self._is_closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)

    def _receive(self, said: Json) -> None:
        if "answer" in said:
            waiting = self._waiting.get(said["number"])
            if waiting is not None and not waiting.done():
                waiting.set_result(said["answer"])
        elif self._answer is None:
            self._unanswered.append(said)
        else:
            task = asyncio.get_running_loop().create_task(self._reply(self._answer, said))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _reply(self, answer: Answer, said: Json) -> None:
        try:
            given = await answer(said["question"])
        except Exception:  # whoever asked must not wait for an answer that never comes
            logger.exception("a question between supervisor and child was not answered")
            given = None
        # Whoever asked and is gone does not need it.
        with contextlib.suppress(OSError):
            await self._send(dumps({"number": said["number"], "answer": given}) + b"\n")


class Pipes:
    """A child's end of its standard input and output. What it prints from now on goes nowhere."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        self._turn = threading.Lock()

    async def send(self, line: bytes) -> None:
        """Write a line. In a thread: a supervisor that is stopped reads nothing."""
        await asyncio.to_thread(self._write, line)

    def listen(self, heard: Callable[[bytes], object]) -> None:
        """Read until the other end closes. Blocks."""
        while piece := os.read(0, 1 << 16):
            heard(piece)

    def _write(self, line: bytes) -> None:
        with self._turn:
            while line:
                line = line[os.write(self._out, line) :]
