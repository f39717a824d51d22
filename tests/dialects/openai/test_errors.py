"""An upstream's refusal: the right class, and a message that a caller may see."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.failures import (
    LONGEST_MESSAGE,
    error_from_reply,
    error_in_answer,
    failure_from_wire,
    failure_to_wire,
)
from orcestator.errors import (
    NO_SUCH_PATH,
    QUOTA_SIZE,
    SPENT,
    CannotExpress,
    UpstreamBroken,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

CLASSES: dict[type[UpstreamError], tuple[int, ...]] = {
    UpstreamRejected: (400, 405, 413, 415, 422, 451, 499),
    UpstreamKeyRefused: (401, 402, 403),
    UpstreamModelMissing: (404,),
    UpstreamTimeout: (408, 504, 524),
    UpstreamRateLimited: (429,),
    UpstreamUnavailable: (409, 425, 500, 501, 502, 503, 520, 521, 522, 523, 525, 526, 529),
    UpstreamBroken: (301, 302, 307, 308, 101),
}
STATUSES = [(status, kind) for kind, statuses in CLASSES.items() for status in statuses]
BODIES = [
    b'{"error":{"message":"boom","type":"t","param":"p","code":"c"}}',
    b"<html><body>busy</body></html>",
    b"",
    "boom".encode("utf-16"),
    b"\xff\xfe\0",
    b"x" * (10 << 20),
    json.dumps({"error": {"message": "x " * (5 << 20)}}).encode(),
]


def refusal(status: int, body: Any = b"", header: Callable[[str], str | None] = {}.get) -> UpstreamError:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_reply("prov", status, header, body, 1_700_000_000.0)


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_the_status_decides_the_class_whatever_the_body(status: int, kind: type, body: bytes) -> None:
    error = refusal(status, body)

    # Of a 404 the body tells what is missing: tests/dialects/test_missing.py.
    assert type(error) in ({kind, UpstreamRejected} if status == 404 else {kind})
    causes = {f"http_{status}"} | ({NO_SUCH_PATH} if status == 404 else set())
    assert error.cause in causes
    assert error.upstream_status == status
    assert len(error.message) < LONGEST_MESSAGE + 100
    assert error.message.isprintable()


def test_a_long_message_ends_with_a_whole_word() -> None:
    """Half a word may be half a key, which nobody knows for one."""
    for before in range(LONGEST_MESSAGE - 40, LONGEST_MESSAGE + 2):
        message = "x" * (before - 1) + " half-a-key-is-no-key " + "y " * 2000
        said = refusal(400, json.dumps({"error": {"message": message}}).encode()).message.split()
        assert said[-1] in ("half-a-key-is-no-key", "y") or set(said[-1]) == {"x"}, before


def test_only_a_refused_request_passes_its_code_and_param_on() -> None:
    body = {"error": {"message": "too long", "type": "t", "param": "messages", "code": "context_length_exceeded"}}

    assert refusal(400, body).body()["error"] | {"message": ""} == {
        "message": "", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
    }  # fmt: skip
    assert refusal(401, body).body()["error"]["code"] == "upstream_key_refused"
    assert (refusal(500, body).param, refusal(500, body).upstream_code) == (None, None)
    assert refusal(400, {"error": {"type": "t"}}).upstream_code == "t"


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "insufficient_quota", "code": "credit_balance_exhausted"},
        {"type": "insufficient_quota", "code": "a_new_word"},
        {"code": "organization_spend_limit_exceeded"},
        {"type": "insufficient_quota", "code": 429},
    ],
)
def test_a_429_without_money_is_the_keys_and_not_a_pause(detail: dict[str, Any]) -> None:
    error = refusal(429, {"error": detail})

    assert type(error) is UpstreamKeyRefused
    assert error.retry_after == 3600.0


def test_a_429_with_a_time() -> None:
    assert refusal(429, header={"retry-after": "7"}.get).retry_after == 7.0
    assert refusal(429, header={"retry-after": "garbage"}.get).retry_after is None


@pytest.mark.parametrize(
    ("named", "seconds"), [(12, 12.0), (1e300, 86_400.0), (-5, None), (True, None), ("20", 20.0), (None, None)]
)
def test_a_wait_in_the_body_is_as_sane_as_one_in_a_header(named: object, seconds: float | None) -> None:
    """Our callers are told of it in a header."""
    for detail in ({"retry_after": named}, {"metadata": {"retry_after_seconds": named}}):
        body = json.dumps({"error": {"message": "slow down", **detail}}).encode()
        assert error_from_reply("p", 429, lambda _name: None, body, 0.0).retry_after == seconds


def test_a_flagged_input_is_the_callers_and_not_the_keys() -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "p"}

    detail = {"code": 403, "message": "flagged", "metadata": metadata}

    assert type(refusal(403, {"error": detail})) is UpstreamContentRefused
    assert type(error_in_answer("prov", detail)) is UpstreamContentRefused


def test_a_redirect_is_named_and_its_address_is_not() -> None:
    assert "redirect" in refusal(307, b"https://internal.example/secret").message


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "boom"}}, "boom"),
        ({"error": "boom"}, "boom"),
        ({"message": "boom"}, "boom"),
        ({"detail": "boom"}, "boom"),
        ([{"error": {"message": "boom"}}], "boom"),
        ({"object": "error", "message": "boom", "code": 40301}, "boom"),
        (b"<html><h1>boom</h1></html>", "boom"),
        (b"boom", "boom"),
        (b"\xef\xbb\xbf" + b'{"error":"boom"}', "boom"),
        ({"error": {"message": ""}}, "no reason given"),
        ({"error": {"message": ["boom"]}}, "boom"),
        ({"error": None}, '{"error": null}'),
        ({"error": [1]}, '{"error": [1]}'),
        (b"", "no reason given"),
        ({"error": {"message": "a\r\n\x00\u2028\u202eb"}}, "a b"),
        ({"error": {"message": "see https://internal.example/x?key=1 now"}}, "see (address) now"),
        (
            {"error": {"message": "Incorrect API key provided: sk-proj-abc***wxyz."}},
            "Incorrect API key provided: (key)",
        ),
        ({"error": {"message": "bad header 'Bearer abcdefgh12345678'"}}, "bad header '(key)'"),
        ({"error": {"message": "the task-related sketch of skills"}}, "the task-related sketch of skills"),
    ],
)
def test_the_reason_is_found_and_made_fit(body: object, reason: str) -> None:
    message = refusal(400, body).message

    assert message.startswith("prov answered 400: ")
    assert message.split(": ", 1)[1] == reason


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("rate_limit_exceeded"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["code", "type", "message", "error"]), inner)
    ),
    max_leaves=6,
)


@given(_json, st.integers(100, 999).filter(lambda status: status != 200))
def test_any_json_has_a_class_and_a_message(detail: Any, status: int) -> None:
    for error in (refusal(status, json.dumps(detail).encode()), error_in_answer("prov", detail)):
        assert type(error) in {*CLASSES, UpstreamContextExceeded, UpstreamContentRefused, CannotExpress}
        assert error.message.isprintable()


def test_a_status_inside_the_error_is_what_is_meant() -> None:
    """Gemini answers 400 to a key that is not valid; its translator says so."""
    error = error_from_reply(
        "gemini", 400, lambda _name: None, b"{}", 0.0, lambda _parsed: {"status": 401, "message": "no"}
    )
    assert type(error) is UpstreamKeyRefused


def test_a_wait_inside_the_error_counts_where_no_header_names_one() -> None:
    """Gemini puts it into the body."""
    error = error_from_reply("gemini", 429, lambda _name: None, b"{}", 0.0, lambda _parsed: {"retry_after": 52.0})
    assert error.retry_after == 52.0


def _said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    "body",
    [
        _said("This model's maximum context length is 8192 tokens. However, …", code="context_length_exceeded"),
        _said("Your input exceeds the context window of this model.", type="invalid_request_error"),
        _said("prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error"),
        _said(
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000", type="invalid_request_error"
        ),
        _said("The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", code=400),
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        },
        _said("Please reduce the length of the messages or completion.", code="context_length_exceeded"),
        _said("This endpoint's maximum context length is 131072 tokens. However, you requested …", code=400),
        _said("This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
        _said("the request exceeds the available context size", type="exceed_context_size_error", code=400),
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens.",
            "type": "BadRequestError",
        },
        {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"},
        _said("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)"),
        _said("The input (300 tokens) is longer than the model's context length (200 tokens)."),
    ],
)
def test_a_prompt_that_does_not_fit_is_told_apart_and_named_as_clients_know_it(body: dict[str, Any]) -> None:
    error = refusal(400, body)

    assert type(error) is UpstreamContextExceeded
    assert error.body()["error"]["code"] == "context_length_exceeded"
    assert error.http_status == 400


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            _said(
                "The response was filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}
            ),
        ),
        (400, _said("filtered", innererror={"code": "ResponsibleAIPolicyViolation"})),
        (400, _said("Your request was rejected", code="content_policy_violation", type="image_generation_user_error")),
        (400, _said("Content Exists Risk", type="invalid_request_error")),
        (400, _said("Output blocked by content filtering policy", type="invalid_request_error")),
        (400, _said("Input data may contain inappropriate content.", code="data_inspection_failed")),
        (403, _said("Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO")),
        (
            400,
            _said(
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
                code="invalid_prompt",
            ),
        ),
    ],
)
def test_a_text_that_a_filter_refused_is_neither_the_requests_form_nor_the_key(
    status: int, body: dict[str, Any]
) -> None:
    error = refusal(status, body)

    assert type(error) is UpstreamContentRefused
    assert error.http_status == 400
    assert error.body()["error"]["code"] in {
        "content_policy_violation", "content_filter", "data_inspection_failed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause"),
    [
        (402, _said("Insufficient Balance", code="invalid_request_error"), UpstreamKeyRefused, "http_402"),
        (402, _said("Insufficient credits", code=402), UpstreamKeyRefused, "http_402"),
        (429, _said("You exceeded your current quota", code="credit_balance_exhausted"), UpstreamKeyRefused, SPENT),
        (429, _said("no", type="exceeded_current_quota_error"), UpstreamKeyRefused, SPENT),
        (403, _said("no", code="insufficient_quota"), UpstreamKeyRefused, SPENT),
        (429, _said("Rate limit reached", code="rate_limit_exceeded"), UpstreamRateLimited, "http_429"),
        (
            413,
            _said("Request too large: Limit 6000, Requested 9000", code="rate_limit_exceeded"),
            UpstreamRateLimited,
            QUOTA_SIZE,
        ),
        (503, _said("busy", code="server_is_overloaded"), UpstreamUnavailable, "http_503"),
        (529, _said("Overloaded", type="overloaded_error"), UpstreamUnavailable, "http_529"),
        (404, _said("The model `x` does not exist", code="model_not_found"), UpstreamModelMissing, "http_404"),
        (404, _said("model 'x' not found"), UpstreamModelMissing, "http_404"),
        (404, {"detail": "Not Found"}, UpstreamModelMissing, NO_SUCH_PATH),
        (404, _said("No endpoints found that support tool use.", code=404), CannotExpress, "http_404"),
        (404, _said("This is not a chat model", type="invalid_request_error"), CannotExpress, "http_404"),
    ],
)
def test_statuses_that_mean_several_things(status: int, body: Any, kind: type[UpstreamError], cause: str) -> None:
    error = refusal(status, body)

    assert (type(error), error.cause) == (kind, cause)


def test_an_error_inside_a_stream_is_told_apart_too() -> None:
    assert type(error_in_answer("p", {"code": 400, "message": "prompt is too long: 3 > 2"})) is UpstreamContextExceeded
    assert type(error_in_answer("p", {"code": "context_length_exceeded"})) is UpstreamContextExceeded
    assert type(error_in_answer("p", {"code": "content_filter"})) is UpstreamContentRefused
    assert type(error_in_answer("p", {"code": "server_is_overloaded"})) is UpstreamUnavailable
    assert error_in_answer("p", {"code": "insufficient_quota"}).retry_after == 3600.0


@pytest.mark.parametrize("kind", [UpstreamContextExceeded, UpstreamContentRefused, UpstreamRateLimited])
def test_a_failure_keeps_its_class_and_words_across_a_border(kind: type[UpstreamError]) -> None:
    error = kind("m", cause="c", upstream_status=400, upstream_words=("a", "b"), retry_after=2.0)

    read = failure_from_wire(json.loads(json.dumps(failure_to_wire(error))))

    assert (type(read), read.cause, read.upstream_words, read.retry_after) == (kind, "c", ("a", "b"), 2.0)
