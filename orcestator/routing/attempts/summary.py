"""What a caller is told when every attempt failed: each cause once, and short."""

from collections import Counter
from collections.abc import Sequence

from orcestator.errors import UpstreamError

LONGEST_CAUSE = 300
"""Characters of one cause; an upstream's own message may be a page."""


def summary_of(failures: Sequence[UpstreamError]) -> str:
    """All causes in their order; equal ones once, with their number."""
    causes = Counter(short(error.message) for error in failures)
    told = "; ".join(f"{cause} ({times} times)" if times > 1 else cause for cause, times in causes.items())
    return f"All {len(failures)} attempts failed: {told}" if len(failures) > 1 else told


def short(message: str) -> str:
    """The message, cut where it is too long for one of several."""
    return message if len(message) <= LONGEST_CAUSE else message[: LONGEST_CAUSE - 2].rstrip() + " …"
