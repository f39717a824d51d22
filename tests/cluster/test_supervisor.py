"""What the supervisor owes its children and its user, beyond starting them."""

import sys
from pathlib import Path

import pytest

from tests.cluster.harness import REPLICAS, Cluster, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def children_of(pid: int) -> list[int]:
    """The processes that ``pid`` started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(word) for word in text.split()]


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("wiring", ["split", REPLICAS])
def test_no_child_outlives_a_killed_supervisor(tmp_path: Path, wiring: str) -> None:
    """A supervisor that gets SIGKILL can tell nobody: the children see their standard input close, and end."""
    cluster = Cluster(tmp_path, wiring=wiring)
    cluster.__enter__()
    process = cluster.program.process
    assert process is not None
    children = children_of(process.pid)
    assert len(children) == 3

    cluster.program.kill()

    until(lambda: not any(map(is_running, children)), "every child has ended")


def test_the_banner_names_each_process(tmp_path: Path) -> None:
    """With its process id, so that what ``ps`` shows can be told apart."""
    with Cluster(tmp_path, wiring="split") as cluster:
        process = cluster.program.process
        assert process is not None
        shown = cluster.program.output()
        for pid in children_of(process.pid):
            assert f" {pid} " in shown
        for name in ("controller", "worker sandbox", "api server 1"):
            assert name in shown
