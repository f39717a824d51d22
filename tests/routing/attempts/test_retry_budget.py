"""The retry budget: a share of recent requests plus a floor, in any window."""

from hypothesis import given
from hypothesis import strategies as st

from orcestator.routing.attempts.retry_budget import RetryBudget


def spent(budget: RetryBudget) -> int:
    """Take all there is."""
    taken = 0
    while budget.spend():
        taken += 1
    return taken


def test_a_quiet_installation_has_the_floor() -> None:
    budget = RetryBudget()
    budget.request(1e6)

    assert spent(budget) == 10


def test_traffic_earns_its_share() -> None:
    budget = RetryBudget(percent=20.0, floor=10)
    for _ in range(100):
        budget.request(1e6)

    assert spent(budget) == 30


def test_what_was_spent_comes_back_as_the_window_slides() -> None:
    budget = RetryBudget(percent=0.0, floor=10, window_seconds=10.0)
    taken = []
    for now in (100.0, 109.0, 111.0, 115.0, 140.0):
        budget.request(now)
        taken.append(spent(budget))

    assert taken == [10, 0, 1, 4, 10]


def test_the_traffic_of_the_window_before_still_earns_and_what_it_spent_still_counts() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.request(1e6)
    assert spent(budget) == 30

    budget.request(1e6 + 15.0)

    # Half of the window before is still covered: 10 + 20 % of 51 requests, less half of what was spent in it.
    assert spent(budget) == 5


def test_after_a_gap_nothing_of_before_counts() -> None:
    for gap in (20.0, 25.0, 29.0):
        budget = RetryBudget(percent=100.0, floor=0)
        for _ in range(100):
            budget.request(1e6)
        budget.request(1e6 + gap)

        assert spent(budget) == 1


def test_no_budget_at_all() -> None:
    budget = RetryBudget(percent=0.0, floor=0)
    budget.request(1.0)

    assert not budget.spend()


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(0, 5), st.sampled_from([0.0, 20.0, 100.0]))
def test_a_window_never_has_more_than_its_share(gaps: list[float], floor: int, percent: float) -> None:
    budget = RetryBudget(percent=percent, floor=floor, window_seconds=10.0)
    now, requests, retries = 50.0, [], []
    for gap in gaps:
        now += gap
        budget.request(now)
        requests.append(now)
        retries += [now] * spent(budget)
    # The sliding share is an estimate over two windows: over both of them it can never be exceeded twice.
    for end in requests:
        recent = sum(end - 20.0 < moment <= end for moment in requests)
        assert sum(end - 10.0 < moment <= end for moment in retries) <= 2 * floor + percent / 100.0 * recent
