"""The traffic log's file: one line a request, whatever happens to the file."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orcestator.errors import StartupProblem
from orcestator.routing.events import Event, RequestEnded, Waited
from orcestator.telemetry.background import BackgroundWriter
from orcestator.telemetry.traffic_codec import parse_line
from orcestator.telemetry.traffic_log import TrafficLog, utc_timestamp

Build = Callable[..., RequestEnded]


def same(text: str) -> str:
    return text


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_line_has_the_request_s_facts(tmp_path: Path, request_ended: Build) -> None:
    path = tmp_path / "logs" / "traffic.log"
    log = TrafficLog(path, same, same)
    log.write([request_ended(latency_s=1.2345), request_ended(provider="", model="", started_at=0.9999)])
    log.close()
    first, second = map(parse_line, lines_of(path))
    assert first == ("2025-11-21T06:33:12.125Z", "hello", "hi", 3, 5, 1234, "orcestator", "openai/gpt-4o")
    assert (second.timestamp, second.original_model) == ("1970-01-01T00:00:00.999Z", "")


def test_there_are_as_many_lines_as_requests(tmp_path: Path, request_ended: Build) -> None:
    path = tmp_path / "traffic.log"
    writer: BackgroundWriter[Event] = BackgroundWriter("traffic", TrafficLog(path, same, same))
    writer.start()
    for number in range(2_500):
        writer(request_ended(user_text=f"{number}\r\n|\x85"))
        writer(Waited(0.1, was_served=True))
    writer.close(10)
    assert [parse_line(line).user for line in lines_of(path)] == [f"{number}\r\n|\x85" for number in range(2_500)]


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "traffic.log"
    TrafficLog(path, same, same).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_rotated_file_is_begun_anew(tmp_path: Path, request_ended: Build) -> None:
    path = tmp_path / "traffic.log"
    log = TrafficLog(path, same, same)
    log.write([request_ended(user_text="old")])
    path.rename(tmp_path / "traffic.log.1")
    log.write([request_ended(user_text="new")])
    log.close()
    assert parse_line(lines_of(tmp_path / "traffic.log.1")[0]).user == "old"
    assert [parse_line(line).user for line in lines_of(path)] == ["new"]


def test_every_text_goes_through_the_policy(tmp_path: Path, request_ended: Build) -> None:
    path = tmp_path / "traffic.log"
    log = TrafficLog(path, str.upper, str.title)
    log.write([request_ended()])
    log.close()
    written = parse_line(lines_of(path)[0])
    assert (written.user, written.assistant, written.model) == ("HELLO", "HI", "Orcestator")


def test_several_writers_share_a_file(tmp_path: Path, request_ended: Build) -> None:
    path = tmp_path / "traffic.log"
    logs = [TrafficLog(path, same, same) for _ in range(4)]

    def write(log: TrafficLog, name: str) -> None:
        for _ in range(50):
            log.write([request_ended(user_text=name * 200) for _ in range(20)])

    threads = [threading.Thread(target=write, args=(log, str(number))) for number, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    users = [parse_line(line).user for line in lines_of(path)]
    assert len(users) == 4_000
    assert all(len(set(user)) == 1 for user in users)


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    with pytest.raises(StartupProblem, match=r"traffic log .* set OR_LOG_FILE"):
        TrafficLog(tmp_path / "logs" / "traffic.log", same, same)


@pytest.mark.skipif(sys.platform == "win32", reason="the file size limit is a POSIX one")
def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    """A child with a limit on file sizes: the write is cut off in a line, and goes on there when there is room."""
    path = tmp_path / "traffic.log"
    child = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("full_disk_child.py")), str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout == "first: full\nsecond: full\n", child.stderr
    users = [parse_line(line).user for line in lines_of(path)]
    assert users[-1] == "after"
    assert users[:-1] == [f"before {number}" for number in range(len(users) - 1)]


def test_timestamps_are_utc_with_milliseconds() -> None:
    assert utc_timestamp(1_763_706_792.0) == "2025-11-21T06:33:12.000Z"
