"""Permits: as many as the limit, and none counted where there is no limit."""

from hypothesis import given
from hypothesis import strategies as st

from orcestator.routing.attempts.permits import Permits
from tests.routing.failures import deployment
from tests.routing.plans import candidate_of


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=30))
def test_there_are_never_more_than_the_limit(limit: int, steps: list[bool]) -> None:
    candidate, permits, held = candidate_of(deployment(), max_concurrent=limit), Permits(), 0
    for takes in steps:
        if takes:
            assert permits.take(candidate) == (held < limit)
            held = min(limit, held + 1)
        elif held:
            permits.give_back(candidate)
            held -= 1
        assert permits.is_full(candidate.deployment, limit) == (held == limit)

    for _ in range(held):
        permits.give_back(candidate)
    assert permits.taken == {}


def test_without_a_limit_nothing_is_counted() -> None:
    candidate, permits = candidate_of(deployment()), Permits()

    assert all(permits.take(candidate) for _ in range(100))
    permits.give_back(candidate)

    assert permits.taken == {}
    assert not permits.is_full(candidate.deployment, 0)
