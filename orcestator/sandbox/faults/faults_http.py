"""The faults of an HTTP answer whatever its route (H1 to H3, H7 to H9): status, headers, body bytes. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson

from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects.chat import request_id
from orcestator.sandbox.dialects.envelope import error_of
from orcestator.sandbox.faults.catalogue import ERROR_STATUSES
from orcestator.sandbox.faults.faults_transport import Spoil, without_length
from orcestator.sandbox.wire import encodings
from orcestator.sandbox.wire.script import Answer, HangUp, Headers, json_answer, whole

BIG_BYTES = 10 * 1024 * 1024
HUGE_BYTES = 1024 * 1024 * 1024
BOMB_BYTES = 10 * 1024 * 1024 * 1024
PIECE_BYTES = 64 * 1024
LONG_BY = 100
SHORT_BY = 20
PAGE = (
    b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>The sandbox's error page</h1></body></html>"
)

STATUS_WORDS: Mapping[int, tuple[str, str]] = {
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_balance"),
    403: ("permission_error", "forbidden"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    529: ("overloaded_error", "overloaded"),
}

RETRY_HEADERS: Mapping[str, Headers] = {
    **{text: (("retry-after", text),) for text in ("1", "0", "0.5", "-5", "1e999", "NaN", "99999999999", "garbage")},
    "past": (("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),),
    "future": (("retry-after", "Fri, 31 Dec 2999 23:59:59 GMT"),),
    "two": (("retry-after", "1"), ("retry-after", "300")),
    "ms": (("retry-after-ms", "250"),),
    "reset": (("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")),
}


def error_answer(call: Call, status: int, headers: Headers = ()) -> Answer:
    """An error as the dialect shapes it."""
    return json_answer(_error(call, status), status=status, headers=(request_id(call), *headers))


def body_of(answer: Answer) -> bytes:
    """The answer's body without framing and pauses."""
    return b"".join(step for step in answer.steps if isinstance(step, bytes))


def _error(call: Call, status: int, more: str = "") -> Any:
    kind, code = STATUS_WORDS.get(
        status, ("invalid_request_error" if status < 500 else "server_error", "sandbox_fault")
    )
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown"
    if status == HTTPStatus.NOT_FOUND:
        more = f" The model '{call.model.text}' does not exist.{more}"
    message = f"The sandbox was told to answer {status} ({phrase}).{more}"
    if call.dialect == "openai":
        return error_of(call.dialect, status, message, kind=kind, code=code)
    return error_of(call.dialect, status, message, number=call.number)


