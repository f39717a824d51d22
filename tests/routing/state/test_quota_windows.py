"""The windows that quotas are counted in: when what was used comes back."""

from datetime import UTC, datetime

from orcestator.routing.state.quota_windows import Rolling, next_midnight


def test_more_than_is_counted_comes_back_with_the_last_of_it() -> None:
    window = Rolling("requests", 60.0, 10.0)
    window.add(1.0, 0.0)
    window.add(1.0, 30.0)

    assert window.freed_at(1.0) < window.freed_at(2.0) == window.freed_at(5.0)
    assert Rolling("requests", 60.0, 10.0).freed_at(5.0) == 0.0


def test_pacific_midnight_moves_with_the_hour_of_summer() -> None:
    """In 2026 clocks change on 8 March and on 1 November, at two in the morning."""
    moments = {
        datetime(2026, 3, 8, 9, 59, tzinfo=UTC): datetime(2026, 3, 9, 8, tzinfo=UTC),
        datetime(2026, 3, 8, 10, tzinfo=UTC): datetime(2026, 3, 9, 7, tzinfo=UTC),
        datetime(2026, 7, 1, 12, tzinfo=UTC): datetime(2026, 7, 2, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 10, tzinfo=UTC): datetime(2026, 11, 2, 8, tzinfo=UTC),
    }
    for now, midnight in moments.items():
        assert next_midnight(now.timestamp(), is_pacific=True) == midnight.timestamp(), now
