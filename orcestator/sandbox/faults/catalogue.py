"""Every fault the sandbox can give, as data: what it does on the wire, to whom, and what a gateway owes its caller.

Pure data. A fault is asked for with the model name ``fault:<id>[:<variant>[:<argument>]][?options]``; without a variant
it is the id's first row here. A fault that does not apply to a request (a stream fault asked of a plain request, a chat
fault asked of another route, a dialect's own fault asked of another dialect) answers well.

``FAULTS`` are the rows that the OpenAI routes give. All but the chat faults among them are given by every dialect's
routes, in that dialect's words; ``DIALECT_FAULTS`` are those that only one dialect has. ``served`` says which rows a
dialect's chat route gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Applies = Literal["stream", "plain"]
Expected = Literal["ok", "ok_or_error", "error", "fall_over"]

BOTH: frozenset[Applies] = frozenset({"stream", "plain"})
STREAM: frozenset[Applies] = frozenset({"stream"})
PLAIN: frozenset[Applies] = frozenset({"plain"})

ERROR_BODIES = ("json", "html", "empty", "big", "charset", "echo")
ERROR_STATUSES = (
    *(500, 400, 401, 402, 403, 404, 408, 409, 413, 422, 425, 429, 501, 502, 503, 504),
    *(520, 521, 522, 523, 524, 525, 526, 529),
)
CALLER_STATUSES = frozenset({400, 413, 422})
"""The request itself is refused: another upstream would refuse it too."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row.

    ``expected`` is what a gateway owes its caller when a healthy upstream is next in line: ``ok`` a complete, valid
    answer of this upstream; ``fall_over`` the next one's answer, the failure unseen (an error when there is none);
    ``error`` a well-formed error, in the stream when it has begun; ``ok_or_error`` either. ``arguments``: words that
    may follow the variant, the first by default. ``chat_only``: other routes answer well. ``needs``: what the fault
    takes that one HTTP address cannot give; such a row is not served. ``dialect``: whose own fault it is; "openai" for
    all that are nobody's own. Of a dialect's own faults, ``after_content`` says that the caller may have seen some of
    the answer by then, and ``ends_in`` names the class of ``orcestator.errors`` that the attempt should end in (empty:
    none, or a matter of taste where ``expected`` is ``ok_or_error``).
    """

    id: str
    variant: str
    does: str
    applies: frozenset[Applies]
    expected: Expected
    arguments: tuple[str, ...] = ()
    chat_only: bool = False
    needs: str = ""
    dialect: str = "openai"
    after_content: bool = False
    ends_in: str = ""

    @property
    def model(self) -> str:
        """The model name that asks for it."""
        return f"fault:{self.id}:{self.variant}"


def _transport(
    id: str,
    variant: str,
    does: str,
    expected: Expected = "fall_over",
    *,
    applies: frozenset[Applies] = BOTH,
    needs: str = "",
) -> Fault:
    return Fault(id, variant, does, applies, expected, needs=needs)


def _chat(id: str, variant: str, does: str, expected: Expected, *, applies: frozenset[Applies] = BOTH) -> Fault:
    return Fault(id, variant, does, applies, expected, chat_only=True)


def _stream(id: str, variant: str, does: str, expected: Expected) -> Fault:
    return _chat(id, variant, does, expected, applies=STREAM)


def _status(status: int) -> Fault:
    expected: Expected = "error" if status in CALLER_STATUSES else "fall_over"
    does = (
        f"HTTP {status}; body: JSON, HTML, nothing, 10 MiB, a false charset, or JSON that repeats the key it was sent"
    )
    return Fault("H1", str(status), does, BOTH, expected, arguments=ERROR_BODIES)


def _retry_after(variant: str, header: str) -> Fault:
    return Fault("H2", variant, f"HTTP 429 with {header}", BOTH, "fall_over")


TRANSPORT = (
    _transport("U1", "refused", "no listener: the connection is refused", needs="the address of a closed port"),
    _transport("U2", "black-hole", "a SYN is never answered", needs="a listener with a full backlog"),
    _transport("U3", "rst", "RST with no bytes once the request is read"),
    _transport("U3", "fin", "FIN with no bytes once the request is read"),
    _transport("U4", "no-read", "stops reading once the model name is in, never answers, hangs up after ?seconds (60)"),
    _transport(
        "U5", "dns", "the name does not resolve, or resolves slowly or to a private address", needs="a resolver"
    ),
    _transport("U6", "certificate", "an expired, foreign or self-signed certificate", needs="--tls-cert and --tls-key"),
    _transport("U6", "stall", "accepts and never says a word", needs="--stall-handshake"),
    _transport("U7", "fin", "answers well, then meets the connection's next request with FIN", "ok"),
    _transport("U7", "rst", "answers well, then meets the connection's next request with RST", "ok"),
    _transport("U7", "idle", "answers well, promises keep-alive and closes at once", "ok"),
    _transport("U7", "silent", "answers well, then never answers the connection's next request", "ok_or_error"),
    _transport("U8", "headers", "the head comes one byte each ?interval (1 s)"),
    _transport("U8", "body", "the body comes one byte each ?interval (1 s)", "ok_or_error"),
    _transport("U9", "http10", "HTTP/1.0, no length, closed at the end", "ok"),
    _transport("U9", "close-delimited", "HTTP/1.1 without a length, connection: close, closed at the end", "ok"),
    _transport("U9", "100", "100 Continue that nobody asked for, then the answer", "ok"),
    _transport("U9", "103", "103 Early Hints, then the answer", "ok"),
    _transport("U9", "trailers", "chunked, with a trailer after the last chunk", "ok"),
    _transport("U9", "chunk-ext", "chunked, with an extension on each chunk", "ok"),
    _transport("U10", "301", "HTTP 301 to another local port, which would answer well"),
    _transport("U10", "302", "HTTP 302 to another local port, which would answer well"),
    _transport("U10", "307", "HTTP 307 to another local port, which would answer well"),
    _transport("U10", "308", "HTTP 308 to another local port, which would answer well"),
    _transport("U11", "pool", "a slow upstream takes every connection of a pool", needs="two servers, one with ?ttft"),
)

STATUSES = tuple(_status(status) for status in ERROR_STATUSES)

RATE_LIMITS = (
    _retry_after("1", "Retry-After: 1"),
    _retry_after("0", "Retry-After: 0"),
    _retry_after("0.5", "Retry-After: 0.5"),
    _retry_after("-5", "Retry-After: -5"),
    _retry_after("1e999", "Retry-After: 1e999"),
    _retry_after("NaN", "Retry-After: NaN"),
    _retry_after("99999999999", "Retry-After: 99999999999"),
    _retry_after("past", "Retry-After: a date that is gone"),
    _retry_after("future", "Retry-After: a date far ahead"),
    _retry_after("garbage", "Retry-After: garbage"),
    _retry_after("two", "two Retry-After headers that differ"),
    _retry_after("ms", "retry-after-ms: 250"),
    _retry_after("reset", 'x-ratelimit-reset-requests: "6m0s"'),
)

BODIES = (
    _transport("H3", "error", '200 with {"error": …}'),
    _transport("H3", "html", "200 with an HTML page"),
    _transport("H3", "truncated", "200 with half of the JSON, its length truly stated"),
    _transport("H3", "null", "200 with the JSON null"),
    _transport("H3", "long", "content-length 100 bytes over the JSON, then FIN"),
    _transport("H3", "short", "content-length 20 bytes under the JSON, then the rest of it and FIN"),
    _chat("H4", "empty", "choices is []", "fall_over"),
    _chat("H4", "missing", "there is no choices", "fall_over"),
    _chat("H4", "null", "choices is null", "fall_over"),
    _chat("H4", "message-null", "message (delta) is null", "fall_over"),
    _chat("H4", "content-null", "content is null, no tool calls, no finish_reason", "fall_over"),
    _chat("H4", "finish-unknown", 'finish_reason is "eos"', "ok"),
    _chat("H4", "index-gap", "two choices, with index 0 and 2", "ok"),
    _chat("H4", "index-twice", "two choices, both with index 0", "ok_or_error"),
    _chat("H5", "missing", "no usage at all", "ok"),
    _chat("H5", "negative", "usage counts below zero", "ok"),
    _chat("H5", "strings", "usage counts as strings", "ok"),
    _chat("H5", "float", "usage counts as fractions", "ok"),
    _chat("H5", "huge", "usage counts of 1e18", "ok"),
    _chat("H5", "inconsistent", "total_tokens is not the sum", "ok"),
    _chat("H5", "last-chunk", "usage rides on the chunk with finish_reason", "ok", applies=STREAM),
    _chat("H5", "twice", "two usages that differ (plain: the key twice)", "ok"),
    _chat("H6", "duplicate-ids", "two tool calls with one id", "ok"),
    _chat("H6", "missing-ids", "two tool calls without an id", "ok"),
    _chat("H6", "bad-json", "tool arguments that are not JSON", "ok_or_error"),
    _chat("H6", "split", "tool arguments one character a chunk", "ok", applies=STREAM),
    _chat("H6", "many", "?count (10000) tool calls", "ok_or_error"),
    _chat("H6", "undeclared", "a call of a tool that was not offered", "ok"),
    _transport("H7", "gzip", "content-encoding: gzip, unasked", "ok"),
    _transport("H7", "br", "content-encoding: br, unasked", "ok_or_error"),
    _transport("H7", "zstd", "content-encoding: zstd, unasked", "ok_or_error"),
    _transport("H7", "double-gzip", "content-encoding: gzip, gzip", "ok_or_error"),
    _transport("H7", "wrong-label", "content-encoding: gzip over plain bytes"),
    _transport("H7", "bomb", "gzip of ?bytes (10 GiB), a thousandth of it on the wire"),
    _transport("H7", "double-bomb", "gzip, gzip of ?bytes (10 GiB), some 24 KiB on the wire"),
    _transport("H8", "body", "a JSON answer of ?bytes (1 GiB)", applies=PLAIN),
    _stream("H8", "line", "one event of ?bytes (64 MiB) as first content", "fall_over"),
    _transport("H9", "blank-lines", "blank lines before the body (DeepSeek's keep-alive)", "ok"),
    _transport("H9", "bom", "a UTF-8 byte order mark before the body", "ok_or_error"),
    _transport("H9", "crlf", "CRLF for every line end", "ok"),
    _transport("H9", "utf16", "the body in UTF-16", "ok_or_error"),
    _chat("H10", "model", "the answer names another model", "ok"),
    _chat("H10", "id", "the answer carries another answer's id, in a stream a new one each chunk", "ok"),
)

STREAMS = (
    _stream("S1", "data", 'the first event is data: {"error": …}', "fall_over"),
    _stream("S1", "event", "the first event is event: error", "fall_over"),
    _stream("S1", "http", "HTTP 500", "fall_over"),
    _stream("S1", "role", "a chunk with the role only, then an error event", "fall_over"),
    _stream("S1", "empty", "a stream without one event", "fall_over"),
    _stream("S2", "data", 'data: {"error": …} after ?after (3) tokens, then [DONE]', "error"),
    _stream("S2", "event", "event: error after ?after (3) tokens, then the end", "error"),
    _stream("S2", "finish-error", 'an error beside finish_reason "error" after ?after (3) tokens', "error"),
    _stream("S3", "no-finish", "the end after ?after (3) tokens: no finish_reason, no [DONE]", "error"),
    _stream("S3", "finish", "finish_reason, then the end without [DONE]", "ok"),
    _stream("S3", "close", "no framing, FIN after ?after (3) tokens", "error"),
    _stream("S4", "rst", "RST after ?after (3) tokens and half an event", "error"),
    _stream("S4", "truncated", "FIN inside a chunk that promised more", "error"),
    _stream("S4", "mid-event", "the last chunk, properly, in the middle of an event", "error"),
    _stream("S5", "stall", "nothing after ?after (3) tokens", "error"),
    _stream("S5", "comments", "only a comment each ?interval (1 s) after ?after (3) tokens", "error"),
    _stream("S6", "more", "[DONE], then more content", "ok"),
    _stream("S6", "twice", "[DONE] twice", "ok"),
    _stream("S6", "no-newline", "[DONE] without a line end", "ok"),
    _stream("S6", "no-space", "data: without a space", "ok"),
    _stream("S7", "slicer", "one byte a write, through characters of two to four bytes", "ok"),
    _stream("S7", "invalid", "bytes that are not UTF-8 in a text", "ok_or_error"),
    _stream("S7", "surrogate", "a lone surrogate as an escape in a text", "ok_or_error"),
    _stream("S7", "nul", "a NUL as an escape in a text", "ok"),
    _stream("S7", "separator", "a raw U+2028 in a text", "ok"),
    _stream("S8", "mixed", "CRLF, LF and CR in turn", "ok"),
    _stream("S8", "cr", "CR only", "ok"),
    _stream("S8", "crlf", "CRLF only", "ok"),
    _stream("S8", "multiline", "each event as several data: lines", "ok"),
    _stream("S8", "fields", "event:, id: and retry: fields around each data:", "ok"),
    _stream("S8", "bom", "a byte order mark before the first event", "ok"),
    _stream("S8", "comments", "?count (10000) comments before each event", "ok"),
    _stream("S9", "one", "one line of garbage for JSON after ?after (3) tokens", "error"),
    _stream("S9", "three", "three lines of garbage after ?after (3) tokens", "error"),
    _stream("S9", "many", "?count (10) lines of garbage after ?after (3) tokens", "error"),
    _stream("S10", "interleaved", "two tool calls, their arguments interleaved", "ok"),
    _stream("S10", "finish-twice", "finish_reason twice", "ok"),
    _stream("S10", "finish-then-content", "content after finish_reason", "ok"),
    _stream("S11", "tiny", "?count (100000) chunks of one letter in one write", "ok"),
    _stream("S11", "large", "one chunk of ?bytes (1000000)", "ok"),
    _stream("S12", "flood", "?bytes (32 MiB) as fast as the peer takes them", "ok"),
    _stream("S13", "json", "a JSON answer although a stream was asked for", "ok"),
    Fault("S14", "hedge", "attempts that race", STREAM, "ok", needs="two servers, one with ?ttft"),
)

FAULTS: tuple[Fault, ...] = (*TRANSPORT, *STATUSES, *RATE_LIMITS, *BODIES, *STREAMS)


def _own(dialect: str, id: str, variant: str, does: str, applies: frozenset[Applies] = STREAM) -> Fault:
    """A dialect's own fault that leaves the answer whole."""
    return Fault(id, variant, does, applies, "ok", chat_only=True, dialect=dialect)


