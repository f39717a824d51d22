"""What upstreams say of their limits: every documented spelling, and never an exception."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.dialects.rate_limits import RateLimit, is_congested, limits_in_headers, limits_in_refusal

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
DAY = 86_400.0


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s",
             "x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "6m0s"},
            [RateLimit("requests", 0.0, 60.0, 59.0, 1.0), RateLimit("tokens", 0.0, 150_000.0, 149_984.0, 360.0)],
        ),
        (
            {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-remaining-requests-day": "13693",
             "x-ratelimit-reset-requests-day": "11726.28", "x-ratelimit-remaining-tokens-minute": "60000"},
            [RateLimit("requests", DAY, 14_400.0, 13_693.0, 11_726.28), RateLimit("tokens", 60.0, None, 60_000.0)],
        ),
        (
            {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "0",
             "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:50Z"},
            [RateLimit("requests", 0.0, 50.0, 0.0, 30.0)],
        ),
        ({"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "3"}, [RateLimit("requests", 60.0, 60.0, 3.0)]),
        (
            {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700003600000"},
            [RateLimit("requests", 0.0, 50.0, 0.0, 3600.0)],
        ),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "98", "ratelimit-reset": "1700000060"},
         [RateLimit("requests", 0.0, 100.0, 98.0, 60.0)]),
        ({"x-ratelimit-limit": "many", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "soon", "content-type": "x"}, []),
        ({"x-ratelimit-reset-requests": "2023-11-14T22:13:50"}, []),
    ],
)  # fmt: skip
def test_headers(headers: dict[str, str], limits: list[RateLimit]) -> None:
    assert list(limits_in_headers(headers.items(), NOW)) == limits


FREE = {"message": "Rate limit exceeded: free-models-per-day. Add credits …", "code": 429,
        "metadata": {"headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700003600000"}}}  # fmt: skip
QUOTAS = [
    {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20"},
    {"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier", "quotaValue": "250000"},
    {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"},
]


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (
            {"error": {"message": "Rate limit reached for model `x` in organization `o` on requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in 2s."}},
            [RateLimit("requests", 60.0, 30.0, 0.0)],
        ),
        (
            {"error": {"message": "… on tokens per day (TPD): Limit 500,000, Used 499000, Requested 2000."}},
            [RateLimit("tokens", DAY, 500_000.0, 1000.0)],
        ),
        ({"error": {"message": "… on tokens per min (TPM): Limit 6000, Requested 9000"}}, [RateLimit("tokens", 60.0, 6000.0)]),
        (
            [{"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x.QuotaFailure", "violations": QUOTAS}]}}],
            [RateLimit("requests", DAY, 20.0, 0.0), RateLimit("tokens", 60.0, 250_000.0, 0.0), RateLimit("requests", 60.0, None, 0.0)],
        ),
        ({"error": FREE}, [RateLimit("requests", DAY, 50.0, 0.0, 3600.0, is_shared=True)]),
        ({"error": {"message": "slow down"}}, []),
        ({"error": "slow down"}, []),
        (None, []),
    ],
)  # fmt: skip
def test_bodies(body: Any, limits: list[RateLimit]) -> None:
    assert list(limits_in_refusal(body, NOW)) == limits


def test_a_busy_upstream_behind_openrouter_is_no_limit_of_ours() -> None:
    assert is_congested(
        {"error": {"message": "Provider returned error", "metadata": {"provider_name": "X", "raw": "…"}}}
    )
    assert not is_congested({"error": FREE})
    assert not is_congested(None)


_names = st.sampled_from(
    ["x-ratelimit-limit-requests", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset", "ratelimit-remaining"]
)
_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["error", "details", "violations", "quotaId", "quotaValue", "metadata", "headers", "message"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(_names, st.text(max_size=30) | st.sampled_from(["1" * 30, "9999-12-31T23:59:59Z", "1e9", "9e99"]))
    ),
    _json,
)
def test_whatever_it_says_nothing_is_raised_and_every_figure_is_sane(headers: list[tuple[str, str]], body: Any) -> None:
    for limit in (*limits_in_headers(headers, NOW), *limits_in_refusal(body, NOW)):
        assert all(figure is None or 0.0 <= figure < 1e21 for figure in limit[1:5])
    is_congested(body)
