"""Who is connected: the open connections of one server, counted by peer.

It must never touch a connection: it says whether one more may come in, and the edge acts on that.
"""

import ipaddress


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


class Census:
    """The open connections of one server, by peer. A limit of 0 means no limit.

    ``lingering`` counts the connections that were refused and may still read why; the edge keeps it.
    """

    def __init__(self, max_connections: int, max_connections_per_peer: int) -> None:
        self._limit = max_connections
        self._limit_per_peer = max_connections_per_peer
        self._by_peer: dict[str, int] = {}
        self._open = 0
        self.lingering = 0

    def admit(self, peer: str | None) -> bool:
        """Count a connection in, unless that would be one too many."""
        if self._limit and self._open >= self._limit:
            return False
        if peer is not None:
            here = self._by_peer.get(peer, 0)
            if self._limit_per_peer and here >= self._limit_per_peer:
                return False
            self._by_peer[peer] = here + 1
        self._open += 1
        return True

    def leave(self, peer: str | None) -> None:
        """Count an admitted connection out."""
        self._open -= 1
        if peer is not None:
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
