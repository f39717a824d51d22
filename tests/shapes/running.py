"""The real product before a scripted upstream, asked by raw sockets; every answer goes before the judge."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.cluster.harness import Cluster
from tests.shapes.forms import FORMS, SECOND, Told, streamed, whole
from tests.shapes.framing import chunked, sized
from tests.shapes.oracle import Verdict, judge
from tests.shapes.readers import CALLERS
from tests.shapes.shape import Shape
from tests.shapes.upstream import ShapeUpstream, Steps

PATIENCE_SECONDS = 45.0
"""How long a caller waits; no passing cell comes near."""
AT_ONCE = 48
TIMES = {
    # The first content may take longer than a pause later: the two must not be taken for one another.
    "OR_FIRST_TOKEN_TIMEOUT_SECONDS": "4", "OR_FIRST_TOKEN_TIMEOUT_REASONING_SECONDS": "4",
    "OR_WHOLE_REPLY_TIMEOUT_SECONDS": "4", "OR_IDLE_TIMEOUT_SECONDS": "1.5", "OR_TOTAL_TIMEOUT_SECONDS": "20",
    "OR_FIRST_BACKOFF_SECONDS": "0.01", "OR_RETRY_DELAY_SECONDS": "0", "OR_LONGEST_WAIT_SECONDS": "0",
    # Each try is about one shape: what earlier ones did to a deployment must not decide.
    "OR_BREAKER_CONSECUTIVE_FAILURES": "1000", "OR_BREAKER_FAILURE_PERCENT": "100", "OR_BREAKER_MINIMUM_CALLS": "1000",
    "OR_RETRY_BUDGET_PERCENT": "100", "OR_RETRY_FLOOR": "100000", "OR_LOG_LEVEL": "error", "OR_STRATEGY": "priority",
}  # fmt: skip
PATHS = {
    "openai": "/v1",
    "anthropic": "/v1",
    "responses": "/v1",
    "gemini": "/v1beta",
    "ollama": "",
    "cohere": "",
    "yandex": "/v1",
}
_NAME = re.compile(rb"shape-([a-z0-9_]+(?:\.[a-z0-9_]+)*)")
_TOOLS = ("f", "g")
_SCHEMA = {"type": "object"}


@dataclass(frozen=True)
class Cell:
    """One request: a shape, who asks, and whether a healthy provider stands behind."""

    shape: Shape
    caller: str
    has_second: bool

    @property
    def id(self) -> str:
        """How it is named in reports, and with ``--only``."""
        return f"{self.shape.id}<{self.caller}{'+second' if self.has_second else ''}"

    @property
    def provider(self) -> str:
        """The name of the provider that sends the shape."""
        if not self.shape.poisons:
            return f"up-{self.shape.dialect}"
        return f"up-{hashlib.sha256(self.id.encode()).hexdigest()[:16]}"


def cells_of(shape: Shape) -> Iterator[Cell]:
    """Who asks for it: a caller of the same dialect, one of OpenAI's and, in turn, one of the others; or those it names."""
    others = [name for name in CALLERS if name not in (shape.dialect, "openai")]
    turn = others[sum(shape.name.encode()) % len(others)]
    own = (shape.dialect,) if shape.dialect in CALLERS else ()
    for caller in shape.callers or dict.fromkeys((*own, "openai", turn)):
        yield Cell(shape, caller, False)
        yield Cell(shape, caller, True)


def request_of(cell: Cell) -> bytes:
    """The caller's request, as bytes."""
    model = alias_of(cell) if cell.has_second else f"{cell.provider}/{model_of(cell.shape)}"
    path, body = _BODIES[cell.caller](model, cell.shape.is_stream)
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Type: application/json"]
    if cell.caller == "anthropic":
        lines.append("anthropic-version: 2023-06-01")
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


def alias_of(cell: Cell) -> str:
    """The name that stands for the shape's provider and, behind it, the healthy one."""
    return f"both-{cell.id.replace('<', '.').replace('+', '.') if cell.shape.poisons else cell.shape.id}"


def model_of(shape: Shape) -> str:
    """The upstream's name for a model that answers so."""
    name = f"shape-{shape.id}"
    return f"gpt://folder/{name}/latest" if shape.dialect == "yandex" else name


def _openai(model: str, is_stream: bool) -> tuple[str, Any]:
    tools = [{"type": "function", "function": {"name": name, "parameters": _SCHEMA}} for name in _TOOLS]
    messages = [{"role": "user", "content": "hi"}]
    return "/v1/chat/completions", {"model": model, "stream": is_stream, "messages": messages, "tools": tools}


def _anthropic(model: str, is_stream: bool) -> tuple[str, Any]:
    tools = [{"name": name, "input_schema": _SCHEMA} for name in _TOOLS]
    body = {"model": model, "stream": is_stream, "max_tokens": 999, "tools": tools}
    return "/v1/messages", {**body, "messages": [{"role": "user", "content": "hi"}]}


