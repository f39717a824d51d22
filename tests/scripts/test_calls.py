"""What a request costs in Python calls: held here, since nobody runs a benchmark for each change."""

import json
import sys

import calls
import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="the benchmark's upstream is measured on POSIX only")
def test_no_request_costs_more_calls_than_were_kept() -> None:
    """Whoever has a reason to spend more says so by ``scripts/bench/calls.py --write``, and the change shows it."""
    with calls.product() as running:
        found = calls.counted(running)
    assert calls.risen(found, json.loads(calls.COUNTS.read_text("utf-8"))) == []


def test_a_rise_of_more_than_a_few_is_told() -> None:
    kept = {"chat": 100.0, "event": 8.0}
    assert calls.risen({"chat": 103.0, "event": 9.0}, kept) == []
    assert calls.risen({"chat": 103.1, "event": 9.1}, kept) == [
        "chat: 103.1 calls, +3.1",
        "event: 9.1 calls, +1.1",
    ]
    assert calls.risen({"chat": 50.0}, kept) == []
