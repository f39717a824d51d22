"""How long an upstream asks us to wait, in seconds. Never raises: a header is a stranger's text.

Order and units as the peers read them (checked 2026-11): ``retry-after-ms`` and ``x-ms-retry-after-ms`` in
milliseconds, ``retry-after`` in seconds or as an HTTP date, ``x-ratelimit-reset-requests`` and ``-tokens`` as
OpenAI's durations (``1s``, ``6m0s``, ``20ms``).
"""

import math
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 86_400.0
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_LONGEST_HEADER = 64


def retry_after(header: Callable[[str], str | None], wall_now: float) -> float | None:
    """Seconds to wait, or None when the upstream named no usable time. ``wall_now`` is epoch seconds."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        seconds = _scaled(header(name), 0.001)
        if seconds is not None:
            return seconds
    text = header("retry-after")
    seconds = _scaled(text, 1.0)
    if seconds is None and text:
        seconds = _until(text, wall_now)
    if seconds is not None:
        return seconds
    resets = [_duration(header(f"x-ratelimit-reset-{what}")) for what in ("requests", "tokens")]
    known = [reset for reset in resets if reset is not None]
    return max(known) if known else None


def _scaled(text: str | None, scale: float) -> float | None:
    if not text or len(text) > _LONGEST_HEADER:
        return None
    try:
        seconds = float(text) * scale
    except ValueError:
        return None
    return _sane(seconds)


def _sane(seconds: float) -> float | None:
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, LONGEST_SECONDS)


def _until(text: str, wall_now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text[:_LONGEST_HEADER])
        # A date without a zone is in GMT (RFC 9110, 5.6.7), not in the zone of this machine.
        epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return _sane(max(epoch - wall_now, 0.0))


def _duration(text: str | None) -> float | None:
    if not text or len(text) > _LONGEST_HEADER:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return _sane(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)
