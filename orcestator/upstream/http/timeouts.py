"""How long one exchange with an upstream may take, phase by phase. Values only: it measures nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The patience of one exchange, in seconds."""

    connect: float = 2.0
    """Name lookup, TCP and, behind a proxy, its CONNECT answer."""
    tls: float = 5.0
    """From the same start until the TLS handshake is done."""
    first_byte: float = 30.0
    """From the first byte written until the first content of the body; absolute: neither the head nor slow bytes extend it.
    What content is says the reader; see ``Response.touch``."""
    idle: float = 30.0
    """Between two pieces of content; see ``Response.touch``."""
    total: float = 600.0
    """From ``send`` to the last byte of the body."""
    pool: float = 1.0
    """Waiting for one of the origin's connections to come free."""
