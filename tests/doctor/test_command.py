"""The command as a person runs it: alone, beside a running server, with real calls, with settings that do not load."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orcestator.cli import main
from orcestator.doctor.probed_file import save
from orcestator.errors import StartupProblem
from orcestator.store.documents import open_documents
from tests.cluster.harness import Cluster, SandboxThread, clean_environment, free_port
from tests.doctor.scripted_provider import answering


@dataclass(frozen=True)
class Done:
    """What a run of the command came to."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def states(self) -> dict[str, str]:
        """The states by subject, of ``--json``."""
        return {finding["subject"]: finding["state"] for finding in json.loads(self.stdout)["findings"]}


Doctor = Callable[..., Done]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Runs it in an empty folder, which is the person's home, too, with nothing in the environment but what is given."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, command: str = "doctor", **environment: str) -> Done:
        more = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "OR_PORT": str(free_port()), **environment}
        clean = clean_environment(**more)
        for name in set(os.environ) - set(clean):
            monkeypatch.delenv(name)
        for name, value in clean.items():
            monkeypatch.setenv(name, value)
        try:
            status = main([command, *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capfd.readouterr()
        return Done(status, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running server."""
    with Cluster(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_newcomer(doctor: Doctor, tmp_path: Path) -> None:
    """Nothing set, nothing running: warnings are no failure, and nothing is left in the folder."""
    done = doctor()
    assert (done.returncode, done.stderr) == (0, "")
    assert "free; the server is not running" in done.stdout
    assert "no provider has a key" in done.stdout
    assert done.stdout.rstrip().endswith("0 problems")
    assert os.listdir(tmp_path) == []


def test_beside_a_running_server(doctor: Doctor, server: Cluster) -> None:
    """It is recognised, and VS Code's file is compared with what it offers."""
    assert doctor("vscode", "--write", "--url", server.url, command="connect").returncode == 0
    done = doctor(OR_PORT=str(server.port), OR_HOST="127.0.0.1")
    assert done.returncode == 0, done.stdout
    assert f"answers at {server.url}: healthy" in done.stdout
    assert "1 of orcestator's models" in done.stdout


def test_a_server_of_another_environment_is_told(doctor: Doctor, server: Cluster) -> None:
    """What these settings say of callers is not what holds there."""
    place = {"OR_PORT": str(server.port), "OR_HOST": "127.0.0.1"}
    done = doctor(OR_CALLER_KEYS="a-key-of-callers", **place)
    assert f"not as these settings say: the server at {server.url} asks for no caller key" in " ".join(
        done.stdout.split()
    )
    assert "not as these settings say" not in " ".join(doctor(**place).stdout.split())


def test_problems_are_status_one(doctor: Doctor) -> None:
    """A refused key and a port that somebody else has; the key is nowhere in what is said."""
    key = "sk-canary-ae2d8a571e03ac9c"
    with answering(401) as url, answering(200) as other:
        port = other.rpartition(":")[2].partition("/")[0]
        done = doctor("--json", OPENAI_API_KEY=key, OPENAI_BASE_URL=url, OR_PORT=port, OR_HOST="127.0.0.1")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "problem"
    assert done.states | {"provider openai": "problem", f"port {port}": "problem", "keys": "ok"} == done.states
    assert key not in done.stdout + done.stderr


@pytest.mark.parametrize("environment", [{"OR_PROT": "8000"}, {"OR_PORT": "eight"}])
def test_settings_that_do_not_load(doctor: Doctor, environment: dict[str, str]) -> None:
    """One problem, with the sentence that the start would print."""
    done = doctor("--json", **environment)
    assert (done.returncode, done.states["settings"]) == (1, "problem")
    assert next(iter(environment)) in done.stdout


def test_real_calls(doctor: Doctor, tmp_path: Path) -> None:
    """What each model can do is found out and kept, beside what was known of others."""
    (tmp_path / ".orcestator").mkdir()
    kept = {"x/y": {"checked": "2026-01-01", "supported_parameters": [], "input_modalities": ["text"]}}
    (tmp_path / ".orcestator" / "probed.json").write_text(json.dumps(kept), "utf-8")
    done = doctor("--probe", "--model", "sandbox/tools", "sandbox/reasoner", "--json")
    assert done.returncode == 0, done.stdout
    probed = json.loads((tmp_path / ".orcestator" / "probed.json").read_text("utf-8"))
    assert set(probed) == {"x/y", "sandbox/tools", "sandbox/reasoner"}
    assert json.loads(done.stdout)["probed"] == {name: facts for name, facts in probed.items() if name != "x/y"}
    tools, reasoner = (set(probed[f"sandbox/{name}"]["supported_parameters"]) for name in ("tools", "reasoner"))
    assert {"tools", "parallel_tool_calls", "response_format"} <= tools
    assert ("reasoning_effort" in tools, "reasoning_effort" in reasoner, "tools" in reasoner) == (False, True, False)
    assert set(probed["sandbox/tools"]) == {"checked", "supported_parameters", "input_modalities"}


def test_a_claim_that_does_not_hold(doctor: Doctor, tmp_path: Path) -> None:
    """The provider lists tools, and its model ignores them."""
    with SandboxThread() as sandbox:
        config = f"""
providers:
  mine: {{base_url: "{sandbox.base_url}", default_model: "echo?answer=yes"}}
"""
        (tmp_path / "config.yaml").write_text(config, "utf-8")
        done = doctor("--probe", "--config", "config.yaml")
    assert done.returncode == 0, done.stdout
    assert "probe mine/echo?answer=yes" in done.stdout
    assert "no: tool call" in done.stdout
    assert "image works and was not known" in done.stdout


def test_calls_that_fail(doctor: Doctor, tmp_path: Path) -> None:
    """The provider lists models and answers none; nothing is written about it."""
    with SandboxThread() as sandbox:
        environment = {"SANDBOX_BASE_URL": sandbox.base_url, "OR_ONLY_PROVIDERS": "sandbox"}
        done = doctor("--probe", "--model", "sandbox/fault:H1:401", "--json", **environment)
    assert (done.returncode, done.states["probe sandbox/fault:H1:401"]) == (1, "problem")
    assert not (tmp_path / ".orcestator").exists()


@pytest.mark.parametrize("name", ["nobody/gpt", "sandbox", "sandbox/"])
def test_a_model_that_cannot_be_tried(doctor: Doctor, name: str) -> None:
    """Said, instead of trying something else."""
    done = doctor("--probe", "--model", name, "--json")
    assert (done.returncode, done.states["probe"]) == (1, "problem")


def test_a_model_without_the_trial(doctor: Doctor) -> None:
    """A flag that would do nothing is refused."""
    done = doctor("--model", "sandbox/echo")
    assert (done.returncode, "--probe" in done.stderr) == (2, True)


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The facts are lost, and that is said."""
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StartupProblem, match=r"probed\.json"):
        save(open_documents(str(tmp_path / "file" / "state")), {})
