"""A YAML file as a tree that knows its lines, with ``${VAR}`` and ``${VAR:-default}`` replaced. It knows no setting."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from orcestator.errors import StartupProblem
from orcestator.settings.environment import Variables
from orcestator.settings.problems import Place, problem, unknown

MOST_NODES = 200_000
"""A tree larger than this is not a configuration (or one that repeats itself by anchors)."""
DEEPEST = 20
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_MARK = re.compile("\ue000(\\d{1,9})\ue001")
"""What stands for a reference while YAML is read, in whose lists and mappings braces and commas mean something."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_BRACES_HINT = "; put a value with braces into quotes"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as text. ``missing`` names a variable that it refers to and that is not set. ``kind`` is what YAML takes
    it for, such as ``str``, ``int`` or ``bool``: what is in quotes is a ``str``."""

    path: str
    place: Place
    text: str = ""
    missing: str = ""
    is_null: bool = False
    kind: str = "str"

    def value(self) -> str:
        """The text. Raises StartupProblem when it refers to a variable that is not set."""
        if self.missing:
            raise problem(self.place, self.path, f"refers to ${{{self.missing}}}, which is not set")
        return self.text


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    path: str
    place: Place
    nodes: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping. Keys are in ``snake_case`` whatever they were written as; ``path`` shows how."""

    path: str
    place: Place
    nodes: "dict[str, Node]" = field(default_factory=dict)

    def require_known(self, known: Iterable[str], what: str = "a key that is known here") -> None:
        """Raises StartupProblem for the first key that is not known."""
        names = set(known)
        for name, node in self.nodes.items():
            if name not in names:
                raise unknown(node.place, node.path, what, names)


Node = Leaf | Items | Section


def plain(node: Node) -> Any:
    """The node as dicts, lists, texts, numbers and truth values. Raises StartupProblem for a variable that is not set."""
    if isinstance(node, Section):
        return {name: plain(inner) for name, inner in node.nodes.items()}
    if isinstance(node, Items):
        return [plain(item) for item in node.nodes]
    return None if node.is_null else _typed(node.value(), node.kind)


def _typed(text: str, kind: str) -> Any:
    """YAML's own readings of numbers, such as ``0o17`` and ``.inf``, stay texts: whoever wants a number refuses them."""
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    try:
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except ValueError:
        return text


def snake_case(name: str) -> str:
    """``maxRetries`` and ``max-retries`` are ``max_retries``."""
    return _CAPITAL.sub(r"_\1", name).replace("-", "_").lower()


def read_yaml(path: Path, variables: Variables, verbatim: frozenset[str] = frozenset()) -> Section:
    """The tree of a file; the keys of the sections in ``verbatim`` are names and stay as they are written.

    Raises StartupProblem that names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise StartupProblem(f"{path} cannot be read ({fault.strerror}).") from fault
    except UnicodeDecodeError as fault:
        raise StartupProblem(f"{path.name} is not UTF-8 text (byte {fault.start}).") from fault
    return parsed_yaml(text, path.name, variables, verbatim)


def parsed_yaml(text: str, source: str, variables: Variables, verbatim: frozenset[str] = frozenset()) -> Section:
    """The same for a text; ``source`` is what it is called in messages."""
    # Not at the top: it costs 100 ms to import, and a start without a file does not need it.
    import yaml  # noqa: PLC0415

    references: list[str] = []
    marked = _VARIABLE.sub(lambda match: _marked(match[0], references), text)

    try:
        # The one in C is three times as fast, and not in every build of the library.
        root = yaml.compose(marked, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as fault:
        _refuse(source, fault, marked)
    if root is None or root.tag == _NULL:
        return Section("", Place(source, 1))
    tree = _Reader(source, variables, verbatim, references).node(root, "")
    if not isinstance(tree, Section):
        raise problem(tree.place, "the file", "must be a mapping of keys to values")
    return tree


def _marked(reference: str, references: list[str]) -> str:
    """A mark for a reference. One over several lines stays as it is: YAML folds what is in quotes, and counts its lines."""
    if "\n" in reference:
        return reference
    references.append(reference)
    return f"\ue000{len(references) - 1}\ue001"


def _refuse(name: str, fault: Any, text: str) -> NoReturn:
    """The parser's own message would quote the line, which may hold a secret."""
    mark = getattr(fault, "problem_mark", None)
    place = Place(name, mark.line + 1 if mark is not None else 0)
    reason = getattr(fault, "problem", None) or "it has a character that YAML does not allow"
    line = next(iter(text.splitlines()[mark.line :]), "") if mark is not None else ""
    hint = _BRACES_HINT if "${" in line or "{{" in line else ""
    raise StartupProblem(f"{place}: this is not YAML: {reason}{hint}.") from None


