"""Good bodies spoiled in random places."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from orcestator.json_text import Json
from tests.crossing.canonical_calls import GARBAGE

Path = tuple[str | int, ...]


@st.composite
def spoiled(draw: st.DrawFn, body: Json, kept: frozenset[str]) -> Json:
    """The body with one to three places changed, none of them in these fields of it."""
    made = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in _paths(made) if path[0] not in kept]
        if paths:
            _change(draw, made, draw(st.sampled_from(paths)))
    return made


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a value but its top."""
    if path:
        yield path
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in places:
        yield from _paths(inner, (*path, name))


def _change(draw: st.DrawFn, body: Json, path: Path) -> None:
    holder: Any = body
    for name in path[:-1]:
        holder = holder[name]
    match draw(st.sampled_from(("replace", "replace", "remove", "repeat"))):
        case "replace":
            holder[path[-1]] = draw(GARBAGE)
        case "remove":
            del holder[path[-1]]
        case "repeat":
            holder[path[-1]] = [holder[path[-1]], copy.deepcopy(holder[path[-1]])]
