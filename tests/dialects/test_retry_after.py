"""How long an upstream asks us to wait: every documented spelling, and never an exception."""

# ruff: noqa: RUF001 - words of other languages

import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orcestator.dialects.failures import error_from_reply
from orcestator.dialects.retry_after import LONGEST_SECONDS, retry_after, wait_in_body, wait_in_prose

NOW = 1_700_000_000.0
NAMES = (
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "retry-after",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)


def wait(**headers: str) -> float | None:
    return retry_after({name.replace("_", "-"): text for name, text in headers.items()}.get, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0), ("0", 0.0), ("0.5", 0.5), (" 7 ", 7.0), ("99999999999", LONGEST_SECONDS),
        ("1700000030", 30.0), ("1700000030000", 30.0), ("1600000000", 0.0), ("20s", 20.0), ("1m30s", 90.0),
        ("2023-11-14T22:13:50Z", 30.0),
        ("-5", None), ("1e999", None), ("NaN", None), ("inf", None), ("", None), ("soon", None), ("1, 2", None), ("9" * 400, None),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:50", 30.0),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30.0),
        ("Wed, 15 Nov 2023 00:13:50 +0200", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Mon, 13 Nov 2023 22:13:50 GMT", 0.0),
        ("Tue, 14 Nov 9999 22:13:50 GMT", LONGEST_SECONDS),
        ("Tue, 99 Nov 2023 22:13:50 GMT", None),
        ("Tue, 14 Nov 2023 22:13:50 +9999999999", None),
    ],
)  # fmt: skip
def test_retry_after(text: str, seconds: float | None) -> None:
    assert wait(retry_after=text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("1h2m3s4ms", 3723.004), ("7.66s", 7.66), ("0s", 0.0), ("9" * 60 + "h", LONGEST_SECONDS),
     ("6", 6.0), ("1d", LONGEST_SECONDS), ("1m 30s", 90.0), ("00:01:30", 90.0), ("2 minutes", 120.0),
     ("", None), ("s", None), ("-1s", None), ("1s1h", None), ("1s2s", None), ("1w", None), ("5 requests", None)],
)  # fmt: skip
def test_reset_durations(text: str, seconds: float | None) -> None:
    assert wait(x_ratelimit_reset_requests=text) == seconds
    assert wait(x_ratelimit_reset_tokens=text) == seconds


def test_the_longer_reset_counts() -> None:
    assert wait(x_ratelimit_reset_requests="1s", x_ratelimit_reset_tokens="6m0s") == 360.0


def test_milliseconds_come_first_then_seconds_then_resets() -> None:
    every = dict(zip((name.replace("-", "_") for name in NAMES), ("1000", "2000", "3", "4s", "4s"), strict=True))
    order = []
    while every:
        order.append(wait(**every))
        every.pop(next(iter(every)))

    assert order == [1.0, 2.0, 3.0, 4.0, 4.0]


@pytest.mark.parametrize("first", ["retry_after_ms", "x_ms_retry_after_ms", "retry_after"])
def test_an_unusable_header_hides_no_usable_one(first: str) -> None:
    assert wait(**{first: "garbage", "x_ratelimit_reset_tokens": "2s"}) == 2.0


def test_the_zone_of_this_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert wait(retry_after="Tue, 14 Nov 2023 22:13:50") == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.text(alphabet="0123456789.,:+-eEinfNa hmsGMTovWd\0é٣²_", max_size=40) | st.text()
    )
)
@example({"retry-after": "1 Nov 0 0:0 +99999999999999999999"})
@example({"retry-after": "Mon, "})
def test_no_text_raises_or_gives_an_absurd_time(headers: dict[str, str]) -> None:
    seconds = retry_after(headers.get, NOW)

    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS)


