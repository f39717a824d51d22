"""Kept responses as values: what is written of a turn, what is found of it, and how much is kept."""

from collections.abc import Callable
from typing import NamedTuple

from orcestator.json_text import Json

KEPT_SECONDS = 24 * 3600.0
"""How long a conversation is kept after its last turn."""
MOST_RESPONSES = 100_000
MOST_BYTES = 1 << 30
"""Over either the conversations that have rested longest are forgotten."""


class Put(NamedTuple):
    """A turn to write. ``history`` gives the items up to its answer as JSON, should the previous turn not be there."""

    owner: str
    response_id: str
    previous_id: str
    response: bytes
    own: bytes
    item_ids: tuple[str, ...]
    history: Callable[[], bytes]
    created: float


class Remove(NamedTuple):
    """A response to remove."""

    owner: str
    response_id: str


Change = Put | Remove


class Turn(NamedTuple):
    """A turn as it was found; ``response_id`` is "" for one that lives on only in those that followed it."""

    response_id: str
    response: Json
    own: list[Json]
    size: int
    seconds_left: float


class Bounds(NamedTuple):
    """How much is kept: responses, bytes of JSON, and seconds after a conversation's last turn."""

    responses: int = MOST_RESPONSES
    bytes: int = MOST_BYTES
    seconds: float = KEPT_SECONDS


USUAL_BOUNDS = Bounds()


def size_of(change: Change) -> int:
    """The bytes of JSON that a change brings."""
    return len(change.response) + len(change.own) if isinstance(change, Put) else 0
