"""What a call costs: one formula, in whole nano-dollars, and None for what nobody knows."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.prices import (
    CLASSES,
    FREE,
    NANO_DOLLARS,
    UNKNOWN,
    Prices,
    cost,
    dollars,
    dollars_a_million,
    estimate,
    prices_of,
)
from orcestator.routing.planning.traits import traits_of
from orcestator.routing.state.quota import QuotaBook
from orcestator.upstream.metering import Meter
from orcestator.usage import NOTHING, UNTOLD, Usage

PRICING = {"input": 2.0, "cache_read": 0.1, "cache_write": 2.5, "output": 10.0}
ALL = prices_of(
    {**PRICING, "cache_write_1h": 4.0, "audio_input": 40.0, "audio_output": 80.0, "image": 0.04, "search": 0.01}
)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(MILLION), 2.0),
        (Usage(0, MILLION), 10.0),
        (Usage(MILLION, cache_read_tokens=400_000), 1.2 + 0.04),
        (Usage(MILLION, 100_000, cache_read_tokens=400_000, cache_write_5m_tokens=100_000), 1.0 + 0.04 + 0.25 + 1.0),
        (Usage(MILLION, cache_write_1h_tokens=MILLION), 4.0),
        (Usage(0, 100_000, reasoning_tokens=90_000), 1.0),
        (Usage(1000, 1000, audio_input_tokens=400, audio_output_tokens=500), 0.0012 + 0.016 + 0.005 + 0.04),
        (Usage(0, 0, tokens_estimated=True, images=3), 0.12),
        (Usage(100, 1000, images=3), 0.0102),
        (Usage(0, 0, searches=2), 0.02),
        (NOTHING, 0.0),
    ],
)
def test_the_cost_of_a_call(usage: Usage, expected: float) -> None:
    assert cost(ALL, usage) == round(expected * NANO_DOLLARS)


def test_a_cache_without_a_price_costs_what_input_costs() -> None:
    prices = prices_of({"input": 2.0, "output": 10.0})
    assert cost(prices, Usage(MILLION, cache_read_tokens=500_000, cache_write_1h_tokens=400_000)) == 2 * NANO_DOLLARS
    written = prices_of(PRICING)
    assert cost(written, Usage(MILLION, cache_write_1h_tokens=MILLION)) == 2.5 * NANO_DOLLARS


@pytest.mark.parametrize(
    "used",
    [
        {"audio_input_tokens": 1},
        {"audio_output_tokens": 1},
        {"searches": 1},
        {"images": 1, "tokens_estimated": True},
    ],
)
def test_what_was_used_without_a_price_makes_the_whole_unknown(used: dict[str, Any]) -> None:
    assert cost(prices_of(PRICING), Usage(10, 1, **used)) is None
    assert cost(ALL, Usage(10, 1, **used)) is not None


def test_an_unknown_price_is_no_price_of_zero() -> None:
    assert prices_of({}) == UNKNOWN
    assert cost(UNKNOWN, Usage(10, 1)) is None
    assert estimate(UNKNOWN, 10, 1) is None
    assert cost(prices_of({"input": 1.0}), Usage(10, 1)) is None
    assert estimate(prices_of({"input": 1.0}), 10, 0) is None
    assert cost(prices_of({"input": 1.0}), Usage(MILLION)) == NANO_DOLLARS
    assert cost(ALL, UNTOLD) is None, "of an answer that nobody can count nothing is known"
    assert cost(UNKNOWN, NOTHING) == 0, "and what was never asked for costs nothing"


def test_what_is_free_costs_nothing() -> None:
    assert cost(prices_of(dict.fromkeys(CLASSES, 0.0)), Usage(10, 1)) == 0
    assert (cost(FREE, Usage(10, 1, searches=3)), cost(FREE, UNTOLD), estimate(FREE, 10, 1)) == (0, 0, 0)
    assert traits_of("m:free", {}).cost(10, 1) == 0


def test_a_part_of_a_nano_dollar_is_rounded_up() -> None:
    prices = prices_of({"input": 0.0375, "output": 0.15})
    assert prices.input == 37_500
    assert [cost(prices, Usage(tokens)) for tokens in (1, 2, 3)] == [38, 75, 113]
    assert estimate(prices, 1, 0) == 38


def test_money_and_prices_for_people() -> None:
    assert (dollars(1_500_000_000), dollars(0), dollars(None)) == (1.5, 0.0, None)
    assert (dollars_a_million(prices_of({"input": 0.3}).input), dollars_a_million(None)) == (0.3, None)


def test_the_answer_the_quota_ledger_and_the_plan_agree() -> None:
    """A prompt of which nine tenths were cached: they once differed by a factor of four."""
    pricing = {"input": 3.0, "output": 15.0, "cache_read": 0.3}
    usage = Usage(100_000, 1_000, cache_read_tokens=90_000)
    assert cost(traits_of("m", {"pricing": pricing}).prices, usage) == 72_000_000

    quota = QuotaBook()
    quota.limit("p", "", "", {"usd_per_day": 1.0})
    quota.take("p", "", "m", 0, 0.0)
    meter = Meter(quota, "p", "", "m", 0, pricing, 0.0)
    meter.settle(usage, 0.0)
    (state,) = quota.states(0.0)
    assert state.limit - state.remaining == pytest.approx(0.072)

    without_cache = usage._replace(cache_read_tokens=0)
    assert (
        traits_of("m", {"pricing": pricing}).cost(100_000, 1_000)
        == cost(prices_of(pricing), without_cache)
        == 315_000_000
    )


_counts = st.integers(0, 10**7)
_prices = st.builds(Prices, *[st.none() | st.integers(0, 10**9)] * len(Prices._fields))


@st.composite
def _usages(draw: st.DrawFn) -> Usage:
    rest, output, read, short, long, heard, spoken = (draw(_counts) for _ in range(7))
    return Usage(
        rest + read + short + long + heard, output + spoken, draw(st.booleans()), read, short, long, draw(_counts), heard, spoken,
        draw(st.integers(0, 9)), draw(st.integers(0, 9)),
    )  # fmt: skip


@given(_prices, _usages(), st.sampled_from([name for name in Usage._fields if name != "tokens_estimated"]))
def test_more_never_costs_less(prices: Prices, usage: Usage, name: str) -> None:
    """Unless it was cached, which is what caches are for."""
    costs = cost(prices, usage)
    assert costs is None or (type(costs) is int and costs >= 0)
    if name in ("prompt_tokens", "completion_tokens", "searches") and not usage.images:
        more = cost(prices, usage._replace(**{name: getattr(usage, name) + 1000}))
        assert costs is None or more is None or more >= costs


@given(st.floats(0, 1000, allow_nan=False), _counts)
def test_integers_lose_no_money(price: float, tokens: int) -> None:
    whole = cost(prices_of({"input": price, "output": 1.0}), Usage(tokens))
    assert whole is not None
    exact = round(price * MILLION) * tokens / 1000
    assert whole == math.ceil(exact) or abs(whole - exact) <= exact * 1e-12 + 1
