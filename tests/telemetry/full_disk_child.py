"""Writes to a traffic log whose file may not grow, then lets it grow. Run by test_traffic_log.py."""

import resource
import signal
import sys
from pathlib import Path

from orcestator.telemetry.traffic_log import TrafficLog
from tests.recorded_events import REQUEST


def attempt(log: TrafficLog, name: str, texts: list[str]) -> None:
    try:
        log.write([REQUEST._replace(user_text=text) for text in texts])
    except OSError:
        print(f"{name}: full")


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = TrafficLog(Path(sys.argv[1]), str, str)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
attempt(log, "first", [f"before {number}" for number in range(50)])
attempt(log, "second", ["lost"])
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
attempt(log, "third", ["after"])
