"""Identifiers: the caller's own request id where it is sane, else one of ours."""

import itertools
import re
import secrets
from collections.abc import Mapping

_SANE = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")
_prefix = secrets.token_hex(6)
_numbers = itertools.count(1)


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The caller's ``x-request-id`` if it is short and harmless, else a new one, unique across processes."""
    given = headers.get(b"x-request-id")
    if given is not None and _SANE.fullmatch(given):
        return given.decode()
    return f"req-{_prefix}-{next(_numbers):x}"
