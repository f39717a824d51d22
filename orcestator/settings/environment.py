"""The environment and ``.env``: the only place that reads them. The real environment comes before the file."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from orcestator.errors import StartupProblem
from orcestator.settings.problems import ENVIRONMENT, Place, problem


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable that is set, and where. An empty value means that it is not set."""

    name: str
    text: str
    place: Place

    @property
    def is_from_file(self) -> bool:
        """Whether it stands in ``.env``."""
        return self.place != ENVIRONMENT


class Variables:
    """What is set, by name."""

    def __init__(self, found: Mapping[str, Variable]) -> None:
        self._found = {name: variable for name, variable in found.items() if variable.text.strip()}

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._found.values())

    def get(self, name: str) -> Variable | None:
        """The variable, None when it is not set or empty."""
        return self._found.get(name)


def read_variables(environ: Mapping[str, str] | None, dotenv_path: str | None) -> Variables:
    """``environ`` (None: the process's own) over the file at ``dotenv_path``. Raises StartupProblem."""
    actual = os.environ if environ is None else environ  # noqa: TID251 - this is the one place
    found = _from_file(Path(dotenv_path), actual) if dotenv_path else {}
    found |= {name: Variable(name, text, ENVIRONMENT) for name, text in actual.items()}
    return Variables(found)


def _from_file(path: Path, actual: Mapping[str, str]) -> dict[str, Variable]:
    if not path.is_file():
        return {}
    # Not at the top: it costs 50 ms to import, and most processes have no such file.
    from dotenv.parser import parse_stream  # noqa: PLC0415
    from dotenv.variables import parse_variables  # noqa: PLC0415

    found: dict[str, Variable] = {}
    known: dict[str, str | None] = {}
    for binding in parse_stream(StringIO(_content(path))):
        place = Place(path.name, _line_of(binding.original.string, binding.original.line))
        if binding.error:
            raise problem(place, "this line", "is not NAME=value (a quote may be open)")
        if binding.key and binding.value is not None:
            # As python-dotenv does it: a reference sees the real environment first, then the lines above.
            text = "".join(atom.resolve(known | dict(actual)) for atom in parse_variables(binding.value))
            known[binding.key] = text
            found[binding.key] = Variable(binding.key, text, place)
    return found


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise StartupProblem(f"{path.name} cannot be read ({fault.strerror}).") from fault
    except UnicodeDecodeError as fault:
        raise StartupProblem(f"{path.name} is not UTF-8 text (byte {fault.start}).") from fault


def _line_of(text: str, line: int) -> int:
    """The parser counts the empty lines before a binding as part of it."""
    blank = text[: len(text) - len(text.lstrip())]
    return line + blank.count("\n")
