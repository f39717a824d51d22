"""An upstream whose every byte a test decides: what it answers is chosen by the model's name."""

import asyncio
import json
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

Step = bytes | float
"""What to send, or how many seconds to wait before the next."""
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
_IN_FORM = re.compile(rb'name="model"\r\n\r\n([^\r]+)\r\n')
_IN_PATH = re.compile(rb"/models/([^:/?]+):")


class ScriptedProvider:
    """Plays ``scripts[model]`` to each request and closes; ``asked`` are the models in the order they were asked for."""

    def __init__(self, scripts: Mapping[str, Sequence[Step]]) -> None:
        self.asked: list[str] = []
        self._scripts = scripts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            for step in self._script(head, body):
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    writer.write(step)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has left, or the test is over
        finally:
            writer.close()

    def _script(self, head: bytes, body: bytes) -> Sequence[Step]:
        if head.startswith(b"GET"):
            return [answer(b'{"data": []}')]
        found = _IN_PATH.search(head.split(b"\r\n")[0]) or _IN_FORM.search(body)
        model = found[1].decode() if found else json.loads(body)["model"]
        self.asked.append(model)
        return self._scripts[model]


def answer(body: bytes, content_type: str | None = "application/json") -> bytes:
    """A whole answer, with or without a label."""
    label = b"" if content_type is None else b"content-type: " + content_type.encode() + b"\r\n"
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (label, len(body), body)


def event(data: Any, name: str = "") -> bytes:
    """One server-sent event."""
    shown = data if isinstance(data, bytes) else json.dumps(data).encode()
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + shown + b"\n\n"
