"""All shapes, by what they are about."""

from functools import cache

from tests.shapes.rows_calls import openai_calls
from tests.shapes.rows_endings import endings
from tests.shapes.rows_framing import framings, grammars
from tests.shapes.rows_gaps import gaps
from tests.shapes.rows_heads import heads, statuses
from tests.shapes.rows_openai import openai_faults, openai_texts, usages
from tests.shapes.rows_others import others
from tests.shapes.rows_whole import wholes
from tests.shapes.shape import Shape

GROUPS = (
    framings,
    grammars,
    endings,
    heads,
    statuses,
    openai_texts,
    openai_faults,
    openai_calls,
    usages,
    wholes,
    others,
    gaps,
)


@cache
def shapes() -> dict[str, Shape]:
    """Every shape by its id, which is unique."""
    found: dict[str, Shape] = {}
    for group in GROUPS:
        for shape in group():
            assert shape.id not in found, f"{shape.id} is there twice"
            found[shape.id] = shape
    return found
