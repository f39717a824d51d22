"""Who may come in: caller keys where there are any, and otherwise only this machine.

Without a key the door is open to the local user alone: the peer must be a loopback address, nobody may have passed the request on,
the Host header must name this machine (a web page that rebinds its own name to 127.0.0.1 does not), and a browser's Origin must be local.
``allow_anonymous`` lets in every peer address, and still no web page.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs

from orcestator.errors import Forbidden, Unauthorized
from orcestator.gateway.caller import ANONYMOUS, Caller
from orcestator.providers.secret import Secret
from orcestator.server.failed_logins import FailedLogins
from orcestator.server.local_names import (
    APP_SCHEMES,
    LOCAL_NAMES,
    LOCAL_ORIGINS,
    comes_through_a_proxy,
    host_name,
    is_loopback,
    is_no_public_name,
    is_of_a_page,
)

DOOR: Final = "caller"
_REMEMBERED = 1024
_KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""Anthropic's, Gemini's and Azure's."""
_NO_FOREIGN_PAGE = frozenset({b"none", b"same-origin"})
"""What a browser says of a request without an Origin that no foreign page made: of pictures, scripts and links of one it says something else."""
_WEB_ORIGIN = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
"""One origin as a browser writes it (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin, checked 2026-11): no list, no user, no path."""


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """``caller_keys`` empty and ``allow_anonymous`` false: callers on this machine only. ``origins`` are of pages that may call as well;
    ``"*"`` among them is for pages that have a key."""

    caller_keys: tuple[Secret, ...] = ()
    allow_anonymous: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()


class Admission:
    """Decides for each request; remembers digests of good keys, so that a check is one hash and one comparison."""

    def __init__(self, policy: AdmissionPolicy, refusals: FailedLogins | None = None) -> None:
        self._refusals = refusals or FailedLogins()
        self.use(policy)

    def use(self, policy: AdmissionPolicy) -> None:
        """Decide by this policy from the next request on; what runs was let in."""
        self._policy = policy
        self._digests = {_digest(key.reveal().encode()): Caller.of(key) for key in policy.caller_keys}
        self._hosts = LOCAL_NAMES | policy.allowed_hosts
        self._known_hosts: dict[bytes, bool] = {}

    def admit(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Caller:
        """Who it is. Raises Unauthorized, QuotaExceeded or Forbidden."""
        if self._digests:
            return self._by_key(_presented_key(headers) or _key_in_query(scope.get("query_string", b"")), scope)
        self._no_stranger(scope, headers)
        return ANONYMOUS

    def is_insider(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
        """Whether somebody has a key, or is a program of this machine, or everybody may call: whoever may know what is behind the door."""
        presented = _presented_key(headers) if self._digests else b""
        if presented and _digest(presented) in self._digests:
            return True
        if presented:
            # The answer tells whether a key is right: guesses are seen here as at the door itself.
            self._refusals.note(DOOR, "wrong_key", scope)
        client = scope.get("client")
        is_here = client is None or is_loopback(client[0])
        is_direct = is_here and not comes_through_a_proxy(scope, headers) and not is_of_a_page(headers)
        return (is_direct or (self._policy.allow_anonymous and not self._digests)) and self._host_is_local(
            headers.get(b"host", b"")
        )

    def may_read(self, origin: bytes) -> bool:
        """Whether a page of this origin may read what it is answered: those that may call without a key, and whoever is named."""
        return self._origin_is_local(origin) or "*" in self._policy.origins

    def _by_key(self, presented: bytes, scope: Mapping[str, Any]) -> Caller:
        if not presented:
            self._refusals.note(DOOR, "no_key", scope)
            raise Unauthorized(
                "Send a caller key as 'Authorization: Bearer KEY' (OR_CALLER_KEYS lists the valid ones)."
            )
        digest = _digest(presented)
        for known, caller in self._digests.items():
            if hmac.compare_digest(known, digest):
                return caller
        self._refusals.wrong_key(
            DOOR, scope, Unauthorized("This caller key is not valid here. OR_CALLER_KEYS lists the valid ones.")
        )

    def _no_stranger(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"")
        if not self._policy.allow_anonymous:
            client = scope.get("client")
            if client is not None and not is_loopback(client[0]):
                self._refuse(
                    "Without caller keys only this machine is served. Set OR_CALLER_KEYS and send one of them,"
                    " or set OR_ALLOW_ANONYMOUS=true to serve everybody who can reach this port.",
                    scope,
                )
            # A name in OR_ALLOWED_HOSTS is one that a proxy here serves, on purpose.
            if comes_through_a_proxy(scope, headers) and not self._is_allowed_host(host):
                self._refuse(
                    "A proxy passed this on, so that it may come from anywhere: set OR_CALLER_KEYS, or, where the proxy lets nobody in"
                    " that it does not know, name its Host in OR_ALLOWED_HOSTS.",
                    scope,
                )
        if not self._host_is_local(host):
            self._refuse("This Host name is not served without caller keys. Add it to OR_ALLOWED_HOSTS.", scope)
        origin = headers.get(b"origin")
        if origin is None:
            if headers.get(b"sec-fetch-site", b"none") not in _NO_FOREIGN_PAGE:
                self._refuse("A web page is not served without caller keys.", scope)
        elif not self._origin_is_local(origin):
            self._refuse(
                "A web page from another origin is not served without caller keys. OR_CORS_ORIGINS lets one in.", scope
            )

    def _refuse(self, message: str, scope: Mapping[str, Any]) -> NoReturn:
        self._refusals.note(DOOR, "foreign", scope)
        raise Forbidden(message)

    def _is_allowed_host(self, host: bytes) -> bool:
        hosts = self._policy.allowed_hosts
        return bool(hosts) and host_name("//" + host.decode("latin-1")) in hosts

    def _host_is_local(self, host: bytes) -> bool:
        known = self._known_hosts.get(host)
        if known is None:
            name = host_name("//" + host.decode("latin-1"))
            known = name in self._hosts or (self._policy.allow_anonymous and is_no_public_name(name))
            if len(self._known_hosts) < _REMEMBERED:
                self._known_hosts[host] = known
        return known

    def _origin_is_local(self, origin: bytes) -> bool:
        """An editor's own pages (``vscode-webview://``) are local; ``null`` is a sandboxed frame of any web page."""
        text = origin.decode("latin-1")
        if text in self._policy.origins:
            return True
        if _WEB_ORIGIN.fullmatch(text):
            name = host_name(text)
            return name in LOCAL_ORIGINS or name in self._policy.allowed_hosts
        scheme, separator, _ = text.partition("://")
        return bool(separator) and scheme in APP_SCHEMES


def _presented_key(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer " and authorization[7:].strip():
        return authorization[7:].strip()
    return next((headers[name].strip() for name in _KEY_HEADERS if name in headers), b"")


def _key_in_query(query: bytes) -> bytes:
    """Gemini's REST callers put the key there (https://ai.google.dev/gemini-api/docs/api-key, checked 2026-11)."""
    found = parse_qs(query.decode("latin-1")).get("key") if b"key=" in query else None
    return found[0].encode() if found else b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
