"""An error in the shape of each dialect. Pure.

Sources (checked 2026-11): https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors,
https://ai.google.dev/gemini-api/docs/troubleshooting with https://cloud.google.com/apis/design/errors,
https://docs.cohere.com/reference/errors, https://docs.ollama.com/api/errors. Yandex answers as the gRPC gateway does.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.problem import error_body

BAD_KEY_PREFIX = "bad-"
"""A credential that begins so is refused by every dialect that asks for one."""

ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GRPC_CODES: Mapping[int, tuple[int, str]] = {
    400: (3, "INVALID_ARGUMENT"),
    401: (16, "UNAUTHENTICATED"),
    403: (7, "PERMISSION_DENIED"),
    404: (5, "NOT_FOUND"),
    409: (10, "ABORTED"),
    429: (8, "RESOURCE_EXHAUSTED"),
    499: (1, "CANCELLED"),
    500: (13, "INTERNAL"),
    501: (12, "UNIMPLEMENTED"),
    503: (14, "UNAVAILABLE"),
    504: (4, "DEADLINE_EXCEEDED"),
}


def error_of(
    dialect: str,
    status: int,
    message: str,
    *,
    number: int = 0,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
    details: Sequence[Json] = (),
) -> Any:
    """The error body. ``kind``, ``code``, ``param`` and ``details`` count where the dialect has a place for them."""
    if dialect == "anthropic":
        return anthropic_error(kind or _anthropic_type(status), message, number)
    if dialect in ("gemini", "gemini-openai"):
        body = gemini_error(status, message, details)
        return [body] if dialect == "gemini-openai" else body
    if dialect == "yandex":
        return yandex_error(status, message)
    if dialect == "cohere":
        return {"id": f"sandbox-{number}", "message": message}
    if dialect == "ollama":
        return {"error": message}
    return error_body(message, kind=kind or "invalid_request_error", code=code, param=param)


def anthropic_error(kind: str, message: str, number: int) -> Json:
    """Anthropic's, as a body and as the data of an ``error`` event."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_sandbox_{number}"}


def gemini_error(status: int, message: str, details: Sequence[Json] = ()) -> Json:
    """Google's."""
    error: Json = {"code": status, "message": message, "status": _grpc(status)[1]}
    return {"error": error | ({"details": list(details)} if details else {})}


def yandex_error(status: int, message: str) -> Json:
    """The gRPC gateway's."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    error = {"grpcCode": _grpc(status)[0], "httpCode": status, "message": message, "httpStatus": phrase, "details": []}
    return {"error": error}


def _anthropic_type(status: int) -> str:
    return ANTHROPIC_TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


def _grpc(status: int) -> tuple[int, str]:
    return GRPC_CODES.get(status) or GRPC_CODES[400 if status < 500 else 500]
