"""What a call costs, of a model's prices and the tokens it used. Pure.

The classes are disjoint: a token that was read from a cache, or written to one, is not input as well.
"""

from collections.abc import Mapping
from typing import Any

INPUT = "input"
CACHE_READ = "cache_read"
CACHE_WRITE = "cache_write"
OUTPUT = "output"
CLASSES = (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)
"""What tokens are told apart by in a price list; reasoning is output."""
TOKENS_A_PRICE = 1_000_000


def tokens_by_class(usage: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of a canonical usage by class; their sum is ``prompt_tokens`` and ``completion_tokens``.

    ``prompt_tokens`` includes what ``prompt_tokens_details`` counts as ``cached_tokens`` and ``cache_write_tokens``.
    A number that is missing or nonsense is 0.
    """
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt = _count(usage.get("prompt_tokens"))
    read = min(_count(details.get("cached_tokens")), prompt)
    written = min(_count(details.get("cache_write_tokens")), prompt - read)
    return {
        INPUT: prompt - read - written,
        CACHE_READ: read,
        CACHE_WRITE: written,
        OUTPUT: _count(usage.get("completion_tokens")),
    }


def cost(prices: Mapping[str, float], usage: Mapping[str, Any]) -> float | None:
    """The price of a call in US dollars, None when it cannot be said.

    ``prices`` are those of ``ModelFacts``. A cache's tokens cost what input costs where there is no price for them.
    """
    fallback = {CACHE_READ: prices.get(INPUT), CACHE_WRITE: prices.get(INPUT)}
    total = 0.0
    for name, tokens in tokens_by_class(usage).items():
        price = prices.get(name, fallback.get(name))
        if tokens and price is None:
            return None
        total += tokens * (price or 0.0)
    return total / TOKENS_A_PRICE if prices else None


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
