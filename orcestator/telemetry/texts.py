"""What of a prompt and an answer is remembered. Pure; must never let a text pass that the setting leaves out."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

TextMode = Literal["full", "short", "none"]
"""How much of a text is kept: as the event carries it, its first characters, or nothing."""

ELLIPSIS = "…"
REMEMBERED_TEXTS = 512
"""Texts whose kept form is remembered: the traffic log and the ledger ask for the same ones within a moment."""


def text_policy(mode: TextMode, chars: int, redact: Callable[[str], str]) -> Callable[[str], str]:
    """The function every text goes through before it is written; ``chars`` is what ``short`` keeps.

    Redaction comes before shortening: half a secret would no longer be recognised.
    """
    if mode == "none":
        return _nothing
    if mode == "full":
        return lru_cache(REMEMBERED_TEXTS)(redact)

    @lru_cache(REMEMBERED_TEXTS)
    def shortened(text: str) -> str:
        kept = redact(text)
        return kept if len(kept) <= chars else kept[:chars] + ELLIPSIS

    return shortened


def _nothing(text: str) -> str:
    return ""
