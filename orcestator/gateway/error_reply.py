"""How an error is told to a caller: the outcome it means, whether an SDK should try again, and the end of a stream."""

import math
from collections.abc import Mapping

from orcestator.dialects.canonical import CallerDialect
from orcestator.errors import (
    AttemptsExhausted,
    ClientError,
    NothingLeft,
    OrcestatorError,
    Overloaded,
    UpstreamKeyRefused,
    UpstreamRejected,
    wait_of,
)
from orcestator.json_text import dumps
from orcestator.routing.events import Outcome
from orcestator.server.asgi import Headers, Send, error_headers, send_json
from orcestator.upstream.ids import new_id


def outcome_of(error: OrcestatorError) -> Outcome:
    """The terminal outcome an error means."""
    if isinstance(error, ClientError | UpstreamRejected):
        return "client_error"
    if isinstance(error, Overloaded | NothingLeft):
        return "shed"
    return "upstream_error"


async def send_failure(
    send: Send,
    error: OrcestatorError,
    request_id: str,
    headers: Headers | None = None,
    caller: CallerDialect | None = None,
) -> None:
    """The error in the caller's dialect (OpenAI's without one), and whether the caller's SDK should try again.

    openai-python and -node obey ``x-should-retry`` on any status (checked 2026-11): what we have already tried
    several times, or what no retry can change, must not be multiplied by the SDK's own attempts.
    """
    id_header = b"x-request-id" if caller is None else caller.id_header.encode()
    body = error.body() if caller is None else caller.error(error, request_id)
    await send_json(send, error.http_status, body, error_headers(error, id_header, request_id, headers))


VSCODE = b"x-vscode-user-agent-library-version"
LANGCHAIN_JS = b"langchainjs-"
NOT_TRIED_AGAIN = 400
"""LangChain.js tries every status again but 400 to 409 and 422, up to six times (langchain-core, ``async_caller.ts``, 2026-11)."""
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


def suit(error: OrcestatorError, status: int, headers: Mapping[bytes, bytes]) -> None:
    """Let a refused key of ours be told by this status, where its caller may see it: VS Code takes a 401, 402 or 403 of any
    endpoint for its own login's and signs out (checked 2026-11). Where a person chose none, LangChain.js gets one that it does
    not try again."""
    last = error.most_useful if isinstance(error, AttemptsExhausted) else error
    if not isinstance(last, UpstreamKeyRefused):
        return
    agent = headers.get(b"user-agent", b"")
    is_vscode = VSCODE in headers or agent.startswith(b"GitHubCopilotChat/")
    if status == UpstreamKeyRefused.status and LANGCHAIN_JS in agent:
        last.shown_status = NOT_TRIED_AGAIN
    elif not (is_vscode and status in (401, 402, 403)):
        last.shown_status = status


def failure_frames(error: OrcestatorError, model: str, created: int) -> bytes:
    """The end of a stream that had sent nothing but comments."""
    head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": created, "model": model}
    choice = {"index": 0, "delta": {}, "finish_reason": "error"}
    detail = error.body()["error"]
    frames = (dumps({**head, "choices": [choice]}), dumps({"error": detail}), b"[DONE]")
    return b"".join(b"data: " + frame + b"\n\n" for frame in frames)