class _Reader:
    def __init__(
        self, name: str, variables: Variables, verbatim: frozenset[str], references: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._variables = variables
        self._verbatim = verbatim
        self._references = references
        self._left = MOST_NODES

    def node(self, found: Any, path: str) -> Node:
        place = Place(self._name, found.start_mark.line + 1)
        self._left -= 1
        # An anchor that contains itself would otherwise be read for ever.
        if self._left < 0 or path.count(".") + path.count("[") > DEEPEST:
            raise problem(place, path or "the file", "is too large or too deep")
        read: Callable[[Any, str, Place], Node] = {"mapping": self._section, "sequence": self._items}.get(
            found.id, self._leaf
        )
        return read(found, path, place)

    def _section(self, found: Any, path: str, place: Place) -> Section:
        nodes: dict[str, Node] = {}
        merged: list[Any] = []
        for key, value in found.value:
            at = Place(self._name, key.start_mark.line + 1)
            if key.id != "scalar":
                raise problem(
                    at, path or "the file", f"has a key that is not a word{_BRACES_HINT * (key.id == 'mapping')}"
                )
            if key.tag == _MERGE:
                merged += self._merged(value, f"{path}.<<" if path else "<<", at)
                continue
            written = self._unmarked(str(key.value))
            inner = f"{path}.{written}" if path else written
            name = written if path.replace("<<.", "").removesuffix(".<<") in self._verbatim else snake_case(written)
            if name in nodes:
                raise problem(at, inner, f"is there a second time; the first is in line {nodes[name].place.line}")
            nodes[name] = self._at_key(self.node(value, inner), at)
        return Section(path, place, self._with_merged(nodes, merged, path))

    def _merged(self, value: Any, path: str, at: Place) -> list[Any]:
        """The mappings under ``<<``, the first of which comes before the others (https://yaml.org/type/merge.html)."""
        mappings = value.value if value.id == "sequence" else [value]
        if any(mapping.id != "mapping" for mapping in mappings):
            raise problem(at, path, "must be a section, or a list of sections")
        return list(mappings)

    def _with_merged(self, nodes: dict[str, Node], merged: Sequence[Any], path: str) -> dict[str, Node]:
        """What is written out comes before what is merged. The step down in the path bounds an anchor that merges itself."""
        for mapping in merged:
            section = self.node(mapping, f"{path}.<<" if path else "<<")
            if isinstance(section, Section):
                nodes = {**section.nodes, **nodes}
        return nodes

    def _at_key(self, node: Node, at: Place) -> Node:
        """A section is found by the line of its key, not by that of its first entry."""
        if isinstance(node, Section):
            return Section(node.path, at, node.nodes)
        return Items(node.path, at, node.nodes) if isinstance(node, Items) else node

    def _items(self, found: Any, path: str, place: Place) -> Items:
        return Items(path, place, tuple(self.node(item, f"{path}[{n}]") for n, item in enumerate(found.value)))

    def _leaf(self, found: Any, path: str, place: Place) -> Leaf:
        if found.tag == _NULL:
            return Leaf(path, place, is_null=True)
        missing = ""

        def replacement(match: re.Match[str]) -> str:
            nonlocal missing
            variable = self._variables.get(match[1])
            if variable is None and match[2] is None:
                missing = missing or match[1]
            return variable.text if variable else match[2] or ""

        text = _VARIABLE.sub(replacement, self._unmarked(str(found.value)))
        return Leaf(path, place, text, missing, kind=found.tag.rpartition(":")[2])

    def _unmarked(self, text: str) -> str:
        """The text as it was written, where marks stand for references."""
        written = self._references
        return _MARK.sub(lambda mark: written[int(mark[1])] if int(mark[1]) < len(written) else mark[0], text)
