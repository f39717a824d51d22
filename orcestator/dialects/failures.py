"""An upstream's error answer, in any dialect, to one class of the error tree: the status first, a documented code second.

Prose is read only where most providers send nothing else: a prompt that is too long, a text that a filter refused, a model
that is there but not for this request. Codes: https://platform.openai.com/docs/guides/error-codes,
https://openrouter.ai/docs/api-reference/errors, https://api-docs.deepseek.com/quick_start/error_codes (checked 2026-11).
"""

import re
from collections.abc import Callable
from typing import Any

from orcestator.dialects.missing import is_model_gone, missing_in
from orcestator.dialects.rate_limits import is_congested
from orcestator.dialects.retry_after import retry_after, wait_in_body, wait_in_prose
from orcestator.errors import (
    CONGESTED,
    NO_SUCH_MODEL,
    NO_SUCH_PATH,
    QUOTA_SIZE,
    SPENT,
    CannotExpress,
    UpstreamBroken,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from orcestator.json_text import Json, dumps, loads

LONGEST_MESSAGE = 2048
_MOST_ERRORS = 8
SPENT_SECONDS = 3600.0
"""How long a credential without money stays out: only a person can change it."""

_BY_STATUS: dict[int, type[UpstreamError]] = {
    400: UpstreamRejected,
    401: UpstreamKeyRefused,
    402: UpstreamKeyRefused,
    403: UpstreamKeyRefused,
    404: UpstreamModelMissing,
    410: UpstreamModelMissing,
    408: UpstreamTimeout,
    409: UpstreamUnavailable,
    413: UpstreamRejected,
    415: UpstreamRejected,
    422: UpstreamRejected,
    425: UpstreamUnavailable,
    429: UpstreamRateLimited,
    504: UpstreamTimeout,
    524: UpstreamTimeout,
}
FACTS = "orcestator"
"""The key under which our own workers add a failure's facts to its error object."""
_CLASSES: dict[str, type[UpstreamError]] = {
    kind.__name__: kind for parent in UpstreamError.__subclasses__() for kind in (parent, *parent.__subclasses__())
}
_SPENT_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "exceeded_current_quota_error",
        "insufficient_balance",
        "billing_error",
    }
)
"""OpenAI's, Anthropic's spend limit and billing error, Moonshot's, DeepSeek's (checked 2026-11)."""
_BUSY_CODES = frozenset({"rate_limit_exceeded", "slow_down"})
_OVERLOADED_CODES = frozenset({"server_is_overloaded", "overloaded_error", "overloaded", "UNAVAILABLE"})
_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded", "string_above_max_length"}
)
_CONTEXT_PROSE = re.compile(
    r"prompt (?:is )?too long|input is too long|exceeds? the context window|context window exceeds"
    r"|input token count.{0,40}exceeds|maximum (?:context|prompt|model) length|reduce the length of the (?:messages|prompt)"
    r"|exceed(?:s|ed)? (?:the )?(?:available )?context (?:size|limit|length)|(?:the|model's) context length"
    r"|exceeded model token limit|too many tokens|tokens? limit exceeded|context[ _]length[ _]exceeded",
    re.IGNORECASE,
)
"""What OpenAI, Anthropic, Gemini, Mistral, Groq, DeepSeek, OpenRouter, xAI, Together, Bedrock, Cohere, vLLM, llama.cpp, LM
Studio and Moonshot say of a prompt that does not fit (gathered from public clients that compact on it, 2026-11)."""
_CONTENT_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "ResponsibleAIPolicyViolation",
        "moderation_blocked",
        "safety_violation",
        "data_inspection_failed",
        "DataInspectionFailed",
    }
)
"""OpenAI's, Azure's, xAI's and DashScope's (checked 2026-11)."""
_CONTENT_PROSE = re.compile(
    r"content exists risk|content filtering policy|content management policy|violat\w+ (?:our|the) usage polic"
    r"|content violates usage guidelines|considered high risk",
    re.IGNORECASE,
)
"""What DeepSeek, Anthropic, Azure, OpenAI, xAI and Moonshot say of a text that a filter refused (2026-11)."""
_NOT_THIS_REQUEST = re.compile(
    r"no (?:endpoints found (?:that|matching)|allowed providers)|not a chat model|not supported in the v1/",
    re.IGNORECASE,
)
"""OpenRouter's and OpenAI's 404 for a model that is there, but not for what this request asks (2026-11)."""
_LIMIT_AND_REQUESTED = re.compile(r"\blimit:? (\d[\d,]{0,15})\b.{0,40}?\brequested:? (\d[\d,]{0,15})\b", re.IGNORECASE)
_TOO_LARGE = re.compile(
    r"request (?:is )?too large|(?:input or output )?tokens must be reduced"
    r"|extra usage is required for long context|please reduce (?:your|the) message size",
    re.IGNORECASE,
)
"""What OpenAI and Groq say in a 429 of a request with more tokens than a whole minute has, and Anthropic of one with a long context
(public issues, 2026-11)."""
_URL = re.compile(r"https?://[^\s\"'<>]+")
_KEY = re.compile(r"\b(?:sk|pk|rk|gsk|xai|AIza|Bearer )[-\w*.]{8,}")
_MARKUP = re.compile(r"<[^>]{0,200}>")


