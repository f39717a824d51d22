"""Scenarios in YAML."""

from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.simulator.scenario import Limits, LogNormal, Price
from orcestator.simulator.scenario_file import find_scenario, known_scenarios, read_scenario
from tests.simulator.scenarios import written

WHOLE = """\
title: One of two goes away
seconds: 1000
arrivals_per_second: 2
requests: {stream_share: 0.5, output_tokens: {median: 100, p95: 200}}
free_first: true
deployments:
  - provider: alpha
    model: large
    price: {input: 2.5, output: 10}
    first_content: {median: 0.5, p95: 1.5, tail_share: 0.01, tail_median: 12}
    tokens_per_second: 60
    errors: {unavailable: 0.002, cut: 0.001}
    limits: {requests_per_minute: 30, window: bucket, says_retry_after: true, told: true}
  - {provider: beta, model: small, first_content: {median: 1}, tier: 1, max_concurrent: 4, paid_fallback: true}
timeline:
  - {from: 100, to: 200, deployment: alpha/large, label: away, errors: {refused: 1}}
  - {from: 600, to: 700, every: 50, for: 20, first_content: {median: 9}}
"""


def test_everything_in_a_file_is_read(tmp_path: Path) -> None:
    scenario = read_scenario(written(tmp_path, WHOLE))
    alpha, beta = scenario.deployments
    usual = alpha.condition(0.0)
    assert (scenario.name, scenario.title, scenario.seconds) == ("mine", "One of two goes away", 1000.0)
    assert (scenario.per_second, scenario.mix.stream_share, scenario.free_first) == (2.0, 0.5, True)
    assert scenario.mix.output == LogNormal(100.0, 200.0)
    assert usual.first_content == LogNormal(0.5, 1.5, 0.01, 12.0)
    assert (usual.price, usual.tokens_per_second) == (Price(2.5, 10.0), 60.0)
    assert usual.errors == {"unavailable": 0.002, "cut": 0.001}
    assert usual.limits == Limits(30, "bucket", True, is_told=True)
    assert (beta.tier, beta.max_concurrent, beta.is_paid_fallback) == (1, 4, True)


def test_the_timeline_changes_what_it_names_and_only_while_it_says(tmp_path: Path) -> None:
    alpha, beta = read_scenario(written(tmp_path, WHOLE)).deployments
    assert [alpha.condition(at).error_share for at in (99.9, 100.0, 199.9, 200.0)] == pytest.approx(
        [0.003, 1, 1, 0.003]
    )
    assert alpha.condition(150.0).first_content == alpha.condition(0.0).first_content
    assert beta.condition(150.0) == beta.condition(0.0)
    slow = [at for at in range(0, 1000, 10) if beta.condition(at).first_content.mean() > 5.0]
    assert slow == [600, 610, 650, 660]


def test_a_p95_that_is_not_given_keeps_its_proportion_to_the_median(tmp_path: Path) -> None:
    alpha, _ = read_scenario(written(tmp_path, WHOLE)).deployments
    slow = alpha.condition(600.0).first_content
    assert slow == LogNormal(9.0, 27.0, 0.01, 12.0)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seconds: 1000", "seconds: soon", "line 2: seconds must be a number from 1 to 604800, not 'soon'"),
        ("seconds: 1000", "second: 1000", "line 2: second is not a key of a scenario; the nearest is seconds"),
        ("title: One of two goes away\n", "", "title is missing"),
        (
            "unavailable: 0.002",
            "unavailible: 0.002",
            "unavailible is not a kind of failure; the nearest is unavailable",
        ),
        ("unavailable: 0.002", "unavailable: 2", "errors.unavailable must be a number from 0 to 1, not '2'"),
        ("cut: 0.001", "cut: 0.999", "deployments[0].errors must not add up to more than 1"),
        ("p95: 1.5", "p95: 0.1", "first_content.p95 must not be below the median"),
        (
            "window: bucket",
            "window: bukket",
            "must be one of fixed, sliding, bucket, not 'bukket'; the nearest is bucket",
        ),
        ("requests_per_minute: 30", "requests_per_minute: 1.5", "must be a whole number from 0 to 1000000, not '1.5'"),
        ("deployment: alpha/large", "deployment: alpha/larg", "names no deployment; the nearest is alpha/large"),
        ("to: 200", "to: 50", "timeline[0].to must come after 'from'"),
        ("for: 20, ", "", "timeline[1].every needs a 'for'"),
        ("first_content: {median: 1}, ", "", "deployments[1].first_content must say how long"),
        ("model: small, ", "", "deployments[1].model is missing"),
        ("price: {input: 2.5, output: 10}", "price: 3", "price must be a mapping of keys to values"),
        (
            "provider: beta, model: small",
            "provider: alpha, model: large",
            "deployments[1] is the second of alpha/large",
        ),
        ("every: 50, for: 20, ", "every: 0.01, for: 0.01, ", "timeline[1].every comes more than 2000 times"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in WHOLE
    with pytest.raises(StartupProblem) as caught:
        read_scenario(written(tmp_path, WHOLE.replace(old, new, 1)))
    assert caught.value.message.startswith("mine.yaml, line ")
    assert complaint in caught.value.message


def test_a_scenario_without_deployments_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, "title: x\nseconds: 10\narrivals_per_second: 1\n")
    with pytest.raises(StartupProblem, match="must list at least one deployment"):
        read_scenario(path)


def test_all_scenarios_of_the_package_are_sound() -> None:
    found = {name: find_scenario(name) for name in known_scenarios()}
    assert {"outage", "brown_out", "slow_tail", "rate_limits", "price_change"} <= set(found)
    assert {"flapping", "everything_down", "steady", "paid_fallback"} <= set(found)
    assert all(scenario.title and len(scenario.deployments) > 1 for scenario in found.values())


def test_a_name_that_is_neither_scenario_nor_file_gets_the_nearest() -> None:
    with pytest.raises(StartupProblem, match="'outag' is neither a scenario nor a file; the nearest is outage"):
        find_scenario("outag")
