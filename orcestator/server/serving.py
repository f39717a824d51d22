"""A listening server around an ASGI application: the socket, uvicorn with the hardened edge, and its end."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn

from orcestator.errors import StartupProblem
from orcestator.server.edge import EdgeLimits, OnRejected, PageMarks, edge_protocol


def ignore_rejected(status: int, code: str, request_id: str) -> None:
    """An ``on_rejected`` for a server without metrics."""


def for_no_page(_origin: bytes) -> list[tuple[bytes, bytes]]:
    """The ``page_marks`` of a server that talks to no page."""
    return []


def serve_config(
    app: Any,
    limits: EdgeLimits,
    *,
    on_rejected: OnRejected = ignore_rejected,
    page_marks: PageMarks = for_no_page,
    **overrides: Any,
) -> uvicorn.Config:
    """The uvicorn settings that go with the edge; ``overrides`` add host, port, TLS files, drain time and so on."""
    settings: dict[str, Any] = {
        "interface": "asgi3",
        "http": edge_protocol(limits, on_rejected, page_marks),
        "ws": "none",
        "loop": "none",
        "lifespan": "off",
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "timeout_keep_alive": limits.keep_alive_seconds,
        "backlog": 2048,
    }
    return uvicorn.Config(app, **{**settings, **overrides})


class _Uvicorn(uvicorn.Server):
    """Leaves the process's signals alone: the program decides what a signal means. Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises StartupProblem that names the setting when the address cannot be had."""
    listener = reserve(host, port, setting)
    try:
        listener.listen(2048)
    except OSError as problem:
        listener.close()
        raise StartupProblem(_why_not(host, port, setting, problem)) from problem
    return listener


def reserve(host: str, port: int, setting: str, *, shared: bool = False) -> socket.socket:
    """A bound socket that does not listen: on Linux another process of ours still may. ``shared``: several may, each on a socket of its
    own that says so, too. Raises what ``listen`` raises."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # A restart must not wait for the old connections' TIME_WAIT. On Windows the option means something else.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError as problem:
        bound.close()
        raise StartupProblem(_why_not(host, port, setting, problem)) from problem
    return bound


def _why_not(host: str, port: int, setting: str, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program. Stop it, or choose another port with {setting}."
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} on {host} needs more rights. Choose one over 1024 with {setting}."
    of_host = setting.replace("PORT", "HOST").replace("port", "host")
    return f"Cannot listen on {host}:{port}: {problem.strerror}. Check {of_host} and {setting}."


class Server:
    """One application on one socket. ``start`` returns when it accepts connections."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        limits: EdgeLimits,
        on_rejected: OnRejected = ignore_rejected,
        page_marks: PageMarks = for_no_page,
    ) -> None:
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self._server = _Uvicorn(
            serve_config(app, limits, on_rejected=on_rejected, page_marks=page_marks, timeout_graceful_shutdown=1)
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self.listener]))
        started = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self._task.done():
            await self._task

    async def close(self) -> None:
        """Close the socket and every connection."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
