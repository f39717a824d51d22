"""The environment and ``.env``: the only place that reads them. The real environment comes before the file."""

import os
from collections.abc import Iterable, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class Doubt:
    """A line of ``.env`` that says nothing although somebody meant to say something; ``complaint`` follows the name."""

    name: str
    complaint: str
    place: Place


class Variables:
    """What is set, by name; ``doubts`` are the lines of ``.env`` that set nothing, of names that are not set elsewhere."""

    def __init__(self, found: Mapping[str, Variable], doubts: Iterable[Doubt] = ()) -> None:
        self._found = {name: variable for name, variable in found.items() if variable.text.strip()}
        self.doubts = tuple(doubt for doubt in doubts if doubt.name not in self._found)

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._found.values())

    def get(self, name: str) -> Variable | None:
        """The variable, None when it is not set or empty."""
        return self._found.get(name)


def read_variables(environ: Mapping[str, str] | None, dotenv_path: str | None) -> Variables:
    """``environ`` (None: the process's own) over the file at ``dotenv_path``. Raises StartupProblem.

    What is set to nothing, as ``${NAME:-}`` of a Compose file does it, is not set: it hides no line of the file.
    """
    actual = os.environ if environ is None else environ  # noqa: TID251 - this is the one place
    spoken = {name: unquoted for name, text in actual.items() if (unquoted := _unquoted(text)).strip()}
    found, doubts = _from_file(Path(dotenv_path), spoken) if dotenv_path else ({}, [])
    return Variables(found | {name: Variable(name, text, ENVIRONMENT) for name, text in spoken.items()}, doubts)


def _unquoted(text: str) -> str:
    """The text without a pair of quotes around all of it: env files of Docker and ``set`` of Windows keep them, shells and ``.env`` do not."""
    bare = text.strip()
    quote = bare[:1]
    is_quoted = quote in ("'", '"') and len(bare) > 1 and bare.find(quote, 1) == len(bare) - 1
    return bare[1:-1] if is_quoted else text


def _from_file(path: Path, actual: Mapping[str, str]) -> tuple[dict[str, Variable], list[Doubt]]:
    if not path.is_file():
        if path.is_dir() or path.is_fifo() or (path.is_symlink() and not path.exists()):
            # Somebody meant it to be there: what it says must not be lost in silence.
            raise StartupProblem(f"{path.name} is no file that can be read (a folder, a pipe, or a link to nothing).")
        return {}, []
    # Not at the top: it costs 50 ms to import, and most processes have no such file.
    from dotenv.parser import parse_stream  # noqa: PLC0415

    found: dict[str, Variable] = {}
    doubts: list[Doubt] = []
    for binding in parse_stream(StringIO(_content(path))):
        name, written = binding.key, binding.value
        place = Place(path.name, _line_of(binding.original.string, binding.original.line))
        if binding.error:
            raise problem(place, "this line", "is not NAME=value (a quote may be open)")
        if not name:
            continue
        if written is None:
            doubts.append(Doubt(name, "is not set by this line: there is no = in it", place))
            continue
        # As python-dotenv does it: a reference sees the real environment first, then the lines above.
        text, missing = _resolved(written, {**{known.name: known.text for known in found.values()}, **actual})
        if missing:
            doubts.append(Doubt(name, f"refers to ${{{missing}}}, which is not set", place))
        elif text.strip():
            found[name] = Variable(name, text, place)
    return found, doubts


def _resolved(written: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The text with its references replaced, and the first variable that is not set and has no default."""
    from dotenv.variables import Variable as Reference  # noqa: PLC0415 - as above
    from dotenv.variables import parse_variables  # noqa: PLC0415

    atoms = list(parse_variables(written))
    references = [atom for atom in atoms if isinstance(atom, Reference)]
    missing = [atom.name for atom in references if atom.default is None and atom.name not in known]
    return "".join(atom.resolve(known) for atom in atoms), next(iter(missing), "")


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
