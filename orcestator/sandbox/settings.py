"""What can be set about the sandbox's answers. It reads no environment and no file."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the sandbox answers; each field but the last can also be set by one request (see ``model_name``).

    ``ttft_seconds`` passes before the first byte of an answer. ``tokens_per_second`` paces a stream and delays a plain
    answer by as much as its tokens take; 0 means as fast as possible. ``answer`` replaces the echo, with ``{text}``
    standing for the caller's last words. ``tokens`` is the exact number of content chunks (None: one a word).
    ``stall_handshake`` accepts connections and never says a word, which a TLS caller sees as a stalled handshake (U6).
    Raises ``ValueError`` with a clear sentence for an impossible value.
    """

    ttft_seconds: float = 0.0
    tokens_per_second: float = 0.0
    answer: str | None = None
    tokens: int | None = None
    stall_handshake: bool = False

    def __post_init__(self) -> None:
        for name, number in (("ttft_seconds", self.ttft_seconds), ("tokens_per_second", self.tokens_per_second)):
            if not math.isfinite(number) or number < 0:
                raise ValueError(f"{name} must be a number from 0 up, not {number}.")
        if self.tokens is not None and not 1 <= self.tokens <= 1_000_000:
            raise ValueError(f"tokens must be from 1 to 1000000, not {self.tokens}.")
