"""A recorded traffic log as a scenario."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.settings import Settings
from orcestator.simulator.arrivals import requests_of
from orcestator.simulator.replay import read_replay
from orcestator.simulator.trial import hold_trial
from orcestator.telemetry.traffic_codec import TrafficLine, format_line
from tests.simulator.scenarios import written

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def line(at: float, original: str, tokens: int = 100, milliseconds: int = 1500) -> str:
    stamp = (START + timedelta(seconds=at)).isoformat(timespec="milliseconds")
    return format_line(TrafficLine(stamp, "hi | there", "ok", 900, tokens, milliseconds, "orcestator", original))


def log(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_requests_come_as_they_came_with_their_sizes(tmp_path: Path) -> None:
    text = log(line(30.0, "b/large", 7), line(0.0, "a/large", 50), line(12.5, "", 0))
    scenario = read_replay(written(tmp_path, text, "traffic.log"))
    requests = requests_of(scenario, 1)
    assert [request.at for request in requests] == [0.0, 12.5, 30.0]
    assert [(request.prompt_tokens, request.output_tokens) for request in requests] == [(900, 50), (900, 1), (900, 7)]
    assert {each.name for each in scenario.deployments} == {"a/large", "b/large"}


def test_latencies_are_those_recorded_and_the_tokens_own_time_is_taken_out(tmp_path: Path) -> None:
    lines = [
        line(n, "a/large", 20 * (n % 10 + 1), 500 + 200 * (n % 10 + 1)) for n in range(100)
    ]  # 0.5 s and 100 a second
    (found,) = read_replay(written(tmp_path, log(*lines), "traffic.log")).deployments
    usual = found.condition(0.0)
    assert usual.tokens_per_second == pytest.approx(100.0)
    assert usual.first_content.mean() == pytest.approx(0.5, abs=0.001)


def test_a_slow_part_of_the_log_is_slow_in_the_replay(tmp_path: Path) -> None:
    lines = [line(n, "a/large", 100, 9000 if 1200 <= n < 1800 else 1000) for n in range(2400)]
    (found,) = read_replay(written(tmp_path, log(*lines), "traffic.log")).deployments
    means = [found.condition(at).first_content.mean() for at in (600.0, 1500.0, 2300.0)]
    assert means == pytest.approx([1.0, 9.0, 1.0])


def test_known_models_have_their_prices(tmp_path: Path) -> None:
    text = log(line(0.0, "openai/gpt-4o"), line(1.0, "nobody/knows"))
    known, unknown = read_replay(written(tmp_path, text, "traffic.log")).deployments
    assert known.condition(0.0).price.output > known.condition(0.0).price.input > 0.0
    assert unknown.condition(0.0).price == (0.0, 0.0)


def test_strategies_can_be_tried_on_it(tmp_path: Path) -> None:
    lines = [line(n, "quick/m" if n % 2 else "slow/m", 100, 700 if n % 2 else 4000) for n in range(400)]
    trial = hold_trial(read_replay(written(tmp_path, log(*lines), "traffic.log")), ["fastest"], Settings(), 1)
    (compared,) = trial.compared()
    assert compared.figures.success == 1.0
    assert compared.figures.p50 < 1.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (log(line(0.0, "a/m"), "what is this"), r"traffic\.log, line 2: this is no line of a traffic log"),
        (log(line(0.0, "a/m")).replace("2026-11-21", "yesterday"), r"traffic\.log, line 1"),
        (log(line(0.0, "")), "has no answered request in it"),
        ("", "has no answered request in it"),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(StartupProblem, match=complaint):
        read_replay(written(tmp_path, text, "traffic.log"))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartupProblem, match="cannot be read"):
        read_replay(tmp_path / "none.log")


def test_a_last_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    """A server that runs writes on while its log is read."""
    text = log(line(0.0, "a/m"), line(1.0, "a/m")) + line(2.0, "a/m")
    for cut in range(40):
        scenario = read_replay(written(tmp_path, text[: len(text) - cut], "traffic.log"))
        assert (len(scenario.requests), len(scenario.deployments)) == (2, 1)
