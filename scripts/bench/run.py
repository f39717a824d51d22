"""The benchmark: processor time per request of a gateway's process tree, latency, jitter, start-up time and memory.

Run it with the environment that ``scripts/test.py`` makes: ``.venv/bin/python scripts/bench/run.py``. Every gateway
forwards to the same upstream, and they take turns case by case, so that a busy moment of a shared machine hits all of
them. Tables of their own tell what translation between dialects costs, and a plan. It must never judge: the targets are in the documentation, the numbers in ``results/``.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gateways
import measure
import planning
import report
import translation
from gateways import Gateway
from load import Outcome, Target, closed_loop, paced_streams, percentile

if sys.platform != "win32":  # elsewhere main() ends with a sentence before this is needed
    import resource

EVENTS_PER_SECOND = 20
OPEN_FILES = 8192


@dataclass(frozen=True)
class Size:
    """How long and how wide a run is."""

    seconds: float
    warm_up_seconds: float
    connections: tuple[int, ...]
    paced_streams: int
    paced_seconds: int
    starts: int
    translation: translation.Length


FULL = Size(
    seconds=6,
    warm_up_seconds=1.5,
    connections=(1, 16, 256),
    paced_streams=1000,
    paced_seconds=15,
    starts=3,
    translation=translation.Length(rounds=5, seconds=1, warm_up_seconds=0.3),
)
QUICK = Size(
    seconds=1,
    warm_up_seconds=0.3,
    connections=(1, 16),
    paced_streams=100,
    paced_seconds=3,
    starts=1,
    translation=translation.Length(rounds=2, seconds=0.4, warm_up_seconds=0.1),
)
GATEWAYS, TRANSLATION, PLANNING = "gateways", "translation", "planning"
Add = Callable[[str, list[report.Row]], None]


def parse_peer(text: str, key: str, model: str) -> Gateway:
    """``NAME=URL[,pid]`` as a gateway. Raises ArgumentTypeError."""
    name, _, address = text.partition("=")
    url, _, pid = address.partition(",")
    if not (name and url.startswith("http")) or (pid and not pid.isdigit()):
        raise argparse.ArgumentTypeError(
            f"--peer wants NAME=URL[,pid], for example nginx=http://127.0.0.1:81/v1: {text}"
        )
    return Gateway(name, Target(url.rstrip("/"), key, model), (int(pid),) if pid else ())


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten; the numbers are rough")
    parser.add_argument("--only", choices=(GATEWAYS, TRANSLATION, PLANNING), help="measure nothing else")
    parser.add_argument("--split", action="store_true", help="measure translation in the split wiring, too")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=URL[,PID]", help="also measure this gateway"
    )
    parser.add_argument("--peer-key", default="bench", help="the key that the peers want")
    parser.add_argument("--peer-model", default="bench-model", help="the model that the peers forward to the upstream")
    parser.add_argument("--upstream-port", type=int, default=9799, help="where peers have to forward to")
    parser.add_argument("--only-peers", action="store_true", help="measure without orcestator itself")
    parser.add_argument("--results", type=Path, default=gateways.HERE / "results", help="the folder for the results")
    return parser.parse_args()


@contextlib.contextmanager
def everything(asked: argparse.Namespace, size: Size, upstream: Gateway, folder: Path) -> Iterator[list[Gateway]]:
    """Every gateway of this run, started and answering; the yardstick first."""
    peers = [parse_peer(text, asked.peer_key, asked.peer_model) for text in asked.peer]
    with contextlib.ExitStack() as stack:
        ours = [
            stack.enter_context(
                gateways.orcestator(upstream.target.base_url, folder, processes=processes, starts=size.starts)
            )
            for processes in ([] if asked.only_peers else [False, True])
        ]
        yield [stack.enter_context(gateways.yardstick(folder)), upstream, *ours, *peers]


def measured(gateway: Gateway, *, stream: bool, connections: int, size: Size) -> tuple[Outcome, float | None]:
    """One case after its warm-up: what the load saw, and the processor time that the gateway's tree used."""

    def load(seconds: float) -> Outcome:
        return asyncio.run(closed_loop(gateway.target, stream=stream, connections=connections, seconds=seconds))

    load(size.warm_up_seconds)
    before = measure.cpu_seconds(gateway.pids)
    outcome = load(size.seconds)
    return outcome, measure.cpu_seconds(gateway.pids) - before if gateway.pids else None


def cost(cpu_seconds: float | None, count: int) -> float | None:
    """Microseconds of processor time for each; unknown when nothing was measured or nothing came."""
    return None if cpu_seconds is None or not count else cpu_seconds / count * 1e6


def case_row(gateway: Gateway, outcome: Outcome, cpu_us: float | None, yardstick_us: float | None) -> report.Row:
    """One line of a case's table."""
    return {
        "gateway": gateway.name,
        "cpu us/request": cpu_us,
        "x yardstick": cpu_us / yardstick_us if cpu_us and yardstick_us else None,
        "requests/s": len(outcome.latencies) / outcome.seconds,
        **{f"{name} ms": percentile(outcome.latencies, share) * 1e3 for name, share in SHARES},
        "first byte p50 ms": percentile(outcome.first_bytes, 0.5) * 1e3,
        "errors": outcome.errors,
    }


SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


def case_rows(running: list[Gateway], *, stream: bool, connections: int, size: Size) -> list[report.Row]:
    """One case over all gateways; the first one is the yardstick."""
    rows: list[report.Row] = []
    yardstick_us: float | None = None
    for gateway in running:
        outcome, cpu_seconds = measured(gateway, stream=stream, connections=connections, size=size)
        cpu_us = cost(cpu_seconds, len(outcome.latencies))
        yardstick_us = yardstick_us or cpu_us
        rows.append(case_row(gateway, outcome, cpu_us, yardstick_us))
    return rows


def jitter_row(gateway: Gateway, size: Size) -> report.Row:
    """Many slow streams at once: how far the pause between two events strays from what the upstream keeps."""
    before = measure.cpu_seconds(gateway.pids)
    load = paced_streams(
        gateway.target, streams=size.paced_streams, events_per_second=EVENTS_PER_SECOND, seconds=size.paced_seconds
    )
    outcome = asyncio.run(load)
    used = measure.cpu_seconds(gateway.pids) - before if gateway.pids else None
    strays = [abs(gap - 1 / EVENTS_PER_SECOND) * 1e3 for gap in outcome.gaps]
    return {
        "gateway": gateway.name,
        "cpu us/event": cost(used, len(strays)),
        "stray p50 ms": percentile(strays, 0.5),
        "stray p99 ms": percentile(strays, 0.99),
        "stray max ms": percentile(strays, 1.0),
        "whole streams": len(outcome.latencies),
        "errors": outcome.errors,
    }


def standing_row(gateway: Gateway, idle_megabytes: float) -> report.Row:
    """Start-up time and memory."""
    return {
        "gateway": gateway.name,
        "first answer s": gateway.start_seconds,
        "idle MB": idle_megabytes,
        "after the load MB": measure.pss_megabytes(gateway.pids),
    }


def compare_gateways(running: list[Gateway], size: Size, add: Add) -> None:
    """Every case over all gateways."""
    idle = {gateway.name: measure.pss_megabytes(gateway.pids) for gateway in running}
    for workload, stream in (("chat", False), ("stream of 66 events", True)):
        for connections in size.connections:
            rows = case_rows(running, stream=stream, connections=connections, size=size)
            add(f"{workload}, {connections} connections", rows)
    streams = f"{size.paced_streams} streams at {EVENTS_PER_SECOND} events/s"
    add(streams, [jitter_row(gateway, size) for gateway in running[1:]])
    add("start-up and memory (PSS)", [standing_row(gateway, idle[gateway.name]) for gateway in running if gateway.pids])


def compare_dialects(asked: argparse.Namespace, size: Size, upstream: Gateway, folder: Path, add: Add) -> None:
    """Every pair of dialects over orcestator with a provider for each dialect."""
    for processes in (False, True) if asked.split else (False,):
        url, dialects = upstream.target.base_url, tuple(gateways.API_ROOTS)
        with gateways.orcestator(url, folder, processes=processes, dialects=dialects) as gateway:
            add(*translation.table(gateway, size.translation))


def all_tables(asked: argparse.Namespace, size: Size, folder: Path) -> dict[str, list[report.Row]]:
    """Runs everything that was asked for and prints each table as soon as it is known."""
    tables: dict[str, list[report.Row]] = {}

    def add(title: str, rows: list[report.Row]) -> None:
        tables[title] = rows
        print(f"\n{title}\n{report.table(rows)}", flush=True)

    if asked.only in (None, PLANNING) and not asked.only_peers:
        add(*planning.table())
    if asked.only == PLANNING:
        return tables
    with gateways.upstream(asked.upstream_port, folder) as upstream:
        if asked.only != TRANSLATION:
            with everything(asked, size, upstream, folder) as running:
                compare_gateways(running, size, add)
        if asked.only != GATEWAYS and not asked.only_peers:
            compare_dialects(asked, size, upstream, folder, add)
    return tables


def command_line(asked: argparse.Namespace) -> str:
    """The command as the results tell it: what shaped the numbers, and no addresses or folders."""
    known = (("--quick", asked.quick), ("--only-peers", asked.only_peers), ("--split", asked.split))
    flags = [flag for flag, is_set in known if is_set] + ([f"--only {asked.only}"] if asked.only else [])
    return " ".join(["scripts/bench/run.py", *flags, *(f"--peer {text.partition('=')[0]}=..." for text in asked.peer)])


def allow_many_connections() -> None:
    """Raises the limit on open files, which the started gateways inherit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard), hard)
    )


def main() -> None:
    """Measures, prints and writes the results."""
    measure.require_linux()
    asked = parse_arguments()
    size = QUICK if asked.quick else FULL
    allow_many_connections()
    facts = report.machine(gateways.ROOT)
    with tempfile.TemporaryDirectory() as folder:
        tables = all_tables(asked, size, Path(folder))
    print(f"\nwritten: {report.write(asked.results, facts, tables, command_line(asked))}")


if __name__ == "__main__":
    main()
