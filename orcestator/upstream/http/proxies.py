"""Which calls go through an HTTP proxy, and how one is written. Pure: it reads no environment and opens nothing.

What NO_PROXY may hold is curl's (https://curl.se/docs/manpage.html#--noproxy, checked 2026-11): names with all below them,
addresses, networks, ``*``, with commas or blanks between them; a port behind a name or an address, as others have it, holds
for that port alone.
"""

import base64
import ipaddress
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from orcestator.upstream.http.origin import Origin, Proxy

DIRECT = "none"
"""Said in place of a proxy's address: no proxy, whatever else is set."""
_FORM = "must be http://HOST:PORT, with USER:PASSWORD@ before the host where the proxy wants that, or 'none'"
_SOCKS = "names a SOCKS proxy, which is not spoken here; name an HTTP proxy in OR_UPSTREAM_PROXY, or set that to 'none'"
_DEFAULT_PORT = 80


def proxy_at(text: str) -> Proxy | None:
    """The proxy at an address, None for ``none``. Raises ValueError, which never repeats the address: it may hold a password."""
    if text.lower() == DIRECT:
        return None
    if text.lower().startswith("socks"):
        raise ValueError(_SOCKS)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    has_more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme != "http" or not parts.hostname or not parts.hostname.isascii() or port == 0 or has_more:
        raise ValueError(_FORM)
    return Proxy(parts.hostname, port or _DEFAULT_PORT, _credentials(parts.username, parts.password))


def _credentials(user: str | None, password: str | None) -> bytes:
    """The value of Proxy-Authorization (RFC 7617), b"" where there is nobody to name."""
    if user is None:
        return b""
    return b"Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode())


def proxy_for(origin: Origin, *, own: str, general: str, spared: Sequence[str]) -> Proxy | None:
    """The proxy that calls to ``origin`` go through.

    ``own`` is what its provider says, ``general`` what holds for everybody; "" says nothing. What is on this machine or in
    a private network is called directly, unless its provider says otherwise. Raises ValueError as ``proxy_at`` does.
    """
    if own:
        return proxy_at(own)
    if not general or origin.private or any(_spares(entry, origin) for entry in " ".join(spared).lower().split()):
        return None
    return proxy_at(general)


def _spares(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return _spares_name(entry, origin)
    try:
        return ipaddress.ip_address(origin.host) in network
    except ValueError:
        return False


def _spares_name(entry: str, origin: Origin) -> bool:
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit():
        if int(port) != origin.port:
            return False
        entry = name.strip("[]")
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (origin.host == domain or origin.host.endswith("." + domain))
