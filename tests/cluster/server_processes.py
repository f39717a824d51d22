"""The API server processes of a cluster, and connections to a chosen one of them, as Linux shows them in /proc."""

from contextlib import ExitStack, suppress
from pathlib import Path

import httpx

from tests.cluster.harness import Cluster

MOST_TRIES = 200
"""Connections that may go to other processes before one goes to the one that is wanted."""


def servers_of(cluster: Cluster) -> list[int]:
    """The processes that serve callers."""
    assert cluster.program.process is not None
    pid = cluster.program.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [int(child) for child in children if b"orcestator.api_server" in Path(f"/proc/{child}/cmdline").read_bytes()]


def connected(cluster: Cluster, to: int, stack: ExitStack) -> httpx.Client:
    """A caller whose one connection is to this process."""
    limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
    for _ in range(MOST_TRIES):
        caller = httpx.Client(base_url=cluster.url, timeout=20, trust_env=False, verify=False, limits=limits)
        answer = caller.get("/ready")
        assert answer.status_code == 200
        if serves(to, cluster.port, answer.extensions["network_stream"].get_extra_info("client_addr")[1]):
            stack.callback(caller.close)
            return caller
        caller.close()
    raise AssertionError(f"no connection of {MOST_TRIES} went to process {to}")


def serves(pid: int, port: int, caller_port: int) -> bool:
    """Whether the server's end of the connection between these ports is the process's."""
    ends = f":{port:04X}", f":{caller_port:04X}"
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines():
        words = line.split()
        if words[1].endswith(ends[0]) and words[2].endswith(ends[1]):
            return f"socket:[{words[9]}]" in _open_files(pid)
    return False


def _open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found
