"""Google's error objects: read from an upstream, written for a caller.

https://google.aip.dev/193, https://ai.google.dev/gemini-api/docs/troubleshooting and Gemini CLI 0.61.0,
utils/googleQuotaErrors (checked 2026-11). A bad key is answered 400 with the reason API_KEY_INVALID; a spent daily
quota is a 429 like any other but for its quotaId, and its retryDelay is that of the minute.
"""

import re
from typing import Any

from orcestator.dialects.failures import error_in_answer
from orcestator.errors import OrcestatorError, UpstreamError, wait_of
from orcestator.json_text import Json

SPENT_DAY_SECONDS = 3600.0
"""How long a spent daily quota keeps a deployment out. When the day ends is not said; one try an hour finds out."""
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_REFUSED_KEYS = frozenset({"API_KEY_INVALID"})
_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    413: "INVALID_ARGUMENT", 424: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_RPC = "type.googleapis.com/google.rpc."


def error_detail(parsed: Any) -> Json:
    """``{message, type, code, param, retry_after, status}`` of an error body; {} when there is none.

    ``status`` is there only where the HTTP status misleads: 401 for a key that the API calls an invalid argument.
    """
    wire = _error_object(parsed)
    if not wire:
        return {}
    facts = _details(wire)
    reason = facts.get("ErrorInfo", {}).get("reason")
    detail: Json = {"message": wire.get("message"), "type": wire.get("status"), "code": reason}
    if wire.get("status") == "RESOURCE_EXHAUSTED":
        detail["code"] = "rate_limit_exceeded"
    violations = facts.get("BadRequest", {}).get("fieldViolations")
    if isinstance(violations, list) and violations and isinstance(violations[0], dict):
        detail["param"] = violations[0].get("field")
    if reason in _REFUSED_KEYS:
        detail["status"] = 401
    detail["retry_after"] = SPENT_DAY_SECONDS if _is_day_spent(facts) else _delay(facts)
    return {name: value for name, value in detail.items() if isinstance(value, str | int | float) and value != ""}


def stream_failure(provider: str, parsed: Any) -> UpstreamError:
    """The failure that an error object inside a stream or a 200 means."""
    detail = error_detail(parsed)
    status = detail.get("status") or _error_object(parsed).get("code")
    return error_in_answer(provider, {**detail, "code": status})


def is_error(parsed: Any) -> bool:
    """Whether this JSON is an error, alone or in an array."""
    return bool(_error_object(parsed))


def error_body(error: OrcestatorError, request_id: str) -> Json:
    """The body of an error answer."""
    status = error.http_status
    fallback = "INVALID_ARGUMENT" if status < 500 else "INTERNAL"
    wire: Json = {"code": status, "message": error.message, "status": _STATUSES.get(status, fallback)}
    details: list[Json] = []
    if error.param and status == 400:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    wait = wait_of(error)
    if wait is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{wait:g}s"})
    if request_id:
        details.append({"@type": f"{_RPC}RequestInfo", "requestId": request_id})
    return {"error": wire | ({"details": details} if details else {})}


def _error_object(parsed: Any) -> Json:
    if isinstance(parsed, list):
        parsed = next((item for item in parsed if isinstance(item, dict) and "error" in item), None)
    held = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(held, str) and held:
        return {"message": held}
    return held if isinstance(held, dict) else {}


def _details(wire: Json) -> dict[str, Json]:
    """The details by the last word of their type."""
    found = wire.get("details")
    details = [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []
    return {str(detail.get("@type")).rpartition(".")[2]: detail for detail in details}


def _is_day_spent(facts: dict[str, Json]) -> bool:
    violations = facts.get("QuotaFailure", {}).get("violations")
    quotas = (
        [item.get("quotaId") for item in violations if isinstance(item, dict)] if isinstance(violations, list) else []
    )
    return any(isinstance(quota, str) and "PerDay" in quota for quota in quotas)


def _delay(facts: dict[str, Json]) -> float | None:
    delay = facts.get("RetryInfo", {}).get("retryDelay")
    match = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
    return float(match[1]) if match else None
