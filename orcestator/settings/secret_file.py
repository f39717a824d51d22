"""A secret that a command is given: in a file or on standard input, since everybody on a machine sees the arguments of its programs."""

import sys
from pathlib import Path

from orcestator.errors import StartupProblem

STANDARD_INPUT = "-"


def secret_in(name: str, flag: str) -> str:
    """What a file, or standard input, has in its first line. Raises StartupProblem."""
    try:
        text = sys.stdin.readline() if name == STANDARD_INPUT else Path(name).read_text("utf-8")
    except (OSError, ValueError) as problem:
        raise StartupProblem(f"{flag}: {name} cannot be read: {problem}.") from None
    lines = text.split("\n", 1)
    if not lines[0].strip():
        raise StartupProblem(f"{flag}: there is nothing in the first line of {name}.")
    return lines[0].strip()
