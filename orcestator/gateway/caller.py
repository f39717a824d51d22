"""Who asks: what admission finds out, and everything after it goes by."""

import hashlib
from typing import NamedTuple

from orcestator.providers.secret import Secret


class Caller(NamedTuple):
    """One caller. Both words stay with its key, whichever keys come and go beside it, and neither tells the key."""

    id: str
    """What is kept is found by it: responses, turns in a waiting line, bytes of bodies, leases."""
    name: str
    """What people see in logs, rows, decisions and metrics."""

    @classmethod
    def of(cls, key: Secret) -> "Caller":
        """The caller that has this key."""
        secret = key.reveal().encode()
        # Kept responses have been filed under this digest ever since, and are found by it after an update.
        lasting = hashlib.sha256(b"owner of kept responses " + secret).hexdigest()[:32]
        return cls(lasting, f"caller-{hashlib.sha256(b'orcestator caller ' + secret).hexdigest()[:8]}")


ANONYMOUS = Caller("", "")
"""Everybody who needs no key: a program of this machine, or anyone where anyone is served."""
