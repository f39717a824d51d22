"""A text that must not be shown. It keeps honest code from printing a key; it is no protection against a debugger."""

from typing import Self

MASK = "…"
SHORTEST_SECRET = 8
"""Shorter "keys" are words such as ``ollama`` that local servers are given; masking them in a text would only garble it."""


class Secret:
    """A credential. Printing, formatting and ``repr`` give ``…``; only ``reveal`` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: to be sent to whom it belongs, or compared, and never to be stored or logged."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK

    def __deepcopy__(self, _memo: object) -> Self:
        return self
