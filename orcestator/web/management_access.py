"""Who may look behind the door and turn its handles: whoever has the admin token, or, without one, this machine alone."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from orcestator.errors import Forbidden, Unauthorized
from orcestator.providers.secret import Secret
from orcestator.web.admission import Admission, AdmissionPolicy

TOKEN_HEADER = b"x-admin-token"
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")
"""Headers by which a proxy tells for whom it asks: its own address says nothing about that person."""
_HOW = "Set OR_ADMIN_TOKEN and send it as 'Authorization: Bearer TOKEN' or 'x-admin-token: TOKEN'."


class ManagementAccess:
    """The rule for every management endpoint. Caller keys open none of them."""

    def __init__(self, admin_token: Secret | None) -> None:
        self._digest = _digest(admin_token.reveal().encode()) if admin_token else b""
        # No allowed hosts: those are names that others reach this machine by.
        self._this_machine = Admission(AdmissionPolicy())

    def admit(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Raises Unauthorized without the token where there is one, Forbidden for strangers where there is none."""
        if self._digest:
            # Digests have one length, so that the comparison tells nothing of the token's.
            if not hmac.compare_digest(_digest(_presented(headers)), self._digest):
                raise Unauthorized(f"This needs the admin token. {_HOW}", code="invalid_admin_token")
        else:
            self._only_this_machine(scope, headers)

    def _only_this_machine(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        try:
            self._this_machine.admit(scope, headers)
        except Forbidden:
            raise Forbidden(f"Without an admin token only this machine may manage orcestator. {_HOW}") from None
        if any(name in headers for name in FORWARDED):
            raise Forbidden(f"A proxy passed this on, so that it may come from anywhere. {_HOW}")


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return headers.get(TOKEN_HEADER, b"").strip()


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
