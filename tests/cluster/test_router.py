"""The routing of a process follows its settings: each of them, at the start and when they change."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from orcestator.cluster import factory
from orcestator.cluster.quota import limit
from orcestator.cluster.router import Router
from orcestator.routing.offer import Deployment
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.rules import Rule
from orcestator.routing.state.quota import QuotaBook
from orcestator.routing.verdict import Override, When, judge
from orcestator.settings import Settings
from orcestator.settings.choices import ModelEntry, StrategyName, Target
from orcestator.settings.spec import Setting, table_of
from orcestator.settings.table import ATTEMPTS, ROUTING, WAITING
from tests.routing.failures import failure

OF_ROUTING = [row for row in table_of(Settings) if row.spec.group in (ROUTING, ATTEMPTS, WAITING)]
USUAL = Settings(models=(ModelEntry("fast", Target("sandbox", "echo")),))
"""With a model, which the name ``auto`` is chosen among."""
RULES = (Rule("premium", {"quality": "premium"}, "sandbox"),)
VERDICTS = (Override(When(statuses=frozenset({418})), {"falls_back": False}),)


def brain(settings: Settings) -> Router:
    return Router.of(settings, lambda: Catalog([]), lambda event: None, QuotaBook(0.0))


def other(row: Setting) -> Any:
    """A value of the setting that is not its default, and that it may have."""
    low, high = row.spec.low, row.spec.high
    if row.type is bool:
        return not row.default
    if row.type is StrategyName:
        return next(name for name in get_args(StrategyName) if name != row.default)
    assert low is not None, f"{row.name} is of a kind that this test has no other value for"
    assert high is not None
    return row.type(low if row.default != low else (low + high) / 2)


def ledger(settings: Settings) -> QuotaBook:
    """The quota ledger, which stands beside the brain and is told of the settings at the start and by every reload."""
    book = QuotaBook(0.0)
    limit(book, settings)
    return book


def held(found: Router, settings: Settings) -> tuple[object, ...]:
    """All that a process has of its settings to route by."""
    attempts = found.attempts
    return (
        found.planner.policy, attempts.policy, attempts.health.policy, attempts.budget.percent, attempts.budget.floor,
        attempts.hedging, attempts.line.policy, attempts.verdicts, attempts.falling.policy, attempts.falling.budget.percent,
        attempts.falling.budget.floor, factory.exchange_policy(settings), factory.public_names(settings), ledger(settings).learns,
    )  # fmt: skip


def test_there_are_settings_to_follow() -> None:
    assert {row.spec.group for row in OF_ROUTING} == {ROUTING, ATTEMPTS, WAITING}
    assert {"strategy", "retry_floor", "longest_wait_seconds"} <= {row.name for row in OF_ROUTING}


@pytest.mark.parametrize("row", OF_ROUTING, ids=lambda row: row.name)
def test_each_setting_is_followed(row: Setting) -> None:
    """At the start, and the same when it changes while the program runs. Whoever adds one has to give it to somebody."""
    changed = replace(USUAL, **{row.name: other(row)})
    fresh = held(brain(changed), changed)
    assert fresh != held(brain(USUAL), USUAL), f"nobody follows {row.name}"

    retuned = brain(USUAL)
    retuned.apply_settings(changed)
    assert held(retuned, changed) == fresh


@pytest.mark.parametrize("row", OF_ROUTING, ids=lambda row: row.name)
def test_two_settings_are_not_taken_for_each_other(row: Setting) -> None:
    """Each changes something of its own: the change of all others shows another picture than the change of all."""
    all_changed = {found.name: other(found) for found in OF_ROUTING}
    every = replace(USUAL, **all_changed)
    all_but_one = replace(every, **{row.name: row.default})
    assert held(brain(all_but_one), all_but_one) != held(brain(every), every)


def test_percentages_become_shares() -> None:
    found = brain(replace(USUAL, breaker_failure_percent=25.0, hedge_percentile=90.0)).attempts
    assert (found.health.policy.failure_ratio, found.hedging.policy.share) == (0.25, 0.9)


def test_verdicts_and_rules_are_followed() -> None:
    """Rules come with the settings at the start; after that they are the rules book's to give."""
    found = brain(replace(USUAL, verdicts=VERDICTS, rules=RULES))
    assert list(found.attempts.verdicts.overrides) == list(VERDICTS)
    assert found.planner.policy.rules == RULES

    found.apply_settings(USUAL)
    assert not found.attempts.verdicts.overrides
    assert found.planner.policy.rules == RULES


def test_rules_leave_the_rest_of_the_policy() -> None:
    """With every other field of it unlike its default."""
    every = replace(USUAL, **{found.name: other(found) for found in OF_ROUTING})
    found = brain(every)
    before = found.planner.policy
    found.use_rules(RULES)
    assert found.planner.policy == replace(before, rules=RULES)
    assert found.planner.policy != before

    found.apply_settings(every)
    assert found.planner.policy.rules == RULES


def test_what_is_known_of_deployments_outlives_a_change() -> None:
    """Whoever is out stays out, whoever waits goes on waiting, and figures are kept: the parts are the same ones."""
    found = brain(USUAL)
    refused = failure()
    echo = Deployment("sandbox", "echo", "", "proxy")
    for _ in range(USUAL.breaker_consecutive_failures):
        found.attempts.health.failed(echo, refused, judge(refused), 1000.0)
    parts_before = (found.attempts.health, found.attempts.line, found.attempts.stats, found.planner.health)
    found.apply_settings(replace(USUAL, breaker_consecutive_failures=100, line_length=1))

    assert (found.attempts.health, found.attempts.line, found.attempts.stats, found.planner.health) == parts_before
    assert not found.attempts.health.allows(echo, 1000.0)


def test_the_loop_and_its_rules_share_what_they_have() -> None:
    """The same before and after: a budget that one counts in and the other spends from would be none."""
    found = brain(USUAL)
    for _ in range(2):
        falling = found.attempts.falling
        assert falling.budget is found.attempts.budget
        assert falling.health is found.attempts.health is found.planner.health
        assert falling.permits is found.attempts.line.permits
        assert falling.policy is found.attempts.policy
        found.apply_settings(replace(USUAL, retry_floor=0))
    assert not found.attempts.falling.budget.spend()
