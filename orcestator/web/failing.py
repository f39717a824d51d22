"""How an error is told to a caller: the outcome it means, whether an SDK should try again, and the end of a stream."""

import math

from orcestator.dialects.json_text import dumps
from orcestator.errors import (
    ClientError,
    NothingLeft,
    OrcestatorError,
    Overloaded,
    UpstreamRejected,
    wait_of,
)
from orcestator.routing.events import Outcome
from orcestator.upstream.ids import new_id
from orcestator.web.asgi import Headers


def outcome_of(error: OrcestatorError) -> Outcome:
    """The terminal outcome an error means."""
    if isinstance(error, ClientError | UpstreamRejected):
        return "client_error"
    if isinstance(error, Overloaded | NothingLeft):
        return "shed"
    return "upstream_error"


WAITABLE = (429, 502, 503, 504)
"""Statuses of which waiting may be the remedy."""


def advice(error: OrcestatorError) -> Headers:
    """Whether an SDK should try again, and when.

    We have spent our own attempts, so the SDK's would only multiply them, unless waiting is what helps.
    """
    wait = wait_of(error)
    if wait is not None and error.http_status in WAITABLE:
        return [(b"retry-after", b"%d" % max(1, math.ceil(wait)))]
    if isinstance(error, Overloaded):
        return []
    return [(b"x-should-retry", b"false")]


def failure_frames(error: OrcestatorError, model: str, created: int) -> bytes:
    """The end of a stream that had sent nothing but comments."""
    head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": created, "model": model}
    choice = {"index": 0, "delta": {}, "finish_reason": "error"}
    detail = error.body()["error"]
    frames = (dumps({**head, "choices": [choice]}), dumps({"error": detail}), b"[DONE]")
    return b"".join(b"data: " + frame + b"\n\n" for frame in frames)
