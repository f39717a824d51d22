"""What can be set about the sandbox's answers. It reads no environment and no file."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which nothing works: from the first to the last of some requests, or of some seconds since the start."""

    first: float
    last: float
    in_seconds: bool = False

    def covers(self, number: int, seconds: float) -> bool:
        """Whether the ``number``-th request, so many seconds after the start, falls into it."""
        return self.first <= (seconds if self.in_seconds else number) <= self.last


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the sandbox answers; each field but ``stall_handshake`` can also be set by one request (see
    ``model_name``).

    ``ttft_seconds`` passes before the first byte of an answer. ``tokens_per_second`` paces a stream and delays a plain
    answer by as much as its tokens take; 0 means as fast as possible. ``answer`` replaces the echo, with ``{text}``
    standing for the caller's last words. ``tokens`` is the exact number of content chunks (None: one a word).
    ``stall_handshake`` accepts connections and never says a word, which a TLS caller sees as a stalled handshake (U6).
    ``flaky`` is the share (0 to 1) of requests that fail with a 500, ``slow`` the share of answers that come
    ``slow_seconds`` late, ``down`` the spells in which every request fails with a 503; which ones follows from ``seed``.
    Where a request names a fault, ``flaky`` and ``down`` say when that happens.
    Raises ``ValueError`` with a clear sentence for an impossible value.
    """

    ttft_seconds: float = 0.0
    tokens_per_second: float = 0.0
    answer: str | None = None
    tokens: int | None = None
    stall_handshake: bool = False
    flaky: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 2.0
    down: tuple[Spell, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("ttft_seconds", "tokens_per_second", "slow_seconds"):
            number = getattr(self, name)
            if not math.isfinite(number) or number < 0:
                raise ValueError(f"{name} must be a number from 0 up, not {number}.")
        if self.tokens is not None and not 1 <= self.tokens <= 1_000_000:
            raise ValueError(f"tokens must be from 1 to 1000000, not {self.tokens}.")
        for name in ("flaky", "slow"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} must be a share from 0 to 1, not {share}.")
