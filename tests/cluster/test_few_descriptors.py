"""Too few file descriptors: a sentence at the start, an error of ours to a caller, and never a traceback."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from orcestator.cli import guarded
from tests.cluster.harness import Cluster, SandboxThread, chat, clean_environment, free_port

if sys.platform == "linux":
    import resource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets limits of a running process")


def test_errors_are_told_without_a_descriptor_left(alpha: SandboxThread, tmp_path: Path) -> None:
    """Nothing has to be imported to tell them."""
    config = f'providers:\n  alpha: {{base_url: "{alpha.base_url}", api_key: "k", models: [echo]}}\n'
    with Cluster(tmp_path, config) as cluster:
        process = cluster.program.process
        assert process is not None
        held = sorted(int(link.name) for link in Path(f"/proc/{process.pid}/fd").iterdir())
        # One is left, for the caller's connection.
        free = next(number for number in range(len(held) + 1) if number not in held)
        usual = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (max(free, *held) + 2, usual[1]))
        try:
            answers = [cluster.post("/v1/chat/completions", chat(model="alpha/fault:H1:500")) for _ in range(3)]
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, usual)
        for answer in answers:
            assert answer.status_code in (200, 500, 502, 503), answer.text
            assert answer.json().get("error"), answer.text
        assert "Traceback" not in cluster.program.output()


@pytest.mark.parametrize("split", [True, False])
def test_a_start_without_enough_is_one_sentence(split: bool, tmp_path: Path) -> None:
    environment = clean_environment(
        OR_HOST="127.0.0.1", OR_PORT=str(free_port()), OR_CONTROLLER_PORT="0", OR_METRICS_PORT="0"
    )
    command = f"ulimit -n {26 if split else 8}; exec {sys.executable} -m orcestator up {'--processes' if split else ''}"
    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "ulimit -n" in ended.stderr


def test_other_faults_of_the_system_are_not_hidden() -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        guarded(fail)
