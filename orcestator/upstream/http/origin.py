"""Where an upstream lives: scheme, host and port, read from a base URL. It resolves and opens nothing."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, urlsplit

from orcestator.errors import StartupProblem
from orcestator.upstream.http.addresses import is_allowed, is_literal

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
"""Suffixes that the public DNS does not have (RFC 6761, RFC 6762, RFC 8375, ICANN's ``.internal``; checked 2026-11)."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. ``authorization`` is the value of Proxy-Authorization, b"" for none; it is never printed."""

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)

    @property
    def origin(self) -> "Origin":
        """Where it listens. The administrator named it, so that it may be anywhere."""
        return Origin("http", self.host, self.port, private=True)

    @property
    def header(self) -> bytes:
        """The line of a request to it that says who asks; b"" where that is nobody's business."""
        return b"Proxy-Authorization: %b\r\n" % self.authorization if self.authorization else b""


@dataclass(frozen=True, slots=True)
class Origin:
    """One upstream address; connections are pooled per origin.

    ``private`` tells that the administrator named this address, so that loopback and private networks are allowed.
    It is connected to through ``proxy`` where there is one.
    """

    scheme: str
    host: str
    port: int
    private: bool
    proxy: Proxy | None = None

    @classmethod
    def from_url(cls, base_url: str, *, private: bool | None = None) -> tuple[Self, str]:
        """The origin of a base URL and its path prefix (no trailing slash, ``""`` for none).

        Without ``private`` it follows from the host: an address or name that is private on its face (``127.0.0.1``,
        ``localhost``, a bare container name) was named on purpose, a public-looking name was not. Plain ``http`` is
        for private hosts only: anything else would send a key in the clear.

        Raises ``StartupProblem`` for a URL that cannot be used.
        """
        parts = _split(base_url)
        host = _ascii_host(parts.hostname or "", base_url)
        if private is None:
            private = _is_private_name(host)
        if parts.scheme == "http" and not private:
            raise StartupProblem(f"{base_url!r}: use https; plain http is for this machine and private networks only")
        origin = cls(parts.scheme, host, parts.port or _DEFAULT_PORTS[parts.scheme], private)
        return origin, parts.path.rstrip("/")

    @property
    def authority(self) -> str:
        """``host`` or ``host:port`` as a Host header has it: no default port, brackets around IPv6."""
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return _bracketed(self.host)
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def host_and_port(self) -> str:
        """``host:port`` as a CONNECT request has it: the port always."""
        return f"{_bracketed(self.host)}:{self.port}"


def _split(base_url: str) -> SplitResult:
    if not base_url.isprintable() or " " in base_url:
        raise StartupProblem(f"{base_url!r}: a URL has no spaces or control characters")
    try:
        parts = urlsplit(base_url)
        has_odd_port = parts.port == 0
    except ValueError as problem:
        raise StartupProblem(f"{base_url!r}: {problem}") from problem
    complaint = _complaint(parts, has_odd_port=has_odd_port)
    if complaint:
        # A URL with user information carries a secret, so that it is named by its host only.
        raise StartupProblem(f"{parts.hostname if '@' in parts.netloc else base_url!r}: {complaint}")
    return parts


def _complaint(parts: SplitResult, *, has_odd_port: bool) -> str:
    if parts.scheme not in _DEFAULT_PORTS:
        return "a base URL starts with https:// or http://"
    if "@" in parts.netloc:
        return "a base URL has no user name or password in it"
    if not parts.hostname:
        return "a base URL names a host"
    if has_odd_port:
        return "port 0 cannot be connected to"
    if parts.query or parts.fragment:
        return "a base URL has no query or fragment"
    return ""


def _ascii_host(host: str, base_url: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as problem:
        raise StartupProblem(f"{base_url!r}: the host is not a valid name: {problem}") from problem


def _is_private_name(host: str) -> bool:
    if is_literal(host):
        return not is_allowed(host, private=False)
    # A bare name is a container or a machine next door; a bare number is another way to write an IP address.
    is_bare = "." not in host and host[0].isalpha()
    return is_bare or host.endswith(_PRIVATE_SUFFIXES)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
