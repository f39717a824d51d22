"""The quota ledger: what it is told, what it learns by being hit, and that it is never hit twice for one limit."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orcestator.dialects.rate_limits import RateLimit
from orcestator.routing.offer import Candidate
from orcestator.routing.quota import MOST_ACCOUNTS, QuotaBook, QuotaRow
from orcestator.routing.quota_windows import Daily, Rolling, Told, next_midnight, refill_seconds, window_from_wire
from orcestator.sandbox.hidden_limits import HiddenLimit, Kind

START = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
P, C, M = "p", "", "m"
CANDIDATE = Candidate(P, M, "", "proxy")


class Ledger:
    """A book at one moment; monotonic time starts at 1,000 s."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kept: dict[tuple[str, str, str], str] = {}
        self.book = self._new()

    def _new(self) -> QuotaBook:
        return QuotaBook(START - 1000.0, self._keep)

    def _keep(self, row: QuotaRow) -> None:
        self.kept[row[:3]] = json.dumps(row.account)

    def restart(self) -> None:
        self.book = self._new()
        self.book.restore([QuotaRow(*key, json.loads(text)) for key, text in self.kept.items()], self.now)

    def take(self, tokens: int = 0, model: str = M, credential: str = C) -> float:
        back = self.book.take(P, credential, model, tokens, self.now)
        assert back == 0.0 or back > self.now
        assert self.book.back_at(Candidate(P, model, "", "proxy", credential=credential), tokens, self.now) >= 0.0
        return back

    def takes(self, times: int, tokens: int = 0) -> int:
        return sum(self.take(tokens) == 0.0 for _ in range(times))

    def settle(self, tokens: int = 0, usd: float = 0.0) -> None:
        self.book.settle(P, C, M, tokens, usd, self.now)

    def refused(self, wait: float | None = None, *readings: RateLimit, is_pacific: bool = False) -> None:
        self.book.refused(P, C, M, taken_at=self.now, wait=wait, readings=readings, now=self.now, is_pacific=is_pacific)

    def learn(self, *readings: RateLimit, model: str = M) -> None:
        self.book.learn(P, C, model, readings, self.now)


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


def test_what_an_upstream_says_is_left_is_counted_down() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 60.0, 2.0, 30.0))

    assert ledger.takes(5) == 2
    assert ledger.take() == ledger.now + 30.0
    ledger.now += 30.0
    assert ledger.take() == 0.0


def test_requests_on_their_way_are_not_given_away_twice() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 60.0, 9.0, 30.0))
    assert ledger.takes(4) == 4
    ledger.learn(RateLimit("requests", 0.0, 60.0, 5.0, 30.0))

    assert ledger.takes(9) == 2, "three others may not be in the five"


def test_a_bucket_gives_one_back_at_a_time() -> None:
    ledger = Ledger()
    ledger.learn(RateLimit("requests", 0.0, 1000.0, 0.0, 86_400.0))

    assert ledger.take() == pytest.approx(ledger.now + 86.4)
    ledger.now += 87.0
    assert ledger.takes(2) == 1


@pytest.mark.parametrize(
    ("limit", "left", "reset", "seconds"),
    [(1000, 999, 86.4, 86.4), (60, 59, 1.0, 1.0), (60, 0, 60.0, 1.0), (50, 0, 17.0, 0.0), (14400, 13693, 11726.28, 0.0), (10, 10, 3.0, 0.0)],
)  # fmt: skip
def test_a_bucket_is_told_from_a_window(limit: float, left: float, reset: float, seconds: float) -> None:
    assert refill_seconds(limit, left, reset) == pytest.approx(seconds)


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


def test_a_bare_429_teaches_half_of_what_was_asked_in_the_last_minute() -> None:
    ledger = Ledger()
    assert ledger.takes(11) == 11
    ledger.refused()
    assert 60.0 <= ledger.take() - ledger.now <= 61.0

    ledger.now += 62.0
    assert ledger.takes(20) == 5
    assert [(state.limit, state.source) for state in ledger.book.states(ledger.now)] == [(5.0, "learned")]


def test_a_ceiling_that_is_hit_again_is_lowered_and_a_quiet_day_raises_it() -> None:
    ledger = Ledger()
    ledger.takes(41)
    ledger.refused()
    ledger.now += 62.0
    assert ledger.takes(40) == 20
    ledger.refused()
    ledger.now += 62.0
    assert ledger.takes(40) == 15

    ledger.now += 86_400.0
    assert ledger.takes(40) == 16


def test_refusals_with_nothing_answered_in_between_lengthen_the_pause_and_leave_the_ceiling() -> None:
    ledger = Ledger()
    ledger.takes(11)
    pauses = []
    for _ in range(8):
        ledger.refused()
        back = ledger.take()
        pauses.append(back - ledger.now)
        ledger.now = back + 1e-3
        assert ledger.take() == 0.0

    assert pauses[:4] == pytest.approx([60.0, 120.0, 240.0, 480.0], abs=1.1)
    assert max(pauses) <= 3601.0
    assert [state.limit for state in ledger.book.states(ledger.now)] == [5.0]


