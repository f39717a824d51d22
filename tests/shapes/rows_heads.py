"""Heads and statuses."""

import gzip
from collections.abc import Iterator
from functools import partial

from tests.shapes.forms import (
    FORMS,
    UPSTREAMS,
    Answer,
    compact,
    streamed,
    whole,
)  # fmt: skip
from tests.shapes.framing import CHUNKED, LAST, chunk_of, chunked, sized
from tests.shapes.rows import BEFORE, EITHER, EITHER_AFTER, REFUSED, W
from tests.shapes.shape import Right, Shape
from tests.shapes.upstream import FIN, HOLD, Step, Steps


def heads() -> Iterator[Shape]:
    """Heads that no answer should have, streamed and not."""
    for dialect in ("openai", "anthropic"):
        for is_stream, made in ((True, streamed), (False, whole)):
            yield from _heads(dialect, is_stream, made(FORMS[dialect]))


def _heads(dialect: str, is_stream: bool, answer: Answer) -> Iterator[Shape]:
    body = b"".join(answer.pieces)
    length = b"Content-Length: %d" % len(body)

    def row(name: str, right: Right, *steps: Step) -> Shape:
        return Shape(name, dialect, is_stream, right, lambda: steps)

    yield row("no_http", BEFORE, b"SSH-2.0-OpenSSH_9.6\r\n", FIN)
    yield row("http_2_preface", BEFORE, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FIN)
    yield row("status_of_two_digits", BEFORE, b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", FIN)
    yield row("status_of_words", BEFORE, b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", FIN)
    yield row("nul_in_field", BEFORE, answer.head(b"X-A: a\x00b", length) + body)
    yield row("field_without_colon", BEFORE, answer.head(b"Nonsense", length) + body)
    yield row("endless_head", BEFORE, b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"p" * 400_000 + b"\r\n\r\n", FIN)
    yield row("many_fields", EITHER, answer.head(*(b"X-%d: 1" % number for number in range(3000)), length) + body)
    yield row("two_lengths", BEFORE, answer.head(length, b"Content-Length: 3") + body)
    yield row("same_length_twice", EITHER, answer.head(length, length) + body)
    yield row("length_and_chunked", EITHER, answer.head(CHUNKED, length), *map(chunk_of, answer.pieces), LAST)
    yield row("negative_length", BEFORE, answer.head(b"Content-Length: -1") + body, FIN)
    yield row("length_of_letters", BEFORE, answer.head(b"Content-Length: abc") + body, FIN)
    yield row(
        "huge_length",
        BEFORE if not is_stream else EITHER_AFTER,
        answer.head(b"Content-Length: 99999999999999999999999") + body,
        FIN,
    )
    yield row("unknown_transfer_coding", BEFORE, answer.head(b"Transfer-Encoding: rot13") + body, FIN)
    yield row("unknown_content_coding", BEFORE, answer.head(b"Content-Encoding: br", length) + body)
    yield row("chunk_size_of_letters", BEFORE, answer.head(CHUNKED), b"xyz\r\n", FIN)
    yield row("chunk_too_long", BEFORE, answer.head(CHUNKED), b"ffffffffffffffffffff\r\n", body, FIN)
    yield row(
        "chunk_longer_than_said",
        BEFORE if not is_stream else EITHER_AFTER,
        answer.head(CHUNKED),
        *(chunk_of(piece, size=b"%x" % (len(piece) - 3)) for piece in answer.pieces),
        FIN,
    )
    yield row("no_body_204", BEFORE, b"HTTP/1.1 204 No Content\r\n\r\n")
    yield row("no_body_205", BEFORE, b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
    yield row("not_modified_304", BEFORE, b"HTTP/1.1 304 Not Modified\r\n\r\n")
    yield row("partial_206", EITHER, answer.with_(status=b"206 Partial Content").head(length) + body)
    yield row("created_201", EITHER, answer.with_(status=b"201 Created").head(length) + body)
    yield row("no_reason", W, answer.with_(status=b"200").head(length) + body)
    yield row("reason_in_latin_1", W, answer.with_(status=b"200 d\xe9j\xe0 vu").head(length) + body)
    yield row("switching_101", BEFORE, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", FIN)
    yield row("interim_for_ever", BEFORE, *(b"HTTP/1.1 100 Continue\r\n\r\n" for _ in range(400)), FIN)
    yield row("empty_200", BEFORE, answer.head(b"Content-Length: 0"))
    yield row("html_200", BEFORE, *sized(answer.with_(pieces=[b"<html>blocked</html>"], content_type="text/html")))
    yield row(
        "html_labelled_json",
        BEFORE,
        *sized(answer.with_(pieces=[b"<html>blocked</html>"], content_type="application/json")),
    )
    yield row("plain_words_200", BEFORE, *sized(answer.with_(pieces=[b"please log in"], content_type="text/plain")))
    yield row(
        "error_in_200",
        BEFORE,
        *sized(answer.with_(pieces=[compact(FORMS[dialect].error)], content_type="application/json")),
    )
    yield row(
        "error_in_200_as_text",
        BEFORE,
        *sized(answer.with_(pieces=[compact(FORMS[dialect].error)], content_type="text/plain")),
    )
    yield row("json_array_200", BEFORE, *sized(answer.with_(pieces=[b"[]"], content_type="application/json")))
    yield row("json_null_200", BEFORE, *sized(answer.with_(pieces=[b"null"], content_type="application/json")))
    yield row("json_empty_object_200", BEFORE, *sized(answer.with_(pieces=[b"{}"], content_type="application/json")))
    for code in (301, 302, 303, 307, 308):
        to = b"Location: /redirected"
        yield row(f"redirect_{code}", BEFORE, b"HTTP/1.1 %d Moved\r\n%b\r\nContent-Length: 0\r\n\r\n" % (code, to))


STATUSES = {
    400: REFUSED, 408: BEFORE, 409: EITHER, 413: REFUSED, 414: REFUSED, 415: REFUSED, 422: REFUSED, 425: BEFORE,
    500: BEFORE, 501: BEFORE, 502: BEFORE, 503: BEFORE, 504: BEFORE, 507: BEFORE, 520: BEFORE, 522: BEFORE, 524: BEFORE,
    529: BEFORE, 599: BEFORE,
}  # fmt: skip
# A 404 without a word on the model is about something that the request names (docs/routing.md).
POISON = {401: BEFORE, 402: BEFORE, 403: BEFORE, 404: REFUSED, 429: BEFORE}
BODIES = {
    "own_error": lambda form: compact(form.error),
    "html": lambda _: b"<html><body><h1>Bad Gateway</h1></body></html>",
    "empty": lambda _: b"",
    "not_utf8": lambda _: b"\xff\xfe\x00boom",
    "cut_json": lambda form: compact(form.error)[:-5],
    "array": lambda _: b'[{"error":"boom"}]',
    "text_error": lambda _: b'{"error":"boom"}',
    "null_error": lambda _: b'{"error":null}',
}
RETRY_AFTER = (
    b"0", b"1", b"1.5", b"-1", b"", b"abc", b"1e3", b"0x10", b"inf", b"NaN", b"99999999999999999999", b"1, 2", b"  7  ", b"7s",
    b"Wed, 21 Oct 2015 07:28:00 GMT", b"Fri, 31 Dec 9999 23:59:59 GMT", b"Wed, 99 Oct 2015 07:28:00 GMT",
    b"2026-11-30T00:00:00Z", b"1764500000", b"\xd9\xa1\xd9\xa2",
)  # fmt: skip


def statuses() -> Iterator[Shape]:
    """Refusals: statuses, bodies, and what Retry-After says."""
    for code, right in STATUSES.items():
        for is_stream in (True, False):
            yield Shape(f"status_{code}", "openai", is_stream, right, partial(refusal, "openai", code, "own_error"))
    for dialect in UPSTREAMS:
        for body in BODIES:
            yield Shape(f"status_500_{body}", dialect, True, BEFORE, partial(refusal, dialect, 500, body))
            if dialect != "openai":
                yield Shape(f"status_400_{body}", dialect, True, REFUSED, partial(refusal, dialect, 400, body))
    answer = Answer([b"x" * 2_000_000], "application/json", b"500 Oops")
    yield Shape("status_500_huge", "openai", True, BEFORE, partial(chunked, answer))
    bomb = answer.with_(pieces=[gzip.compress(b"x" * 50_000_000)], headers=(b"Content-Encoding: gzip",))
    yield Shape("status_500_bomb", "openai", False, BEFORE, partial(chunked, bomb))
    yield Shape("status_500_endless", "openai", True, BEFORE, lambda: [answer.head(CHUNKED), chunk_of(b"x"), HOLD])
    for code, right in POISON.items():
        yield Shape(
            f"status_{code}", "openai", True, right, partial(refusal, "openai", code, "own_error"), poisons=True
        )
    for number, value in enumerate(RETRY_AFTER):
        field = b"Retry-After: " + value
        for code in (429, 503):
            yield Shape(
                f"retry_after_{code}_{number}", "openai", False, BEFORE,
                partial(refusal, "openai", code, "own_error", field), poisons=True, callers=("openai",),
            )  # fmt: skip


def refusal(dialect: str, code: int, body: str, *headers: bytes) -> Steps:
    """A refusal with this status and one of the bodies above."""
    kind = "text/html" if body == "html" else "application/json"
    answer = Answer([BODIES[body](FORMS[dialect])], kind, b"%d Refused" % code, headers=headers)
    return sized(answer)
