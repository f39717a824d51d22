"""The harness itself: two test runs on one machine are never given the same port."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.cluster.harness import ROOT, PortBlock


@pytest.fixture
def block() -> Iterator[PortBlock]:
    """A row of ports of this test's own."""
    with closing(PortBlock()) as owned:
        yield owned


def test_a_row_of_ports_has_one_owner(block: PortBlock) -> None:
    """Within a process and between processes, for as long as the first owner lives."""
    ask = "from tests.cluster.harness import PortBlock; block = PortBlock(); print(*(block.take() for _ in range(30)))"
    with closing(PortBlock()) as beside:
        there = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        given = {int(port) for port in there.split()}
        for each in (block, beside):
            given |= {each.take() for _ in range(30)}
    assert len(given) == 90


def test_a_port_that_is_in_use_is_not_given(block: PortBlock) -> None:
    """Not even when its turn comes again."""
    first = block.take()
    with socket.create_server(("127.0.0.1", first)):
        assert first not in {block.take() for _ in range(2 * PortBlock.SIZE)}
    assert first in {block.take() for _ in range(PortBlock.SIZE)}
