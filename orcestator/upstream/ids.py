"""Fresh identifiers for answers and tool calls that came without one."""

import secrets


def new_id(prefix: str) -> str:
    """A fresh id such as ``chatcmpl-…`` or ``call_…``."""
    return prefix + secrets.token_hex(12)
