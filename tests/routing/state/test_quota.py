"""The quota ledger: what it is told by people and by upstreams, and what it keeps."""

import json
from collections import deque
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from orcestator.dialects.rate_limits import RateLimit
from orcestator.routing.state.quota import MOST_ACCOUNTS, QuotaBook, QuotaRow
from orcestator.routing.state.quota_account import window_from_wire
from orcestator.routing.state.quota_ceiling import Ceiling
from orcestator.routing.state.quota_reported import ReportedLimit
from orcestator.routing.state.quota_windows import Calendar, Rolling, next_midnight
from tests.routing.quota_ledger import CANDIDATE, C, Ledger, M, P


def test_a_book_that_knows_nothing_takes_everything() -> None:
    ledger = Ledger()

    assert ledger.takes(5000) == 5000
    assert ledger.book.is_empty
    assert ledger.book.back_at(CANDIDATE, 10**9, ledger.now) == 0.0
    assert ledger.book.rows() == []
    assert ledger.book.states(ledger.now) == []
    assert ledger.kept == {}


@pytest.mark.parametrize(
    ("limits", "tokens", "taken"),
    [({"rpm": 3.0}, 0, 3), ({"rpd": 4.0}, 0, 4), ({"tpm": 100.0}, 30, 3), ({"tpd": 100.0}, 25, 4), ({"rpm": 9.0, "tpd": 50.0}, 25, 2)],
)  # fmt: skip
def test_configured_limits_hold(limits: dict[str, float], tokens: int, taken: int) -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, M, limits)

    assert ledger.takes(20, tokens) == taken
    back = ledger.take(tokens)
    ledger.now = back
    assert ledger.take(tokens) == 0.0, "it is back when it was said to be"


def test_money_is_counted_when_it_is_spent_and_comes_back_at_midnight() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, "", {"usd_per_day": 1.0})
    assert ledger.take() == 0.0
    ledger.settle(usd=0.99)
    assert ledger.take() == 0.0
    ledger.settle(usd=0.02)

    assert ledger.take(model="another") == ledger.now + 12 * 3600, "the budget is the credential's"
    assert ledger.take(credential="2") == 0.0


def test_tokens_are_corrected_when_they_are_known() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, M, {"tpm": 100.0})
    assert ledger.take(10) == 0.0
    ledger.settle(tokens=80)
    assert ledger.take(20) > 0.0
    ledger.settle(tokens=-60)
    assert ledger.take(20) == 0.0


def test_a_request_larger_than_the_whole_limit_waits_for_an_empty_window_only() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, M, {"tpm": 100.0})

    assert ledger.take(5000) == 0.0
    assert ledger.take(5000) > 0.0


def test_a_limit_a_minute_that_a_refusal_names_holds_from_then_on() -> None:
    ledger = Ledger()
    assert ledger.takes(31) == 31
    ledger.refused(2.0, RateLimit("requests", 60.0, 30.0, 0.0))
    assert ledger.take() > ledger.now

    ledger.now += 70.0
    assert ledger.takes(40) == 30


def test_free_models_share_a_limit() -> None:
    ledger = Ledger()
    ledger.book.refused(
        P, C, "a:free", taken_at=ledger.now, wait=None, now=ledger.now,
        readings=[RateLimit("requests", 86_400.0, 50.0, 0.0, 3600.0, is_shared=True)],
    )  # fmt: skip

    assert ledger.take(model="b:free") == ledger.now + 3600.0
    assert ledger.take(model="b") == 0.0
    assert ledger.take(model="b:free", credential="2") == 0.0


def test_a_spent_day_ends_at_midnight_where_the_provider_is() -> None:
    spent = RateLimit("requests", 86_400.0, 20.0, 0.0)
    here, there = Ledger(), Ledger()
    here.refused(None, spent)
    there.refused(3600.0, spent, is_pacific=True)

    assert here.take() == here.now + 12 * 3600
    assert there.take() == there.now + 20 * 3600


