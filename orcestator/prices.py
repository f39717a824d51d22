"""What a call costs: the one formula, for an answer, for the quota ledger, for budgets and for a plan's estimate. Pure.

Money is a whole number of nano-dollars (10⁻⁹ US dollars), rounded up once a call. None is a cost that nobody knows; only what is
free costs 0. What was used of a class without a price makes the whole unknown, but for the classes of a cache: these cost what
input costs where there is no price for them, as at providers who charge nothing for writing (an hour's writing costs what five
minutes' does).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orcestator.usage import Usage

INPUT = "input"
CACHE_READ = "cache_read"
CACHE_WRITE = "cache_write"
OUTPUT = "output"
CLASSES = (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)
"""What every price list tells apart, in the order of ``providers/facts.json``; reasoning is output."""
CACHE_WRITE_1H = "cache_write_1h"
AUDIO_INPUT = "audio_input"
AUDIO_OUTPUT = "audio_output"
IMAGE = "image"
SEARCH = "search"
SINGLE = (IMAGE, SEARCH)
"""Classes whose price is for one, and not for a million tokens."""
TOKENS_A_PRICE = 1_000_000
NANO_DOLLARS = 1_000_000_000
"""Nano-dollars in a dollar."""
PICO = 1000
"""Pico-dollars in a nano-dollar."""


class Prices(NamedTuple):
    """What one token of each class costs (one picture, one search), in pico-dollars (10⁻¹² US dollars); None is not known.

    A pico-dollar is a millionth of a dollar for a million tokens, so that every price there is, is a whole number.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image: int | None = None
    search: int | None = None


UNKNOWN = Prices()
FREE = Prices(*(0,) * len(Prices._fields))


def prices_of(pricing: Mapping[str, Any]) -> Prices:
    """The prices in a model's facts: US dollars for a million tokens by class, or for one picture or search."""

    def price(name: str, otherwise: int | None = None) -> int | None:
        told: float | None = pricing.get(name)
        if told is None:
            return otherwise
        return round(told * TOKENS_A_PRICE * (TOKENS_A_PRICE if name in SINGLE else 1))

    if not pricing:
        return UNKNOWN
    prompt = price(INPUT)
    written = price(CACHE_WRITE, prompt)
    return Prices(
        input=prompt,
        output=price(OUTPUT),
        cache_read=price(CACHE_READ, prompt),
        cache_write_5m=written,
        cache_write_1h=price(CACHE_WRITE_1H, written),
        audio_input=price(AUDIO_INPUT),
        audio_output=price(AUDIO_OUTPUT),
        image=price(IMAGE),
        search=price(SEARCH),
    )


def cost(prices: Prices, usage: Usage) -> int | None:
    """What an answer costs in nano-dollars; None where a price that matters, or what was used, is not known.

    Where an answer's tokens are told, they are what its pictures cost; else each picture costs the price of one.
    """
    if prices is FREE:
        return 0
    prompt, completion, estimated, read, written, written_1h, _, heard, spoken, images, searches = usage
    pictures = images if estimated or not completion else 0
    if pictures:
        prompt = completion = 0
    elif estimated and not (prompt or completion):
        return None
    total = 0
    for amount, price in (
        (prompt - read - written - written_1h - heard, prices.input),
        (completion - spoken, prices.output),
        (read, prices.cache_read),
        (written, prices.cache_write_5m),
        (written_1h, prices.cache_write_1h),
        (heard, prices.audio_input),
        (spoken, prices.audio_output),
        (pictures, prices.image),
        (searches, prices.search),
    ):
        if amount:
            if price is None:
                return None
            total += amount * price
    return -(-total // PICO)


def estimate(prices: Prices, prompt_tokens: int, output_tokens: int) -> int | None:
    """The same for a call that has not been made: no cache is counted on, and both prices have to be known."""
    price, output_price = prices.input, prices.output
    if price is None or output_price is None:
        return None
    return -(-(prompt_tokens * price + output_tokens * output_price) // PICO)


def dollars(nano_dollars: int | None) -> float | None:
    """For where people and other programs are shown US dollars."""
    return None if nano_dollars is None else nano_dollars / NANO_DOLLARS


def dollars_a_million(price: int | None) -> float | None:
    """A price as people write it: US dollars for a million tokens."""
    return None if price is None else price / TOKENS_A_PRICE
