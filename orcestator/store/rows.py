"""Rows: what is appended all the time, read by questions and changed in transactions. The protocol that a database's engine has.

Statements are SQL that SQLite and PostgreSQL both understand, with ``:name`` for each parameter. Must never name an engine.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

Row = tuple[Any, ...]
Parameters = Mapping[str, object]
Columns = Mapping[str, Collection[str]]
"""The columns of each table by name."""
NO_PARAMETERS: Parameters = {}
Result = TypeVar("Result")


class Refused(NamedTuple):
    """A row that the database can never take: its place among those that were appended, and why."""

    number: int
    reason: str


def _nothing(engine: str, there: Columns) -> Sequence[str]:
    return ()


class Schema(NamedTuple):
    """The tables of a database."""

    version: int
    """A database of a newer one is refused; 0: it has no versions."""
    statements: Callable[[str], Sequence[str]]
    """For an engine's name, what makes everything that is not there yet. It may take most of a second."""
    additions: Callable[[str, Columns], Sequence[str]] = _nothing
    """For an engine's name and the columns that the tables of a database of an older version have, what brings them to this one."""


class Guarantees(NamedTuple):
    """What a user of a database asks of it."""

    survives_power_cuts: bool = False
    """A commit is on the disk when it returns. Otherwise the last ones may be lost, but never to a killed program."""
    overwrites_removed: bool = False
    """What was removed cannot be read in the file afterwards, where the engine has a file."""
    waits_seconds: float = 5.0
    """How long a transaction waits for another process's one."""
    starts_anew: bool = False
    """What is in it can be learned again: a database that is damaged is put aside, and an empty one takes its place."""


class Reading(Protocol):
    """Questions that are asked one after another."""

    def execute(self, statement: str, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        """The rows that a statement gives."""


class Transaction(Reading, Protocol):
    """Questions and changes of which all are made or none. ``execute`` takes statements that change something, too."""

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Refused]:
        """Add many rows. Values that the database cannot hold are replaced by the nearest that it can; a row that it cannot take
        even so is left out and told, and holds up no other."""

    def insert(self, table: str, values: Parameters) -> int:
        """Add one row; its id."""


class Rows(Protocol):
    """A database. All methods block; all but ``read`` belong to one thread at a time.

    Whatever goes wrong with the database leaves here as an OSError, and the next use opens it anew: nothing is assumed of a connection that
    failed. A ValueError is about a statement or a value, which would be refused again.
    """

    def check(self) -> None:
        """Find out whether the database can be used, and make an empty one when there is none. Raises StartupProblem with the one
        sentence to print."""

    def prepare(self) -> None:
        """Open the database and make the tables. Raises OSError."""

    def transact(self, work: Callable[[Transaction], Result]) -> Result:
        """What ``work`` gives, with everything that it changed committed; when it raises, nothing is. Raises OSError, and then, too."""

    def read(self, work: Callable[[Reading], Result]) -> Result:
        """What ``work`` gives that only asks: at once and from any thread, beside the transactions. Raises OSError."""

    def close(self) -> None:
        """Let go of the database. The next use opens it again."""
