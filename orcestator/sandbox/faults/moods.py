"""Upstreams with moods: some requests fail, some answers are slow, and for a while nothing works. Pure.

Nothing is left to chance: what happens to the n-th request for a model name follows from the seed, the name and n, so that a
run can be repeated.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

from orcestator.sandbox.settings import SandboxSettings, Spell

_LARGEST = float(1 << 64)
_SPELL = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(s?)-(\d{1,9}(?:\.\d{1,6})?)(s?)")
MOST_SPELLS = 100


class Mood(NamedTuple):
    """What happens to one request. ``status`` is what a failure looks like where no fault was named."""

    fails: bool = False
    status: int = 500
    delay_seconds: float = 0.0


def mood_of(settings: SandboxSettings, name: str, number: int, seconds: float) -> Mood:
    """The mood for the ``number``-th request (from 1) for a model name, so many seconds after the start."""
    is_slow = settings.slow > 0.0 and _draw(settings.seed, name, number, "slow") < settings.slow
    delay = settings.slow_seconds if is_slow else 0.0
    if any(spell.covers(number, seconds) for spell in settings.down):
        return Mood(True, 503, delay)
    is_flaky = settings.flaky > 0.0 and _draw(settings.seed, name, number, "flaky") < settings.flaky
    return Mood(is_flaky, 500, delay)


def is_moody(settings: SandboxSettings) -> bool:
    """Whether anything about moods is set at all."""
    return bool(settings.flaky or settings.slow or settings.down)


def is_out(settings: SandboxSettings, seconds: float) -> bool:
    """Whether a spell of time has come, in which not even the models are listed."""
    return any(spell.in_seconds and spell.covers(0, seconds) for spell in settings.down)


def read_spells(text: str) -> tuple[Spell, ...]:
    """``3-5,9-9`` are numbers of requests, ``2s-4.5s`` seconds since the start. Raises ValueError."""
    parts = text.split(",") if text else []
    if len(parts) > MOST_SPELLS:
        raise ValueError(f"there may be at most {MOST_SPELLS} spells")
    return tuple(_spell(part) for part in parts)


def _spell(text: str) -> Spell:
    found = _SPELL.fullmatch(text.strip())
    if found is None or found[2] != found[4]:
        raise ValueError(f"{text!r} is not a spell such as 3-5 (requests) or 2s-4s (seconds)")
    return Spell(float(found[1]), float(found[3]), in_seconds=bool(found[2]))


def _draw(seed: int, name: str, number: int, what: str) -> float:
    """From 0 up to 1, the same for the same arguments everywhere."""
    digest = blake2b(f"{seed}\n{what}\n{number}\n{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _LARGEST
