"""The verdict table: total, and as the classification of upstream errors has it."""

import re

import pytest

from orcestator import errors
from orcestator.errors import (
    NO_SUCH_PATH,
    QUOTA_SIZE,
    SPENT,
    UpstreamBroken,
    UpstreamContentRefused,
    UpstreamContextExceeded,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    WorkerLost,
)
from orcestator.routing.verdict import USEFULNESS, VERDICTS, Verdicts, judge, most_useful, read_override


def failure(kind: type[UpstreamError]) -> UpstreamError:
    return kind(kind.__name__, cause="x")


def test_every_upstream_error_has_a_verdict_and_a_rank() -> None:
    parents = UpstreamError.__subclasses__()
    kinds = [*parents, *(kind for parent in parents for kind in parent.__subclasses__())]

    assert {kind for kind in kinds if kind.__module__ == errors.__name__} == set(VERDICTS) == set(USEFULNESS)
    assert len(USEFULNESS) == len(set(USEFULNESS))


def test_a_subclass_inherits_its_parents_row() -> None:
    overloaded = type("Overloaded", (UpstreamUnavailable,), {})

    assert judge(failure(overloaded)) is VERDICTS[UpstreamUnavailable]


def test_only_a_refused_request_ends_the_search() -> None:
    given_up = [kind for kind, verdict in VERDICTS.items() if not verdict.falls_back]

    assert given_up == [UpstreamRejected, UpstreamContentRefused]


def test_only_health_failures_move_the_breaker_and_the_others_cool_down() -> None:
    assert {kind for kind, verdict in VERDICTS.items() if verdict.counts} == {
        UpstreamUnavailable, UpstreamTimeout, UpstreamBroken,
    }  # fmt: skip
    assert {kind for kind, verdict in VERDICTS.items() if verdict.cooldown_seconds} == {
        UpstreamRateLimited, UpstreamKeyRefused, UpstreamModelMissing, WorkerLost,
    }  # fmt: skip


def test_a_refused_key_is_never_retried_and_needs_a_person() -> None:
    assert [kind for kind, verdict in VERDICTS.items() if verdict.disables_credential] == [UpstreamKeyRefused]
    assert not VERDICTS[UpstreamKeyRefused].retries


@pytest.mark.parametrize(
    ("kinds", "useful"),
    [
        ([UpstreamRateLimited, UpstreamRateLimited], UpstreamRateLimited),
        ([UpstreamRateLimited, UpstreamUnavailable], UpstreamUnavailable),
        ([UpstreamKeyRefused, UpstreamRateLimited], UpstreamRateLimited),
        ([UpstreamUnavailable, UpstreamRejected], UpstreamRejected),
        ([UpstreamKeyRefused, UpstreamModelMissing, UpstreamUnavailable], UpstreamUnavailable),
        ([UpstreamUnavailable, UpstreamBroken, UpstreamTimeout], UpstreamTimeout),
        ([UpstreamKeyRefused], UpstreamKeyRefused),
    ],
)
def test_the_most_useful_failure(kinds: list[type[UpstreamError]], useful: type[UpstreamError]) -> None:
    assert type(most_useful([failure(kind) for kind in kinds])) is useful
    assert type(most_useful([failure(kind) for kind in reversed(kinds)])) is useful


def of(kind: type[UpstreamError], cause: str = "x", status: int | None = None, *words: str) -> UpstreamError:
    return kind("m", cause=cause, upstream_status=status, upstream_words=words)


def test_a_full_context_falls_back_to_a_larger_one_and_moves_nothing() -> None:
    verdict = judge(of(UpstreamContextExceeded))

    assert verdict.falls_back
    assert verdict.needs_larger_context
    assert (verdict.counts, verdict.cooldown_seconds, verdict.retries) == (False, 0.0, False)
    assert [kind for kind, row in VERDICTS.items() if row.needs_larger_context] == [UpstreamContextExceeded]


def test_a_refused_text_falls_back_only_where_a_person_said_so() -> None:
    error = of(UpstreamContentRefused)

    assert not judge(error).falls_back
    assert not Verdicts().judge(error).falls_back
    allowed = Verdicts(content_policy_fallback=True).judge(error)
    assert allowed.falls_back
    assert (allowed.counts, allowed.cooldown_seconds) == (False, 0.0)
    assert not Verdicts(content_policy_fallback=True).judge(of(UpstreamRejected)).falls_back


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (of(UpstreamKeyRefused, "http_401", 401), "credential"),
        (of(UpstreamKeyRefused, "http_402", 402), "credential"),
        (of(UpstreamKeyRefused, "http_403", 403), "model"),
        (of(UpstreamKeyRefused, SPENT, 403), "credential"),
        (of(UpstreamKeyRefused, SPENT, 429), "credential"),
        (of(UpstreamRateLimited, "http_429", 429), "model"),
        (of(UpstreamModelMissing, "http_404", 404), "deployment"),
        (of(WorkerLost), "deployment"),
    ],
)
def test_what_a_cooldown_takes_out(error: UpstreamError, scope: str) -> None:
    assert judge(error).scope == scope


