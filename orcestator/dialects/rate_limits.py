"""What upstreams say of their limits, in the headers of any answer and in the body of a refusal. Never raises: it is a
stranger's text.

Headers (checked 2026-11): ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` of OpenAI, Groq and others, with
``-minute``, ``-hour`` or ``-day`` of Cerebras and Mistral; ``anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}``
(https://platform.claude.com/docs/en/api/rate-limits); ``x-ratelimit-{limit,remaining,reset}`` of OpenRouter, which has them in
an error's metadata, and the same without ``x-`` of the IETF draft. Bodies: OpenAI's and Groq's "(RPM): Limit 30, Used 30",
Gemini's QuotaFailure, OpenRouter's "free-models-per-day".
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from orcestator.dialects.retry_after import EPOCH_MILLISECONDS_FROM, duration
from orcestator.json_text import Json

MENTION = b"ratelimit"
"""No header that is read here lacks it: one look at the head is enough where there are none."""
MOST_LIMITS = 16
_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_UNITS = {"requests": "requests", "request": "requests", "req": "requests", "tokens": "tokens"}
_NAME = re.compile(
    r"(?:x-)?ratelimit-(?P<what>limit|remaining|reset)(?:-(?P<unit>requests?|req|tokens))?(?:-(?P<window>minute|hour|day))?"
)
_ANTHROPIC = re.compile(r"anthropic-ratelimit-(?P<unit>requests|tokens)-(?P<what>limit|remaining|reset)")
_PROSE = re.compile(
    r"\((?P<unit>[RT])P(?P<window>[MD])\)\W{0,3}Limit\W{0,2}(?P<limit>\d[\d,]*)(?:\W{1,2}Used\W{0,2}(?P<used>\d[\d,]*))?",
    re.IGNORECASE,
)
_PROSE_READ = 4096
_EPOCH_FROM = 30 * 86_400.0
"""A reset of more than thirty days is no duration but a moment, in seconds or milliseconds since the epoch."""


class RateLimit(NamedTuple):
    """One limit: ``unit`` is "requests" or "tokens", ``seconds`` its window, 0.0 where that is not said; None is not known.
    ``is_shared``: it holds for all models that cost nothing."""

    unit: str
    seconds: float
    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None
    is_shared: bool = False


def limits_in_headers(pairs: Iterable[tuple[str, str]], wall_now: float) -> tuple[RateLimit, ...]:
    """The limits that headers tell of; names in lower case. ``wall_now`` is epoch seconds."""
    found: dict[tuple[str, float], dict[str, float]] = {}
    for name, text in pairs:
        match = _NAME.fullmatch(name) or _ANTHROPIC.fullmatch(name) if "ratelimit" in name else None
        if match is None or len(found) >= MOST_LIMITS:
            continue
        parts = match.groupdict()
        value = _reset(text, wall_now) if parts["what"] == "reset" else _amount(text)
        if value is not None:
            window = _SECONDS.get(parts.get("window") or "", 0.0)
            found.setdefault((_UNITS[parts["unit"] or "requests"], window), {})[parts["what"]] = value
    return tuple(
        RateLimit(unit, seconds, values.get("limit"), values.get("remaining"), values.get("reset"))
        for (unit, seconds), values in found.items()
    )


def limits_in_refusal(parsed: Any, wall_now: float) -> tuple[RateLimit, ...]:
    """The limits that the parsed body of a 429 tells of."""
    error = _error_of(parsed)
    found = [*_in_prose(error), *_in_quota_failure(error), *_in_metadata(error, wall_now)]
    return tuple(found[:MOST_LIMITS])


def is_congested(parsed: Any) -> bool:
    """Whether this 429 is OpenRouter's for an upstream of its own that is busy: it tells nothing of our limits."""
    metadata = _error_of(parsed).get("metadata")
    return isinstance(metadata, dict) and "provider_name" in metadata and "headers" not in metadata


def _error_of(parsed: Any) -> Json:
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _in_prose(error: Json) -> Iterator[RateLimit]:
    message = error.get("message")
    for match in _PROSE.finditer(message[:_PROSE_READ]) if isinstance(message, str) else ():
        limit, used = _amount(match["limit"]), _amount(match["used"] or "")
        unit = "requests" if match["unit"] in "Rr" else "tokens"
        remaining = None if limit is None or used is None else max(0.0, limit - used)
        yield RateLimit(unit, 60.0 if match["window"] in "Mm" else 86_400.0, limit, remaining)


def _in_quota_failure(error: Json) -> Iterator[RateLimit]:
    """Gemini's: which quota it was, by an id like GenerateRequestsPerDayPerProjectPerModel-FreeTier."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            quota = violation.get("quotaId") if isinstance(violation, dict) else None
            if isinstance(quota, str):
                unit = "tokens" if "Token" in quota else "requests"
                seconds = 86_400.0 if "PerDay" in quota else 60.0
                yield RateLimit(unit, seconds, _amount(str(violation.get("quotaValue", ""))), 0.0)


def _in_metadata(error: Json, wall_now: float) -> Iterator[RateLimit]:
    """OpenRouter's: the headers are in the body, and the message names the window and that it is for free models."""
    metadata, message = error.get("metadata"), error.get("message")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    if not isinstance(headers, Mapping):
        return
    text = message if isinstance(message, str) else ""
    window = 86_400.0 if "per-day" in text else 60.0 if "per-min" in text else 0.0
    pairs = [(str(name).lower(), str(value)) for name, value in headers.items()]
    for limit in limits_in_headers(pairs, wall_now):
        yield limit._replace(seconds=limit.seconds or window, is_shared="free-models" in text)


def _amount(text: str) -> float | None:
    """A count; a list like "100, 100;w=60" gives its first."""
    digits = text.strip().partition(",")[0] if ";" in text else text.strip().replace(",", "")
    if (
        not digits
        or len(digits) > 20
        or not digits.replace(".", "", 1).isascii()
        or not digits.replace(".", "", 1).isdigit()
    ):
        return None
    return float(digits)


def _reset(text: str, wall_now: float) -> float | None:
    """Seconds from now, of a duration, a number of seconds, or a moment."""
    text = text.strip()
    seconds = duration(text)
    if seconds is not None:
        return seconds
    number = _amount(text)
    if number is None:
        return _until(text, wall_now)
    if number >= _EPOCH_FROM:
        epoch = number / 1000.0 if number >= EPOCH_MILLISECONDS_FROM else number
        number = max(0.0, epoch - wall_now)
    return min(number, _EPOCH_FROM)


def _until(text: str, wall_now: float) -> float | None:
    """Seconds until an RFC 3339 time, which is Anthropic's."""
    try:
        moment = datetime.fromisoformat(text[:40])
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    seconds = moment.timestamp() - wall_now
    return min(max(0.0, seconds), _EPOCH_FROM) if math.isfinite(seconds) else None
