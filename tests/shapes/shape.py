"""A row of the table: what an upstream sends, and what its caller must have in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from tests.shapes.forms import PLAIN, Told
from tests.shapes.upstream import Steps


class Right(Enum):
    """What is right, with one provider and with a healthy second one behind it."""

    WHOLE = auto()
    """The answer is there: the caller has all of it."""
    BEFORE = auto()
    """It failed before its first content: told, or the second one's answer."""
    AFTER = auto()
    """It failed after its first content: told. (The second one's answer when the failure came in the same read.)"""
    REFUSED = auto()
    """The request itself is refused: told, and nobody else is asked."""
    EITHER = auto()
    """Nothing was sent to the caller when the doubt arose: whole or told, whole or the second one's answer."""
    EITHER_AFTER = auto()
    """The same after the first content."""


@dataclass(frozen=True)
class Shape:
    """``name`` is unique with dialect and ``is_stream``. ``is_garbled``: what came before the error need not be a
    beginning of the text. ``poisons``: it puts its provider out of use, so that every try needs one of its own."""

    name: str
    dialect: str
    is_stream: bool
    right: Right
    steps: Callable[[], Steps]
    told: Told = PLAIN
    is_garbled: bool = False
    poisons: bool = False
    callers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """How it is named in requests and reports: ``dialect.stream.name``."""
        return f"{self.dialect}.{'stream' if self.is_stream else 'whole'}.{self.name}"
