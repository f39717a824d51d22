"""The verdict table: total, and as the classification of upstream errors has it."""

import pytest

from orcestator import errors
from orcestator.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamKeyRefused,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    WorkerLost,
)
from orcestator.routing.verdict import USEFULNESS, VERDICTS, judge, most_useful


def failure(kind: type[UpstreamError]) -> UpstreamError:
    return kind(kind.__name__, cause="x")


def test_every_upstream_error_has_a_verdict_and_a_rank() -> None:
    kinds = UpstreamError.__subclasses__()

    assert {kind for kind in kinds if kind.__module__ == errors.__name__} == set(VERDICTS) == set(USEFULNESS)
    assert len(USEFULNESS) == len(set(USEFULNESS))


def test_a_subclass_inherits_its_parents_row() -> None:
    overloaded = type("Overloaded", (UpstreamUnavailable,), {})

    assert judge(failure(overloaded)) is VERDICTS[UpstreamUnavailable]


def test_only_a_refused_request_ends_the_search() -> None:
    assert [kind for kind, verdict in VERDICTS.items() if not verdict.falls_back] == [UpstreamRejected]


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
        ([UpstreamKeyRefused, UpstreamRateLimited], UpstreamKeyRefused),
        ([UpstreamUnavailable, UpstreamRejected], UpstreamRejected),
        ([UpstreamKeyRefused, UpstreamModelMissing, UpstreamUnavailable], UpstreamUnavailable),
        ([UpstreamUnavailable, UpstreamBroken, UpstreamTimeout], UpstreamTimeout),
        ([UpstreamKeyRefused], UpstreamKeyRefused),
    ],
)
def test_the_most_useful_failure(kinds: list[type[UpstreamError]], useful: type[UpstreamError]) -> None:
    assert type(most_useful([failure(kind) for kind in kinds])) is useful
    assert type(most_useful([failure(kind) for kind in reversed(kinds)])) is useful