def test_a_short_wait_of_the_upstreams_own_is_believed_and_a_few_requests_teach_nothing() -> None:
    ledger = Ledger()
    ledger.takes(3)
    ledger.refused(2.0)

    assert ledger.take() == ledger.now + 2.0
    ledger.now += 2.0
    assert ledger.takes(100) == 100


def test_a_bare_429_after_hardly_a_request_is_left_to_the_loop_once() -> None:
    ledger = Ledger()
    assert ledger.takes(2) == 2
    ledger.refused()
    assert ledger.take() == 0.0
    assert ledger.book.is_empty

    ledger.now += 1.0
    assert ledger.take() == 0.0
    ledger.refused()
    assert ledger.take() == ledger.now + 60.0


def test_a_long_wait_is_a_days_limit() -> None:
    ledger = Ledger()
    for _ in range(31):
        ledger.take()
        ledger.now += 120.0
    ledger.take()
    ledger.refused(7200.0)
    assert ledger.take() == ledger.now + 7200.0

    ledger.now += 7200.0
    assert ledger.takes(40) == 16, "the half of 32, one of which was refused"
    ledger.now += 70_000.0
    assert ledger.takes(40) == 0


def test_names_that_callers_invent_do_not_grow_the_table_nor_push_out_what_is_known() -> None:
    ledger = Ledger()
    ledger.book.limit(P, C, M, {"rpm": 1.0})
    for number in range(MOST_ACCOUNTS + 50):
        ledger.take(model=f"invented-{number}")

    assert len(ledger.book.accounts) == MOST_ACCOUNTS
    assert ledger.takes(5) == 1


def test_a_row_of_a_foreign_shape_is_left_out() -> None:
    book = QuotaBook()
    book.restore(
        [QuotaRow(P, C, M, {}), QuotaRow(P, C, M, {"windows": [{"unit": "x"}], "closed_until": 0, "pause": 0})], 0.0
    )

    assert book.is_empty


@pytest.mark.parametrize(
    "window",
    [
        Rolling("tokens", 60.0, 5.0, 9.0, 3.0),
        Daily("usd", 5.0, True, 1.0, 9.0),
        Told("requests", 0.0, 9.0, 5.0, 1.0, 9.0, 2.0),
    ],
)
def test_a_window_survives_as_json(window: Any) -> None:
    assert window_from_wire(json.loads(json.dumps(window.to_wire()))) == window


class HiddenUpstream(RuleBasedStateMachine):
    """An upstream that keeps its limit to itself refuses once; what was sent before that refusal came back does not count."""

    @initialize(
        requests=st.integers(3, 40), kind=st.sampled_from(["fixed", "sliding", "bucket"]), phase=st.floats(0, 59)
    )
    def begin(self, requests: int, kind: Kind, phase: float) -> None:
        self.limit = HiddenLimit(requests, 60.0, kind)
        self.ledger = Ledger()
        self.phase = phase
        self.under_way: list[tuple[float, bool]] = []
        self.refused_at: float | None = None
        self.answered = 0

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 7.0, 20.0, 61.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        while self.under_way and self.ledger.now + seconds > self.under_way[0][0] + 30.0:
            self.an_answer_comes(0)  # nobody takes half a minute to refuse
        self.ledger.now += seconds

    @rule(times=st.integers(1, 30), seconds=st.sampled_from([0.0, 0.05, 0.5, 3.0]))
    def requests_one_after_another(self, times: int, seconds: float) -> None:
        for _ in range(times):
            self.one_is_sent()
            self.an_answer_comes(-1)
            self.time_passes(seconds)

    @rule(times=st.integers(1, 30))
    def requests_at_once(self, times: int) -> None:
        for _ in range(times):
            self.one_is_sent()

    @precondition(lambda self: self.under_way)
    @rule(place=st.integers(0, 100))
    def an_answer_comes(self, place: int) -> None:
        if not self.under_way:
            return
        taken_at, is_well = self.under_way.pop(place % len(self.under_way))
        book, now = self.ledger.book, self.ledger.now
        if is_well:
            book.settle(P, C, M, 0, 0.0, now)
            self.answered += 1
            return
        assert self.refused_at is None or taken_at <= self.refused_at, "refused a second time"
        self.refused_at = self.refused_at or now
        book.refused(P, C, M, taken_at=taken_at, wait=None, readings=(), now=now)

    @precondition(lambda self: self.refused_at is not None and not self.under_way)
    @rule()
    def we_start_anew(self) -> None:
        self.ledger.restart()

    @invariant()
    def a_ceiling_is_never_above_the_truth(self) -> None:
        if getattr(self, "refused_at", None) is None or self.under_way:
            return
        for state in self.ledger.book.states(self.ledger.now):
            assert 1.0 <= state.limit <= self.limit.requests

    def one_is_sent(self) -> None:
        now = self.ledger.now
        if self.ledger.take() == 0.0:
            self.under_way.append((now, self.limit.takes("", M, now + self.phase)))


HiddenUpstream.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestHiddenUpstream = HiddenUpstream.TestCase
