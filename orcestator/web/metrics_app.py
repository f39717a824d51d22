"""The metrics port: a scraper needs no caller key there, and takes nothing from the requests. Raw ASGI."""

from collections.abc import Awaitable, Callable

from orcestator.server.asgi import Receive, Scope, Send, header_map, send_bytes
from orcestator.server.local_names import host_name, is_no_public_name

Render = Callable[[], Awaitable[bytes]]
_INDEX = b'<!doctype html><title>orcestator metrics</title><a href="/metrics">/metrics</a>\n'


class MetricsApp:
    """``GET /metrics`` answers what ``render`` gives, as ``content_type``; ``/`` leads there.

    ``is_local``: the port is on this machine alone, and answers no name that a web page can have: one that rebinds its own
    name to 127.0.0.1 sends that.
    """

    def __init__(self, render: Render, content_type: str, *, is_local: bool) -> None:
        self._render = render
        self._content_type = content_type
        self._is_local = is_local

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._is_local and not _names_this_machine(scope):
            await _refuse(send, 403)
        elif scope["path"] not in ("/", "/metrics"):
            await _refuse(send, 404)
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(send, 405, (b"allow", b"GET, HEAD"))
        elif scope["path"] == "/":
            await send_bytes(send, 200, [(b"content-type", b"text/html")], _INDEX)
        else:
            headers = [(b"content-type", self._content_type.encode("ascii"))]
            await send_bytes(send, 200, headers, await self._render())


def _names_this_machine(scope: Scope) -> bool:
    host = header_map(scope["headers"]).get(b"host", b"localhost")
    return is_no_public_name(host_name("//" + host.decode("latin-1")))


async def _refuse(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send_bytes(send, status, [(b"content-type", b"text/plain"), *headers], b"")
