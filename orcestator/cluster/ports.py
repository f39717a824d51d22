"""Where the parts of a cluster listen: what stands in place of a port 0, how several processes share one, and which ones are free."""

import socket
import sys
from dataclasses import replace

from orcestator.errors import StartupProblem
from orcestator.server.serving import listen, reserve
from orcestator.settings import Settings

_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def port_of(bound: socket.socket) -> int:
    """The port of a socket."""
    return int(bound.getsockname()[1])


def with_ports(settings: Settings, port: int, controller_port: int) -> Settings:
    """The settings with the ports that were given to a running program in place of 0, which takes any."""
    return replace(settings, port=settings.port or port, controller_port=settings.controller_port or controller_port)


def controller_address(settings: Settings) -> str:
    """Where this machine reaches the controller. One that listens everywhere is on loopback, too."""
    host = _LOOPBACK_OF.get(settings.controller_host, settings.controller_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.controller_port}"


class CallersPort:
    """The port on which one process or several serve callers, held by the process that starts them.

    One gets the socket that listens here: callers wait in its queue while the process is started again. Of several on Linux each
    opens its own by SO_REUSEPORT, and the kernel spreads the connections over those that live. Elsewhere several share the socket
    that listens here, and take connections from it as they come.
    """

    def __init__(self, host: str, port: int, processes: int) -> None:
        """Raises StartupProblem when the port cannot be had."""
        self._host = host
        self._is_spread = processes > 1 and sys.platform == "linux"
        self._held = listen(host, port, "OR_PORT")
        self.port = port_of(self._held)
        if self._is_spread:
            # Nobody else had it. What shares it from now on must say so from the start.
            self._held.close()
            self._held = reserve(host, self.port, "OR_PORT", shared=True)
        if sys.platform == "win32":
            # A child cannot be given it there, and takes it itself.
            self._held.close()

    def keep_for_callers(self, host: str, port: int, setting: str) -> None:
        """Raises StartupProblem when something else is to listen where callers come: the system would let it, as nobody listens there yet,
        and each process that serves callers would be refused."""
        if port == self.port and (host == self._host or {host, self._host} & _LOOPBACK_OF.keys()):
            raise StartupProblem(f"Port {port} is the one for callers (OR_PORT). Choose another port with {setting}.")

    def arguments(self) -> list[str]:
        """How a program that shares it is told so."""
        where = ["--host", self._host, "--port", str(self.port)]
        if self._is_spread:
            return [*where, "--share-port"]
        return [*where, "--listen-fd", str(self._held.fileno())] if self.pass_fds() else where

    def pass_fds(self) -> tuple[int, ...]:
        """The socket that such a program is given, if any."""
        return () if self._is_spread or sys.platform == "win32" else (self._held.fileno(),)

    def close(self) -> None:
        """Let nobody in any more: without this a new caller would wait for processes that are gone."""
        self._held.close()


class LoopbackPorts:
    """Free loopback ports for the children, each given once.

    On Linux a port stays reserved by a bound socket that does not listen: nobody else is given it, the child can still
    listen on it, and while the child is dead a caller is refused at once. Elsewhere two clusters that start in the same
    second may choose the same port, and one of them says so.
    """

    def __init__(self) -> None:
        self._reserved: list[socket.socket] = []
        self._next = 0

    def take(self, first: int) -> int:
        """The next free port from ``first`` up, or any when it is 0."""
        port = max(first, self._next) if first else 0
        reservation = _bound(port)
        while reservation is None:
            port += bool(first)
            reservation = _bound(port)
        if sys.platform == "linux":
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = self.hold(reservation)
        if first:
            self._next = port + 1
        return port

    def hold(self, reservation: socket.socket) -> int:
        """The port of a reservation, kept until the end."""
        port = port_of(reservation)
        if sys.platform == "linux":
            self._reserved.append(reservation)
        else:
            reservation.close()
        return port

    async def close(self) -> None:
        """Let others have the ports."""
        for reservation in self._reserved:
            reservation.close()


def _bound(port: int) -> socket.socket | None:
    reservation = socket.socket()
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return None
    return reservation
