"""Lets web pages read answers (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol, checked 2026-11): pages of this machine, and those that
are named. Whether a page may call at all is admission's to say; management is for no page.

Keys travel in headers and never in cookies, so that credentials are never allowed, and nothing else has to be guarded by it.
"""

import re
from collections.abc import Mapping

from orcestator.errors import Forbidden
from orcestator.gateway.admission import Admission
from orcestator.server.asgi import Headers, Send
from orcestator.server.request_cycle import cycle_behind

_VARY = (b"vary", b"origin")
_EXPOSED = (
    b"access-control-expose-headers",
    b"x-request-id, request-id, retry-after, x-orcestator-provider, x-orcestator-model, x-orcestator-attempts,"
    b" x-orcestator-fallback-used, x-orcestator-errors, x-orcestator-dropped",
)
_HEADER_LIST = re.compile(rb"[A-Za-z0-9-]{1,128}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,128}){0,63}")
_METHODS = b"GET, HEAD, POST, DELETE"
_SECONDS = b"600"


def marks_for(origin: bytes, admission: Admission) -> Headers:
    """The headers that say whether a page of this origin may read the answer they are in."""
    marks: Headers = [_VARY]
    if admission.may_read(origin):
        marks += (b"access-control-allow-origin", origin), _EXPOSED
    return marks


def mark_for_page(origin: bytes, admission: Admission, send: Send) -> None:
    """Let whatever a request of a page is answered say whether the page may read it, an error too."""
    cycle_behind(send).more_headers = marks_for(origin, admission)


async def preflight(origin: bytes, headers: Mapping[bytes, bytes], admission: Admission, send: Send) -> None:
    """Answer what a browser asks before it sends a page's request. Raises Forbidden."""
    if not admission.may_read(origin):
        raise Forbidden("A web page of this origin is not served. OR_CORS_ORIGINS names those that are.")
    answer: Headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _SECONDS),
    ]
    asked = headers.get(b"access-control-request-headers", b"").strip()
    if _HEADER_LIST.fullmatch(asked):
        answer.append((b"access-control-allow-headers", asked))
    await send({"type": "http.response.start", "status": 204, "headers": answer})
    await send({"type": "http.response.body", "body": b""})
