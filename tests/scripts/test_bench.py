"""The benchmark's tools: a whole answer counts, anything less is an error, and the arithmetic is right."""

import argparse
import asyncio
import json
import math
import platform
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import load
import measure
import pytest
import report
import run
import upstream

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason=measure.NOT_LINUX)
Result = TypeVar("Result")
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHOLE_STREAM = b"".join(upstream.FAST[False])


def with_upstream(use: Callable[[load.Target], Awaitable[Result]]) -> Result:
    """Runs something against the benchmark's upstream."""

    async def main() -> Result:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: upstream.Upstream(0.0), "127.0.0.1", 0) as server:
            return await use(load.Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))

    return asyncio.run(main())


def one_stream_from(peer: Peer) -> load.Outcome:
    """What the load makes of one stream that a peer answers."""

    async def main() -> load.Outcome:
        async with await asyncio.start_server(peer, "127.0.0.1", 0) as server:
            target = load.Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            outcome = load.Outcome()
            request = load.request_bytes(target, stream=True)
            await load.one_caller(target, request, upstream.STREAM_EVENTS, iter(range(1)), outcome)
            return outcome

    return asyncio.run(main())


def answering(answer: bytes, piece: int = 1 << 20) -> Peer:
    """A peer that reads a request, writes the answer in pieces of that size and closes."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"stream":true}')
        for start in range(0, len(answer), piece):
            writer.write(answer[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    return peer


# --- upstream ---------------------------------------------------------------------------------------------------------


def test_the_chat_has_300_bytes_and_is_one() -> None:
    body = upstream.CHAT.partition(b"\r\n\r\n")[2]
    assert len(body) == upstream.CHAT_BYTES
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(("with_usage", "events"), [(False, 66), (True, 67)])
def test_a_stream_has_66_events_and_usage_only_when_asked_for(with_usage: bool, events: int) -> None:
    frames = upstream.stream_frames(upstream.STREAM_EVENTS, with_usage=with_usage)
    assert len(frames) == events
    texts = [frame.partition(b"data: ")[2].partition(b"\n\n")[0] for frame in frames]
    assert texts[-1] == b"[DONE]"
    chunks = [json.loads(text) for text in texts[:-1]]
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert finishes == [None] * 64 + ["stop"]
    assert sum("usage" in chunk for chunk in chunks) == int(with_usage)


# --- load -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_load_asks_on_all_connections_and_counts_whole_answers(stream: bool) -> None:
    outcome = with_upstream(lambda target: load.closed_loop(target, stream=stream, connections=4, seconds=0.2))
    assert len(outcome.latencies) == len(outcome.first_bytes) >= 4
    assert outcome.errors == 0


def test_paced_streams_tell_the_gap_between_events() -> None:
    outcome = with_upstream(lambda target: load.paced_streams(target, streams=3, events_per_second=40, seconds=1))
    assert len(outcome.latencies) == 3
    assert len(outcome.gaps) == 3 * 39


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_stream_counts_however_it_is_cut_into_pieces(piece: int) -> None:
    outcome = one_stream_from(answering(WHOLE_STREAM, piece))
    assert (len(outcome.latencies), outcome.errors) == (1, 0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(WHOLE_STREAM[:-400], id="cut"),
        pytest.param(b"".join(upstream.FAST[True]).replace(upstream.DONE, b""), id="66 events but no DONE"),
        pytest.param(WHOLE_STREAM.replace(upstream.WORD, b"", 1), id="an event is missing"),
        pytest.param(WHOLE_STREAM.replace(b"200 OK", b"502 Bad"), id="not 200"),
        pytest.param(b"garbage\r\n\r\n", id="not HTTP"),
        pytest.param(b"", id="closed at once"),
    ],
)
def test_anything_less_than_a_whole_stream_is_an_error(answer: bytes) -> None:
    outcome = one_stream_from(answering(answer))
    assert (len(outcome.latencies), outcome.errors) == (0, 1)


def test_a_refused_connection_is_an_error() -> None:
    async def refused(target: load.Target) -> load.Outcome:
        return await load.closed_loop(target, stream=False, connections=1, seconds=0.05)

    async def main() -> load.Outcome:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
        return await refused(load.Target(f"http://127.0.0.1:{port}/v1"))

    outcome = asyncio.run(main())
    assert outcome.errors > 0
    assert outcome.latencies == []


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [load.percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert load.percentile([3.0], 0.5) == 3.0
    assert math.isnan(load.percentile([], 0.5))


# --- measure ----------------------------------------------------------------------------------------------------------


def test_a_stat_line_is_read_whatever_the_command_is_called() -> None:
    line = "12 (a) b (c) S 7 12 12 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 9 0 0"
    assert measure.parse_stat(line) == measure.Process(12, 7, 200)


def test_a_tree_holds_children_of_children_and_nobody_else() -> None:
    among = {pid: measure.Process(pid, parent, 1) for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 1), (5, 0))}
    assert {member.pid for member in measure.tree(2, among)} == {2, 3}
    assert {member.pid for member in measure.tree(1, among)} == {1, 2, 3, 4}
    assert measure.tree(99, among) == []


@linux_only
def test_the_processor_time_of_a_grandchild_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint('burnt', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", parent], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert measure.cpu_seconds([process.pid]) >= 0.19
        assert measure.pss_megabytes([process.pid]) > 1
        process.stdin.write(b"\n")


# --- report -----------------------------------------------------------------------------------------------------------


def test_a_table_aligns_in_plain_text() -> None:
    rows = [{"gateway": "a", "us": 1234.5, "errors": 0}, {"gateway": "longer", "us": None, "errors": 12}]
    lines = report.table(rows).splitlines()
    assert lines == [
        "| gateway |    us | errors |",
        "| ------- | ----: | -----: |",
        "| a       | 1,234 |      0 |",
        "| longer  |     - |     12 |",
    ]


@linux_only
def test_results_name_the_kind_of_machine_and_not_the_machine(tmp_path: report.Path) -> None:
    facts = report.machine(tmp_path)
    tables: dict[str, list[report.Row]] = {"chat": [{"gateway": "a", "p50 ms": math.nan}]}
    path = report.write(tmp_path, facts, tables, "run.py")
    text = path.read_text("utf-8") + path.with_suffix(".json").read_text("utf-8")
    assert platform.node() not in text
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["tables"]["chat"][0]["p50 ms"] is None
    assert f"{facts['cores']}-cores" in path.name


@pytest.mark.parametrize(
    ("text", "pids"), [("nginx=http://127.0.0.1:81/v1/,42", (42,)), ("nginx=http://127.0.0.1:81/v1", ())]
)
def test_a_peer_is_a_name_an_address_and_maybe_a_process(text: str, pids: tuple[int, ...]) -> None:
    peer = run.parse_peer(text, "key", "model")
    assert (peer.name, peer.target, peer.pids) == ("nginx", load.Target("http://127.0.0.1:81/v1", "key", "model"), pids)


@pytest.mark.parametrize("text", ["nginx", "=http://127.0.0.1", "nginx=ftp://x", "nginx=http://x,pid"])
def test_a_wrong_peer_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=URL"):
        run.parse_peer(text, "key", "model")