def error_from_reply(
    provider: str,
    status: int,
    header: Callable[[str], str | None],
    body: bytes,
    wall_now: float,
    read: Callable[[Any], Json] | None = None,
    model: str = "",
) -> UpstreamError:
    """The error that a non-200 answer means. ``header`` gives a header's text by lower-case name, ``model`` is what was asked for.

    ``read`` finds the error in a parsed body of another dialect than OpenAI's; a wait that it names counts where no
    header does, and a ``status`` that it names is what is meant (Gemini answers 400 to a key that is not valid).
    """
    parsed = _parsed(body)
    detail = {} if parsed is None else (read or openai_detail)(parsed)
    words = _words(detail)
    if isinstance(detail.get("status"), int) and 400 <= detail["status"] < 600:
        status = detail["status"]
    message = f"{provider} answered {status}: {readable(detail, body)}"
    wait = retry_after(header, wall_now)
    if wait is None:
        wait = _wait_in(detail, parsed, wall_now)
    kind = _BY_STATUS.get(status) or (UpstreamRejected if 400 <= status < 500 else UpstreamUnavailable)
    if 300 <= status < 400 or status < 200:
        kind, message = UpstreamBroken, f"{provider} answered with a redirect ({status}), which is never followed."
    kind, cause = _told_apart(kind, f"http_{status}", detail, words, model, body)
    if cause == SPENT:
        wait = wait or SPENT_SECONDS
    if cause == NO_SUCH_PATH:
        message += " Nothing is at this path there: look at its base_url."
    is_callers = issubclass(kind, UpstreamRejected)
    return kind(
        message,
        cause=cause,
        upstream_status=status,
        upstream_code=cause if cause in (NO_SUCH_PATH, NO_SUCH_MODEL) else _shown_code(kind, words),
        retry_after=wait,
        sent=True,
        param=_text(detail.get("param")) if is_callers else None,
        upstream_words=tuple(words),
    )


def _told_apart(
    kind: type[UpstreamError], cause: str, detail: Json, words: list[str], model: str = "", body: bytes = b""
) -> tuple[type[UpstreamError], str]:
    """(class, cause) of what one status means several things by."""
    text = _said(detail)[: 2 * LONGEST_MESSAGE]
    if kind in (UpstreamRateLimited, UpstreamKeyRefused) and not _SPENT_CODES.isdisjoint(words):
        return UpstreamKeyRefused, SPENT
    if kind is UpstreamModelMissing:
        is_plain = not detail and not body.lstrip().startswith(b"<")
        return _missing(cause, detail, words, readable({}, body) if is_plain else text, model)
    if kind is UpstreamRejected and not _BUSY_CODES.isdisjoint(words):
        # Groq's 413: this many tokens are more than the whole minute has.
        return UpstreamRateLimited, QUOTA_SIZE
    if kind is UpstreamRateLimited and _is_too_large(text):
        return UpstreamRateLimited, QUOTA_SIZE
    if kind is UpstreamRejected and is_model_gone(detail, words, text, model):
        return CannotExpress, NO_SUCH_MODEL
    return _refined(kind, text, detail, words), cause


def _is_too_large(text: str) -> bool:
    """Whether a rate limit is one of this request's size: smaller ones are taken, and waiting does not help this one."""
    asked = _LIMIT_AND_REQUESTED.search(text)
    if asked is not None:
        limit, requested = (float(number.replace(",", "")) for number in asked.groups())
        return requested > limit
    return _TOO_LARGE.search(text) is not None


def _missing(cause: str, detail: Json, words: list[str], text: str, model: str) -> tuple[type[UpstreamError], str]:
    if _NOT_THIS_REQUEST.search(text):
        return CannotExpress, cause
    missing = missing_in(detail, words, text, model)
    if missing == "perhaps the model":
        return CannotExpress, NO_SUCH_MODEL
    return (
        UpstreamRejected if missing == "request" else UpstreamModelMissing,
        NO_SUCH_PATH if missing == "path" else cause,
    )


def _refined(kind: type[UpstreamError], text: str, detail: Json, words: list[str]) -> type[UpstreamError]:
    """What a refusal of the request itself, or of the text of it, is more precisely."""
    if _is_flagged(detail):
        return UpstreamContentRefused
    if kind not in (UpstreamRejected, UpstreamKeyRefused):
        return kind
    if not _CONTENT_CODES.isdisjoint((*words, *_inner_words(detail))) or _CONTENT_PROSE.search(text):
        return UpstreamContentRefused
    if kind is UpstreamRejected and (not _CONTEXT_CODES.isdisjoint(words) or _CONTEXT_PROSE.search(text)):
        return UpstreamContextExceeded
    return kind


