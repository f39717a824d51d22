"""Who is connected: the open connections of one server, counted by peer.

It must never touch a connection: it says whether one more may come in, and the edge acts on that.
"""

import ipaddress

_LOOPBACK_V6 = "::/64"


def peer(host: str) -> str:
    """The unit that connections are counted by: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


NEWCOMER_CONNECTIONS = 8
"""A peer with fewer may come in where only reserved places are left."""
_RESERVED_SHARE = 16
"""One place of so many is reserved, half of those for this machine."""


def is_loopback(peer: str) -> bool:
    """Whether a peer is this machine."""
    return peer.startswith("127.") or peer == _LOOPBACK_V6


class ConnectionLimits:
    """The open connections of one server, by peer. A limit of 0 means no limit.

    The last places are not for everybody: so a few peers that hold all they may do not shut out those who hold little,
    and nobody shuts out this machine's health checks and its own user.

    ``lingering`` counts the connections that were refused and may still read why; the edge keeps it.
    """

    def __init__(self, max_connections: int, max_connections_per_peer: int) -> None:
        self._limit = max_connections
        self._limit_per_peer = max_connections_per_peer
        reserved = max_connections // _RESERVED_SHARE
        self._for_all = max_connections - reserved
        self._for_newcomers = max_connections - reserved // 2
        self._by_peer: dict[str, int] = {}
        self._open = 0
        self.lingering = 0

    def admit(self, peer: str | None) -> bool:
        """Count a connection in, unless that would be one too many."""
        if self._limit and self._open >= self._for_all and not self._may_have_reserved(peer):
            return False
        if peer is not None:
            here = self._by_peer.get(peer, 0)
            if self._limit_per_peer and here >= self._limit_per_peer:
                return False
            self._by_peer[peer] = here + 1
        self._open += 1
        return True

    def _may_have_reserved(self, peer: str | None) -> bool:
        if peer is None or is_loopback(peer):
            return self._open < self._limit
        return self._open < self._for_newcomers and self._by_peer.get(peer, 0) < NEWCOMER_CONNECTIONS

    def leave(self, peer: str | None) -> None:
        """Count an admitted connection out."""
        self._open -= 1
        if peer is not None:
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