@given(st.integers(0, int(LONGEST_SECONDS)))
def test_a_date_is_as_far_away_as_it_says(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)

    assert wait(retry_after=date) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "20"}, 20.0),
        ({"x-ratelimit-reset": "1700000030"}, 30.0),
        ({"x-ratelimit-reset": "1700000030000"}, 30.0),
        ({"x-ratelimit-reset-after": "3.5"}, 3.5),
        ({"ratelimit-reset": "9"}, 9.0),
        ({"ratelimit": "limit=10, remaining=0, reset=12"}, 12.0),
        ({"ratelimit": '"default";r=0;t=13'}, 13.0),
        ({"x-ratelimit-reset-tokens-day": "3600"}, 3600.0),
        ({"anthropic-ratelimit-requests-reset": "2023-11-14T22:13:50Z"}, 30.0),
        ({"anthropic-ratelimit-unified-reset": "1700000030"}, 30.0),
        ({"anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:13:50Z"}, 30.0),
        ({"retry-after": "garbage", "x-ratelimit-reset": "20"}, 20.0),
    ],
)
def test_a_reset_alone_is_a_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers.get, NOW) == seconds


def test_the_limit_that_is_used_up_is_the_one_to_wait_for() -> None:
    headers = {
        "x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "100",
    }  # fmt: skip
    assert retry_after(headers.get, NOW) == 1.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 6m0s.", 360.0),
        ("Limit 3, Used 3, Requested 1. Please try again in 20s. Visit x", 20.0),
        ("try again in 1m30s", 90.0),
        ("Try again in 2m 30s", 150.0),
        ("Please wait 20 seconds", 20.0),
        ("Please wait another 1.5 minutes", 90.0),
        ("wait for 1 hour and 5 minutes", 3900.0),
        ("wait 1 minute, 5 seconds", 65.0),
        ("resets in 20s", 20.0),
        ("Limit resets in: 4h30m", 16_200.0),
        ("quota will reset after 1h2m3s", 3723.0),
        ("retry-after: 20s", 20.0),
        ("Retry after 20 seconds", 20.0),
        ("Please retry in 42.583s.", 42.583),
        ("Please retry your request in about 250ms", 0.25),
        ("try again after approximately 10 minutes", 600.0),
        ("try again in 3 days 2 hours", LONGEST_SECONDS),
        ("Your limit will reset at 2023-11-14T22:13:50Z", 30.0),
        ("your limit will reset at 2023-11-14 22:13:50", 30.0),
        ("your limit will reset at 2023-11-15 06:13:50 +08:00", 30.0),
        ("resets at Tue, 14 Nov 2023 22:13:50 GMT.", 30.0),
        ("Wait until 2023-11-14 22:13:50 UTC", 30.0),
        ("reset at 1700000030", 30.0),
        ("reset at 1700000030000", 30.0),
        ("your limit will reset at 2023-11-14 21:00:00", None),
        ("Try again later.", None),
        ("Too many requests: 5 per 1 minute", None),
        ("limit 10 requests. reset 5 requests per 1 minute", None),
    ],
)
def test_a_wait_in_words(text: str, seconds: float | None) -> None:
    assert wait_in_prose(text, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"type": "usage_limit_reached", "resets_at": NOW + 25, "resets_in_seconds": 20}}, 20.0),
        ({"error": {"type": "usage_limit_reached", "resets_at": NOW + 25}}, 25.0),
        ({"error": "slow down", "retry_after": 20}, 20.0),
        ({"error": "slow down", "retry_after": "20s"}, 20.0),
        ({"retry_after_ms": 2000}, 2.0),
        ({"error": {"retryAfterMs": 2500}}, 2.5),
        ({"error": {"retryAfterMilliseconds": "1500"}}, 1.5),
        ({"parameters": {"retry_after": 7}}, 7.0),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1700000030000"}}}}, 30.0),
        ({"error": {"details": [{"@type": "RetryInfo", "retryDelay": "17s"}]}}, 17.0),
        ({"reset_at": "2023-11-14T22:13:50Z"}, 30.0),
        ({"resetTime": 1_700_000_030_000}, 30.0),
        ({"reset_time_ms": 1_700_000_030_000}, 30.0),
        ({"retry_after": 10**400}, LONGEST_SECONDS),
        ({"retry_after": -5}, None),
        ({"retry_after": True}, None),
        ({"retry_after": [1]}, None),
        ({"usage": {"limit": 20}}, None),
    ],
)
def test_a_wait_in_a_field(body: object, seconds: float | None) -> None:
    assert wait_in_body(body, NOW) == seconds