def _responses(model: str, is_stream: bool) -> tuple[str, Any]:
    tools = [{"type": "function", "name": name, "parameters": _SCHEMA} for name in _TOOLS]
    return "/v1/responses", {"model": model, "stream": is_stream, "store": False, "input": "hi", "tools": tools}


def _gemini(model: str, is_stream: bool) -> tuple[str, Any]:
    verb = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
    tools = [{"functionDeclarations": [{"name": name, "parameters": _SCHEMA} for name in _TOOLS]}]
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    return f"/v1beta/models/{quote(model, safe='')}:{verb}", {"contents": contents, "tools": tools}


def _ollama(model: str, is_stream: bool) -> tuple[str, Any]:
    _, body = _openai(model, is_stream)
    return "/api/chat", body


_BODIES: dict[str, Callable[[str, bool], tuple[str, Any]]] = {
    "openai": _openai, "anthropic": _anthropic, "responses": _responses, "gemini": _gemini, "ollama": _ollama,
}  # fmt: skip


def configuration(cells: Sequence[Cell], port: int) -> str:
    """A provider a dialect, one more for each cell whose shape poisons its own, and an alias a shape."""
    root = f"http://127.0.0.1:{port}"
    providers: dict[str, Any] = {}
    aliases: dict[str, list[str]] = {}
    for cell in cells:
        dialect = cell.shape.dialect
        providers.setdefault(
            cell.provider,
            {"base_url": root + PATHS[dialect], "dialect": dialect, "api_key": "a-key", "models": ["m"], "order": 1},
        )
        if cell.has_second:
            aliases[alias_of(cell)] = [f"{cell.provider}/{model_of(cell.shape)}", "second/second"]
    providers["second"] = {
        "base_url": f"{root}/v1", "dialect": "openai", "api_key": "a-key", "models": ["second"], "order": 2,
    }  # fmt: skip
    return json.dumps({"providers": providers, "aliases": aliases})


def _script_of(cells: Sequence[Cell]) -> Callable[[bytes], Steps]:
    """What the upstream does with a request: the shape that its model is named after, or a healthy answer."""
    shapes = {cell.shape.id: cell.shape for cell in cells}
    steps: dict[str, Steps] = {}
    told, form = Told((SECOND,)), FORMS["openai"]
    healthy = {True: chunked(streamed(form, told)), False: sized(whole(form, told))}

    def script(request: bytes) -> Steps:
        if request.startswith(b"POST /redirected"):
            raise AssertionError("a redirect was followed")
        found = _NAME.search(request)
        if found is None:
            return healthy[b'"stream":true' in request.replace(b" ", b"")]
        name = found[1].decode()
        if name not in steps:
            steps[name] = shapes[name].steps()
        return steps[name]

    return script


class Rig:
    """Upstream and product, running. The judge sees every answer."""

    def __init__(self, cells: Sequence[Cell], directory: Path, wiring: str = "one process") -> None:
        self._cells = cells
        self._directory = directory
        self._wiring = wiring

    def run(self, say: Callable[[Cell, Verdict], None]) -> list[tuple[Cell, Verdict]]:
        """Every cell's verdict; ``say`` hears each as it comes."""
        return asyncio.run(self._run(say))

    async def _run(self, say: Callable[[Cell, Verdict], None]) -> list[tuple[Cell, Verdict]]:
        async with ShapeUpstream(_script_of(self._cells)) as upstream:
            cluster = Cluster(self._directory, configuration(self._cells, upstream.port), self._wiring, dict(TIMES))
            await asyncio.to_thread(cluster.__enter__)
            try:
                places = asyncio.Semaphore(AT_ONCE)

                async def one(cell: Cell) -> tuple[Cell, Verdict]:
                    async with places:
                        verdict = await ask(cluster.port, cell)
                    say(cell, verdict)
                    return cell, verdict

                # In an order that mixes the slow with the quick, the same every time.
                mixed = sorted(self._cells, key=lambda cell: hashlib.sha256(cell.id.encode()).digest())
                return list(await asyncio.gather(*(one(cell) for cell in mixed)))
            finally:
                with contextlib.suppress(AssertionError):
                    await asyncio.to_thread(cluster.__exit__, None, None, None)


async def ask(port: int, cell: Cell) -> Verdict:
    """Send a cell's request and judge what comes."""
    try:
        raw = await asyncio.wait_for(_exchange(port, request_of(cell)), PATIENCE_SECONDS)
    except TimeoutError:
        return Verdict("wrong", f"no end after {PATIENCE_SECONDS:g} s")
    except OSError as error:
        return Verdict("wrong", f"the connection was lost: {error}")
    return judge(raw, cell.caller, cell.shape, cell.has_second)


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        writer.write(request)
        return await reader.read(-1)
    finally:
        writer.close()