@pytest.mark.parametrize(
    ("moment", "midnight"),
    [("2026-10-01T10:00", "2026-10-02T07:00"), ("2026-12-01T07:59", "2026-12-01T08:00"), ("2026-12-01T08:00", "2026-12-02T08:00"),
     ("2026-03-20T00:00", "2026-03-20T07:00"), ("2026-01-01T00:00", "2026-01-01T08:00")],
)  # fmt: skip
def test_pacific_midnight(moment: str, midnight: str) -> None:
    now = datetime.fromisoformat(moment + "+00:00").timestamp()

    assert datetime.fromtimestamp(next_midnight(now, is_pacific=True), UTC).isoformat()[:16] == midnight


def test_names_that_callers_invent_do_not_grow_the_table_nor_push_out_what_is_known() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, M, {"rpm": 1.0})
    for number in range(MOST_ACCOUNTS + 50):
        ledger.take(model=f"invented-{number}")

    assert len(ledger.book.accounts) <= MOST_ACCOUNTS
    assert ledger.takes(5) == 1


def test_a_row_of_a_foreign_shape_is_left_out() -> None:
    book = QuotaBook()
    book.restore(
        [QuotaRow(P, C, M, {}), QuotaRow(P, C, M, {"windows": [{"unit": "x"}], "closed_until": 0, "pause": 0})]
    )

    assert book.is_empty


@pytest.mark.parametrize(
    "window",
    [
        Rolling("tokens", 60.0, 5.0, deque([(3, 4.0)]), 4.0),
        Ceiling("requests", 60.0, 5.0, deque([(3, 4.0)]), 4.0, 9.0, 4.0, 6.0, 3.0, 2.0, True),
        Calendar("usd", 5.0, True, False, 1.0, 9.0),
        ReportedLimit(
            "requests", 0.0, 9.0, 5.0, 1.0, 9.0, Rolling("requests", 60.0, inf, deque([(1, 1.0)]), 1.0), "fixed", 2.0
        ),
    ],
)
def test_a_window_survives_as_json(window: Any) -> None:
    assert window_from_wire(json.loads(json.dumps(window.to_wire()))) == window


def test_a_months_budget_comes_back_with_the_month_in_utc() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, "", {"usd_per_month": 1.0, "usd_per_day": 0.75}, is_pacific=True)
    for _ in range(2):
        assert ledger.take() == 0.0
        ledger.settle(usd=0.6)
        ledger.now += 86_400.0

    december = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert ledger.take() + ledger.book.epoch_offset == december
    assert {state.window_seconds for state in ledger.book.states(ledger.now)} == {86_400.0, 30 * 86_400.0}
    ledger.restart()
    ledger.book.limit(P, C, "", {"usd_per_month": 1.0})
    assert ledger.take() > 0.0, "what was spent is known after a restart"
    ledger.now += december - ledger.book.epoch_offset - ledger.now
    assert ledger.take() == 0.0


def tagged(kept: dict[tuple[str, str, str], str]) -> QuotaBook:
    """A ledger that keeps accounts under names of keys, after what was kept before."""

    def keep(row: QuotaRow) -> None:
        kept[row[:3]] = json.dumps(row.account)

    book = QuotaBook(changed=keep, tag=lambda key: f"name of {key}" if key else "")
    book.restore([QuotaRow(*key, json.loads(text)) for key, text in kept.items()])
    return book


def is_closed(book: QuotaBook, credential: str) -> bool:
    return book.back_for(P, credential, M, 0, 10.0) > 0.0


def test_what_is_known_follows_the_key_and_not_its_number() -> None:
    kept: dict[tuple[str, str, str], str] = {}
    book = tagged(kept)
    book.has_keys(P, {"": "one", "2": "two"})
    book.refused(P, "2", M, taken_at=1.0, wait=500.0, readings=(), now=1.0)
    assert [is_closed(book, credential) for credential in ("", "2")] == [False, True]

    book.has_keys(P, {"": "two", "2": "one"})
    assert [is_closed(book, credential) for credential in ("", "2")] == [True, False]
    book.has_keys(P, {"": "three"})
    assert not is_closed(book, "")
    book.has_keys(P, {"": "three", "2": "two"})
    assert [is_closed(book, credential) for credential in ("", "2")] == [False, True]

    assert {key[1] for key in kept} == {"name of two"}
    book = tagged(kept)
    book.has_keys(P, {"": "two"})
    assert is_closed(book, "")
