"""How long an upstream asks us to wait, in seconds: from its headers, its body or its prose. Never raises: it is a stranger's text.

One parser reads every spelling: a number (seconds, or milliseconds where the name says so, or a moment where it is as large as
one), a duration (``6m0s``, ``20ms``, ``1 hour 5 minutes``), a date (of HTTP, RFC 3339, or near it). Whatever it is, it is at most a day.
Names and spellings: those of OpenAI, Codex, Azure, Anthropic, Gemini, Groq, OpenRouter, Cerebras, Mistral, GitHub, Z.ai and the drafts
of the IETF's RateLimit headers (gathered from their documentation and from public issues, 2026-11).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_SECONDS = 86_400.0
EPOCH_FROM = 1e9
"""A number from here on is no duration but a moment, in seconds since the epoch: 2001 and later."""
EPOCH_MILLISECONDS_FROM = 1e11
LARGEST = 1e300
_LONGEST_TEXT = 64
_LONGEST_DRAFT = 256
_MOST_FIELDS = 200
_DEEPEST = 5
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_UNITS = r"ms|msecs?|millis|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?"
_PART = re.compile(rf"(\d+(?:\.\d+)?)[ -]?({_UNITS})(?![a-z])", re.IGNORECASE)
_DURATION = rf"\d+(?:\.\d+)?[ -]?(?:{_UNITS})(?![a-z])(?:(?:,? and|,)? ?\d+(?:\.\d+)?[ -]?(?:{_UNITS})(?![a-z]))*"
_WHOLE_DURATION = re.compile(_DURATION, re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")
_COMPACT = re.compile(r"(?<=[a-z])(?=\d)", re.IGNORECASE)
_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)? ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_HTTP_DATE = r"(?:[A-Z][a-z]{2,8}, )?\d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2}(?: (?:GMT|UTC|Z|[+-]\d{4}))?"
_ASKED = r"\b(?:try(?:ing)? again|retry(?:ing)?|wait(?:ing)?|resets?|reset|refresh(?:es)?|renews?|replenish\w*|available|unlocks?|cool ?down|back off|backoff)\b"
_FOR = re.compile(rf"{_ASKED}[a-z ,:=~'\"()-]{{0,48}}?({_DURATION})", re.IGNORECASE)
_UNTIL = re.compile(
    rf"(?:{_ASKED}|\buntil\b)[a-z ,:=~'\"()]{{0,48}}?\s({_ISO}|{_HTTP_DATE}|\d{{10}}(?:\d{{3}})?(?!\d))", re.IGNORECASE
)
_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms")
_IN_SECONDS = ("retry-after", "x-retry-after")
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens", "unified", "unified-5h", "unified-7d")
_RESETS: tuple[tuple[str, str], ...] = (
    *((f"x-ratelimit-reset-{what}", f"x-ratelimit-remaining-{what}") for what in ("requests", "tokens")),
    *(
        (f"x-ratelimit-reset-{what}-{window}", f"x-ratelimit-remaining-{what}-{window}")
        for what in ("requests", "req", "tokens")
        for window in ("minute", "hour", "day")
    ),
    *((f"anthropic-ratelimit-{what}-reset", f"anthropic-ratelimit-{what}-remaining") for what in _ANTHROPIC),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
    ("x-rate-limit-reset", "x-rate-limit-remaining"),
    ("x-ratelimit-reset-after", "x-ratelimit-remaining"),
    ("x-codex-primary-reset-after-seconds", ""),
    ("x-codex-primary-reset-at", ""),
)
"""Headers that tell when a limit is free again, each beside the one that tells what is left of it."""
_DRAFT = re.compile(r"(?:^|[,;]) *(?:reset|t) *= *(\d{1,10})")
_FOR_SECONDS = frozenset(
    [
        "retryafter",
        "retryafterseconds",
        "retryaftersec",
        "retryaftersecs",
        "retryinseconds",
        "retryin",
        "resetsinseconds",
        "resetinseconds",
        "resetsin",
        "resetin",
        "resetafter",
        "resetafterseconds",
        "resetsafter",
        "resetsafterseconds",
        "retrydelay",
        "retrydelayseconds",
        "waitseconds",
        "waittime",
        "waittimeseconds",
        "wait",
        "secondsuntilreset",
        "secondstoreset",
        "timetoreset",
        "timeuntilreset",
        "cooldownseconds",
        "cooldown",
        "backoffseconds",
        "retryafters",
    ]
)
_MILLISECONDS = re.compile(r"(?:ms|millis|milliseconds?)$")
_AT = frozenset(
    [
        "resetsat",
        "resetat",
        "resettime",
        "resettimestamp",
        "resettimestampms",
        "resetdate",
        "retryat",
        "availableat",
        "nextavailableat",
        "nextretryat",
        "nextresettime",
        "ratelimitreset",
        "quotaresettime",
        "quotaresettimestamp",
        "resets",
        "reset",
    ]
)
"""Names of fields, in small letters and without what joins their words."""


def retry_after(header: Callable[[str], str | None], wall_now: float) -> float | None:
    """Seconds to wait by the headers, or None when they name no usable time. ``wall_now`` is epoch seconds."""
    for names, unit in ((_IN_MILLISECONDS, 0.001), (_IN_SECONDS, 1.0)):
        for name in names:
            seconds = seconds_named(header(name), wall_now, unit)
            if seconds is not None:
                return seconds
    return _soonest_reset(header, wall_now)


def _soonest_reset(header: Callable[[str], str | None], wall_now: float) -> float | None:
    """By the limits that are told: those of which nothing is left where that is said, else all; the longest of them."""
    found, spent = [], []
    for name, left in _RESETS:
        seconds = seconds_named(header(name), wall_now)
        if seconds is not None:
            found.append(seconds)
            if left and (header(left) or "").strip() in ("0", "0.0"):
                spent.append(seconds)
    draft = _DRAFT.search((header("ratelimit") or "")[:_LONGEST_DRAFT])
    if draft is not None:
        found.append(float(draft[1]))
    return sane_seconds(max(spent or found)) if found else None


def wait_in_body(parsed: Any, wall_now: float | None) -> float | None:
    """Seconds that a field of a refusal's body names, wherever it stands; headers that are in it are read as headers. Moments need
    ``wall_now``."""
    fields = list(_fields(parsed))
    for names in (_FOR_SECONDS, _AT):
        for name, value in fields:
            plain = re.sub(r"[^a-z]", "", name.lower())
            bare = _MILLISECONDS.sub("", plain)
            if plain in names or bare in names:
                seconds = seconds_named(value, wall_now, 0.001 if plain not in names else 1.0)
                if seconds is not None:
                    return seconds
    for name, value in fields:
        if wall_now is not None and name.lower() == "headers" and isinstance(value, Mapping):
            told = {str(key).lower(): str(text) for key, text in value.items()}
            if (seconds := retry_after(told.get, wall_now)) is not None:
                return seconds
    return None


def _fields(parsed: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(parsed, list):
        for one in parsed[:16]:
            yield from _fields(one, depth + 1)
    elif isinstance(parsed, dict):
        for name, value in list(parsed.items())[:_MOST_FIELDS]:
            yield str(name), value
            if name != "headers":
                yield from _fields(value, depth + 1)


def wait_in_prose(message: str, wall_now: float | None = None) -> float | None:
    """Seconds of "Please try again in 6m0s." or "your limit will reset at 2026-11-30 10:00:00", None without any. A date needs
    ``wall_now``; one without a zone is in UTC, and says nothing when it is over."""
    match = _FOR.search(message)
    if match is not None:
        return duration(match[1])
    match = _UNTIL.search(message) if wall_now is not None else None
    return None if match is None else seconds_named(match[1], wall_now) or None


def seconds_named(value: Any, wall_now: float | None, unit: float = 1.0) -> float | None:
    """Seconds from now, of a number in ``unit`` seconds, a duration, or a moment. None for what is none, and for a moment without
    ``wall_now``."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        # A whole number may be too large for a float.
        return _number(float(min(value, LARGEST)), wall_now, unit) if value >= 0 else None
    if not isinstance(value, str) or not value or len(value) > _LONGEST_TEXT:
        return None
    try:
        number = float(value)
    except ValueError:
        seconds = duration(value)
        return _until(value.strip(), wall_now) if seconds is None else seconds
    return _number(number, wall_now, unit)


