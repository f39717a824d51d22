"""Which IP addresses we may connect to: the guard against server-side request forgery. Pure: it resolves nothing.

The ranges are those of the IANA special-purpose registries (checked 2026-11). They are spelled out rather than taken
from ``ipaddress.is_global``, whose answers differ between Python releases.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_NEVER_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this network": reaches the local host on Linux
        "169.254.0.0/16",  # link-local: cloud metadata services
        "224.0.0.0/4",  # multicast
        "255.255.255.255/32",  # broadcast
    )
)
_PRIVATE_V4 = tuple(
    IPv4Network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relay anycast
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    )
)
_LOCAL_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4, unless the embedded address is judged instead
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_allowed(address: str, *, private: bool) -> bool:
    """Whether we may connect to this numeric address.

    With ``private`` the administrator named the address, so that loopback and private networks are fine; link-local,
    unspecified, broadcast and multicast addresses never are. An IPv6 address that carries an IPv4 one (mapped, 6to4,
    NAT64) is judged by what it carries. Text that is not a canonical address is refused.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        embedded = _embedded_v4(parsed)
        if embedded is None:
            return _allows_v6(parsed, private=private)
        parsed = embedded
    return _allows_v4(parsed, private=private)


def is_literal(host: str) -> bool:
    """Whether the host is written as a canonical IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _embedded_v4(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _allows_v4(address: IPv4Address, *, private: bool) -> bool:
    if any(address in network for network in _NEVER_V4):
        return False
    return private or not any(address in network for network in _PRIVATE_V4)


def _allows_v6(address: IPv6Address, *, private: bool) -> bool:
    if address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6):
        return True
    return private and any(address in network for network in _LOCAL_V6)
