"""Opens connections: name, checked address, TCP, proxy tunnel, TLS, each within its time. It sends no request."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from orcestator.errors import (
    TOTAL_TIMEOUT,
    Overloaded,
    StartupProblem,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.upstream.http.addresses import is_allowed, is_literal
from orcestator.upstream.http.connection import Connection
from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.http.resolver import Resolver
from orcestator.upstream.http.timeouts import Timeouts

T = TypeVar("T")

_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What a connection fails with for want of descriptors or memory of ours."""

_HEAD_START_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305 §5, checked 2026-11)."""

_MAX_PROXY_HEAD_BYTES = 16 * 1024

_KEEP_ALIVE_OPTIONS = tuple(
    (getattr(socket, name), value)
    for name, value in (
        ("TCP_KEEPIDLE", 60),
        ("TCP_KEEPALIVE", 60),  # what macOS calls TCP_KEEPIDLE
        ("TCP_KEEPINTVL", 60),
        ("TCP_KEEPCNT", 5),
    )
    if hasattr(socket, name)
)


class Dialer:
    """Opens connections to origins, directly or through the HTTP proxy of each.

    Raises ``UpstreamUnavailable`` (``refused``, ``reset``, ``unreachable``, ``dns``, ``tls``, ``private_address``,
    ``proxy``) and ``UpstreamTimeout`` (``connect_timeout``, ``dns``, ``tls``, ``total_timeout``), all with ``sent`` false.
    """

    def __init__(self, resolver: Resolver, ssl_context: ssl.SSLContext | None) -> None:
        """Raises ``StartupProblem`` for a TLS context that does not verify."""
        if ssl_context is not None and not (
            ssl_context.check_hostname and ssl_context.verify_mode is ssl.CERT_REQUIRED
        ):
            raise StartupProblem("the TLS context for upstreams must verify certificates and host names")
        self._resolver = resolver
        self._ssl_context = ssl_context

    async def dial(
        self, origin: Origin, build: Callable[[], Connection], timeouts: Timeouts, total_at: float
    ) -> Connection:
        """A connection to the origin, as ``build`` makes it; ``total_at`` is in the loop's time."""
        context = self._verifying_context() if origin.scheme == "https" else None
        now = asyncio.get_running_loop().time()
        sock = await self._open_socket(origin, now + timeouts.connect, total_at)
        secured_by = now + timeouts.tls
        handshake = self._attach(origin, sock, context, build)
        return await _within(handshake, secured_by, total_at, cause="tls", what=f"the TLS handshake with {origin.host}")

    async def _open_socket(self, origin: Origin, connect_by: float, total_at: float) -> socket.socket:
        peer = origin if origin.proxy is None else origin.proxy.origin
        if origin.proxy is not None:
            _refuse_private_literal(origin)
        addresses = await _within(
            self._resolver.resolve(peer.host), connect_by, total_at, cause="dns", what=f"looking up {peer.host}"
        )
        allowed = _checked(peer, addresses)
        connecting = self._connect(origin, peer, allowed)
        what = f"connecting to {peer.host}"
        return await _within(connecting, connect_by, total_at, cause="connect_timeout", what=what)

    async def _connect(self, origin: Origin, peer: Origin, addresses: list[str]) -> socket.socket:
        try:
            sock = await _connect_first(addresses, peer.port)
        except OSError as problem:
            if problem.errno in _OURS:
                raise _out_of_sockets(problem) from problem
            raise _connect_failure(peer, problem) from problem
        if origin.proxy is not None and origin.scheme == "https":
            await _open_tunnel(sock, origin, origin.proxy)
        return sock

    async def _attach(
        self, origin: Origin, sock: socket.socket, context: ssl.SSLContext | None, build: Callable[[], Connection]
    ) -> Connection:
        loop = asyncio.get_running_loop()
        name = origin.host if context is not None else None
        connection = build()
        try:
            await loop.create_connection(lambda: connection, sock=sock, ssl=context, server_hostname=name)
            return connection
        except BaseException as problem:
            # Cancelled, it may have been made in this very moment. The loops close it gracefully then, which takes a
            # peer that answers, and uvloop does so without a word to the protocol.
            connection.discard()
            if isinstance(problem, OSError):  # ssl.SSLError is one; so is a peer that hangs up during the handshake
                raise _attach_failure(origin, problem) from problem
            raise

    def _verifying_context(self) -> ssl.SSLContext:
        if self._ssl_context is None:  # loading the system's certificates takes tens of milliseconds: only when needed
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context


async def _within(step: Awaitable[T], step_by: float, total_at: float, *, cause: str, what: str) -> T:
    try:
        async with asyncio.timeout_at(min(step_by, total_at)):
            return await step
    except TimeoutError as problem:
        if total_at < step_by:
            cause = TOTAL_TIMEOUT
        raise UpstreamTimeout(f"{what} took too long", cause=cause, sent=False) from problem