def _status(status: int, call: Call, answer: Answer) -> Answer:
    kind = call.model.argument
    headers = (request_id(call),)
    if kind == "html":
        return whole(PAGE, status=status, content_type="text/html; charset=utf-8", headers=headers)
    if kind == "empty":
        return whole(b"", status=status, headers=headers)
    if kind == "charset":
        false_text = orjson.dumps(_error(call, status)) + b" caf\xe9 \xff"
        return whole(false_text, status=status, content_type="application/json; charset=utf-16", headers=headers)
    more = {"big": " x" * (BIG_BYTES // 2), "echo": f" Incorrect API key provided: {call.key}."}.get(kind, "")
    return json_answer(_error(call, status, more), status=status, headers=headers)


def _rate_limited(headers: Headers, call: Call, answer: Answer) -> Answer:
    return error_answer(call, 429, headers)


def _error_in_200(call: Call, answer: Answer) -> Answer:
    return json_answer(_error(call, 500), headers=(request_id(call),))


def _page_in_200(call: Call, answer: Answer) -> Answer:
    return whole(PAGE, content_type="text/html; charset=utf-8")


def _half_json(call: Call, answer: Answer) -> Answer:
    body = _json_body(call, answer)
    return whole(body[: len(body) // 2])


def _null(call: Call, answer: Answer) -> Answer:
    return whole(b"null")


def _false_length(by: int, call: Call, answer: Answer) -> Answer:
    body = _json_body(call, answer)
    headers = (("content-type", "application/json"), ("content-length", str(len(body) + by)))
    return Answer(200, headers, (body, HangUp()))


def _json_body(call: Call, answer: Answer) -> bytes:
    """The good body of another dialect, or one of our own: the fault is in the framing and must show on every route."""
    return body_of(answer) if call.dialect != "openai" and not call.streams else _openai_body(call)


def _openai_body(call: Call) -> bytes:
    message = {"role": "assistant", "content": "This answer is framed wrongly. " * 4}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    frame = {"id": f"chatcmpl-{call.number}", "object": "chat.completion", "created": 0, "model": call.model.text}
    return orjson.dumps({**frame, "choices": [choice]})


def _encoded(label: str, encode: Callable[[bytes], bytes], call: Call, answer: Answer) -> Answer:
    return _with_body(answer, encode(body_of(answer)), (("content-encoding", label),))


def _with_body(answer: Answer, body: bytes, more: Headers = ()) -> Answer:
    """The answer with other bytes for a body, its length true again."""
    headers = (*without_length(answer.headers), *more)
    length = () if answer.chunked else (("content-length", str(len(body))),)
    return replace(answer, headers=(*headers, *length), steps=(body,))


def _bomb(label: str, explode: Callable[[bytes, int], Iterator[bytes]], call: Call, answer: Answer) -> Answer:
    start = b'data: {"id":"' if call.streams else b'{"id":"'
    size = call.model.options.bytes
    headers = (*without_length(answer.headers), ("content-encoding", label))
    return replace(answer, headers=headers, steps=explode(start, BOMB_BYTES if size is None else size), chunked=True)


def _huge_body(call: Call, answer: Answer) -> Answer:
    size = call.model.options.bytes
    head, tail = _openai_body(call).split(b"This answer", 1)
    middle = _letters(HUGE_BYTES if size is None else size)
    steps = _joined(head, middle, tail)
    return replace(answer, headers=without_length(answer.headers), steps=steps, chunked=True)


def _joined(head: bytes, middle: Iterator[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    yield from middle
    yield tail


def _letters(count: int) -> Iterator[bytes]:
    piece = b"a" * PIECE_BYTES
    for start in range(0, count, PIECE_BYTES):
        yield piece[: count - start]


def _rewritten(rewrite: Callable[[bytes], bytes], call: Call, answer: Answer) -> Answer:
    return _with_body(answer, rewrite(body_of(answer)))


def _crlf(body: bytes) -> bytes:
    """CRLF line ends; a JSON body is laid out first so that it has lines."""
    if body.startswith(b"{"):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return body.replace(b"\n", b"\r\n")


HTTP_FAULTS: Mapping[tuple[str, str], Spoil] = {
    **{("H1", str(status)): partial(_status, status) for status in ERROR_STATUSES},
    **{("H2", variant): partial(_rate_limited, headers) for variant, headers in RETRY_HEADERS.items()},
    ("H3", "error"): _error_in_200,
    ("H3", "html"): _page_in_200,
    ("H3", "truncated"): _half_json,
    ("H3", "null"): _null,
    ("H3", "long"): partial(_false_length, LONG_BY),
    ("H3", "short"): partial(_false_length, -SHORT_BY),
    ("H7", "gzip"): partial(_encoded, "gzip", encodings.gzip),
    ("H7", "br"): partial(_encoded, "br", encodings.brotli),
    ("H7", "zstd"): partial(_encoded, "zstd", encodings.zstd),
    ("H7", "double-gzip"): partial(_encoded, "gzip, gzip", lambda body: encodings.gzip(encodings.gzip(body))),
    ("H7", "wrong-label"): partial(_encoded, "gzip", bytes),
    ("H7", "bomb"): partial(_bomb, "gzip", encodings.gzip_bomb),
    ("H7", "double-bomb"): partial(_bomb, "gzip, gzip", encodings.double_gzip_bomb),
    ("H8", "body"): _huge_body,
    ("H9", "blank-lines"): partial(_rewritten, lambda body: b"\n\n\n\n" + body),
    ("H9", "bom"): partial(_rewritten, lambda body: b"\xef\xbb\xbf" + body),
    ("H9", "crlf"): partial(_rewritten, _crlf),
    ("H9", "utf16"): partial(_rewritten, lambda body: body.decode().encode("utf-16")),
}
