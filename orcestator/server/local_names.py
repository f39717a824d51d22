"""Which Host headers, Origins and proxies' marks say that a request is of this machine, and of no web page. Pure.

Without a key nothing but this tells the user's own programs from a page in the user's browser (which may rebind its name to
127.0.0.1) and from strangers behind a reverse proxy.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal", "gateway.docker.internal"})
LOCAL_ORIGINS = LOCAL_NAMES | {"0.0.0.0"}
APP_SCHEMES = frozenset({"app", "file", "tauri", "vscode-webview", "vscode-file"})
"""Origins of desktop programs: those that Ollama lets in (its ``envconfig/config.go``, checked 2026-11). A browser's extensions, which come
from everywhere, have to be named."""
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
"""Names that nobody can register in the public DNS (RFC 6761, RFC 6762, RFC 8375, ICANN's ``.internal``; checked 2026-11)."""
PROXY_FIELDS = frozenset(
    name.encode()
    for name in (
        *("via", "forwarded", "x-real-ip", "x-client-ip", "client-ip", "true-client-ip", "x-cluster-client-ip", "cdn-loop"),
        *("x-forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-server"),
        *("x-forwarded-scheme", "x-forwarded-protocol", "x-forwarded-ssl", "x-forwarded-prefix", "x-forwarded-by"),
        *("x-forwarded-uri", "x-forwarded-path", "x-forwarded-method", "x-forwarded-user", "x-forwarded-client-cert"),
        *("x-original-forwarded-for", "x-original-host", "x-original-url", "x-original-uri", "x-scheme", "front-end-https"),
        *("cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4", "cf-ipcountry", "cf-ray", "cf-visitor", "cf-worker"),
        *("cf-access-jwt-assertion", "cf-warp-tag-id", "fastly-client-ip", "fastly-ff", "fly-client-ip", "akamai-origin-hop"),
        *("x-azure-clientip", "x-azure-ref", "x-arr-log-id", "x-appengine-user-ip", "x-cloud-trace-context", "x-amzn-trace-id"),
        *("x-envoy-external-address", "x-envoy-original-path", "x-envoy-internal", "x-vercel-forwarded-for", "tailscale-user-login"),
        *("x-amz-cf-id", "x-amzn-requestid", "x-vercel-id", "x-varnish", "x-nginx-proxy", "x-goog-iap-jwt-assertion"),
        *("ngrok-trace-id", "x-ngrok-forwarded-for", "x-sucuri-clientip", "incap-client-ip"),
    )
)  # fmt: skip
"""By these reverse proxies, content networks and tunnels tell for whom they ask: their own address says nothing about that one."""
_PROXY_PREFIXES = (b"x-forwarded-", b"cf-", b"x-envoy-", b"tailscale-")


def comes_through_a_proxy(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    """Whether somebody passed the request on and says so; HTTP/1.0 is what nginx speaks to what is behind it unless told otherwise
    (up to 1.29.6; https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_http_version, checked 2026-11). One that says nothing cannot
    be told from a program of this machine."""
    return not PROXY_FIELDS.isdisjoint(headers) or scope.get("http_version") == "1.0"


def is_surely_direct(headers: Iterable[bytes]) -> bool:
    """The same question asked more thoroughly, where it may take longer: no header of a family that proxies use."""
    return not any(name in PROXY_FIELDS or name.startswith(_PROXY_PREFIXES) for name in headers)


def is_loopback(address: str) -> bool:
    """Whether a peer's address is one of this machine's own."""
    if address == "127.0.0.1":
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def host_name(url: str) -> str:
    """The host of a URL in lower case, "" where there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def is_no_public_name(host: str) -> bool:
    """Whether no web page can have this name: an address, a bare name, or one that the public DNS does not have."""
    if not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)
    return True


def is_of_a_page(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page in a browser made the request, whichever page (https://www.w3.org/TR/fetch-metadata/, checked 2026-11). A
    person who types an address is none."""
    return b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none"
