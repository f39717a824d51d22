"""Takes secrets out of text: log lines, error messages for callers, remembered prompts. Pure.

Must never miss a secret it was told, and never take more than linear time in the length of the text: every pattern
starts at a literal and none can be restarted inside its own repetition.
"""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

from orcestator.providers.secret import SHORTEST_SECRET

MASK = "[redacted]"


class _Pattern(NamedTuple):
    hints: tuple[str, ...]  # the pattern can only match where the lower-cased text holds one of these
    finds: re.Pattern[str]
    replacement: str


def _pattern(hints: str, finds: str, replacement: str = MASK) -> _Pattern:
    return _Pattern(tuple(hints.split()), re.compile(finds), replacement)


# The shapes of the providers' keys as their consoles issue them, checked 2026-11.
_PATTERNS = (
    _pattern("sk-", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}"),  # OpenAI, DeepSeek, sk-or-v1- OpenRouter, sk-ant-
    _pattern("aiza", r"AIza[A-Za-z0-9_-]{20,}"),  # Google
    _pattern("aqvn", r"AQVN[A-Za-z0-9_-]{16,}"),  # Yandex API key
    _pattern("gsk_", r"gsk_[A-Za-z0-9]{16,}"),  # Groq
    _pattern("xai-", r"(?<![A-Za-z0-9])xai-[A-Za-z0-9_-]{16,}"),  # xAI
    _pattern("eyj", r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]+){0,2}"),  # JSON web token
    # "Basic" alone is a common word: it is masked where it follows "authorization", below.
    _pattern("bearer", r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}", rf"\1{MASK}"),
    # Header names with their values, as HTTP, JSON, repr() of a dict and repr() of ASGI header pairs show them.
    _pattern(
        "authorization cookie",
        r"""(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?["']?\s*[:=,]\s*b?\\?["']?)[^"'\\\r\n]+""",
        rf"\1\2{MASK}",
    ),
    _pattern(
        "api-key api_key apikey",
        r"""(?i)\b((?:x-|x-goog-)?api[-_]?key)(\\?["']?\s*[:=,]\s*b?\\?["']?)[^\s"'\\,;&]{4,}""",
        rf"\1\2{MASK}",
    ),
    _pattern("key= token=", r"(?i)([?&](?:key|token|access_token|api_key)=)[^\s&\"'#\\]+", rf"\1{MASK}"),
    _pattern("://", r"(://[^\s/:@]*:)[^\s/]+(?=@)", rf"\1{MASK}"),  # the password of a data source name
)


class Redactor:
    """Masks ``secrets`` wherever they occur, and whatever looks like one. Call it as a function of text to text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these, too: the configuration has changed, and what was secret before still is."""
        told = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        # The longest first: one secret may be the beginning of another.
        self._secrets = tuple(sorted(told.union(self._secrets), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """``text`` without secrets; the same object when it held none."""
        return self._masked(text) if text and self.suspects(text) else text

    def suspects(self, text: str) -> bool:
        """Whether ``text`` could hold a secret: a quick look that may be wrong only in saying yes."""
        # This runs for every line and every text: map() keeps the loop out of the interpreter.
        return any(map(text.__contains__, self._secrets)) or any(map(text.lower().__contains__, _HINTS))

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        lowered = text.lower()
        for pattern in _PATTERNS:
            if any(hint in lowered for hint in pattern.hints):
                text = pattern.finds.sub(pattern.replacement, text)
        return text


_HINTS = tuple({hint for pattern in _PATTERNS for hint in pattern.hints})


def _forms(secret: str) -> set[str]:
    """The secret as it is, in a URL, and inside JSON, also as PHP writes it."""
    escaped = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    return {
        secret,
        quote(secret, safe=""),
        escaped,
        plain,
        escaped.replace("/", "\\/"),
        escaped.replace("/", "\\u002f"),
    }
