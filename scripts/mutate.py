"""``python3 scripts/mutate.py FILE ... [--sample N]``: does any test notice when a line of a pure room is made wrong?

Each mutant is one small change of one file: a comparison, a number, a condition, a return, a call that is left out. The
tests of the file run on it in a forked process, those of its namesake first, until one fails. A mutant that no test
notices survives, and is shown; one that cannot be noticed is explained in ``mutants.json``, under the words in which it is
shown. Nothing is written into the checkout, so that an interrupted run leaves nothing behind. Needs ``os.fork``.
Why this is not mutmut or cosmic-ray: ``docs/decisions/0035-mutants-of-our-own.md``.
"""

import argparse
import ast
import copy
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from math import inf
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from bootstrap import ROOT, ensure_or_exit, hand_over

EXPLAINED = Path(__file__).resolve().parent / "mutants.json"
FOR_EVER = 5.0
"""Tests of a mutant that take so many times as long as those of the unchanged file run for ever, which is noticed."""
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
OTHER_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """A file with one statement changed. ``words`` tell the change, and stay the same when other lines come and go."""

    module: str
    line: int
    words: str
    tree: ast.Module
    statement: ast.stmt
    changed: ast.stmt

    def code(self, path: Path) -> CodeType:
        """The changed file, compiled. Changes the tree: asked for in a process that ends with it."""
        for parent in ast.walk(self.tree):
            for _, field in ast.iter_fields(parent):
                if isinstance(field, list) and any(item is self.statement for item in field):
                    field[:] = [self.changed if item is self.statement else item for item in field]
        return compile(ast.fix_missing_locations(self.tree), str(path), "exec")


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file of the package, from its first line to its last."""
    tree = ast.parse(path.read_text("utf-8"))
    module = module_of(path)
    for where, statement in _statements(tree, ""):
        for changed in _changes(statement):
            before, after = _shown(statement), _shown(changed)
            if before == after:
                continue
            yield Mutant(module, statement.lineno, f"{module}{where}: {before} -> {after}", tree, statement, changed)


def module_of(path: Path) -> str:
    """The name by which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _statements(node: ast.AST, where: str) -> Iterator[tuple[str, ast.stmt]]:
    """Each statement that does something, with the names of the classes and functions around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _statements(child, f"{where}.{child.name}")
        elif isinstance(child, ast.stmt):
            if not isinstance(child, ast.Import | ast.ImportFrom | ast.Pass) and not _is_documentation(child):
                yield where, child
            yield from _statements(child, where)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _statements(child, where)


def _is_documentation(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _changes(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statement with one thing in it changed; what is inside its block is the business of others."""
    if isinstance(statement, ast.Expr | ast.AugAssign) and not isinstance(getattr(statement, "value", None), ast.Await):
        yield ast.copy_location(ast.Pass(), statement)
    if isinstance(statement, ast.Break):
        yield ast.copy_location(ast.Continue(), statement)
    if isinstance(statement, ast.Continue):
        yield ast.copy_location(ast.Break(), statement)
    if isinstance(statement, ast.Return) and statement.value is not None and not _is_none(statement.value):
        yield ast.copy_location(ast.Return(ast.Constant(None)), statement)
    if isinstance(statement, ast.If | ast.While):
        yield _replaced(statement, statement.test, ast.UnaryOp(ast.Not(), statement.test))
    for node in _own_expressions(statement):
        for changed in _wrong(node):
            yield _replaced(statement, node, changed)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _own_expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Expressions of the statement itself, annotations left out."""
    for name, field in ast.iter_fields(statement):
        if name in ("annotation", "body", "orelse", "finalbody", "handlers", "cases"):
            continue
        for node in field if isinstance(field, list) else [field]:
            if isinstance(node, ast.AST):
                yield from (found for found in ast.walk(node) if isinstance(found, ast.expr))


def _wrong(node: ast.expr) -> Iterator[ast.expr]:
    """What could stand there by mistake."""
    match node:
        case ast.Compare(left, [operator], [right]) if type(operator) in SWAPPED:
            yield ast.Compare(left, [SWAPPED[type(operator)]()], [right])  # type: ignore[list-item]
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(SWAPPED[type(operator)](), values)  # type: ignore[arg-type]
        case ast.BinOp(left, operator, right) if type(operator) in SWAPPED:
            yield ast.BinOp(left, SWAPPED[type(operator)](), right)  # type: ignore[arg-type]
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Name(name, ast.Load()) if name in OTHER_NAMES:
            yield ast.Name(OTHER_NAMES[name], ast.Load())


def _replaced(statement: ast.stmt, old: ast.expr, new: ast.expr) -> ast.stmt:
    """A copy of the statement with another node in the place of one."""
    twins = dict(zip(map(id, ast.walk(statement)), ast.walk(copied := copy.deepcopy(statement)), strict=True))
    twin = twins[id(old)]
    for parent in ast.walk(copied):
        for name, field in ast.iter_fields(parent):
            if field is twin:
                setattr(parent, name, ast.copy_location(copy.deepcopy(new), old))
            elif isinstance(field, list) and any(item is twin for item in field):
                field[:] = [ast.copy_location(copy.deepcopy(new), old) if item is twin else item for item in field]
    return copied


def _shown(statement: ast.stmt) -> str:
    """The first line of a statement as Python would write it."""
    text = ast.unparse(statement)
    return text.splitlines()[0] if isinstance(statement, ast.If | ast.While | ast.For | ast.With | ast.Try) else text


class _Mutated(MetaPathFinder, Loader):
    """Gives a mutant in the place of its module."""

    def __init__(self, mutant: Mutant, path: Path) -> None:
        self._mutant, self._path = mutant, path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = spec_from_loader(fullname, self, origin=str(self._path), is_package=self._path.stem == "__init__")
        if spec is not None and spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(str(self._path.parent))
        return spec

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(self._mutant.code(self._path), module.__dict__)


def is_noticed(mutant: Mutant, path: Path, tests: Sequence[str], seconds: float = inf) -> bool:
    """Whether a test fails on it, or they do not end in so many seconds."""
    child = os.fork()
    if child == 0:
        os._exit(_status_of_tests(mutant, path, tests))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def seconds_unchanged(path: Path) -> float:
    """How long the tests of a file take. Exits when they fail as it is: they would notice anything."""
    started = time.monotonic()
    unchanged = Mutant(module_of(path), 1, "", ast.parse(path.read_text("utf-8")), ast.Pass(), ast.Pass())
    if is_noticed(unchanged, path, tests_for(path)):
        sys.exit(f"{path}: its tests fail as it is, so that they would notice anything")
    return time.monotonic() - started


def _status_of_tests(mutant: Mutant, path: Path, tests: Sequence[str]) -> int:
    """In the forked process: run the tests with the mutant in its place."""
    import pytest  # noqa: PLC0415 - imported by the parent, which has made sure that it is there

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.meta_path.insert(0, _Mutated(mutant, path))
    with suppress(SystemExit):
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    return 1


def tests_for(path: Path) -> list[str]:
    """The tests of a file: its namesake, then the others of its folder. What tests from afar notice is luck."""
    folder = Path("tests", *path.relative_to(ROOT / "orcestator").parts[:-1])
    while not (ROOT / folder).is_dir():
        folder = folder.parent
    namesake = folder / f"test_{path.stem}.py"
    return [str(place) for place in (namesake, folder) if (ROOT / place).exists()]


def chosen(paths: Sequence[Path], sample: int, seed: int) -> list[tuple[Path, Mutant]]:
    """The mutants to try: all, or as many drawn by lot."""
    found = [(path, mutant) for path in paths for mutant in mutants(path)]
    return random.Random(seed).sample(found, sample) if 0 < sample < len(found) else found


def files_in(names: Sequence[str]) -> list[Path]:
    """The files that are meant, a folder standing for all in it."""
    places = [Path(name).resolve() for name in names]
    return [path for place in places for path in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]


def main() -> None:
    """Try the mutants and exit with 1 when one survives that is not explained."""
    parser = argparse.ArgumentParser(description="Shows what no test would notice.")
    parser.add_argument("files", nargs="+", help="files or folders of pure rooms")
    parser.add_argument("--sample", type=int, default=0, help="as many mutants drawn by lot; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="another one draws others")
    asked = parser.parse_args()
    python = ensure_or_exit("dev")
    if Path(sys.prefix) != python.parents[1]:
        hand_over([str(python), __file__, *sys.argv[1:]])
    import pytest  # noqa: F401, PLC0415 - once, rather than in each forked process

    sys.path.insert(0, str(ROOT))
    paths = files_in(asked.files)
    os.chdir(ROOT)
    explained = json.loads(EXPLAINED.read_text("utf-8"))
    survivors = 0
    tried = [
        (path, mutant) for path, mutant in chosen(paths, asked.sample, asked.seed) if mutant.words not in explained
    ]
    seconds = {path: FOR_EVER * seconds_unchanged(path) for path in dict.fromkeys(path for path, _ in tried)}
    for path, mutant in tried:
        if not is_noticed(mutant, path, tests_for(path), seconds[path]):
            survivors += 1
            print(f"{path.relative_to(ROOT)}:{mutant.line}: {mutant.words}", flush=True)
    print(f"{len(tried)} mutants, {survivors} survived")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
