"""What is worth telling people, and how often. The clock is handed in."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.routing.events import AttemptEnded, Event, HealthChanged, QuotaRefused, RequestEnded
from orcestator.telemetry.notices import (
    MOST_SUBJECTS,
    Level,
    Notice,
    NoticeGate,
    NoticeReader,
    Notices,
    headline,
    reloaded,
)
from orcestator.telemetry.redaction import Redactor
from tests.recorded_events import REQUEST

BuildRequest = Callable[..., RequestEnded]
BuildAttempt = Callable[..., AttemptEnded]
OPENED = HealthChanged("openai", "gpt-4o", "open", 5.0, "UpstreamUnavailable: http_500")
CLOSED = HealthChanged("openai", "gpt-4o", "closed", 0.0, "")


@pytest.fixture
def reader() -> NoticeReader:
    return NoticeReader({"gpt-4o", "orcestator"}.__contains__)


def notice_of(reader: NoticeReader, event: Event | AttemptEnded) -> Notice | None:
    """The one notice of an event, or of a request with one attempt."""
    told = reader.notices_of(REQUEST._replace(tried=(event,)) if isinstance(event, AttemptEnded) else event)
    assert len(told) <= 1
    return told[0] if told else None


def told(reader: NoticeReader, event: Event | AttemptEnded) -> tuple[str, str, str]:
    notice = notice_of(reader, event)
    assert notice is not None
    return notice.level, notice.kind, notice.subject


def test_a_fallback_is_told_with_what_failed(reader: NoticeReader, attempt_ended: BuildAttempt) -> None:
    failure = attempt_ended(error="UpstreamTimeout", cause="first_byte", verdict="fall_back")
    assert told(reader, failure) == ("warning", "fallback_used", "openai/gpt-4o")
    assert notice_of(reader, failure._replace(verdict="retry")) is None
    assert notice_of(reader, attempt_ended(verdict="hedge_lost")) is None


def test_a_refused_or_spent_key_is_told_once_and_not_as_a_fallback_too(
    reader: NoticeReader, attempt_ended: BuildAttempt
) -> None:
    failure = attempt_ended(error="UpstreamKeyRefused", cause="http_402", verdict="fall_back")
    assert notice_of(reader, failure) is None
    refused = HealthChanged("openai", "", "key_refused", 3600.0, "UpstreamKeyRefused: http_402", "2")
    notice = notice_of(reader, refused)
    assert notice is not None
    assert (notice.level, notice.kind, notice.subject) == ("error", "credential_refused", "openai (key 2)")
    assert "openai (key 2) is out of use for 60 min: UpstreamKeyRefused: http_402." in notice.text
    back = notice_of(reader, refused._replace(state="closed"))
    assert back is not None
    assert back.text == "openai (key 2) works again."


def test_an_exhausted_quota_is_told(reader: NoticeReader) -> None:
    refused = QuotaRefused("r", "openai", "gpt-4o", "quota", 30.0)
    assert notice_of(reader, refused._replace(cause="quota_size")) is None, "a smaller request would be taken"
    assert told(reader, refused) == ("warning", "quota_exhausted", "openai/gpt-4o")
    pause = HealthChanged("openai", "gpt-4o", "cooldown", 3600.0, "UpstreamRateLimited: http_429")
    assert told(reader, pause) == ("warning", "quota_exhausted", "openai/gpt-4o")
    assert notice_of(reader, pause._replace(seconds=20.0)) is None, "every minute's limit is no news"
    assert told(reader, pause) == ("warning", "quota_exhausted", "openai/gpt-4o"), "the next day it is news again"


def test_what_went_out_may_come_back(reader: NoticeReader) -> None:
    assert notice_of(reader, CLOSED) is None, "nobody was told that it was gone"
    assert told(reader, OPENED) == ("warning", "deployment_out", "openai/gpt-4o")
    assert notice_of(reader, OPENED) is None, "a probe that fails is no news"
    back = notice_of(reader, CLOSED)
    assert back is not None
    assert (back.kind, back.level, back.is_solved) == ("deployment_back", "warning", True)
    assert notice_of(reader, CLOSED) is None


def test_a_deployment_that_stays_out_is_an_error(reader: NoticeReader) -> None:
    gone = HealthChanged("openai", "gpt-4o", "permanently_unavailable", 0.0, "UpstreamModelMissing: http_404")
    notice_of(reader, OPENED)
    notice = notice_of(reader, gone)
    assert notice is not None
    assert (notice.level, notice.kind, notice.subject) == ("error", "deployment_out", "openai/gpt-4o")
    assert notice.text == "openai/gpt-4o is out of use: UpstreamModelMissing: http_404."


@pytest.mark.parametrize("error", ["AttemptsExhausted", "NothingLeft"])
def test_nothing_left_is_an_error(reader: NoticeReader, request_ended: BuildRequest, error: str) -> None:
    ended = request_ended(error=error, outcome="upstream_error", status=502)
    assert told(reader, ended) == ("error", "nothing_left", "orcestator")


def test_what_is_no_news(reader: NoticeReader, request_ended: BuildRequest, attempt_ended: BuildAttempt) -> None:
    half_open = HealthChanged("openai", "gpt-4o", "half_open", 0.0, "")
    for event in (request_ended(), request_ended(error="InvalidRequest"), attempt_ended(), half_open):
        assert notice_of(reader, event) is None


def test_checks_tell_of_a_provider_that_is_down_and_back_once(reader: NoticeReader) -> None:
    statuses = ["operational", "degraded", "down", "down", "operational", "operational"]
    notices = [reader.of_check("openai", status, "No answer within 5 s.") for status in statuses]
    assert [notice and notice.kind for notice in notices] == [None, None, "provider_down", None, "provider_back", None]


def test_a_caller_s_words_are_in_no_notice(
    reader: NoticeReader, request_ended: BuildRequest, attempt_ended: BuildAttempt
) -> None:
    words = "tell-me-a-secret"
    events: list[Event | AttemptEnded] = [
        request_ended(error="NothingLeft", requested_model=words, user_text=words, message=words),
        attempt_ended(error="UpstreamBroken", cause="empty", verdict="fall_back", model=words),
        QuotaRefused("r", "openai", words, "quota", 1.0),
        OPENED._replace(model=words),
        CLOSED._replace(model=words),
    ]
    notices = [notice_of(reader, event) for event in events]
    assert all(notices)
    assert words not in repr(notices)


def test_the_subjects_that_are_out_are_bounded() -> None:
    reader = NoticeReader(lambda name: True)
    for number in range(MOST_SUBJECTS + 10):
        notice_of(reader, OPENED._replace(model=f"m{number}"))
    assert len(reader.out) == MOST_SUBJECTS


def notice(subject: str = "a", kind: str = "k", level: Level = "warning", **fields: object) -> Notice:
    return Notice(level, kind, subject, f"{subject} {kind}.")._replace(**fields)


def test_the_first_is_told_and_the_others_are_counted() -> None:
    gate = NoticeGate(cool_off_seconds=100.0)
    assert gate.admit(notice(), 0.0) == notice()
    assert [gate.admit(notice(), now) for now in (1.0, 50.0, 99.0)] == [None, None, None]
    later = gate.admit(notice(), 100.0)
    assert later is not None
    assert later.sentence == "a k. (3 more since the last notice.)"


def test_kinds_and_subjects_cool_off_by_themselves() -> None:
    gate = NoticeGate()
    assert gate.admit(notice("a", "k"), 0.0)
    assert gate.admit(notice("b", "k"), 0.0)
    assert gate.admit(notice("a", "l"), 0.0)


def test_the_last_word_about_a_subject_is_never_missing() -> None:
    """A deployment that goes and comes and goes again must not be left as "works again"."""
    gate = NoticeGate(cool_off_seconds=100.0)
    gone, back = notice("d", "deployment_out"), notice("d", "deployment_back", is_solved=True)
    assert gate.admit(gone, 0.0)
    assert gate.admit(back, 10.0)
    for now in (20.0, 40.0):
        assert gate.admit(gone, now) is None
        assert gate.admit(back, now + 5.0) is None
    assert gate.admit(gone, 60.0) is None
    assert gate.due(99.0) == []
    assert gate.due(110.0) == [back._replace(repeats=1), gone._replace(repeats=2)]
    assert gate.due(500.0) == []


def test_a_flood_of_different_notices_is_held_back_and_told_later() -> None:
    gate = NoticeGate(most_a_minute=20)
    admitted = [gate.admit(notice(f"s{number}"), 0.0) for number in range(30)]
    assert sum(one is not None for one in admitted) == 20
    assert len(gate.due(15.0)) == 5
    assert [one.subject for one in gate.due(30.0)] == [f"s{number}" for number in range(25, 30)]


def test_the_gate_is_bounded() -> None:
    gate = NoticeGate(most_a_minute=10**9, room=10.0**9)
    for number in range(MOST_SUBJECTS + 50):
        gate.admit(notice(f"s{number}"), 0.0)
        gate.admit(notice(f"s{number}"), 0.0)
    assert len(gate.told) == len(gate.held) == MOST_SUBJECTS


@given(st.lists(st.tuples(st.floats(0.0, 120.0), st.sampled_from("abc"), st.booleans()), max_size=60))
def test_every_notice_is_told_or_counted_and_never_too_often(steps: list[tuple[float, str, bool]]) -> None:
    gate, now, came = NoticeGate(cool_off_seconds=100.0, most_a_minute=2, room=2.0), 0.0, Counter[str]()
    passed: list[tuple[float, Notice]] = []
    for seconds, subject, sweeps in steps:
        now += seconds
        if sweeps:
            passed += [(now, one) for one in gate.due(now)]
        else:
            came[subject] += 1
            one = gate.admit(notice(subject), now)
            passed += [(now, one)] if one else []
    now += 10_000.0
    while gate.held:
        passed += [(now, one) for one in gate.due(now)]
        now += 100.0
    assert Counter({s: sum(1 + one.repeats for _, one in passed if one.subject == s) for s in came}) == came
    for subject in came:
        times = [at for at, one in passed if one.subject == subject]
        assert all(later - sooner >= 100.0 for sooner, later in pairwise(times))


class Desk:
    """Notices with a clock that a test moves."""

    def __init__(self, min_level: Level = "warning") -> None:
        self.time = 0.0
        self.sent: list[Notice] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.notices = Notices(
            NoticeReader({"gpt-4o"}.__contains__),
            NoticeGate(),
            [self.sent.append],
            min_level=min_level,
            redact=Redactor(["sk-a-very-secret-key"]),
            now=lambda: self.time,
            wall=lambda: 1_790_000_000.0 + self.time,
            count=lambda kind, outcome: self.counts.update([(kind, outcome)]),
        )


def test_notices_go_to_the_log_and_to_the_sinks(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    with caplog.at_level(logging.INFO):
        desk.notices(OPENED)
        desk.notices(CLOSED)
        desk.notices(OPENED)
    assert [one.kind for one in desk.sent] == ["deployment_out", "deployment_back"]
    assert desk.sent[0].at == 1_790_000_000.0
    assert [(record.levelname, record.name) for record in caplog.records] == [
        ("WARNING", "orcestator.notice"),
        ("INFO", "orcestator.notice"),
    ]
    assert desk.counts == {
        ("deployment_out", "told"): 1,
        ("deployment_out", "held_back"): 1,
        ("deployment_back", "told"): 1,
    }


def test_what_is_less_serious_than_asked_for_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk("error")
    with caplog.at_level(logging.INFO):
        desk.notices(OPENED)
        desk.notices.tell(reloaded(""))
        desk.notices.tell(reloaded("line 3: 'prot' is unknown"))
    assert [one.kind for one in desk.sent] == ["reload_failed"]
    assert len(caplog.records) == 3


def test_secrets_are_taken_out() -> None:
    desk = Desk()
    desk.notices.tell(reloaded("api_key sk-a-very-secret-key is not a number"))
    assert "very-secret" not in desk.sent[0].text
    assert "redacted" in desk.sent[0].text


def test_what_was_held_back_is_told_in_time() -> None:
    desk = Desk()
    desk.notices.checked("openai", "down", "No answer within 5 s.")
    for event in (OPENED, CLOSED, OPENED):
        desk.notices(event)
    desk.time = 301.0
    desk.notices.tell_due()
    assert [one.kind for one in desk.sent] == [
        "provider_down",
        "deployment_out",
        "deployment_back",
        "deployment_out",
    ]


def test_telling_ends_with_the_program() -> None:
    desk = Desk()
    desk.notices(OPENED)

    async def scenario() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(desk.notices.run(stop))
        stop.set()
        async with asyncio.timeout(10):
            await running

    asyncio.run(scenario())


def test_the_headline_of_several_is_the_most_serious() -> None:
    solved = notice(is_solved=True)
    assert headline([notice(level="info"), notice(level="error"), solved]) == ("error", False)
    assert headline([solved]) == ("warning", True)
