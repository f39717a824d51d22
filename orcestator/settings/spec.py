"""How a setting is declared: its name, type and default are the dataclass field's, everything else is in its ``Spec``."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, get_type_hints

Value = TypeVar("Value")
_KEY = "orcestator"


@dataclass(frozen=True, slots=True)
class Also:
    """Another name that means the same: a variable (in capitals) or a path in YAML (``routing.max_retries``).

    A number is taken times ``times``, plus ``plus``. ``only_in_file``: the variable counts in ``.env`` only, because
    shells set it for reasons of their own.
    """

    name: str
    times: float = 1.0
    plus: int = 0
    only_in_file: bool = False

    @property
    def is_variable(self) -> bool:
        """Whether it is an environment variable."""
        return self.name.isupper()

    def note(self) -> str:
        """The name with its arithmetic, as the documentation shows it."""
        text = f"`{self.name}`"
        if self.times != 1.0:
            text += f" times {self.times:g}"
        if self.plus:
            text += f" plus {self.plus}"
        return text + (" (in `.env` only)" if self.only_in_file else "")


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a setting beside its type and default.

    ``low`` and ``high`` are inclusive. ``in_file``: whether a YAML file may set it. ``synonyms``: (other word, the word it stands for).
    """

    doc: str
    group: str
    low: float | None = None
    high: float | None = None
    also: tuple[Also, ...] = ()
    in_file: bool = True
    synonyms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table of settings."""

    name: str
    type: Any
    default: Any
    spec: Spec

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "OR_" + self.name.upper()


def setting(default: Value, spec: Spec) -> Value:
    """A dataclass field that is a setting."""
    return field(default=default, metadata={_KEY: spec})


@cache
def table_of(declared: type) -> tuple[Setting, ...]:
    """The settings that a dataclass declares, in their order."""
    return tuple(_rows(declared))


def _rows(declared: type) -> Iterator[Setting]:
    types = get_type_hints(declared)
    for found in fields(declared):
        if _KEY in found.metadata:
            yield Setting(found.name, types[found.name], found.default, found.metadata[_KEY])