def _shown_code(kind: type[UpstreamError], words: list[str]) -> str | None:
    """The code a caller sees: the upstream's own, but for the one that clients know a full context by."""
    if kind is UpstreamContextExceeded or not issubclass(kind, UpstreamRejected):
        return None
    known = next((word for word in words if word in _CONTENT_CODES), None) if kind is UpstreamContentRefused else None
    return known or (words[0] if words and kind is UpstreamRejected else None)


def _inner_words(detail: Json) -> list[str]:
    """Azure's more precise code."""
    inner = detail.get("innererror")
    code = inner.get("code") if isinstance(inner, dict) else None
    return [code] if isinstance(code, str) else []


def error_in_answer(provider: str, detail: Any) -> UpstreamError:
    """An error object inside a 200 or a stream. A status hides in ``code`` at OpenRouter, a word elsewhere."""
    if isinstance(detail, dict) and isinstance(detail.get(FACTS), dict):
        return failure_from_wire(detail)
    if not isinstance(detail, dict):
        detail = {"message": detail if isinstance(detail, str) else "an error without a message"}
    message = f"{provider} failed: {readable(detail, b'')}"
    code, words = detail.get("code"), _words(detail)
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():
        code = int(code)
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    kind = _kind_in_answer(status, words)
    kind, cause = _told_apart(kind, "error_in_200", detail, words)
    if kind is UpstreamRateLimited and is_congested(detail):
        cause = CONGESTED
    wait = _wait_in(detail)
    error = kind(
        message,
        cause=cause,
        upstream_status=status,
        upstream_code=cause if cause == NO_SUCH_MODEL else None,
        retry_after=SPENT_SECONDS if wait is None and cause == SPENT else wait,
        sent=True,
        param=_text(detail.get("param")) if issubclass(kind, UpstreamRejected) else None,
        upstream_words=tuple(words),
    )
    error.untimed = detail if wait is None else None
    return error


def read_moments(error: UpstreamError, wall_now: float) -> None:
    """The wait of an error inside an answer that named a moment ("resets_at"); ``wall_now`` is epoch seconds, of when it came."""
    if error.untimed is not None:
        wait = _wait_in(error.untimed, None, wall_now)
        error.retry_after = error.retry_after if wait is None else wait
        error.untimed = None


_FAILING = (
    "error",
    "errors",
    "detail",
    "exception",
    "error_code",
    "error_msg",
    "error_message",
    "errorMessage",
    "err_msg",
)
"""Fields that only failures have, such as FastAPI's ``detail`` and the ``error_code`` of fschat 0.2.36."""
_FAILING_NAMES = frozenset(_FAILING)
_GOOD_CODES = frozenset({"0", "200", "ok", "success"})
_MESSAGES = (
    "message",
    "msg",
    "error_message",
    "errorMessage",
    "error_msg",
    "err_msg",
    "detail",
    "exception",
    "text",
    "status_msg",
)


def failure_in_event(event: Json) -> Json | None:
    """What an event says went wrong, in words that ``error_in_answer`` reads; None when it says nothing of the kind.

    For events that have no shape of their dialect's: ``{"detail"}``, ``{"text", "error_code"}``, ``{"code", "message"}``,
    ``{"base_resp": {"status_code", "status_msg"}}``.
    """
    base = event.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return _detail_of({**base, "code": base["status_code"]})
    named = event.get("error")
    if isinstance(named, dict) and named:
        return named
    is_failure = (
        (not _FAILING_NAMES.isdisjoint(event) and any(event.get(name) for name in _FAILING))
        or event.get("success") is False
        or event.get("object") == "error"
        or event.get("status") in ("error", "failed", "failure")
        or "error" in str(event.get("type"))
        or any([type(event.get(name)) is int and event[name] >= 400 for name in ("status", "code", "statusCode")])
        or (_text(event.get("message")) and str(event.get("code") or "0").lower() not in _GOOD_CODES)
    )
    return _detail_of(event) if is_failure else None


def _detail_of(event: Json) -> Json:
    words = next((text for name in _MESSAGES if (text := _text(event.get(name)))), None)
    if words is None:
        told = next((event[name] for name in _FAILING if event.get(name)), None)
        words = told if isinstance(told, str) else dumps(event).decode()
    code = next((event[name] for name in ("code", "error_code", "status", "statusCode") if event.get(name)), None)
    return {**event, "message": words, "code": code, "type": event.get("type")}


