"""A request leaves nothing for the garbage collector, however it ends: what waits for it holds whole bodies, and it comes late."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import FAST_TIMES
from tests.cluster.harness import ROOT, WIRINGS, Cluster, SandboxThread, chat, until

FAULTS = (
    *(
        "U3:fin",
        "U3:rst",
        "U8:headers",
        "U8:body",
        "H1:400",
        "H1:429",
        "H1:500:big",
        "H3:error",
        "H3:html",
        "H3:truncated",
    ),
    *("H3:long", "H7:wrong-label", "H8:body?bytes=3000000", "H8:line?bytes=3000000", "S1:role", "S1:empty", "S2:data"),
    *("S3:no-finish", "S4:rst", "S4:truncated", "S5:stall", "S9:many", "S13:json"),
)
"""One of each kind of end, streamed and whole."""
WELL = ("echo", "fault:U7:idle", "fault:H6:split")
TRIED = 2
LIMIT = "1000000"

WATCH = '''
import collections, gc, json, os, threading, time

def look(folder):
    """The kinds of objects that only the collector can free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return json.dumps({kind: count for kind, count in kinds.items()})

def watch(folder):
    done = ""
    while True:
        time.sleep(0.02)
        wanted = open(folder + "/wanted").read()
        if wanted != done:
            done = wanted
            told = look(folder)
            with open(f"{folder}/{wanted}-{os.getpid()}.part", "w") as file:
                file.write(told)
            os.rename(file.name, file.name.removesuffix("part") + "json")

gc.disable()
open(os.environ["GARBAGE"] + f"/{os.getpid()}.pid", "w").close()
threading.Thread(target=watch, args=(os.environ["GARBAGE"],), daemon=True).start()
'''
"""Runs in every process of the product: told by a file, it collects, and writes what there was."""


class Watched:
    """A cluster whose garbage can be counted."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self._looks = 0

    def garbage(self) -> dict[str, int]:
        """Our objects that became unreachable since the last look, in all processes, and that only a collection frees."""
        self._looks += 1
        (self.folder / "next").write_text(str(self._looks))
        (self.folder / "next").replace(self.folder / "wanted")
        living = [pid.stem for pid in self.folder.glob("*.pid") if Path(f"/proc/{pid.stem}").exists()]
        told = [self.folder / f"{self._looks}-{pid}.json" for pid in living]
        until(lambda: all(file.exists() for file in told), "every process has looked")
        found: dict[str, int] = {}
        for file in told:
            for kind, count in json.loads(file.read_text()).items():
                if kind.startswith("orcestator.") or kind in ("builtins.traceback", "builtins.frame"):
                    found[kind] = found.get(kind, 0) + count
        return found

    def ask(self, model: str, *, streamed: bool) -> None:
        """One request, on a connection of its own, to its end."""
        try:
            self.cluster.post("/v1/chat/completions", chat("nonce:walnut x", model, stream=streamed))
        except httpx.HTTPError as problem:
            pytest.fail(f"{model}: {problem!r}")


@pytest.fixture(scope="module", params=WIRINGS)
def watched(
    alpha: SandboxThread, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("garbage")
    (folder / "sitecustomize.py").write_text(WATCH)
    (folder / "wanted").write_text("")
    config = f"""
providers:
  alpha: {{base_url: "{alpha.base_url}", api_key: "alpha-key", default_model: echo}}
  beta: {{base_url: "{alpha.base_url}", api_key: "beta-key", models: ["echo?ttft=20", "echo?tps=20&tokens=100000"]}}
  closed: {{base_url: "http://127.0.0.1:9/v1", api_key: "closed-key", models: [echo]}}
"""
    environment = {
        **FAST_TIMES,
        **dict.fromkeys(
            ("OR_FIRST_TOKEN_TIMEOUT_SECONDS", "OR_WHOLE_REPLY_TIMEOUT_SECONDS", "OR_IDLE_TIMEOUT_SECONDS"), "0.4"
        ),
        "OR_MAX_REPLY_BYTES": LIMIT,
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "GARBAGE": str(folder),
    }
    with Cluster(folder / "cluster", config, request.param, environment) as cluster:
        found = Watched(cluster, folder)
        for model in ("alpha/echo", "alpha/fault:H1:500"):  # what is made once and on first use
            found.ask(model, streamed=True)
            found.ask(model, streamed=False)
        found.garbage()
        yield found


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_answer_leaves_no_garbage(watched: Watched, streamed: bool) -> None:
    for model in WELL:
        for _ in range(TRIED):
            watched.ask(f"alpha/{model}", streamed=streamed)
    assert watched.garbage() == {}


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_failure_leaves_no_garbage(watched: Watched, streamed: bool) -> None:
    left: dict[str, dict[str, int]] = {}
    for model in (*(f"alpha/fault:{fault}" for fault in FAULTS), "closed/echo"):
        watched.ask(model, streamed=streamed)
        if found := watched.garbage():
            left[model] = found
    assert left == {}


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_caller_that_leaves_leaves_no_garbage(watched: Watched, alpha: SandboxThread, streamed: bool) -> None:
    alpha.reset()
    call = chat("x", "beta/echo?tps=20&tokens=100000" if streamed else "beta/echo?ttft=20", stream=streamed)
    body = json.dumps(call).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    for number in range(1, TRIED + 1):
        with closing(socket.create_connection(("127.0.0.1", watched.cluster.port))) as caller:
            caller.sendall(head.encode() + body)
            until(lambda: len(_calls(alpha)) == number, "the upstream has it")  # noqa: B023  called at once
            if streamed:
                assert b"200 OK" in caller.recv(65536)
    until(lambda: watched.cluster.metrics()["orcestator_active_requests"] == 0, "nothing is active")
    until(lambda: all(call.peer_closed_at for call in _calls(alpha)), "the upstream is free")
    assert watched.garbage() == {}


def _calls(upstream: SandboxThread) -> list[Any]:
    return [record for record in upstream.records if record.method == "POST"]
