"""The command ``orcestator simulate``."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.routing.planning.strategies import STRATEGIES
from orcestator.simulator import command
from orcestator.simulator.arguments import add_arguments
from tests.simulator.scenarios import written


def simulate(*arguments: str) -> str:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    said: list[str] = []
    command.run(parser.parse_args(arguments), said.append)
    return "".join(said)


def test_the_table_is_aligned_and_names_every_router() -> None:
    lines = simulate("outage", "--requests", "60", "--strategy", "adaptive", "round_robin").splitlines()
    assert lines[0].startswith("outage: The best of three goes down")
    assert "60 requests" in lines[0]
    rows = [line for line in lines[1:] if line]
    assert [row.split()[0] for row in rows] == ["strategy", "adaptive", "round_robin", "omniscient,", "clairvoyant,"]
    assert len({len(row) for row in rows}) == 1


def test_json_is_one_document_with_the_same_figures() -> None:
    (found,) = json.loads(simulate("steady", "--requests", "50", "--json"))
    assert (found["scenario"], found["seed"]) == ("steady", 1)
    (figures,) = found["strategies"]
    assert figures["requests"] == 50
    assert {"success", "p50", "p95", "p99", "dollars", "calls", "wasted", "hedges", "regret"} <= set(figures)
    assert found["omniscient"]["balanced"]["requests"] == 50


def test_the_list_names_scenarios_and_strategies() -> None:
    said = simulate("--list")
    assert "everything_down  All three are down for five minutes" in said
    assert ", ".join(STRATEGIES) in said


def test_all_strategies_and_all_scenarios() -> None:
    found = json.loads(simulate("--all", "--all-strategies", "--requests", "5", "--json"))
    assert len(found) >= 9
    assert all([each["strategy"] for each in one["strategies"]] == list(STRATEGIES) for one in found)


def test_plots_are_written_one_for_each_scenario(tmp_path: Path) -> None:
    said = simulate("steady", "outage", "--requests", "20", "--plot", str(tmp_path / "run.svg"))
    for name in ("run-steady.svg", "run-outage.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<svg")
        assert f"Wrote {tmp_path / name}" in said


def test_a_configuration_is_what_is_simulated(tmp_path: Path) -> None:
    path = written(tmp_path, "hedging: false\n", "config.yaml")
    (with_hedges,) = json.loads(simulate("slow_tail", "--requests", "400", "--json"))
    (without,) = json.loads(simulate("slow_tail", "--requests", "400", "--json", "--config", str(path)))
    assert with_hedges["strategies"][0]["hedges"] > 0.0
    assert without["strategies"][0]["hedges"] == 0.0


def test_its_strategy_is_the_one_that_is_tried(tmp_path: Path) -> None:
    config = str(written(tmp_path, "strategy: cheapest\n", "config.yaml"))
    for more, expected in (((), ["cheapest"]), (("--strategy", "smart"), ["smart"])):
        (found,) = json.loads(simulate("steady", "--requests", "5", "--json", "--config", config, *more))
        assert [each["strategy"] for each in found["strategies"]] == expected


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed otherwise there")
def test_whoever_reads_only_the_first_line_gets_no_traceback() -> None:
    program = [sys.executable, "-m", "orcestator", "simulate", "steady", "outage", "--requests", "20"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        _, said = running.communicate(timeout=60)
    assert (said, running.returncode) == (b"", 141)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "simulate needs a scenario"),
        (("steady", "--strategy", "adaptiv"), "'adaptiv' is no strategy; the nearest is adaptive"),
        (("nowhere",), "'nowhere' is neither a scenario nor a file"),
        (("steady", "--requests", "0"), "--requests must be a whole number from 1 up"),
        (("steady", "--seeds", "3-1"), "--seeds must be two whole numbers like 1-20, not '3-1'"),
        (("steady", "--seeds", "many"), "--seeds must be two whole numbers"),
        (("steady", "--seeds", "1-2", "--plot", "x.svg"), "--plot draws one seed"),
        (("steady", "--replay", "x.log"), "--replay takes the place of scenarios"),
        (("steady", "--requests", "5", "--plot", "/none/x.svg"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(StartupProblem, match=complaint):
        simulate(*arguments)
