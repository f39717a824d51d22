"""Who may look behind the door and turn its handles: whoever has the admin token, or, without one, this machine alone.

Where something says that others reach this server (caller keys, anonymous callers, Host names of a proxy), a loopback peer proves
nothing: a reverse proxy or a tunnel is one for every stranger. There the token that the program keeps in its state folder is wanted.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from orcestator.errors import Forbidden, Unauthorized, UnsupportedBody
from orcestator.gateway.admission import Admission, AdmissionPolicy
from orcestator.providers.secret import Secret
from orcestator.server.failed_logins import FailedLogins
from orcestator.server.local_names import comes_through_a_proxy, is_of_a_page, is_surely_direct

DOOR: Final = "management"
TOKEN_HEADER = b"x-admin-token"
ADMIN, LOCAL, THIS_MACHINE = "the admin token", "the local token", "a program on this machine"
"""By what somebody was let in."""
_HOW = "Set OR_ADMIN_TOKEN and send it as 'Authorization: Bearer TOKEN' or 'x-admin-token: TOKEN'."
_HOW_HERE = "On this machine orcestator's own commands read the token that is kept in OR_STATE_DIR."
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class ManagementAccess:
    """The rule for every management endpoint. Caller keys open none of them; no web page is let in at all."""

    def __init__(
        self,
        admin_token: Secret | None,
        *,
        local_token: Secret | None = None,
        wants_token: bool = False,
        refusals: FailedLogins | None = None,
    ) -> None:
        self._refusals = refusals or FailedLogins()
        # No allowed hosts: those are names that others reach this machine by.
        self._this_machine = Admission(AdmissionPolicy())
        self.use(admin_token, local_token=local_token, wants_token=wants_token)

    def use(self, admin_token: Secret | None, *, local_token: Secret | None = None, wants_token: bool = False) -> None:
        """Decide by these from the next request on. ``local_token`` is the one that the program keeps, which counts where there is no admin
        token; ``wants_token``: others reach this server, so that an address proves nothing."""
        token, self._kind = (admin_token, ADMIN) if admin_token else (local_token, LOCAL)
        self._digest = _digest(token.reveal().encode()) if token else b""
        self._wants_token = bool(admin_token) or wants_token

    def admit(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """By what somebody is let in. Raises Unauthorized, QuotaExceeded or Forbidden, and UnsupportedBody for one that is not JSON."""
        if is_of_a_page(headers):
            self._refusals.note(DOOR, "foreign", scope)
            raise Forbidden("Management does not talk to web pages, of whatever origin.")
        presented = _presented(headers)
        # Digests have one length, so that the comparison tells nothing of the token's.
        is_known = bool(self._digest) and hmac.compare_digest(_digest(presented), self._digest)
        if not is_known and self._wants_token:
            self._no_token(presented, scope)
        if not is_known:
            self._only_this_machine(scope, headers)
        _require_json(scope, headers)
        return self._kind if is_known else THIS_MACHINE

    def _no_token(self, presented: bytes, scope: Mapping[str, Any]) -> None:
        if self._kind == ADMIN:
            error = Unauthorized(f"This needs the admin token. {_HOW}", code="invalid_admin_token")
        else:
            error = Unauthorized(
                f"This needs a token, since callers of other machines are served here. {_HOW} {_HOW_HERE}",
                code="invalid_admin_token",
            )
        if presented:
            self._refusals.wrong_key(DOOR, scope, error)
        self._refusals.note(DOOR, "no_key", scope)
        raise error

    def _only_this_machine(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        if comes_through_a_proxy(scope, headers) or not is_surely_direct(headers):
            self._refusals.note(DOOR, "foreign", scope)
            raise Forbidden(f"A proxy passed this on, so that it may come from anywhere. {_HOW}")
        try:
            self._this_machine.admit(scope, headers)
        except Forbidden:
            self._refusals.note(DOOR, "foreign", scope)
            raise Forbidden(f"Without an admin token only this machine may manage orcestator. {_HOW}") from None


def _require_json(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
    """A form or plain text is what a page can send without asking; nothing that manages sends one."""
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    if scope.get("method") in _WITH_BODY and has_body:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise UnsupportedBody("Management takes JSON: send 'content-type: application/json'.", param="content-type")


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return headers.get(TOKEN_HEADER, b"").strip()


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