def test_only_a_model_that_is_missing_is_gone_for_good_and_a_wrong_path_is_not() -> None:
    assert [kind for kind, verdict in VERDICTS.items() if verdict.is_final] == [UpstreamModelMissing]
    assert judge(of(UpstreamModelMissing, "http_404", 404)).is_final
    astray = judge(of(UpstreamModelMissing, NO_SUCH_PATH, 404))
    assert (astray.is_final, astray.cooldown_seconds, astray.counts) == (False, 0.0, True)


def test_a_refusal_for_the_size_of_one_request_cools_nothing() -> None:
    assert judge(of(UpstreamRateLimited, QUOTA_SIZE)).cooldown_seconds == 0.0
    assert judge(of(UpstreamRateLimited, QUOTA_SIZE)).falls_back


def test_a_person_overrides_the_table_and_the_first_that_is_met_counts() -> None:
    verdicts = Verdicts(
        (
            read_override(
                {"when": {"status": 429, "provider": "a"}, "then": {"action": "give_up", "cooldown_seconds": 60}}
            ),
            read_override({"when": {"code": ["busy", "hot"]}, "then": {"action": "fall_back", "counts": True}}),
            read_override({"when": {"error": "UpstreamRejected"}, "then": {"action": "retry", "scope": "model"}}),
            read_override({"when": {"cause": "http_404"}, "then": {"permanent": False}}),
        )
    )

    refused = verdicts.judge(of(UpstreamRateLimited, "http_429", 429), "a")
    assert (refused.falls_back, refused.retries, refused.cooldown_seconds) == (False, False, 60.0)
    assert verdicts.judge(of(UpstreamRateLimited, "http_429", 429), "b") == judge(of(UpstreamRateLimited))
    assert verdicts.judge(of(UpstreamBroken, "x", 500, "t", "hot"), "a").counts
    assert not verdicts.judge(of(UpstreamBroken, "x", 500, "t", "hot"), "a").retries
    assert verdicts.judge(of(UpstreamContextExceeded), "a").retries, "a subclass is met by its parent's name"
    assert not verdicts.judge(of(UpstreamModelMissing, "http_404", 404), "a").is_final
    assert verdicts.judge(of(UpstreamTimeout), "a") is VERDICTS[UpstreamTimeout]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("no", "An entry of a verdict is a mapping with when, then, not 'no'."),
        ({"when": {"status": 1}}, "needs 'when' (which failures) and 'then' (what follows)"),
        ({"when": {}, "then": {"action": "retry"}}, "neither may be empty"),
        ({"wen": {}, "then": {}}, "An entry of a verdict has no key 'wen'. Did you mean 'when'?"),
        (
            {"when": {"stats": 1}, "then": {"action": "retry"}},
            "'when' of a verdict has no key 'stats'. Did you mean 'status'?",
        ),
        ({"when": {"status": 42}, "then": {"action": "retry"}}, "'status' is an HTTP status from 100 to 599"),
        ({"when": {"status": "429"}, "then": {"action": "retry"}}, "'status' is an HTTP status"),
        ({"when": {"code": 5}, "then": {"action": "retry"}}, "'code' is a word or a list of words, not 5."),
        (
            {"when": {"error": "UpstreamTimedOut"}, "then": {"action": "retry"}},
            "'error' knows no 'UpstreamTimedOut'. Did you mean",
        ),
        (
            {"when": {"status": 429}, "then": {"action": "redo"}},
            "'action' is one of give_up, retry, fall_back, not 'redo'.",
        ),
        ({"when": {"status": 429}, "then": {"scope": "all"}}, "'scope' is one of deployment, credential, model"),
        ({"when": {"status": 429}, "then": {"cooldown_seconds": -1}}, "'cooldown_seconds' is a number from 0 to"),
        ({"when": {"status": 429}, "then": {"cooldown_seconds": True}}, "'cooldown_seconds' is a number"),
        ({"when": {"status": 429}, "then": {"counts": "yes"}}, "'counts' is true or false, not 'yes'."),
        ({"when": {"status": 429}, "then": {"action": ["retry"]}}, "'action' is one of"),
    ],
)
def test_an_override_that_cannot_be_is_refused_with_the_remedy(raw: object, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_override(raw)


def test_a_person_is_known_by_the_override_that_is_met() -> None:
    override = read_override({"when": {"provider": "a"}, "then": {"action": "give_up"}})
    verdicts = Verdicts((override,))

    assert verdicts.is_a_persons(failure(UpstreamTimeout), "a")
    assert not verdicts.is_a_persons(failure(UpstreamTimeout), "b")
