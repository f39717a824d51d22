"""What a request head must look like, and the words in which the edge refuses one that does not.

Pure rules: each is a function of what the parser read. They must never hold a connection, a timer or a count, and
never know a route, a key or a model. The edge decides when to ask them and in whose turn a refusal is sent.
"""

import re
from itertools import product
from typing import NoReturn

import httptools
import orjson

from orcestator.errors import BodyTooLarge, InvalidRequest, MethodNotAllowed, OrcestatorError, UnsupportedBody
from orcestator.server.request_cycle import STATUS_LINES

_STATUS_BY_CODE = {"url_too_long": 414, "upgrade_required": 426, "headers_too_large": 431}
"""Statuses that have no error class of their own: each is an ``InvalidRequest`` with this code."""

METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
"""What is served at all; a route may serve less."""

ORDINARY_FIELDS = frozenset(
    {
        *(b"api-key", b"authorization", b"content-length", b"host", b"origin", b"sec-fetch-site", b"x-admin-token"),
        *(b"x-api-key", b"x-goog-api-key", b"x-orcestator-order", b"x-orcestator-worker-secret"),
    }
)
"""A head whose watched fields are all among these needs no ``check_unusual``."""

_SINGLE_FIELDS = ORDINARY_FIELDS | {b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"}
"""Framing, addressing, credentials, who asks: two parsers could take different ones of two, so there may be only one."""

_SET_BY_PROXIES = frozenset(
    {
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)


def _look_alikes(name: bytes) -> set[bytes]:
    """Every spelling of ``name`` with at least one underscore for a hyphen."""
    first, *others = name.split(b"-")
    spellings = product(*[(b"-" + part, b"_" + part) for part in others])
    return {first + b"".join(spelling) for spelling in spellings} - {name}


_LOOK_ALIKES = frozenset().union(*map(_look_alikes, _SINGLE_FIELDS | _SET_BY_PROXIES))
"""Some parser takes ``x_api_key`` for the real one, and the proxy in front did not."""

WATCHED_FIELDS = _SINGLE_FIELDS | _LOOK_ALIKES
"""The fields, in lower case, that decide anything about a head."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


# What a request head must look like


def refuse_target(method: bytes) -> NoReturn:
    """Raise ``MethodNotAllowed`` for a method outside ``METHODS``, else ``InvalidRequest`` for a target that is no path."""
    if method not in METHODS:
        raise MethodNotAllowed(
            f"The method {method.decode('latin-1')} is not served here.",
            headers={"allow": b", ".join(sorted(METHODS)).decode()},
        )
    raise InvalidRequest("The request target must be a path that starts with '/'.", code="malformed_request")


def check_old_version(version: str, fields: dict[bytes, bytes]) -> None:
    """Raise ``InvalidRequest`` for any version but 1.1 and 1.0, and for a 1.0 request that claims to be chunked."""
    if version != "1.0":
        raise InvalidRequest(f"HTTP/{version} is not spoken here: use HTTP/1.1.", code="malformed_request")
    if b"transfer-encoding" in fields:
        raise InvalidRequest("HTTP/1.0 has no Transfer-Encoding.", code="malformed_request")


def check_host(host: bytes) -> None:
    """Raise ``InvalidRequest`` unless this is a host name or address, with or without a port."""
    if not _HOST.fullmatch(host):
        raise InvalidRequest("The request needs one Host header with a host name.", code="malformed_request")


def check_repeats(fields: list[tuple[bytes, bytes]]) -> None:
    """Raise ``InvalidRequest`` that names the first watched field that is there twice."""
    names = [name for name, _ in fields]
    for name in names:
        if name in WATCHED_FIELDS and names.count(name) > 1:
            raise InvalidRequest(f"The header {name.decode()!r} is given twice.", code="malformed_request")


def check_unusual(fields: dict[bytes, bytes]) -> None:
    """Refuse framing that only we could understand; httptools has refused what nobody understands.

    Raises ``InvalidRequest``, or ``UnsupportedBody`` for a compressed body.
    """
    for name in _LOOK_ALIKES & fields.keys():
        raise InvalidRequest(f"The header {name.decode()!r} must be written with hyphens.", code="malformed_request")
    coding = fields.get(b"transfer-encoding", b"chunked")
    if coding.strip().lower() != b"chunked":
        raise InvalidRequest("The only Transfer-Encoding read here is 'chunked'.", code="malformed_request")
    encoding = fields.get(b"content-encoding", b"identity")
    if encoding.strip().lower() != b"identity":
        raise UnsupportedBody("The request body must be sent without Content-Encoding.")


def refuse_websocket() -> NoReturn:
    """Raise ``InvalidRequest`` with status 426, which sends the caller back to HTTP.

    Codex falls back at once on it (checked 2026-11).
    """
    raise InvalidRequest(
        "WebSocket is not spoken here: use HTTP.",
        code="upgrade_required",
        headers={"connection": "close, upgrade", "upgrade": "HTTP/1.1"},
    )


# How a refusal is worded


def too_large(max_body_bytes: int) -> BodyTooLarge:
    """The refusal of a body over the limit, in bytes."""
    return BodyTooLarge(f"The request body is larger than the limit of {max_body_bytes} bytes.")


def head_too_large(url: bytes, *, max_url_bytes: int, max_header_bytes: int, max_header_fields: int) -> InvalidRequest:
    """The refusal of a head over a limit: 414 when its URL is, 431 otherwise. Sizes in bytes."""
    if len(url) > max_url_bytes:
        return InvalidRequest(f"The URL is longer than {max_url_bytes} bytes.", code="url_too_long")
    return InvalidRequest(
        f"The request headers are over the limit of {max_header_bytes} bytes or {max_header_fields} fields.",
        code="headers_too_large",
    )


def explain(failure: httptools.HttpParserError) -> OrcestatorError:
    """Our own refusal raised in a parser callback, or what the parser did not like."""
    if isinstance(failure.__context__, OrcestatorError):
        return failure.__context__
    return InvalidRequest(f"The request is not valid HTTP/1.1: {failure}.", code="malformed_request")


# What a refusal looks like


def status(error: OrcestatorError) -> int:
    """The HTTP status of a refusal."""
    return _STATUS_BY_CODE.get(error.code or "", error.http_status)


def response(error: OrcestatorError, request_id: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole HTTP/1.1 response that refuses a request in the shape of an OpenAI error and ends the connection."""
    body = orjson.dumps(error.body())
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **error.headers,
    }
    lines = [name + b": " + value + b"\r\n" for name, value in default_headers]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()]
    return b"".join([STATUS_LINES[status(error)], *lines, b"\r\n", body])