def _checked(peer: Origin, addresses: list[str]) -> list[str]:
    """Every address must be fine: a name with one private address among public ones is an attack, not an accident."""
    if not all(is_allowed(address, private=peer.private) for address in addresses):
        raise _private_address(peer)
    return addresses


def _refuse_private_literal(origin: Origin) -> None:
    """Behind a proxy names are resolved there; what we can judge is an address written as one."""
    if is_literal(origin.host) and not is_allowed(origin.host, private=origin.private):
        raise _private_address(origin)


def _private_address(origin: Origin) -> UpstreamUnavailable:
    message = f"{origin.host} leads to a private or special address, which is not allowed for this upstream"
    return UpstreamUnavailable(message, cause="private_address", sent=False)


def _connect_failure(peer: Origin, problem: OSError) -> UpstreamError:
    if isinstance(problem, TimeoutError):
        return UpstreamTimeout(f"connecting to {peer.host} took too long", cause="connect_timeout", sent=False)
    cause = "unreachable"
    if isinstance(problem, ConnectionRefusedError):
        cause = "refused"
    elif isinstance(problem, ConnectionError):
        cause = "reset"
    return UpstreamUnavailable(f"no connection to {peer.host_and_port}: {problem}", cause=cause, sent=False)


def _out_of_sockets(problem: OSError) -> Overloaded:
    """A want of our own, which says nothing about the provider."""
    return Overloaded(
        f"This process can open no more connections ({problem.strerror}); raise its limit of open files (ulimit -n).",
        code="out_of_sockets",
        headers={"retry-after": "1"},
    )


def _attach_failure(origin: Origin, problem: OSError) -> UpstreamUnavailable:
    is_plain = origin.scheme == "http"
    what = "connection" if is_plain else "trusted TLS connection"
    message = f"no {what} to {origin.host}: {problem}"
    return UpstreamUnavailable(message, cause="reset" if is_plain else "tls", sent=False)


async def _connect_first(addresses: list[str], port: int) -> socket.socket:
    """The first address that answers; each gets a head start over the next."""
    if len(addresses) == 1:
        return await _connect_one(addresses[0], port)
    loop = asyncio.get_running_loop()
    left = list(reversed(addresses))
    running: set[asyncio.Task[socket.socket]] = set()
    refusal: tuple[Any, ...] = ("no address to connect to",)
    try:
        while left or running:
            if left:
                running.add(loop.create_task(_connect_one(left.pop(), port)))
            patience = _HEAD_START_SECONDS if left else None
            ended, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                running.discard(task)
                problem = task.exception()
                if problem is None:
                    return task.result()
                refusal = (getattr(problem, "errno", None), str(getattr(problem, "strerror", "") or problem))
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_unused)
    raise OSError(*refusal)  # a new one: the task's own, raised here, would hold the task that holds it


def _close_unused(task: "asyncio.Task[socket.socket]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_one(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE_OPTIONS:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:  # a cancelled attempt must close its socket, too
        sock.close()
        raise
    return sock


async def _open_tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Ask the proxy for a tunnel (RFC 9110 §9.3.6); the TLS server behind it speaks second, so nothing is read over."""
    target = origin.host_and_port.encode()
    try:
        await asyncio.get_running_loop().sock_sendall(
            sock, b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, proxy.header)
        )
        answer = await _read_proxy_head(sock)
        if not _is_tunnel_open(answer):
            status = answer.partition(b"\r\n")[0][:60].decode("latin-1")
            wants_user = answer.split(b" ", 2)[1:2] == [b"407"]
            remedy = "; give it as http://USER:PASSWORD@HOST:PORT" if wants_user else ""
            raise _proxy_failure(
                f"the proxy {proxy.origin.host_and_port} opened no tunnel to {origin.host}: {status!r}{remedy}"
            )
    except BaseException as problem:  # whatever ends the tunnel, the socket goes with it
        sock.close()
        if isinstance(problem, OSError):
            message = f"the proxy {proxy.origin.host_and_port} opened no tunnel to {origin.host}: {problem}"
            raise _proxy_failure(message) from problem
        raise


def _is_tunnel_open(answer: bytes) -> bool:
    status_line, _, _ = answer.partition(b"\r\n")
    words = status_line.split()
    return answer.endswith(b"\r\n\r\n") and len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1][:1] == b"2"


async def _read_proxy_head(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_PROXY_HEAD_BYTES:
        received = await loop.sock_recv(sock, 4096)
        if not received:
            break
        head += received
    return head


def _proxy_failure(message: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(message, cause="proxy", sent=False)