def _number(number: float, wall_now: float | None, unit: float) -> float | None:
    if not math.isfinite(number):
        return None
    if number < (EPOCH_FROM if unit == 1.0 else EPOCH_MILLISECONDS_FROM):
        return sane_seconds(number * unit)
    epoch = number / 1000.0 if number >= EPOCH_MILLISECONDS_FROM else number
    return None if wall_now is None else sane_seconds(max(0.0, epoch - wall_now))


def sane_seconds(seconds: float) -> float | None:
    """A wait that somebody else named, at most ``LONGEST_SECONDS``; None for one that cannot be meant."""
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, LONGEST_SECONDS)


def _until(text: str, wall_now: float | None) -> float | None:
    # A date without a zone is in GMT (RFC 9110, 5.6.7), not in the zone of this machine.
    moment = _iso(text)
    try:
        moment = moment or parsedate_to_datetime(text[:_LONGEST_TEXT])
        epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return None if wall_now is None else sane_seconds(max(epoch - wall_now, 0.0))


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(re.sub(r" ?(?:UTC|GMT)$", "Z", text))
    except ValueError:
        return None


def duration(text: str | None) -> float | None:
    """Seconds of a duration like ``6m0s``, ``20ms`` or ``1 hour 5 minutes``; None for what is none."""
    text = (text or "").strip()
    if not text or len(text) > _LONGEST_TEXT:
        return None
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return sane_seconds(int(clock[1]) * 3600.0 + int(clock[2]) * 60.0 + int(clock[3]))
    # Its parts stand apart where each is a word: 1h2m is 1h 2m.
    spaced = _COMPACT.sub(" ", text)
    if _WHOLE_DURATION.fullmatch(spaced) is None:
        return None
    units = [(float(amount), _unit(name)) for amount, name in _PART.findall(spaced)]
    sizes = [size for _, size in units]
    if sizes != sorted(set(sizes), reverse=True):
        return None
    return sane_seconds(sum(amount * size for amount, size in units))


def _unit(name: str) -> float:
    name = name.lower()
    return _UNIT_SECONDS["ms" if name == "ms" or name.startswith(("msec", "milli")) else name[0]]