def test_a_header_comes_before_the_body_and_that_before_its_words() -> None:
    body = b'{"error": {"message": "try again in 3s", "code": "x"}, "retry_after": 2}'
    header = {"retry-after": "1"}
    waits = [
        error_from_reply("p", 429, told.get, text, NOW).retry_after
        for told, text in ((header, body), ({}, body), ({}, body.replace(b"retry_after", b"other")))
    ]
    assert waits == [1.0, 2.0, 3.0]


@given(
    st.text(max_size=200),
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=70), st.lists),
)
def test_nothing_that_a_stranger_says_is_an_exception(text: str, value: object) -> None:
    for wait in (wait_in_prose(text, NOW), wait_in_body({"retry_after": value, "resets_at": value, text: value}, NOW)):
        assert wait is None or 0.0 <= wait <= LONGEST_SECONDS


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e308"}, 86400.0),
        ({"retry-after": "Infinity"}, None),
        ({"retry-after": "20 seconds"}, 20),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "30;comment"}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "9999-12-31T23:59:59Z"}, 86400),
        ({"retry-after": "99999-12-31T23:59:59Z"}, None),
        ({"retry-after": "2023-11-14 22:13:50"}, 30),
        ({"retry-after": "Tue Nov 14 22:13:50 2023"}, 30),
        ({"retry-after": "1700000030.5"}, 30.5),
        ({"retry-after": "1700000030000000"}, 30),
        ({"retry-after": "1700000030000000000"}, 30),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1700000030000"}, 30),
        ({"retry-after-ms": "20s"}, 20),
        ({"x-ratelimit-reset-requests": "2023-11-14T22:13:50Z"}, 30),
        ({"x-ratelimit-reset-at": "1700000030"}, 30),
        ({"x-ratelimit-resets-in": "30"}, 30),
        ({"x-rate-limit-reset-after": "30"}, 30),
        ({"ratelimit": '"rl";r=0;t=13, "b";r=5;t=3600'}, 13),
        ({"ratelimit": '"b";r=5;t=3600, "rl";r=0;t=13'}, 13),
        ({"ratelimit-reset": "1700000030"}, 30),
        ({"x-retry-in": "30"}, 30),
        ({"retry-in": "30s"}, 30),
        ({"x-ratelimit-requests-reset": "30"}, 30),
        ({"x-ratelimit-tokens-reset": "30"}, 30),
        ({"x-ratelimit-limit-reset": "30"}, 30),
        ({"x-ratelimit-user-retry-after": "30"}, 30),
        ({"x-ratelimit-renewalperiod": "30"}, None),
        ({"x-ms-retry-after": "30"}, 30),
        ({"ratelimit-policy": "10;w=60"}, None),
        ({"x-api-ratelimit-reset": "30"}, None),
        (
            {
                "anthropic-ratelimit-unified-5h-reset": "1700000030",
                "anthropic-ratelimit-unified-7d-reset": "1700600030",
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-7d-status": "allowed",
            },
            30,
        ),
        ({"x-ratelimit-reset-requests": "-3"}, None),
    ],
)
def test_headers_of_every_kind_and_hostile_ones(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers.get, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"retry_after": -5}}, None),
        ({"error": {"retry_after": 1e308}}, 86400),
        ({"retry_after": math.nan}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": True}, None),
        ({"error": {"metadata": {"retry_after_seconds": 20}}}, 20),
        ({"error": {"details": [{"@type": "x", "retryDelay": "20s"}]}}, 20),
        ({"error": {"details": [{"retryDelay": {"seconds": 20, "nanos": 5}}]}}, 20),
        ({"parameters": {"retry_after": 20}}, 20),
        ({"retryAfterMillis": 2000}, 2),
        ({"retry_after_ms": 2000}, 2),
        ({"resetAtMs": 1700000030000}, 30),
        ({"resets_at": "2023-11-14T22:13:50+00:00"}, 30),
        ({"error": {"reset": 1700000030}}, 30),
        ({"error": {"resetsAt": "1700000030"}}, 30),
        ({"error": {"wait_seconds": "20"}}, 20),
        ({"error": {"retry_after": {"seconds": 20}}}, 20),
        ({"error": {"available_in": 20}}, 20),
        ({"error": {"expires_in": 20}}, None),
        ({"error": {"retry-after": "20"}}, 20),
        ({"error": {"Retry-After": 20}}, 20),
        ({"error": {"reset_time": "22:13:50"}}, None),
        ({"error": {"next_retry_time": 1700000030}}, 30),
        ({"error": {"estimated_time": 20.3}}, 20.3),
        ({"error": {"cooldown_until": 1700000030}}, 30),
        ({"error": {"blocked_until": "2023-11-14T22:13:50Z"}}, 30),
        ({"error": {"unlock_at": 1700000030}}, 30),
        ({"quota": {"resetDate": "2023-11-14T22:13:50Z"}}, 30),
        ({"error": {"retryAfterSecs": 20}}, 20),
        ({"error": {"rate_limit": {"reset_after": 20}}}, 20),
        ({"error": {"ratelimit_reset": 1700000030}}, 30),
        ({"error": {"headers": {"Retry-After": "20"}}}, 20),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1700000030000"}}}}, 30),
        ({"error": {"retry_at": "in 20 seconds"}}, None),
        ({"error": {"limit_reset_time_ms": 1700000030000}}, 30),
    ],
)
def test_fields_of_every_kind_and_hostile_ones(body: object, seconds: float | None) -> None:
    assert wait_in_body(body, NOW) == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please retry after 20 seconds.", 20),
        ("Retry in 20s", 20),
        ("Try again after 2023-11-14 22:13:50", 30),
        ("Rate limited for 20 seconds", 20),
        ("Too many requests. Wait 20 sec", 20),
        ("请在20秒后重试", 20),
        ("请求过于频繁，请 20 秒后再试", 20),
        ("请等待 5 分钟后重试", 300),
        ("Повторите попытку через 20 секунд", 20),
        ("Попробуйте снова через 2 минуты", 120),
        ("Bitte versuchen Sie es in 20 Sekunden erneut", 20),
        ("Veuillez réessayer dans 20 secondes", 20),
        ("Inténtelo de nuevo en 20 segundos", 20),
        ("20秒後に再試行してください", 20),
        ("20초 후에 다시 시도하세요", 20),
        ("Tente novamente em 20 segundos", 20),
        ("Riprova tra 20 secondi", 20),
        ("Your limit resets in 3 hours 20 minutes", 12000),
        ("You can make another request in 20 seconds", 20),
        ("Limit will be lifted in 20 seconds", 20),
        ("Please slow down; next request allowed in 20s", 20),
        ("quota resets on 2023-11-15 00:00 UTC", 6400),
        ("resets at 3:00 PM", None),
        ("Retry-After: 20", 20),
        ("retry_after=20", 20),
        ("retry after 20", 20),
        ("Please try again in -5s", None),
        ("try again in 1e308 seconds", None),
        ("try again in 99999999999999999999 days", 86400),
        ("try again in 0 seconds", 0),
        ("Please wait until 9999-12-31", 86400),
        ("until 0001-01-01", None),
        ("Please try again in a minute", None),
        ("try again in one minute", None),
        ("try again later", None),
        ("usage limit reached|1700000030", 30),
        ("Claude AI usage limit reached|1700000030", 30),
        ("Request was rejected after 20 seconds of waiting", None),
        ("limit is 20 requests per 60 seconds", None),
        ("The request waited 30 seconds and was dropped, try again later", None),
        (
            "Rate limit reached for model in organization on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
            2,
        ),
        ("Try again in about 20 seconds", 20),
        ("try again in ~20s", 20),
        ("try again in 20 (seconds)", None),
        ("Reset after 20s", 20),
        ("Please come back in 20 seconds", 20),
        ("You have exceeded… next window in 20 s", None),
        ("重置时间: 2023-11-14 22:13:50", 30),
        ("Сброс лимита: 2023-11-14 22:13:50", 30),
        ("已达到 5 小时的使用上限。您的限额将在 2023-11-14 22:13:50 重置。", 30),
    ],
)
def test_words_of_many_languages(message: str, seconds: float | None) -> None:
    assert wait_in_prose(message, NOW) == seconds
