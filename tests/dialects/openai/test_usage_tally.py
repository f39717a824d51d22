"""Usage that a stream reports more than once: no answer counts for less than was told of it."""

from typing import Any

import pytest

from orcestator.dialects.openai.stream import ChatStream
from orcestator.json_text import Json
from orcestator.usage import Usage
from tests.dialects.client_rules import END, ROLE, STOP, assert_client_safe, chunk, head, run, sse, terms


def usage(prompt: int, completion: int, **more: Any) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def counted(reports: list[tuple[int, int]], *last: Json, said: str = " word", name: str = "content") -> tuple[int, int]:
    """What the caller is told of a stream with a report in every chunk, and in chunks without text after them."""
    events = [chunk({name: said}, usage=usage(*report)) for report in reports]
    told = run([sse(ROLE, *events, STOP, *[head(choices=[], usage=wire) for wire in last], END)],
               ChatStream(terms(include_usage=True)))  # fmt: skip
    seen = assert_client_safe(told.output, include_usage=True).usage
    assert seen is not None
    assert told.stream.usage == Usage(seen["prompt_tokens"], seen["completion_tokens"])
    assert seen["total_tokens"] >= seen["prompt_tokens"] + seen["completion_tokens"]
    return seen["prompt_tokens"], seen["completion_tokens"]


@pytest.mark.parametrize(
    ("reports", "last"),
    [
        ([(7, n) for n in range(1, 41)], []),
        ([(7, n) for n in range(1, 40)], [usage(7, 40)]),
        ([(7, n) for n in range(1, 41)], [usage(7, 40), usage(7, 40)]),
        ([(7, n // 3) for n in range(3, 121)], [usage(7, 40)]),
        ([(7, 40)], [usage(7, 39)]),
        ([(7, 40)], [usage(0, 0)]),
        ([(7, 0), (0, 40)], []),
        ([], [usage(7, 40)]),
    ],
)
def test_cumulative_reports_are_not_added_up(reports: list[tuple[int, int]], last: list[Json]) -> None:
    """Nor is the same told twice, nor does a smaller one take anything back."""
    assert counted(reports, *last) == (7, 40)


@pytest.mark.parametrize(
    ("reports", "last"),
    [
        ([(7, 1)] * 40, []),
        ([(7, 1), *[(0, 1)] * 39], []),
        ([(7, 1)] * 40, [usage(7, 40)]),
        ([(7, 1)] * 39, [usage(7, 40)]),
        ([(7, n) for n in (3, 1, 6, 2, 5, 3, 4, 6, 2, 8)], []),
        ([(7, 30), (0, 10)], []),
        ([(7, 0), (0, 22), (0, 18)], []),
    ],
)
@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_reports_of_what_each_chunk_added_are_added_up(
    reports: list[tuple[int, int]], last: list[Json], name: str
) -> None:
    assert counted(reports, *last, name=name) == (7, 40)


def test_a_count_that_stands_still_for_a_while_is_cumulative() -> None:
    """The thinking is counted, the first words not yet."""
    assert counted([(7, 500)] * 4, usage(7, 504)) == (7, 504)


def test_the_details_of_the_largest_report_are_kept() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 3}}
    events = [chunk({"content": "a"}, usage=usage(7, 1)), chunk({"content": "b"}, usage=usage(7, 2, **details))]
    told = run([sse(ROLE, *events, STOP, END)], ChatStream(terms(include_usage=True)))
    assert assert_client_safe(told.output, include_usage=True).usage == usage(7, 2, **details)
