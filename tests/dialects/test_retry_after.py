"""How long an upstream asks us to wait: every documented spelling, and never an exception."""

import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orcestator.dialects.retry_after import LONGEST_SECONDS, retry_after

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
     ("", None), ("6", None), ("s", None), ("-1s", None), ("1s1h", None), ("1d", None)],
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
