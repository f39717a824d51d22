"""Where the parts of a cluster listen: what stands in place of a port 0, and under which address others reach the controller."""

import socket
from dataclasses import replace

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
