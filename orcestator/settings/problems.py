"""Where a value was written, and the one sentence that says what is wrong with it. Never shows a secret's value."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from orcestator.errors import StartupProblem

LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, or with line 0 a source without lines: the environment, the command line."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}" if self.line else self.source


ENVIRONMENT = Place("environment")
COMMAND_LINE = Place("command line")


def problem(place: Place, key: str, complaint: str) -> StartupProblem:
    """``complaint`` follows the key: "must be …", "is not …"."""
    return StartupProblem(f"{place}: {key} {complaint}.")


def unknown(place: Place, key: str, what: str, known: Iterable[str]) -> StartupProblem:
    """The key is not one of ``known``; the nearest of them is offered."""
    return problem(place, key, f"is not {what}{nearest(key.rpartition('.')[2], known)}")


def no_provider(place: Place, key: str, name: str, known: Iterable[str]) -> StartupProblem:
    """The value under the key should name a provider and does not; the nearest of them is offered."""
    return problem(place, key, f"names no provider: {quoted(name)} is not known here{nearest(name, known)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the known word that is most like this one, or all of them when they are few."""
    words = sorted(set(known))
    near = get_close_matches(word.lower(), [name.lower() for name in words], n=1, cutoff=0.5)
    if near:
        return "; the nearest is " + next(name for name in words if name.lower() == near[0])
    return "; there are " + ", ".join(words) if 0 < len(words) <= 12 else ""


def quoted(text: str) -> str:
    """The value as the sentence shows it, shortened."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…")