def _before(
    dialect: str, id: str, variant: str, does: str, ends_in: str, applies: frozenset[Applies] = STREAM
) -> Fault:
    """One that comes before any content: the next upstream can take over."""
    return Fault(id, variant, does, applies, "fall_over", chat_only=True, dialect=dialect, ends_in=ends_in)


def _after(dialect: str, id: str, variant: str, does: str, ends_in: str = "UpstreamBroken") -> Fault:
    """One that breaks a stream after ?after (3) pieces of content."""
    return Fault(
        id, variant, does, STREAM, "error", chat_only=True, dialect=dialect, after_content=True, ends_in=ends_in
    )


def _either(
    dialect: str, id: str, variant: str, does: str, applies: frozenset[Applies] = STREAM, *, after_content: bool = False
) -> Fault:
    """One about which opinions differ."""
    return Fault(
        id, variant, does, applies, "ok_or_error", chat_only=True, dialect=dialect, after_content=after_content
    )


ANTHROPIC_FAULTS = (
    _before(
        "anthropic",
        "D-A1",
        "before",
        "an overloaded_error event in a 200 stream, no content yet",
        "UpstreamUnavailable",
    ),
    _after("anthropic", "D-A1", "after", "an overloaded_error event after ?after (3) deltas", "UpstreamUnavailable"),
    _before("anthropic", "D-A2", "529", "HTTP 529 with overloaded_error", "UpstreamUnavailable", BOTH),
    _before(
        "anthropic",
        "D-A2",
        "429",
        "HTTP 429 with retry-after and anthropic-ratelimit headers",
        "UpstreamRateLimited",
        BOTH,
    ),
    _before("anthropic", "D-A3", "before", "an api_error event, no content yet", "UpstreamUnavailable"),
    _after("anthropic", "D-A3", "after", "an api_error event after ?after (3) deltas", "UpstreamUnavailable"),
    _after("anthropic", "D-A4", "cut", "FIN inside a chunk after ?after (3) deltas"),
    _after("anthropic", "D-A4", "no-delta", "the end after ?after (3) deltas: no message_delta, no message_stop"),
    _either("anthropic", "D-A4", "no-stop", "message_delta, then the end without message_stop", after_content=True),
    _own("anthropic", "D-A5", "pings", "a ping before each event"),
    _own("anthropic", "D-A5", "unknown", "events and deltas of kinds that nobody knows yet"),
    _own("anthropic", "D-A6", "refusal", "stop_reason refusal after ?after (3) deltas"),
    _own("anthropic", "D-A6", "context", "stop_reason model_context_window_exceeded after ?after (3) deltas"),
    _own("anthropic", "D-A6", "pause", "stop_reason pause_turn after ?after (3) deltas"),
)
GEMINI_FAULTS = (
    _before("gemini", "D-G1", "malformed", "finishReason MALFORMED_FUNCTION_CALL and no parts", "UpstreamBroken", BOTH),
    _before("gemini", "D-G1", "unexpected", "finishReason UNEXPECTED_TOOL_CALL and no parts", "UpstreamBroken", BOTH),
    _either("gemini", "D-G1", "malformed-after", "MALFORMED_FUNCTION_CALL after ?after (3) chunks", after_content=True),
    _either("gemini", "D-G2", "blocked", "promptFeedback.blockReason and no candidates", BOTH),
    _own("gemini", "D-G2", "safety", "finishReason SAFETY after ?after (3) chunks"),
    _own("gemini", "D-G2", "recitation", "finishReason RECITATION after ?after (3) chunks"),
    _before(
        "gemini",
        "D-G3",
        "per-minute",
        "HTTP 429 with RetryInfo and a QuotaFailure PerMinute",
        "UpstreamRateLimited",
        BOTH,
    ),
    _before(
        "gemini", "D-G3", "per-day", "HTTP 429 with RetryInfo and a QuotaFailure PerDay", "UpstreamRateLimited", BOTH
    ),
    _before("gemini", "D-G3", "array", "the same 429 as the element of an array", "UpstreamRateLimited", BOTH),
    _before("gemini", "D-G4", "before", "an error object in a 200 stream, no content yet", "UpstreamUnavailable"),
    _after("gemini", "D-G4", "after", "an error object after ?after (3) chunks", "UpstreamUnavailable"),
    _after("gemini", "D-G5", "no-finish", "the end after ?after (3) chunks, no finishReason"),
    _after("gemini", "D-G5", "cut", "FIN inside a chunk after ?after (3) chunks"),
    _either("gemini", "D-G6", "empty", "a candidate with STOP and no content", BOTH),
)
RESPONSES_FAULTS = (
    _before("responses", "D-R1", "before", "response.failed (server_error), no content yet", "UpstreamUnavailable"),
    _after(
        "responses", "D-R1", "after", "response.failed (server_error) after ?after (3) deltas", "UpstreamUnavailable"
    ),
    _before("responses", "D-R1", "plain", "200 with status failed and an error", "UpstreamUnavailable", PLAIN),
    _before(
        "responses",
        "D-R1",
        "rate-limit",
        "response.failed (rate_limit_exceeded), no content yet",
        "UpstreamRateLimited",
    ),
    _own("responses", "D-R2", "filter", "response.incomplete (content_filter) after ?after (3) deltas"),
    _before("responses", "D-R3", "before", "an error event, no content yet", "UpstreamUnavailable"),
    _after("responses", "D-R3", "after", "an error event after ?after (3) deltas", "UpstreamUnavailable"),
    _after("responses", "D-R4", "no-completed", "the end after ?after (3) deltas, no response.completed"),
    _after("responses", "D-R4", "cut", "FIN inside a chunk after ?after (3) deltas"),
    _own("responses", "D-R5", "done", "[DONE] after response.completed"),
)
YANDEX_FAULTS = (
    _own("yandex", "D-Y1", "filter", "the text so far is replaced by a filter's, status CONTENT_FILTER", BOTH),
    _before(
        "yandex", "D-Y2", "429", "HTTP 429 RESOURCE_EXHAUSTED as the gRPC gateway says it", "UpstreamRateLimited", BOTH
    ),
    _before("yandex", "D-Y2", "503", "HTTP 503 UNAVAILABLE as the gRPC gateway says it", "UpstreamUnavailable", BOTH),
    _before("yandex", "D-Y3", "before", "an error line in a 200 stream, no content yet", "UpstreamUnavailable"),
    _after("yandex", "D-Y3", "after", "an error line after ?after (3) lines", "UpstreamUnavailable"),
    _after("yandex", "D-Y4", "no-final", "the end after ?after (3) partial lines"),
    _after("yandex", "D-Y4", "cut", "FIN inside a chunk after ?after (3) lines"),
)
COHERE_FAULTS = (
    _before("cohere", "D-C1", "before", "message-end with finish_reason ERROR, no content yet", "UpstreamBroken"),
    _after("cohere", "D-C1", "after", "message-end with finish_reason ERROR after ?after (3) deltas"),
    _after("cohere", "D-C2", "no-end", "the end after ?after (3) deltas, no message-end"),
    _after("cohere", "D-C2", "cut", "FIN inside a chunk after ?after (3) deltas"),
)
OLLAMA_FAULTS = (
    _before("ollama", "D-O1", "before", "an error line in a 200 stream, no content yet", "UpstreamBroken"),
    _after("ollama", "D-O1", "after", "an error line after ?after (3) lines"),
    _after("ollama", "D-O2", "no-done", "the end after ?after (3) lines, none of them done"),
    _after("ollama", "D-O2", "cut", "FIN inside a chunk after ?after (3) lines"),
    _before("ollama", "D-O3", "busy", "HTTP 503: server busy", "UpstreamUnavailable", BOTH),
)
DEEPSEEK_FAULTS = (
    _own(
        "deepseek", "D-S1", "keep-alive", "?count (20) comments, or blank lines before the body, then the answer", BOTH
    ),
    Fault(
        *("D-S1", "refused", "HTTP 400: reasoning_content must be passed back", BOTH, "error"),
        chat_only=True,
        dialect="deepseek",
        ends_in="UpstreamRejected",
    ),
    _either(
        "deepseek",
        "D-S2",
        "resource",
        "finish_reason insufficient_system_resource after ?after (3) tokens",
        after_content=True,
    ),
)
DIALECT_FAULTS: tuple[Fault, ...] = (
    *(*ANTHROPIC_FAULTS, *GEMINI_FAULTS, *RESPONSES_FAULTS, *YANDEX_FAULTS, *COHERE_FAULTS, *OLLAMA_FAULTS),
    *DEEPSEEK_FAULTS,
)
DIALECTS = tuple(dict.fromkeys(row.dialect for row in (*FAULTS, *DIALECT_FAULTS)))


def find(id: str, variant: str = "") -> Fault | None:
    """The row, or the id's first one when no variant is named; None when there is none."""
    rows = (*FAULTS, *DIALECT_FAULTS)
    return next((row for row in rows if row.id == id and variant in ("", row.variant)), None)


def served(dialect: str = "openai") -> Iterator[Fault]:
    """The faults that this server gives by model name on a dialect's chat route.

    For another dialect than OpenAI's: those of the connection and of HTTP, and its own. DeepSeek's own are given on the
    OpenAI route; asked for by their dialect they come alone.
    """
    if dialect == "openai":
        return (row for row in FAULTS if not row.needs)
    shared = () if dialect == "deepseek" else FAULTS
    own = (row for row in DIALECT_FAULTS if row.dialect == dialect)
    return (row for row in (*shared, *own) if not row.needs and (row.dialect == dialect or not row.chat_only))


def known_names() -> str:
    """Every served fault for people, one word an id: ``U3:rst|fin U4:no-read …``."""
    variants: dict[str, list[str]] = {}
    for row in (*served(), *DIALECT_FAULTS):
        variants.setdefault(row.id, []).append(row.variant)
    return " ".join(f"{id}:{'|'.join(names)}" for id, names in variants.items())
