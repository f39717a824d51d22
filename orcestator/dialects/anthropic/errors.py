"""Anthropic's error object, read and written (platform.claude.com/docs/en/api/errors, checked 2026-11)."""

from typing import Any

from orcestator.dialects.failures import error_in_answer, openai_detail
from orcestator.errors import OrcestatorError, StreamInterrupted, UpstreamError
from orcestator.json_text import Json

STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE_OF_STATUS = {status: kind for kind, status in STATUS_OF_TYPE.items()} | {
    408: "timeout_error",
    424: "api_error",
    503: "overloaded_error",
}


def error_detail(parsed: Any) -> Json:
    """``message``, ``type`` and ``code`` of an error body, whichever of the usual wrappings it has."""
    detail = openai_detail(parsed)
    found = {name: detail[name] for name in ("message", "type", "code", "param") if isinstance(detail.get(name), str)}
    inner = detail.get("details")
    if isinstance(inner, dict) and isinstance(inner.get("error_code"), str):
        found["code"] = inner["error_code"]
    return found


def error_in_200(provider: str, wire: Json) -> UpstreamError:
    """The failure that an ``error`` object inside a 200 or a stream means: its type stands for a status."""
    detail = wire.get("error")
    if not isinstance(detail, dict):
        return error_in_answer(provider, detail)
    kind = detail.get("type")
    status = STATUS_OF_TYPE.get(kind) if isinstance(kind, str) else None
    return error_in_answer(provider, detail if status is None else {**detail, "code": status})


def error_body(error: OrcestatorError, request_id: str) -> Json:
    """The error body that a caller of this dialect understands; the message names the field."""
    body: Json = {"type": "error", "error": {"type": _error_type(error), "message": _message(error)}}
    return {**body, "request_id": request_id} if request_id else body


def _error_type(error: OrcestatorError) -> str:
    cause = error.failure if isinstance(error, StreamInterrupted) else error
    status = cause.http_status
    return _TYPE_OF_STATUS.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")


def _message(error: OrcestatorError) -> str:
    if error.param and error.param not in error.message:
        return f"{error.param}: {error.message}"
    return error.message
