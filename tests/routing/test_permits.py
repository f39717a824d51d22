"""Permits: as many as the limit, and none counted where there is no limit."""

from hypothesis import given
from hypothesis import strategies as st

from orcestator.routing.permits import Permits
from tests.routing.failures import candidate
from tests.routing.plans import option_of


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=30))
def test_there_are_never_more_than_the_limit(limit: int, steps: list[bool]) -> None:
    option, permits, held = option_of(candidate(), max_concurrent=limit), Permits(), 0
    for takes in steps:
        if takes:
            assert permits.take(option) == (held < limit)
            held = min(limit, held + 1)
        elif held:
            permits.give_back(option)
            held -= 1
        assert permits.is_full(option.candidate, limit) == (held == limit)

    for _ in range(held):
        permits.give_back(option)
    assert permits.taken == {}


def test_without_a_limit_nothing_is_counted() -> None:
    option, permits = option_of(candidate()), Permits()

    assert all(permits.take(option) for _ in range(100))
    permits.give_back(option)

    assert permits.taken == {}
    assert not permits.is_full(option.candidate, 0)
