"""How long an upstream asks us to wait, in seconds: from its headers, its body or its prose. Never raises: it is a stranger's text.

One parser reads every spelling: a number (seconds, or milliseconds where the name says so, or a moment where it is as large as
one), a duration (``6m0s``, ``20ms``, ``1 hour 5 minutes``), a date (of HTTP, RFC 3339, or near it). Whatever it is, it is at most a day.
Names and spellings: those of OpenAI, Codex, Azure, Anthropic, Gemini, Groq, OpenRouter, Cerebras, Mistral, GitHub, Z.ai and the drafts
of the IETF's RateLimit headers (gathered from their documentation and from public issues, 2026-11).
"""

# ruff: noqa: RUF001 - words of other languages

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
_UNITS: tuple[tuple[float, str], ...] = (
    (0.001, r"ms|msecs?|millis|milliseconds?"),
    (1.0, r"s|secs?|seconds?|секунд[уы]?|сек|sekunden?|secondes?|segundos?|second[oi]|秒钟?|초"),
    (60.0, r"m|mins?|minutes?|минут[уы]?|мин|minuten?|minutos?|minut[oi]|分钟?|分鐘|분"),
    (3600.0, r"h|hrs?|hours?|час(?:а|ов)?|stunden?|heures?|horas?|or[ae]|小时|小時|時間|시간"),
    (86_400.0, r"d|days?|день|дн(?:я|ей)|tage?n?|jours?|d[ií]as?|giorn[oi]|天|日|일"),
)
"""Seconds of a unit, and its names: in English, Russian, German, French, Spanish, Portuguese, Italian, Chinese, Japanese, Korean."""
_UNIT = "|".join(names for _, names in _UNITS)
_PART = re.compile(rf"(\d+(?:\.\d+)?)[ -]?({_UNIT})(?![a-zа-я])", re.IGNORECASE)
_ONE = rf"\d+(?:\.\d+)?[ -]?(?:{_UNIT})(?![a-zа-я])"
_DURATION = rf"{_ONE}(?:(?:,? and|,)? ?{_ONE})*"
_WHOLE_DURATION = re.compile(_DURATION, re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")
_COMPACT = re.compile(r"(?<=[a-z])(?=\d)", re.IGNORECASE)
_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)? ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
_HTTP_DATE = r"(?:[A-Z][a-z]{2,8}, )?\d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2}(?: (?:GMT|UTC|Z|[+-]\d{4}))?"
_ASKED = (
    r"(?:\b(?:try(?:ing)? again|retry(?:ing)?|wait(?:ing)?|resets?|reset|refresh(?:es)?|renews?|replenish\w*|available|unlocks?"
    r"|cool ?down|back off|backoff|come back|next request|another request|lifted|limited|blocked|throttled)\b"
    r"|\b(?:повтор\w*|попроб\w*|подожд\w*|сброс\w*|через|versuch\w*|warte\w*|réessay\w*|patient\w*|attend\w*|inténtel\w*|intente"
    r"|espere|tente|aguarde|riprova\w*|attendi)\b|请等待|请在|重置|等待)"
)
_AGAIN_AFTER = r"(?:之?后|之?後|以后|후)"
"""What stands behind a duration in Chinese, Japanese and Korean."""
_GAP = r"[^\W\d_]|[ ,:=~'\"()，：。-]"
_FOR = re.compile(rf"{_ASKED}(?:{_GAP}){{0,48}}?(?<![-\d.])({_DURATION})|({_DURATION}) ?{_AGAIN_AFTER}", re.IGNORECASE)
_BARE = re.compile(r"\bretry[ _-]?after\b[ :=_\"']{1,4}(\d{1,9}(?:\.\d+)?)(?![\d.]|[ -]?\w)", re.IGNORECASE)
"""The header's name and its number of seconds, as a text."""
_UNTIL = re.compile(
    rf"(?:{_ASKED}|\buntil\b|将在)(?:{_GAP}){{0,48}}?\s?(?<![-\d.])({_ISO}|{_HTTP_DATE}|\d{{10}}(?:\d{{3}})?(?!\d))"
    r"|\breached\|(\d{10}(?:\d{3})?)(?!\d)",
    re.IGNORECASE,
)
_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms")
_IN_SECONDS = (
    "retry-after",
    "x-retry-after",
    "x-ms-retry-after",
    "retry-in",
    "x-retry-in",
    "x-ratelimit-user-retry-after",
)
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
_CLAUDE = ("unified", "unified-5h", "unified-7d")
_RESETS: tuple[tuple[str, str], ...] = (
    *((f"x-ratelimit-reset-{what}", f"x-ratelimit-remaining-{what}") for what in ("requests", "tokens")),
    *(
        (f"x-ratelimit-reset-{what}-{window}", f"x-ratelimit-remaining-{what}-{window}")
        for what in ("requests", "req", "tokens")
        for window in ("minute", "hour", "day")
    ),
    *((f"anthropic-ratelimit-{what}-reset", f"anthropic-ratelimit-{what}-remaining") for what in _ANTHROPIC),
    *((f"anthropic-ratelimit-{what}-reset", f"anthropic-ratelimit-{what}-status") for what in _CLAUDE),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
    ("x-rate-limit-reset", "x-rate-limit-remaining"),
    ("x-ratelimit-reset-after", "x-ratelimit-remaining"),
    ("x-rate-limit-reset-after", "x-rate-limit-remaining"),
    ("x-ratelimit-reset-at", "x-ratelimit-remaining"),
    ("x-ratelimit-resets-in", "x-ratelimit-remaining"),
    ("x-ratelimit-limit-reset", "x-ratelimit-remaining"),
    ("x-ratelimit-requests-reset", "x-ratelimit-requests-remaining"),
    ("x-ratelimit-tokens-reset", "x-ratelimit-tokens-remaining"),
    ("x-codex-primary-reset-after-seconds", ""),
    ("x-codex-primary-reset-at", ""),
)
"""Headers that tell when a limit is free again, each beside the one that tells what is left of it."""
_NOTHING_LEFT = ("0", "0.0", "rejected")
_DRAFT = re.compile(r"\b(?:reset|t) *= *(\d{1,10})")
_DRAFT_LEFT = re.compile(r"\b(?:remaining|r) *= *(\d{1,10})")
_FOR_NAME = re.compile(
    r"(?:ratelimit|limit|quota|next|min)?(?:(?:retry|resets?|available|unlocks?)(?:after|in|delay|time)?"
    r"|wait(?:time|for|in)?|cooldown|backoff)(?:seconds?|secs?|s)?"
    r"|(?:seconds|time)(?:until|to)(?:reset|retry)|estimatedtime"
)
_NO_WAITS = frozenset(
    ["retry", "retrys", "available", "availables", "reset", "resets", "unlock", "unlocks", "resettime", "retrytime"]
)
_MILLISECONDS = re.compile(r"(?:ms|millis|milliseconds?)$")
_NO_MOMENTS = frozenset(["retry", "available", "unlock", "unlocks"])
_AT_NAME = re.compile(
    r"(?:ratelimit|limit|quota|usage|next|plan)?(?:resets?|(?:resets?|retry|available|unlocks?)(?:at|on|date|until|time)?(?:timestamp|time)?)"
    r"|(?:cooldown|blocked|limited|paused|locked)until|next(?:available|retry|reset)(?:at|time)?"
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
            if left and (header(left) or "").strip() in _NOTHING_LEFT:
                spent.append(seconds)
    for row in _draft_rows((header("ratelimit") or "")[:_LONGEST_DRAFT]):
        draft, remaining = _DRAFT.search(row), _DRAFT_LEFT.search(row)
        if draft is not None:
            found.append(float(draft[1]))
            if remaining is not None and not int(remaining[1]):
                spent.append(float(draft[1]))
    return sane_seconds(max(spent or found)) if found else None


def _draft_rows(text: str) -> list[str]:
    """The limits of a ``RateLimit`` header: by their names where they have some, else it is one."""
    return re.split(r',(?= *")', text)


def wait_in_body(parsed: Any, wall_now: float | None) -> float | None:
    """Seconds that a field of a refusal's body names, wherever it stands; headers that are in it are read as headers. Moments need
    ``wall_now``."""
    fields = list(_fields(parsed))
    for is_named in (_is_wait, _is_moment):
        for name, value in fields:
            plain = re.sub(r"[^a-z]", "", name.lower())
            if not is_named(_MILLISECONDS.sub("", plain)) or (is_named is _is_moment and _is_clock(value)):
                continue
            seconds = seconds_named(_whole(value), wall_now, 0.001 if _MILLISECONDS.search(plain) else 1.0)
            if seconds is not None:
                return seconds
    for name, value in fields:
        if wall_now is not None and name.lower() == "headers" and isinstance(value, Mapping):
            told = {str(key).lower(): str(text) for key, text in value.items()}
            if (seconds := retry_after(told.get, wall_now)) is not None:
                return seconds
    return None


def _is_wait(name: str) -> bool:
    return name not in _NO_WAITS and _FOR_NAME.fullmatch(name) is not None


def _is_moment(name: str) -> bool:
    return name not in _NO_MOMENTS and _AT_NAME.fullmatch(name) is not None


def _is_clock(value: Any) -> bool:
    """Where a moment is named, ``22:13:50`` is a time of some day, and no duration."""
    return isinstance(value, str) and _CLOCK.fullmatch(value) is not None


def _whole(value: Any) -> Any:
    """``{"seconds": 20, "nanos": 5}`` is how protocol buffers may write a duration."""
    return value.get("seconds") if isinstance(value, Mapping) else value


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
        return duration(match[1] or match[2])
    match = _BARE.search(message)
    if match is not None:
        return seconds_named(match[1], wall_now)
    match = _UNTIL.search(message) if wall_now is not None else None
    return None if match is None else seconds_named(match[1] or match[2], wall_now) or None


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
        number = float(value) if value.isascii() and "_" not in value else math.nan
    except ValueError:
        seconds = duration(value)
        return _until(value.strip(), wall_now) if seconds is None else seconds
    return _number(number, wall_now, unit)


def _number(number: float, wall_now: float | None, unit: float) -> float | None:
    if not math.isfinite(number):
        return None
    if number < (EPOCH_FROM if unit == 1.0 else EPOCH_MILLISECONDS_FROM):
        return sane_seconds(number * unit)
    epoch = number
    for _ in range(3):  # milliseconds, microseconds, nanoseconds
        epoch = epoch / 1000.0 if epoch >= EPOCH_MILLISECONDS_FROM else epoch
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
    return next(size for size, names in _UNITS if re.fullmatch(names, name, re.IGNORECASE))
