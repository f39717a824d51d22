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
_TRY_AGAIN = re.compile(r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[hms]))+)(?![a-z])", re.IGNORECASE)
_TRY_AGAIN_WORDS = re.compile(
    r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?(second|minute|hour)s?", re.IGNORECASE
)
_WORD_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


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
    resets = [duration(header(f"x-ratelimit-reset-{what}")) for what in ("requests", "tokens")]
    known = [reset for reset in resets if reset is not None]
    return max(known) if known else None


def wait_in_prose(message: str) -> float | None:
    """Seconds of "Please try again in 6m0s." (OpenAI, Groq) or "try again in 20 seconds" (Azure), None without one."""
    match = _TRY_AGAIN.search(message)
    if match is not None:
        return duration(match[1])
    match = _TRY_AGAIN_WORDS.search(message)
    return None if match is None else sane_seconds(float(match[1]) * _WORD_SECONDS[match[2].lower()])


def _scaled(text: str | None, scale: float) -> float | None:
    if not text or len(text) > _LONGEST_HEADER:
        return None
    try:
        seconds = float(text) * scale
    except ValueError:
        return None
    return sane_seconds(seconds)


def sane_seconds(seconds: float) -> float | None:
    """A wait that somebody else named, at most ``LONGEST_SECONDS``; None for one that cannot be meant."""
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
    return sane_seconds(max(epoch - wall_now, 0.0))


def duration(text: str | None) -> float | None:
    """Seconds of a duration like ``6m0s`` or ``20ms``; None for what is none."""
    if not text or len(text) > _LONGEST_HEADER:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return sane_seconds(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)