def _wait_in(detail: Json, parsed: Any = None, wall_now: float | None = None) -> float | None:
    """The wait that a body names: in the error's own fields, beside them, or in prose. Moments need ``wall_now``."""
    for fields in (detail, parsed):
        if (wait := wait_in_body(fields, wall_now)) is not None:
            return wait
    text = _said(detail)
    return wait_in_prose(text[:LONGEST_MESSAGE], wall_now)


def _kind_in_answer(status: int | None, words: list[str]) -> type[UpstreamError]:
    if status is not None:
        return _BY_STATUS.get(status) or (UpstreamRejected if status < 500 else UpstreamUnavailable)
    if not _BUSY_CODES.isdisjoint(words):
        return UpstreamRateLimited
    if not _SPENT_CODES.isdisjoint(words):
        return UpstreamKeyRefused
    if not _CONTEXT_CODES.isdisjoint(words) or not _CONTENT_CODES.isdisjoint(words):
        return UpstreamRejected
    return UpstreamUnavailable if not _OVERLOADED_CODES.isdisjoint(words) else UpstreamBroken


def unreadable(provider: str) -> UpstreamBroken:
    """An event of a stream from which nobody can tell what it means."""
    return UpstreamBroken(f"{provider} sent an event that cannot be read.", cause="garbage")


def failure_to_wire(error: UpstreamError) -> Json:
    """An error object that keeps the class and facts of a failure across a process border of ours."""
    facts = {
        "class": type(error).__name__,
        "cause": error.cause,
        "upstream_status": error.upstream_status,
        "upstream_code": error.upstream_code,
        "retry_after": error.retry_after,
        "sent": error.sent,
        "words": error.upstream_words,
    }
    return {**error.body()["error"], FACTS: facts}


def failure_from_wire(detail: Json) -> UpstreamError:
    """The failure that ``failure_to_wire`` wrote; a foreign shape is a broken upstream."""
    facts = detail[FACTS]
    kind = _CLASSES.get(str(facts.get("class")), UpstreamBroken)
    status, wait = facts.get("upstream_status"), facts.get("retry_after")
    return kind(
        _text(detail.get("message")) or "no reason given",
        cause=_text(facts.get("cause")) or "unknown",
        upstream_status=status if isinstance(status, int) else None,
        upstream_code=_text(facts.get("upstream_code")),
        retry_after=float(wait) if isinstance(wait, int | float) else None,
        sent=bool(facts.get("sent", True)),
        param=_text(detail.get("param")),
        upstream_words=tuple(word for word in facts.get("words") or () if isinstance(word, str)),
    )


def error_detail(body: bytes, read: Callable[[Any], Json] | None = None) -> Json:
    """The error object of a JSON body, whatever the wrapping; {} when there is none."""
    parsed = _parsed(body)
    return {} if parsed is None else (read or openai_detail)(parsed)


def _parsed(body: bytes) -> Any:
    """The body's JSON; None where it is none."""
    try:
        return loads(body)
    except ValueError:
        return None


def openai_detail(parsed: Any) -> Json:
    """The error object of OpenAI's body and of those like it."""
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return {}
    detail = parsed.get("error", parsed)
    if isinstance(detail, str):
        return {"message": detail}
    return detail if isinstance(detail, dict) else {}


def readable(detail: Json, body: bytes) -> str:
    """A message fit for the caller: no page markup, addresses, keys or control characters, at most 2 KiB."""
    text = _said(detail)
    if not text and not detail:
        text = _MARKUP.sub(" ", body[: 2 * LONGEST_MESSAGE].decode("utf-8", "replace"))
    text = _KEY.sub("(key)", _URL.sub("(address)", _cut(text, 2 * LONGEST_MESSAGE)))
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _cut(text, LONGEST_MESSAGE) or "no reason given"


def _cut(text: str, most: int) -> str:
    """At most so many characters, and no part of a word: it may be one of a key, which is harder to know than all of it."""
    return text if len(text) <= most else text[:most].rpartition(" ")[0] or text[:most]


def _said(detail: Json) -> str:
    """The message of an error object: a text, or the texts of a list (FastAPI's ``detail``, Cohere's and Cloudflare's ``errors``)."""
    for name in ("message", "detail", "errors", "msg"):
        told = detail.get(name)
        if isinstance(told, list):
            rows = (_said(one) if isinstance(one, dict) else _text(one) or "" for one in told[:_MOST_ERRORS])
            told = "; ".join(row for row in rows if row)
        if text := _text(told):
            return text
    return ""


def _words(detail: Json) -> list[str]:
    """What the upstream calls the error, most precise first."""
    return [word for word in (_text(detail.get("code")), _text(detail.get("type"))) if word]


def _is_flagged(detail: Json) -> bool:
    """OpenRouter's 403 for an input that a moderation flagged: the caller's text is refused, not our key."""
    metadata = detail.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
